// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The device in memory and its log.
 */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *content(const struct disk *d, long i)
{
	return d->contents + i * DISK_BLOCK_SIZE;
}

static uint8_t *block_of(const struct disk *d, uint64_t block)
{
	return d->image + block * DISK_BLOCK_SIZE;
}

static void *grow(void *p, size_t nr, size_t size)
{
	p = realloc(p, nr * size);
	if (!p)
		abort();
	return p;
}

struct disk *disk_new(uint64_t nr_blocks)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	d->nr_blocks = nr_blocks;
	d->image = calloc(nr_blocks, DISK_BLOCK_SIZE);
	if (!d->image)
		abort();
	d->lost_block = -1;
	d->lost_at = -1;
	return d;
}

void disk_free(struct disk *d)
{
	free(d->image);
	free(d->blocks);
	free(d->contents);
	free(d->events);
	free(d);
}

static void add_to_log(struct disk *d, int block, const void *data)
{
	if (d->len_log == d->room_log) {
		d->room_log = d->room_log ? 2 * d->room_log : 512;
		d->blocks = grow(d->blocks, d->room_log, sizeof(*d->blocks));
		d->contents = grow(d->contents, d->room_log, DISK_BLOCK_SIZE);
	}
	d->blocks[d->len_log] = block;
	if (data)
		memmove(content(d, d->len_log), data, DISK_BLOCK_SIZE);
	d->len_log++;
}

void disk_write(struct disk *d, uint64_t block, const void *data)
{
	if (d->off)
		return;
	if (d->lose_in > 0 && --d->lose_in == 0) {
		d->lost_block = block;
		d->lost_at = d->len_log;
		return;
	}
	memcpy(block_of(d, block), data, DISK_BLOCK_SIZE);
	add_to_log(d, block, data);
}

void disk_flush(struct disk *d)
{
	if (!d->off)
		add_to_log(d, DISK_FLUSH, NULL);
}

/* --- events ------------------------------------------------------------------ */

void disk_event(struct disk *d, enum event_type type, uint32_t value)
{
	if (d->nr_events == d->room_events) {
		d->room_events = d->room_events ? 2 * d->room_events : 1024;
		d->events = grow(d->events, d->room_events,
				 sizeof(*d->events));
	}
	d->events[d->nr_events++] = (struct event){
		.type = type, .value = value, .at = d->len_log,
	};
}

void disk_event_was_at(struct disk *d, long i)
{
	long last = d->nr_events - 1;
	struct event moved = d->events[last];

	if (i >= last)
		return;
	moved.at = d->events[i].at;
	memmove(d->events + i + 1, d->events + i,
		(last - i) * sizeof(*d->events));
	d->events[i] = moved;
}

void disk_drop_event(struct disk *d, long i)
{
	d->nr_events--;
	memmove(d->events + i, d->events + i + 1,
		(d->nr_events - i) * sizeof(*d->events));
}

/* --- chance ------------------------------------------------------------------ */

uint32_t disk_random(struct disk *d)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random >> 16;
}

void disk_set_pressure(struct disk *d, uint64_t seed, uint32_t write_early,
		       uint32_t evict)
{
	d->random = seed * 0x9E3779B97F4A7C15ull | 1;
	d->write_early = write_early;
	d->evict = evict;
}

/* --- faults ------------------------------------------------------------------ */

void disk_lose(struct disk *d, long in)
{
	d->lose_in = in;
}

void disk_put(struct disk *d, uint64_t block, const void *data)
{
	memmove(block_of(d, block), data, DISK_BLOCK_SIZE);
	add_to_log(d, block, block_of(d, block));
	add_to_log(d, DISK_FLUSH, NULL);
}

void disk_put_image(struct disk *d, const uint8_t *image)
{
	uint64_t block;

	for (block = 0; block < d->nr_blocks; block++) {
		const uint8_t *data = image + block * DISK_BLOCK_SIZE;

		if (!memcmp(block_of(d, block), data, DISK_BLOCK_SIZE))
			continue;
		memcpy(block_of(d, block), data, DISK_BLOCK_SIZE);
		add_to_log(d, block, data);
	}
	add_to_log(d, DISK_FLUSH, NULL);
}

static long last_flush(const struct disk *d, long at)
{
	while (at > 0 && d->blocks[at - 1] != DISK_FLUSH)
		at--;
	return at;
}

long disk_nr_unflushed(const struct disk *d, long at)
{
	return at - last_flush(d, at);
}

static void replay(struct disk *d)
{
	long i;

	memset(d->image, 0, d->nr_blocks * DISK_BLOCK_SIZE);
	for (i = 0; i < d->len_log; i++)
		if (d->blocks[i] != DISK_FLUSH)
			memcpy(block_of(d, d->blocks[i]), content(d, i),
			       DISK_BLOCK_SIZE);
}

void disk_power_cut(struct disk *d, long at, const uint32_t *kept,
		    long nr_kept)
{
	long flushed = last_flush(d, at), i, nr = 0;

	/* each of them moves forward, so that none is overwritten unread */
	d->len_log = flushed;
	for (i = 0; i < nr_kept; i++)
		add_to_log(d, d->blocks[flushed + kept[i]],
			   content(d, flushed + kept[i]));
	add_to_log(d, DISK_FLUSH, NULL);
	replay(d);
	for (i = 0; i < d->nr_events; i++) {
		struct event event = d->events[i];

		if (event.at > (uint64_t)at)
			continue;
		if (event.at > (uint64_t)d->len_log)
			event.at = d->len_log;
		d->events[nr++] = event;
	}
	d->nr_events = nr;
}

const uint8_t *disk_before(const struct disk *d, long i)
{
	int block = d->blocks[i];

	while (i-- > 0)
		if (d->blocks[i] == block)
			return content(d, i);
	return NULL;
}
