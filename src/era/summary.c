/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open-addressing table of eras, coarsened whenever it is full by dropping
 * a bit of each key. It is never made finer again, so the result depends on
 * what was counted and not on the order.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/compare.h"
#include "era/fold.h"
#include "era/group.h"
#include "era/summary.h"

struct slot {
	uint64_t nr_blocks;
	uint32_t key;
	unsigned int states; /* 0: the slot is free */
};

struct table {
	struct slot *slots; /* a power of two, at least half of them free */
	size_t nr_slots;
	size_t nr_used;
	size_t max_used;
	unsigned int shift;
	uint64_t factor; /* of the hash, odd */
};

#define FIRST_SLOTS 64

/* Era 0 is none, and shares with nobody. */
static uint32_t coarser(uint32_t key, unsigned int shift)
{
	return key ? ((key - 1) >> shift) + 1 : 0;
}

/*
 * Nobody who makes metadata can know it, and make all eras fall on one slot.
 * Without a random number it takes longer, and the result is the same.
 */
static uint64_t make_factor(void)
{
	uint64_t factor = 0;

	if (getrandom(&factor, sizeof(factor), GRND_NONBLOCK) != sizeof(factor))
		factor = UINT64_C(0x9e3779b97f4a7c15);
	return factor | 1;
}

static struct slot *find(const struct table *table, uint32_t key)
{
	size_t mask = table->nr_slots - 1;
	size_t at = (size_t)((key + 1) * table->factor >> 32) & mask;

	while (table->slots[at].states && table->slots[at].key != key)
		at = (at + 1) & mask;
	return &table->slots[at];
}

/* Moves all to nr_slots slots, with keys of which down fewer bits count. */
static int rehash(struct table *table, size_t nr_slots, unsigned int down)
{
	struct slot *old = table->slots;
	size_t nr_old = table->nr_slots;

	table->slots = calloc(nr_slots, sizeof(*table->slots));
	if (!table->slots) {
		table->slots = old;
		return -ENOMEM;
	}
	table->nr_slots = nr_slots;
	table->nr_used = 0;
	table->shift += down;
	for (size_t i = 0; i < nr_old; i++) {
		struct slot *slot;

		if (!old[i].states)
			continue;
		slot = find(table, coarser(old[i].key, down));
		table->nr_used += !slot->states;
		slot->key = coarser(old[i].key, down);
		slot->states |= old[i].states;
		slot->nr_blocks += old[i].nr_blocks;
	}
	free(old);
	return 0;
}

/* Before an era that has no slot gets one. */
static int make_room(struct table *table, uint32_t era)
{
	int r = 0;

	if (table->nr_used < table->max_used &&
	    table->nr_used >= table->nr_slots / 2)
		return rehash(table, table->nr_slots * 2, 0);
	/* no further than it takes, or the order of eras would show */
	while (!r && table->nr_used >= table->max_used &&
	       !find(table, coarser(era, table->shift))->states)
		r = rehash(table, table->nr_slots, 1);
	return r;
}

static int add(struct table *table, uint32_t era, unsigned int states,
	       uint64_t nr_blocks)
{
	struct slot *slot = find(table, coarser(era, table->shift));

	if (!slot->states) {
		int r = make_room(table, era);

		if (r)
			return r;
		slot = find(table, coarser(era, table->shift));
		table->nr_used += !slot->states;
		slot->key = coarser(era, table->shift);
	}
	slot->states |= states;
	slot->nr_blocks += nr_blocks;
	return 0;
}

/*
 * Where few eras come again and again, what is counted waits here for its slot
 * of the table: one place for all eras that differ by a multiple.
 */
#define TALLY_PLACES 1024u

struct tally {
	struct table *table;
	uint32_t eras[TALLY_PLACES];
	uint32_t counts[TALLY_PLACES]; /* 0: the place is free */
};

static int flush(struct tally *tally, uint32_t place)
{
	uint32_t nr = tally->counts[place];

	tally->counts[place] = 0;
	return nr ? add(tally->table, tally->eras[place], ERA_STATE_DIGESTED,
			nr)
		  : 0;
}

static int flush_all(struct tally *tally)
{
	int r = 0;

	for (uint32_t place = 0; place < TALLY_PLACES && !r; place++)
		r = flush(tally, place);
	return r;
}

static inline int tally_up(struct tally *tally, uint32_t era, uint32_t nr)
{
	uint32_t place = era % TALLY_PLACES;
	int r = 0;

	if (tally->eras[place] != era) {
		r = flush(tally, place);
		tally->eras[place] = era;
	}
	tally->counts[place] += nr;
	return r;
}

static int count_window(void *arg, uint32_t first, const uint32_t *eras,
			size_t nr)
{
	struct tally *tally = arg;
	size_t i = 0;
	int r = 0;

	(void)first;
	while (i < nr && !r) {
		if (nr - i >= ERA_GROUP && era_group_is_one(eras + i)) {
			r = tally_up(tally, eras[i], ERA_GROUP);
			i += ERA_GROUP;
			continue;
		}
		for (size_t end = nr - i < ERA_GROUP ? nr : i + ERA_GROUP;
		     i < end && !r; i++)
			r = tally_up(tally, eras[i], 1);
	}
	return r;
}

