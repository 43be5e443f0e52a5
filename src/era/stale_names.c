/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A root that the commit under way counts anew is loaded as the open writeset
 * that it would be, and compared with what the superblock's commit has of that.
 */
#include "config.h"

#include <string.h>

#include "era/stale_names.h"

#define WINDOW_BLOCKS 64u /* array blocks that are compared at a time */

struct dropping {
	const struct era_writeset *open; /* the superblock's */
	const struct era_orphans *orphans;
	const struct era_overwritten *overwritten;
	struct walk walk;
	struct array_window older, newer;
	uint64_t nr_visits;	/* array blocks, of all roots */
	struct block_set stale; /* roots */
	struct block_set judged;
};

/* Whether all bits of one window of blocks are in the other. */
static bool has_all_bits(const struct dropping *d, const struct array_map *map)
{
	for (uint32_t i = 0; i < d->older.nr; i++) {
		const uint8_t *older = d->older.values[i];
		const uint8_t *newer = d->newer.values[i];
		uint32_t nr;

		if (!older || !newer)
			return false;
		nr = array_map_nr_entries(map, d->older.first + i);
		for (uint32_t k = 0; k < nr; k++)
			if (get_le64(older + k * 8) & ~get_le64(newer + k * 8))
				return false;
	}
	return true;
}

static int compare_words(struct dropping *d, const struct array_map *words,
			 bool *contained)
{
	const struct array_map *open = &d->open->words;
	struct era_device *device = d->orphans->scan->device;
	uint32_t nr = array_map_nr_blocks(open);
	uint64_t nr_lost = 0;
	int r = 0;

	*contained = true;
	for (uint32_t first = 0; first < nr && *contained && !r;
	     first += WINDOW_BLOCKS) {
		uint32_t n =
			nr - first < WINDOW_BLOCKS ? nr - first : WINDOW_BLOCKS;

		r = array_window_read(&d->older, device, open, first, n, NULL,
				      &nr_lost);
		if (!r)
			r = array_window_read(&d->newer, device, words, first,
					      n, NULL, &nr_lost);
		*contained = !r && has_all_bits(d, open);
	}
	return r;
}

static bool is_all_counted(const struct dropping *d,
			   const struct array_map *words)
{
	const struct block_set *counted = &d->overwritten->by->counted;

	for (size_t i = 0; i < words->nr_slots; i++)
		if (words->slots[i].block >= counted->nr_blocks ||
		    !block_set_has(counted, words->slots[i].block))
			return false;
	return words->nr_slots == array_map_nr_blocks(words);
}

/* Whether the commit under way has written this root for the open writeset. */
static int judge_root(struct dropping *d, uint64_t root)
{
	const struct era_scan *scan = d->orphans->scan;
	const struct era_where where = { NULL, "bitset", root };
	struct array_map words = d->open->words;
	bool contained = false;
	int r;

	block_set_add(&d->judged, root);
	words.root = root;
	words.slots = NULL;
	words.nr_slots = words.max_slots = 0;
	walk_next_small_pass(&d->walk);
	r = array_map_load(&words, &d->walk, &where);
	d->nr_visits += d->walk.nr_seen;
	if (!r && is_all_counted(d, &words) &&
	    d->nr_visits < scan->nr_blocks * ERA_ORPHANS_VISITS) {
		d->nr_visits += 2 * words.nr_slots;
		r = compare_words(d, &words, &contained);
	}
	array_map_release(&words);
	if (contained)
		block_set_add(&d->stale, root);
	return r;
}

static bool is_to_judge(const struct dropping *d,
			const struct orphan_writeset *ws)
{
	const struct era_scan *scan = d->orphans->scan;
	enum era_role role = era_scan_role(scan, ws->root);

	return (role == ROLE_INTERNAL || role == ROLE_POINTERS) &&
	       block_set_has(&d->overwritten->by->wrote, ws->root) &&
	       !block_set_has(&d->judged, ws->root) &&
	       d->nr_visits < scan->nr_blocks * ERA_ORPHANS_VISITS;
}

static int find_stale(struct dropping *d)
{
	int r = 0;

	for (size_t i = 0; i < d->orphans->nr_writesets && !r; i++)
		if (is_to_judge(d, &d->orphans->writesets[i]))
			r = judge_root(d, d->orphans->writesets[i].root);
	return r;
}

static bool is_dropped(const struct dropping *d, size_t i)
{
	const struct orphan_writeset *ws = &d->orphans->writesets[i];

	return ws->era < d->open->era && ws->root < d->stale.nr_blocks &&
	       block_set_has(&d->stale, ws->root) &&
	       !era_orphans_name_twice(d->orphans, d->overwritten->md, i);
}

/* From the last on, so that those before still are compared with all. */
static void drop(struct era_orphans *orphans, const struct dropping *d)
{
	struct orphan_writeset *ws = orphans->writesets;
	size_t kept = orphans->nr_writesets;

	for (size_t i = orphans->nr_writesets; i--;)
		if (!is_dropped(d, i))
			ws[--kept] = ws[i];
	orphans->nr_writesets -= kept;
	memmove(ws, ws + kept, orphans->nr_writesets * sizeof(*ws));
}

int era_orphans_drop_stale(struct era_orphans *orphans,
			   const struct era_overwritten *overwritten)
{
	const struct era_scan *scan = orphans->scan;
	struct dropping d = {
		.open = era_metadata_open_writeset(overwritten->md),
		.orphans = orphans,
		.overwritten = overwritten,
	};
	int r;

	if (!overwritten->by->found || !d.open || !orphans->nr_writesets)
		return 0;
	r = walk_init(&d.walk, scan->device, NULL, NULL);
	if (!r)
		r = block_set_init(&d.stale, scan->nr_blocks);
	if (!r)
		r = block_set_init(&d.judged, scan->nr_blocks);
	if (!r)
		r = array_window_init(&d.older, WINDOW_BLOCKS);
	if (!r)
		r = array_window_init(&d.newer, WINDOW_BLOCKS);
	if (!r)
		r = find_stale(&d);
	if (!r)
		drop(orphans, &d);
	array_window_release(&d.newer);
	array_window_release(&d.older);
	block_set_release(&d.judged);
	block_set_release(&d.stale);
	walk_release(&d.walk);
	return r;
}
