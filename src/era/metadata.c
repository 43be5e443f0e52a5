/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a superblock to the maps of all arrays that it leads to.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compare.h"
#include "base/grow.h"
#include "era/metadata.h"

/* A writeset in the tree: le32 nr_bits, le64 root (struct writeset_disk) */

static int add_writeset(struct era_metadata *md, uint32_t era, uint32_t nr_bits,
			uint64_t root, uint64_t leaf)
{
	struct era_writeset *ws;

	if (list_grow(&md->writesets, md->nr_writesets + 1, &md->max_writesets))
		return -ENOMEM;
	ws = &md->writesets[md->nr_writesets++];
	*ws = (struct era_writeset){
		.era = era,
		.open = !leaf,
		.nr_bits = nr_bits,
		.words = {
			.value_size = 8,
			.nr_values = era_nr_words(nr_bits),
			.root = root,
			.holder = { md->sb.location, leaf },
		},
	};
	snprintf(ws->words.name, sizeof(ws->words.name), "writeset %" PRIu32,
		 era);
	return 0;
}

uint32_t era_metadata_last_archived(const struct era_metadata *md)
{
	uint32_t current = md->sb.geometry.current_era;

	return !md->snapshot && md->sb.writeset_root && current ? current - 1
								: current;
}

/*
 * The last writeset has lost all of its blocks. A leaf can name hundreds of
 * those, and all of them together say no more than that any block may have been
 * written, in any era: some are kept, for what may yet be found of them.
 */
static void forget_lost(struct era_metadata *md, struct era_writeset *ws)
{
	if (ws->words.overlong)
		md->writesets_lost = true;
	if (++md->nr_wholly_lost <= ERA_MAX_WHOLLY_LOST)
		return;
	md->writesets_lost = true;
	array_map_release(&ws->words);
	md->nr_writesets--;
}

static int load_leaf(void *arg, struct walk *walk,
		     const struct era_where *where, const uint8_t *node,
		     uint32_t nr, bool counted)
{
	struct era_metadata *md = arg;
	struct era_data_range all = { 0, md->sb.geometry.nr_blocks };
	int r = 0;

	for (uint32_t i = 0; i < nr && !r; i++) {
		const uint8_t *value =
			node_value(node, i, ERA_WRITESET_VALUE_SIZE);
		uint64_t era = node_key(node, i);
		uint32_t nr_bits = get_le32(value);
		uint64_t root = get_le64(value + 4);
		size_t before = md->nr_writesets;
		struct era_writeset *ws;
		uint64_t faults;

		if (era > era_metadata_last_archived(md)) {
			walk->nr_reused++;
			walk_fault(walk, where, all,
				   "the tree holds a writeset of era %" PRIu64
				   ", the current era is %" PRIu32 "%s",
				   era, md->sb.geometry.current_era,
				   md->sb.writeset_root ? " and still open"
							: "");
			if (era > UINT32_MAX)
				continue;
		}
		if (nr_bits >= ERA_MAX_NR_BLOCKS) {
			walk_fault(walk, where, all,
				   "writeset %" PRIu64 " claims %" PRIu32
				   " blocks, more than dm-era can track",
				   era, nr_bits);
			md->writesets_lost = true;
			continue;
		}
		r = add_writeset(md, (uint32_t)era, nr_bits, root,
				 where->block);
		if (r)
			break;
		ws = &md->writesets[before];
		faults = walk->nr_faults;
		/*
		 * A bitset below a shared leaf was counted with the leaf: its
		 * pointers are walked without being counted again.
		 */
		if (counted) {
			r = array_map_load(&ws->words, walk, where);
		} else {
			struct ref_counts *refs = walk->refs;

			walk->refs = NULL;
			r = array_map_load(&ws->words, walk, where);
			walk->refs = refs;
		}
		if (!r && walk->nr_faults != faults && !ws->words.nr_slots)
			forget_lost(md, ws);
		/* a length that is too short has lost what lies past it */
		if (!r && ws->words.overlong)
			md->writesets_lost = true;
	}
	return r;
}

int era_metadata_load_writesets(struct era_metadata *md, struct walk *walk,
				const struct era_where *where,
				const uint8_t *node)
{
	return load_leaf(md, walk, where, node, node_nr_entries(node), true);
}

int era_metadata_add_writeset(struct era_metadata *md, uint32_t era,
			      uint32_t nr_bits, uint64_t root,
			      struct era_writeset **ws)
{
	int r = add_writeset(md, era, nr_bits, root, root);

	if (r)
		return r;
	*ws = &md->writesets[md->nr_writesets - 1];
	(*ws)->open = false;
	return 0;
}

uint64_t era_metadata_nr_array_blocks(const struct era_metadata *md)
{
	uint64_t nr = md->eras.nr_slots;

	for (size_t i = 0; i < md->nr_writesets; i++)
		nr += md->writesets[i].words.nr_slots;
	return nr;
}