static int compare_lines(const void *a, const void *b)
{
	const struct era_summary_line *x = a, *y = b;

	return compare_numbers(x->first, y->first);
}

/* The eras of a key: the inverse of coarser(). */
static void set_eras(struct era_summary_line *line, uint32_t key,
		     unsigned int shift)
{
	uint64_t last = (uint64_t)key << shift;

	line->first = key ? ((key - 1) << shift) + 1 : 0;
	line->last = last < UINT32_MAX ? (uint32_t)last : UINT32_MAX;
}

static int make_lines(struct era_summary *summary, const struct table *table)
{
	struct era_summary_line *line;
	uint64_t nr_since = 0;

	summary->shift = table->shift;
	summary->lines = calloc(table->nr_used + 1, sizeof(*summary->lines));
	if (!summary->lines)
		return -ENOMEM;
	for (size_t i = 0; i < table->nr_slots; i++) {
		const struct slot *slot = &table->slots[i];

		if (!slot->states)
			continue;
		line = &summary->lines[summary->nr_lines++];
		set_eras(line, slot->key, table->shift);
		line->states = slot->states;
		line->nr_blocks = slot->nr_blocks;
	}
	qsort(summary->lines, summary->nr_lines, sizeof(*summary->lines),
	      compare_lines);
	for (size_t i = summary->nr_lines; i-- > 0;) {
		nr_since += summary->lines[i].nr_blocks;
		summary->lines[i].nr_since = nr_since;
	}
	return 0;
}

/* An era that has a writeset is not digested, whatever the array says yet. */
static void set_states(struct era_summary *summary,
		       const struct era_metadata *md)
{
	size_t at = 0;

	for (size_t i = 0; i < md->nr_writesets; i++) {
		const struct era_writeset *ws = &md->writesets[i];

		while (at < summary->nr_lines &&
		       summary->lines[at].last < ws->era)
			at++;
		if (at == summary->nr_lines)
			break;
		if (!summary->shift)
			summary->lines[at].states = 0;
		summary->lines[at].states |=
			ws->open ? ERA_STATE_OPEN : ERA_STATE_ARCHIVED;
	}
}

/* No line shall name eras that are still to come. */
static void cut_last(struct era_summary *summary, uint32_t current_era)
{
	struct era_summary_line *line = summary->lines + summary->nr_lines;

	if (summary->nr_lines && line[-1].first <= current_era &&
	    line[-1].last > current_era)
		line[-1].last = current_era;
}

static int count(struct table *table, struct era_metadata *md)
{
	struct era_layers layers = { .nr = 0 };
	struct tally *tally = calloc(1, sizeof(*tally));
	struct era_fold fold = { .device = md->device,
				 .report = md->report,
				 .nr_blocks = md->sb.geometry.nr_blocks,
				 .layers = &layers,
				 .strict = true,
				 .window = count_window,
				 .arg = tally };
	int r = tally ? era_layers_add_metadata(&layers, md, ERA_REACHABLE,
						ERA_ASSUMPTION)
		      : -ENOMEM;

	for (size_t i = 0; i < md->nr_writesets && !r; i++)
		r = add(table, md->writesets[i].era,
			md->writesets[i].open ? ERA_STATE_OPEN
					      : ERA_STATE_ARCHIVED,
			0);
	if (!r) {
		tally->table = table;
		r = era_fold(&fold);
	}
	if (!r)
		r = flush_all(tally);
	era_layers_release(&layers);
	free(tally);
	return r;
}

int era_summary_make(struct era_summary *summary, struct era_metadata *md,
		     size_t max_lines)
{
	struct table table = { .nr_slots = FIRST_SLOTS,
			       .max_used = max_lines < 16 ? 16 : max_lines,
			       .factor = make_factor() };
	int r = -ENOMEM;

	*summary = (struct era_summary){ .lines = NULL };
	table.slots = calloc(table.nr_slots, sizeof(*table.slots));
	if (table.slots)
		r = count(&table, md);
	if (!r)
		r = era_metadata_confirm(md);
	if (!r)
		r = make_lines(summary, &table);
	if (!r) {
		set_states(summary, md);
		cut_last(summary, md->sb.geometry.current_era);
	}
	free(table.slots);
	return r;
}

void era_summary_release(struct era_summary *summary)
{
	free(summary->lines);
	*summary = (struct era_summary){ .lines = NULL };
}

uint64_t era_summary_since(const struct era_summary *summary, uint32_t era)
{
	for (size_t i = 0; i < summary->nr_lines; i++)
		if (summary->lines[i].last >= era)
			return summary->lines[i].nr_since;
	return 0;
}
