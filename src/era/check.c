/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The check of everything that a superblock leads to, and of the space map
 * against it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "era/accounts.h"
#include "era/check.h"
#include "era/newer.h"

struct check {
	struct walk walk;
	struct ref_counts refs;
	struct array_window window;
	uint64_t nr_lost; /* array blocks that could not be read */
	struct era_metadata live;
	unsigned int flags;
	struct block_set live_blocks; /* what the live trees are made of */
	struct era_scan scan;	      /* of what else the device holds */
};

/* Called for each array block that could be read. */
typedef void (*check_values_fn)(struct check *check,
				const struct era_metadata *md,
				const struct array_map *map, uint32_t index,
				const uint8_t *values, void *arg);

/* An array block that is as it should be need not be read once more. */
static void tell_scan(struct check *check, const struct array_map *map,
		      uint32_t index)
{
	size_t slot = array_map_find(map, index);

	era_scan_tell(&check->scan, map->slots[slot].block,
		      map->value_size == 4 ? ROLE_ERAS : ROLE_WORDS);
}

static int check_array(struct check *check, const struct era_metadata *md,
		       const struct array_map *map, check_values_fn fn,
		       void *arg)
{
	uint32_t nr_blocks = array_map_nr_blocks(map);
	int r = 0;

	check->nr_lost += nr_blocks - map->nr_slots;
	/* whatever length the map claims, only what is there is read */
	for (uint32_t first = array_map_next(map, 0); first < nr_blocks && !r;
	     first = array_map_next(map, first + ERA_DEVICE_RUN)) {
		uint32_t nr = nr_blocks - first < ERA_DEVICE_RUN
				      ? nr_blocks - first
				      : ERA_DEVICE_RUN;

		r = array_window_read(&check->window, md->device, map, first,
				      nr, md->report, &check->nr_lost);
		for (uint32_t i = 0; i < nr && !r; i++)
			if (check->window.values[i]) {
				tell_scan(check, map, first + i);
				fn(check, md, map, first + i,
				   check->window.values[i], arg);
			}
	}
	return r;
}

/*
 * Whether an era is above max. Sixteen at a time, without a branch among
 * them, so that a compiler makes vector instructions of it.
 */
static bool any_above(const uint8_t *values, uint32_t nr, uint32_t max)
{
	uint32_t above = 0, i;

	for (i = 0; i + 16 <= nr; i += 16)
		for (uint32_t k = 0; k < 16; k++)
			above |= get_le32(values + (i + k) * 4) > max;
	for (; i < nr; i++)
		above |= get_le32(values + i * 4) > max;
	return above;
}

static void check_eras(struct check *check, const struct era_metadata *md,
		       const struct array_map *map, uint32_t index,
		       const uint8_t *values, void *arg)
{
	uint32_t nr = array_map_nr_entries(map, index);
	uint32_t current = md->sb.geometry.current_era, first, n = 0;
	struct era_data_range data = ERA_NO_DATA;
	char text[128];

	(void)check;
	(void)arg;
	if (!any_above(values, nr, current))
		return;
	first = index * array_max_entries(4);
	for (uint32_t i = 0; i < nr; i++) {
		if (get_le32(values + i * 4) <= current)
			continue;
		if (!n++)
			data.begin = first + i;
		data.end = first + i + 1;
	}
	snprintf(text, sizeof(text),
		 "%" PRIu32
		 " data blocks have an era above the current one, %" PRIu32,
		 n, current);
	array_map_report(map, md->device, index, md->report, ERA_FATAL, data,
			 text);
}

static void check_last_word(const struct era_metadata *md,
			    const struct era_writeset *ws, uint32_t index,
			    const uint8_t *values)
{
	const struct array_map *map = &ws->words;
	uint32_t nr = array_map_nr_entries(map, index);

	if (index + 1 != array_map_nr_blocks(map) ||
	    !(get_le64(values + (nr - 1) * 8) &
	      ~era_last_word_mask(ws->nr_bits)))
		return;
	array_map_report(map, md->device, index, md->report, ERA_NON_FATAL,
			 ERA_NO_DATA,
			 "bits are set past the end of the writeset");
}