static void tell_map(const struct array_map *map, struct era_scan *scan,
		     enum era_role role)
{
	for (size_t i = 0; i < map->nr_slots; i++)
		era_scan_tell(scan, map->slots[i].block, role);
}

void era_metadata_tell_scan(const struct era_metadata *md,
			    struct era_scan *scan)
{
	for (size_t i = 0; i < md->nr_writesets; i++)
		tell_map(&md->writesets[i].words, scan, ROLE_WORDS);
	tell_map(&md->eras, scan, ROLE_ERAS);
	scan->told = true;
}

int era_metadata_read_told(const struct era_metadata *md, struct era_scan *scan)
{
	if (!scan->told)
		return 0;
	for (size_t i = 0; i < md->nr_writesets; i++)
		tell_map(&md->writesets[i].words, scan, ROLE_UNREAD);
	tell_map(&md->eras, scan, ROLE_UNREAD);
	scan->told = false;
	return era_scan_finish(scan);
}

static int compare_writesets(const void *a, const void *b)
{
	const struct era_writeset *x = a, *y = b;

	if (x->open != y->open)
		return x->open ? 1 : -1;
	return compare_numbers(x->era, y->era);
}

void era_metadata_sort(struct era_metadata *md)
{
	if (md->nr_writesets)
		qsort(md->writesets, md->nr_writesets, sizeof(*md->writesets),
		      compare_writesets);
}

static int lose_writesets(void *arg, uint64_t begin, uint64_t end)
{
	struct era_metadata *md = arg;

	(void)begin;
	(void)end;
	md->writesets_lost = true;
	return 0;
}

/* Whether a bitset has more blocks than so many bits need. */
static int is_longer(const struct era_metadata *md, uint32_t nr_bits,
		     const struct era_where *where, bool *longer)
{
	struct array_map words = { .value_size = 8,
				   .nr_values = era_nr_words(nr_bits),
				   .root = md->sb.writeset_root,
				   .name = "bitset" };
	struct walk walk;
	int r = walk_init(&walk, md->device, NULL, NULL);

	if (!r)
		r = array_map_load(&words, &walk, where);
	*longer = words.overlong;
	array_map_release(&words);
	walk_release(&walk);
	return r;
}

/*
 * The kernel gives it a bit for each data block (metadata_new_era): that is its
 * length where the superblock has none that can be.
 */
static int load_open_writeset(struct era_metadata *md, struct walk *walk,
			      const struct era_where *where)
{
	const struct era_superblock *sb = &md->sb;
	struct era_data_range all = { 0, sb->geometry.nr_blocks };
	uint32_t nr_bits = sb->writeset_nr_bits;
	bool longer = false;
	int r = 0;

	if (md->snapshot || !sb->writeset_root)
		return 0;
	if (nr_bits >= ERA_MAX_NR_BLOCKS)
		walk_fault(walk, where, all,
			   "the open writeset claims %" PRIu32
			   " blocks, more than dm-era can track",
			   nr_bits);
	else if (nr_bits < sb->geometry.nr_blocks)
		r = is_longer(md, nr_bits, where, &longer);
	if (longer)
		walk_fault(walk, where, all,
			   "the open writeset claims %" PRIu32
			   " blocks, fewer than its bitset has",
			   nr_bits);
	if (longer || nr_bits >= ERA_MAX_NR_BLOCKS)
		nr_bits = sb->geometry.nr_blocks;
	if (!r)
		r = add_writeset(md, sb->geometry.current_era, nr_bits,
				 sb->writeset_root, 0);
	if (r)
		return r;
	return array_map_load(&md->writesets[md->nr_writesets - 1].words, walk,
			      where);
}

int era_metadata_load(struct era_metadata *md, struct walk *walk,
		      const struct era_superblock *sb, bool snapshot)
{
	struct era_where where = { NULL,
				   snapshot ? "metadata snapshot superblock"
					    : "superblock",
				   sb->location };
	struct btree tree = {
		.role = "writeset tree node",
		.root = sb->writeset_tree_root,
		.value_size = ERA_WRITESET_VALUE_SIZE,
		.data = { 0, sb->geometry.nr_blocks },
		.leaf = load_leaf,
		.lost = lose_writesets,
		.arg = md,
	};
	int r;

	*md = (struct era_metadata){ .device = walk->device,
				     .report = walk->report,
				     .sb = *sb,
				     .snapshot = snapshot };
	md->eras = (struct array_map){ .value_size = 4,
				       .nr_values = sb->geometry.nr_blocks,
				       .root = sb->era_array_root,
				       .holder = { sb->location, 0 },
				       .name = "era array" };
	r = btree_walk(walk, &tree, &where);
	if (!r)
		r = load_open_writeset(md, walk, &where);
	if (!r)
		r = array_map_load(&md->eras, walk, &where);
	return r;
}

