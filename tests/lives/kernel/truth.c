// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is true of a disk's data blocks, from the events of its life.
 *
 * A data block must be named by the list since era E if a write of it was
 * released after E was first reported: that is what a backup that has saved E
 * asks. It may be named if a write of it arrived after E began. Eras that a
 * table which was loaded too early gives out for the second time keep the
 * meaning that they had at first. What was before the kernel formatted the
 * device is none of its business.
 */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

#define MUST 1
#define MAY 2

static long last_event(const struct disk *d, enum event_type type)
{
	long i = d->nr_events;

	while (i-- > 0)
		if (d->events[i].type == type)
			return i;
	return -1;
}

static long first_event(const struct disk *d, enum event_type type,
			uint32_t value)
{
	long i;

	for (i = last_event(d, EVENT_FORMAT) + 1; i < d->nr_events; i++)
		if (d->events[i].type == type && d->events[i].value == value)
			return i;
	return -1;
}

/* The eras that were reported, in order of their first report. */
uint32_t truth_reported(const struct disk *d, uint32_t *eras, uint32_t room);
uint32_t truth_reported(const struct disk *d, uint32_t *eras, uint32_t room)
{
	uint32_t nr = 0, k;
	long i;

	for (i = last_event(d, EVENT_FORMAT) + 1; i < d->nr_events; i++) {
		if (d->events[i].type != EVENT_REPORTED)
			continue;
		for (k = 0; k < nr && eras[k] != d->events[i].value; k++)
			;
		if (k == nr && nr < room)
			eras[nr++] = d->events[i].value;
	}
	return nr;
}

/* For each data block the era that it is to be dated to at least. */
void truth_dates(const struct disk *d, uint32_t nr_blocks, uint32_t *dates);
void truth_dates(const struct disk *d, uint32_t nr_blocks, uint32_t *dates)
{
	uint32_t newest = 0, b;
	long i;

	memset(dates, 0, nr_blocks * sizeof(*dates));
	for (i = last_event(d, EVENT_FORMAT) + 1; i < d->nr_events; i++) {
		const struct event *e = d->events + i;

		if (e->type == EVENT_REPORTED && e->value > newest)
			newest = e->value;
		else if (e->type == EVENT_RELEASED && e->value < nr_blocks)
			dates[e->value] = newest;
		else if (e->type == EVENT_SHRUNK)
			for (b = e->value; b < nr_blocks; b++)
				dates[b] = 0;
	}
}

static void mark(const struct disk *d, uint32_t nr_blocks, long reported,
		 long began, long until, uint8_t *flags)
{
	uint32_t b;
	long i;

	memset(flags, 0, nr_blocks);
	for (i = began; i < until; i++) {
		const struct event *e = d->events + i;

		if (e->type == EVENT_SHRUNK) {
			for (b = e->value; b < nr_blocks; b++)
				flags[b] = 0;
		} else if (e->value < nr_blocks) {
			if (e->type == EVENT_ARRIVED)
				flags[e->value] |= MAY;
			else if (e->type == EVENT_RELEASED && i > reported)
				flags[e->value] |= MUST | MAY;
		}
	}
}

/*
 * Of each data block whether the list since an era must and may name it; of
 * the metadata snapshot's list, where that is asked for. False where the era
 * was not reported before.
 */
bool truth_since(const struct disk *d, uint32_t era, bool snapshot,
		 uint32_t nr_blocks, uint8_t *flags);
bool truth_since(const struct disk *d, uint32_t era, bool snapshot,
		 uint32_t nr_blocks, uint8_t *flags)
{
	long reported = first_event(d, EVENT_REPORTED, era);
	long began = first_event(d, EVENT_ERA, era);
	long until = snapshot ? last_event(d, EVENT_SNAPSHOT) : d->nr_events;

	if (reported < 0 || reported > until)
		return false;
	if (began < 0 || began > reported)
		began = reported;
	mark(d, nr_blocks, reported, began, until, flags);
	return true;
}

/* How many blocks are dated below what they must be, and the first of them;
   how many of them lie past the end of what is dated. */
uint32_t truth_lost(const uint32_t *needed, uint32_t nr_blocks,
		    const uint32_t *dates, uint32_t nr_dates, uint32_t *first,
		    uint32_t *past_end);
uint32_t truth_lost(const uint32_t *needed, uint32_t nr_blocks,
		    const uint32_t *dates, uint32_t nr_dates, uint32_t *first,
		    uint32_t *past_end)
{
	uint32_t nr = 0, b;

	*first = *past_end = 0;
	for (b = 0; b < nr_blocks; b++) {
		if (!needed[b] || (b < nr_dates && dates[b] >= needed[b]))
			continue;
		if (!nr++)
			*first = b;
		*past_end += b >= nr_dates;
	}
	return nr;
}

/* How many blocks dated from this era on may not be named for it. */
uint32_t truth_extra(const uint8_t *flags, uint32_t nr_blocks,
		     const uint32_t *dates, uint32_t nr_dates, uint32_t era);
uint32_t truth_extra(const uint8_t *flags, uint32_t nr_blocks,
		     const uint32_t *dates, uint32_t nr_dates, uint32_t era)
{
	uint32_t nr = 0, b;

	for (b = 0; b < nr_blocks && b < nr_dates; b++)
		nr += dates[b] >= era && !(flags[b] & MAY);
	return nr;
}