static void check_words(struct check *check, const struct era_metadata *md,
			const struct array_map *map, uint32_t index,
			const uint8_t *values, void *arg)
{
	(void)check;
	(void)map;
	check_last_word(md, arg, index, values);
}

struct open_bits {
	const struct era_writeset *ws;
	uint64_t nr_set;
};

static void count_open(struct check *check, const struct era_metadata *md,
		       const struct array_map *map, uint32_t index,
		       const uint8_t *values, void *arg)
{
	struct open_bits *open = arg;
	uint32_t nr = array_map_nr_entries(map, index);

	(void)check;
	check_last_word(md, open->ws, index, values);
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t word = get_le64(values + i * 8);

		if (index + 1 == array_map_nr_blocks(map) && i + 1 == nr)
			word &= era_last_word_mask(open->ws->nr_bits);
		open->nr_set += (uint64_t)__builtin_popcountll(word);
	}
}

static int check_open_writeset(struct check *check,
			       const struct era_metadata *md,
			       const struct era_writeset *ws)
{
	struct open_bits open = { ws, 0 };
	uint64_t lost = check->nr_lost;
	int r = check_array(check, md, &ws->words, count_open, &open);

	if (!r && check->nr_lost == lost)
		era_report(md->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "not shut down cleanly: era %" PRIu32
			   " holds %" PRIu64 " block%s not yet archived",
			   ws->era, open.nr_set, open.nr_set == 1 ? "" : "s");
	return r;
}

/* The contents of all arrays that the trees lead to. */
static int check_arrays(struct check *check, const struct era_metadata *md)
{
	int r = 0;

	for (size_t i = 0; i < md->nr_writesets && !r; i++) {
		struct era_writeset *ws = &md->writesets[i];

		if (ws->open)
			r = check_open_writeset(check, md, ws);
		else
			r = check_array(check, md, &ws->words, check_words, ws);
	}
	if (!r)
		r = check_array(check, md, &md->eras, check_eras, NULL);
	return r;
}

static int check_live(struct check *check, const struct era_superblock *sb)
{
	int r = era_metadata_load(&check->live, &check->walk, sb, false);

	return r ? r : check_arrays(check, &check->live);
}

static int check_snapshot(void *arg, const struct era_metadata *md)
{
	return check_arrays(arg, md);
}

static int find_newer(struct check *check)
{
	struct era_newer newer;

	return era_newer_find(&newer, &check->live, &check->scan,
			      &check->live_blocks, check->walk.report);
}

static int check_trees(struct check *check, const struct era_superblock *sb)
{
	struct era_accounts accounts = { .nr_faults = 0 };
	int r;

	check->refs.counts[ERA_SUPERBLOCK_LOCATION] = 1;
	r = check_live(check, sb);
	block_set_merge(&check->live_blocks, &check->walk.seen);
	if (!r)
		r = era_accounts_check(&accounts, &check->walk, sb,
				       check_snapshot, check);
	if (!r && !(check->flags & ERA_CHECK_REACHABLE_ONLY))
		r = find_newer(check);
	return r;
}

int era_check(struct era_device *device, unsigned int flags,
	      struct era_report *report)
{
	struct era_superblock sb;
	struct check check = { .flags = flags };
	int r;

	if (era_superblock_read(&sb, device, ERA_SUPERBLOCK_LOCATION, report))
		return 0;
	era_superblock_is_cut_off(&sb, device, ERA_FATAL, report);
	if (era_superblock_is_too_long(&sb, report) ||
	    flags & ERA_CHECK_SUPERBLOCK_ONLY)
		return 0;
	r = walk_init(&check.walk, device, report, &check.refs);
	if (!r)
		r = ref_counts_init(&check.refs, check.walk.nr_blocks);
	if (!r)
		r = array_window_init(&check.window, ERA_DEVICE_RUN);
	if (!r)
		r = block_set_init(&check.live_blocks, check.walk.nr_blocks);
	if (!r)
		r = era_scan_start(&check.scan, device);
	if (!r)
		r = check_trees(&check, &sb);
	era_scan_release(&check.scan);
	era_metadata_release(&check.live);
	block_set_release(&check.live_blocks);
	array_window_release(&check.window);
	ref_counts_release(&check.refs);
	walk_release(&check.walk);
	return r;
}