int era_metadata_load_state(struct era_metadata *md, struct era_device *device,
			    const struct era_superblock *sb)
{
	struct walk walk;
	int r = walk_init(&walk, device, NULL, NULL);

	*md = (struct era_metadata){ .nr_writesets = 0 };
	if (!r)
		r = era_metadata_load(md, &walk, sb, false);
	if (!r && walk.nr_faults)
		r = -EUCLEAN;
	walk_release(&walk);
	return r;
}

void era_metadata_release(struct era_metadata *md)
{
	for (size_t i = 0; i < md->nr_writesets; i++)
		array_map_release(&md->writesets[i].words);
	free(md->writesets);
	array_map_release(&md->eras);
	md->writesets = NULL;
	md->nr_writesets = md->max_writesets = 0;
}

int era_metadata_read_snapshot(struct era_superblock *copy,
			       const struct era_superblock *sb,
			       struct era_device *device,
			       struct era_report *report)
{
	if (!sb->metadata_snap) {
		era_report_kind(report, ERA_KIND_NO_SNAPSHOT, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s holds no metadata snapshot",
				device->path);
		return -ENODATA;
	}
	return era_superblock_read(copy, device, sb->metadata_snap, report);
}

int era_metadata_open(struct era_metadata *md, struct era_device *device,
		      bool snapshot, struct block_set *reachable,
		      struct era_report *report)
{
	struct era_superblock live, sb, copy;
	struct walk walk;
	int r;

	if (reachable)
		reachable->words = NULL;

	*md = (struct era_metadata){ .device = device };
	r = era_superblock_read(&sb, device, ERA_SUPERBLOCK_LOCATION, report);
	/* a newer history may have stood in what is cut off */
	if (!r && era_superblock_is_cut_off(&sb, device, ERA_FATAL, report))
		r = -EUCLEAN;
	live = sb;
	if (!r && snapshot) {
		r = era_metadata_read_snapshot(&copy, &sb, device, report);
		sb = copy;
	}
	if (r)
		return r;
	r = walk_init(&walk, device, report, NULL);
	if (!r)
		r = era_metadata_load(md, &walk, &sb, snapshot);
	md->opened = true;
	md->live = live;
	if (!r && walk.nr_faults)
		r = -EUCLEAN;
	if (!r && reachable) {
		*reachable = walk.seen;
		walk.seen.words = NULL;
	}
	walk_release(&walk);
	if (r)
		era_metadata_release(md);
	return r;
}

static bool is_same_state(const struct era_superblock *a,
			  const struct era_superblock *b)
{
	return a->geometry.current_era == b->geometry.current_era &&
	       a->writeset_root == b->writeset_root &&
	       a->writeset_tree_root == b->writeset_tree_root &&
	       a->era_array_root == b->era_array_root;
}

int era_metadata_check_era(const struct era_metadata *md, uint32_t era)
{
	uint32_t current = md->sb.geometry.current_era;
	/* what a snapshot's current era has recorded, the snapshot has not */
	uint32_t last = md->snapshot && current ? current - 1 : current;

	if (era <= last)
		return 0;
	era_report_kind(
		md->report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
		md->snapshot
			? "era %" PRIu32 " is not in the metadata snapshot, "
			  "which holds eras 0 to %" PRIu32 ": it was taken "
			  "too early, or era %" PRIu32 " is that of another "
			  "device or from before it was formatted anew"
			: "era %" PRIu32 " has not begun, there are eras 0 "
			  "to %" PRIu32 " (the current one): era %" PRIu32
			  " is that of another device or from before this "
			  "one was formatted anew",
		era, last, era);
	return -ERANGE;
}

int era_metadata_confirm(const struct era_metadata *md)
{
	struct era_superblock now;
	uint64_t location = ERA_SUPERBLOCK_LOCATION;
	int r;

	if (!md->opened)
		return 0;
	era_device_refresh(md->device);
	r = era_superblock_read(&now, md->device, location, NULL);
	if (!r && md->snapshot) {
		location = now.metadata_snap;
		r = location == md->sb.location ? 0 : -EAGAIN;
		if (!r)
			r = era_superblock_read(&now, md->device, location,
						NULL);
	}
	if (!r && is_same_state(&now, md->snapshot ? &md->sb : &md->live))
		return 0;
	era_report_kind(md->report, ERA_KIND_CHANGED, ERA_FATAL, NULL,
			ERA_NO_DATA,
			md->snapshot ? "%s: the metadata snapshot was dropped "
				       "while it was being read"
				     : "%s: changed while it was being read",
			md->device->path);
	return -EAGAIN;
}
