/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rebuilding a lost superblock from the commits that are proven. The last of
 * them is wanted: along one history dates only grow, so it is the one whose
 * dates add up to the most, of those that no other is known to follow.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/compare.h"
#include "era/witness.h"
#include "history/commits.h"

void era_proven_take(struct era_proven *proven, const struct era_commit *commit,
		     const struct era_scan *scan,
		     const struct era_geometry *geometry)
{
	struct era_superblock *sb = &proven->sb;

	*proven = (struct era_proven){ .digested = commit->digested,
				       .sum = commit->sum };
	*sb = (struct era_superblock){ .geometry = *geometry };
	sb->geometry.nr_blocks = commit->nr_blocks;
	sb->geometry.current_era = commit->era;
	sb->writeset_tree_root = commit->roots.writeset_tree;
	sb->era_array_root = commit->roots.era_array;
	sb->metadata_snap = commit->roots.snapshot;
	sb->writeset_root = commit->roots.open;
	sb->writeset_nr_bits = commit->nr_open_bits;
	sb->space_map.nr_blocks = scan->nr_blocks;
	sb->space_map.nr_allocated = commit->nr_allocated;
	sb->space_map.bitmap_root = commit->index_block;
	sb->space_map.ref_count_root = commit->roots.ref_counts;
}

/* Right after a format there is no data block, and nothing to be found. */
static bool is_state(const struct era_commit *commit)
{
	return commit->proof == ERA_PROVEN && commit->nr_blocks;
}

static int compare_roots(const void *a, const void *b)
{
	const struct era_commit *const *x = a, *const *y = b;
	const uint64_t roots[2][5] = {
		{ (*x)->roots.writeset_tree, (*x)->roots.era_array,
		  (*x)->roots.open, (*x)->roots.snapshot, (*x)->index_block },
		{ (*y)->roots.writeset_tree, (*y)->roots.era_array,
		  (*y)->roots.open, (*y)->roots.snapshot, (*y)->index_block },
	};

	for (int i = 0; i < 5; i++)
		if (roots[0][i] != roots[1][i])
			return compare_numbers(roots[0][i], roots[1][i]);
	return 0;
}

static bool same_roots(const struct era_commit *a, const struct era_commit *b)
{
	return a->roots.writeset_tree == b->roots.writeset_tree &&
	       a->roots.era_array == b->roots.era_array &&
	       a->roots.open == b->roots.open &&
	       a->roots.snapshot == b->roots.snapshot;
}

static int compare_places(const void *a, const void *b)
{
	const struct era_commit *const *x = a, *const *y = b;

	return compare_numbers((*x)->index_block, (*y)->index_block);
}

/*
 * Sorts out commits of the same roots, of which one says it all: the first by
 * its place. Returns how many are left, by place.
 */
static size_t drop_repeats(const struct era_commit **list, size_t nr)
{
	size_t kept = 0;

	if (!nr)
		return 0;
	qsort(list, nr, sizeof(*list), compare_roots);
	for (size_t i = 0; i < nr; i++)
		if (!kept || !same_roots(list[kept - 1], list[i]))
			list[kept++] = list[i];
	qsort(list, kept, sizeof(*list), compare_places);
	return kept;
}

/* The states of all commits; last_only: that no other is known to follow. */
static int take_states(const struct era_commits *commits,
		       const struct era_scan *scan,
		       const struct era_geometry *geometry, bool last_only,
		       struct era_proven **states, size_t *nr,
		       uint64_t *nr_witnesses)
{
	const struct era_commit **list = calloc(commits->nr + 1, sizeof(*list));
	size_t nr_listed = 0;

	*nr = 0;
	*nr_witnesses = 0;
	*states = NULL;
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < commits->nr; i++) {
		if (!is_state(&commits->list[i]))
			continue;
		++*nr_witnesses;
		if (!last_only || !era_commits_superseded(commits, i))
			list[nr_listed++] = &commits->list[i];
	}
	nr_listed = drop_repeats(list, nr_listed);
	*states = calloc(nr_listed + 1, sizeof(**states));
	for (size_t i = 0; *states && i < nr_listed; i++)
		era_proven_take(&(*states)[(*nr)++], list[i], scan, geometry);
	free(list);
	return *states ? 0 : -ENOMEM;
}

int era_find_proven(const struct era_commits *commits,
		    const struct era_scan *scan,
		    const struct era_geometry *geometry,
		    struct era_proven **states, size_t *nr)
{
	uint64_t nr_witnesses;

	return take_states(commits, scan, geometry, false, states, nr,
			   &nr_witnesses);
}

/*
 * Where the dates add up to the same, archiving is all that lies between: the
 * later era comes later, and within one the closed state, for it is archived
 * at its end.
 */
static bool is_later(const struct era_proven *a, const struct era_proven *b)
{
	if (a->sum != b->sum)
		return a->sum > b->sum;
	if (a->sb.geometry.current_era != b->sb.geometry.current_era)
		return a->sb.geometry.current_era > b->sb.geometry.current_era;
	return !a->sb.writeset_root && b->sb.writeset_root;
}

static void pick_last(struct era_rebuilt *rebuilt)
{
	const struct era_proven *best = NULL;

	for (size_t i = 0; i < rebuilt->nr_states; i++)
		if (!best || is_later(&rebuilt->states[i], best))
			best = &rebuilt->states[i];
	rebuilt->proven = best;
	if (best) {
		rebuilt->sb = best->sb;
		rebuilt->era_inferred = best->digested;
	}
}

/* Geometry from a superblock copy that a metadata snapshot has left. */
static int take_copy(void *arg, uint64_t block, const uint8_t *data)
{
	struct era_rebuilt *rebuilt = arg;
	struct era_superblock copy;
	char buf[128];

	if (block == ERA_SUPERBLOCK_LOCATION ||
	    era_superblock_fault(data, block, buf, sizeof(buf)))
		return 0;
	era_superblock_get(&copy, data);
	if (era_geometry_check(&copy.geometry, NULL, NULL))
		return 0;
	/* the newest says most; what never changes they all say alike */
	if (rebuilt->have_copy &&
	    copy.geometry.current_era < rebuilt->sb.geometry.current_era)
		return 0;
	rebuilt->have_copy = true;
	rebuilt->copy = block;
	rebuilt->sb.geometry = copy.geometry;
	return 0;
}

/* What the space maps that are left say of the last block, and past it. */
struct ending {
	const struct era_scan *scan;
	uint64_t last; /* highest block that holds something */
	bool counted;  /* it is in use in one of them */
	bool beyond;   /* and so is what is past the end of the device */
};

static uint64_t bitmap_of(const uint8_t *index, uint32_t i)
{
	return get_le64(index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE);
}

/* A space map of which a part is lost says nothing. */
static int look_at_end(void *arg, uint64_t index_block, const uint8_t *data)
{
	struct ending *end = arg;
	uint32_t nr = space_map_nr_bitmaps(end->scan->nr_blocks), nr_named = 0;
	uint32_t at = (uint32_t)(end->last / BITMAP_MAX_ENTRIES);
	uint8_t bitmap[ERA_BLOCK_SIZE];

	(void)index_block;
	for (; nr_named < nr && bitmap_of(data, nr_named); nr_named++)
		if (era_scan_role(end->scan, bitmap_of(data, nr_named)) !=
		    ROLE_BITMAP)
			return 0;
	if (at < nr_named &&
	    !era_scan_read(end->scan, bitmap_of(data, at), bitmap))
		end->counted |=
			bitmap_count(bitmap, end->last % BITMAP_MAX_ENTRIES);
	if (nr_named == nr &&
	    !era_scan_read(end->scan, bitmap_of(data, nr - 1), bitmap))
		for (uint64_t k = end->scan->nr_blocks;
		     k < (uint64_t)nr * BITMAP_MAX_ENTRIES; k++)
			end->beyond |=
				bitmap_count(bitmap, k % BITMAP_MAX_ENTRIES);
	for (uint32_t i = nr; i < INDEX_MAX_ENTRIES; i++)
		end->beyond |= bitmap_of(data, i) != 0;
	return 0;
}

/*
 * A device of one bitmap needs no index block to know what a bitmap counts;
 * most of them are left without theirs once the allocator has gone round.
 */
static int look_at_bitmap(void *arg, uint64_t block, const uint8_t *data)
{
	struct ending *end = arg;

	(void)block;
	for (uint64_t k = end->scan->nr_blocks; k < BITMAP_MAX_ENTRIES; k++)
		end->beyond |= bitmap_count(data, (uint32_t)k) != 0;
	return 0;
}

/*
 * Damage besides the superblock's may have hit the last commit's space map:
 * then an older state would look like the last. The kernel writes every block
 * that it allocates, the lowest free one first, and the index block last of a
 * commit; so below the highest block there is no hole, and where there is
 * room above, that highest block is an index block. Where there is none, and
 * no commit counts it, that commit's index was above: the device, or a copy of
 * it, was cut off. So it was where a commit counts what is past the end.
 */
static int find_alone(const struct era_scan *scan, bool *alone)
{
	struct ending end = { .scan = scan, .last = scan->nr_blocks };
	int r;

	*alone = false;
	while (end.last && scan->roles[end.last - 1] <= ROLE_UNKNOWN)
		end.last--;
	if (!end.last)
		return 0;
	end.last--;
	r = era_scan_each(scan, ROLE_INDEX, NULL, look_at_end, &end);
	if (!r)
		r = era_scan_each(scan, ROLE_BITMAP, NULL, look_at_bitmap,
				  &end);
	if (scan->roles[end.last] == ROLE_INDEX)
		end.counted = true;
	else if (end.last + 1 < scan->nr_blocks)
		end.counted = false;
	*alone = end.counted && !end.beyond;
	for (uint64_t block = 1; block < end.last; block++)
		*alone &= era_role_is_sound(era_scan_role(scan, block));
	return r;
}

static void apply_geometry(struct era_rebuilt *rebuilt,
			   const struct era_orphans *orphans,
			   const struct era_geometry *geometry)
{
	struct era_geometry *g = &rebuilt->sb.geometry;
	uint32_t greatest = orphans->greatest_era;

	if (geometry->data_block_size && !rebuilt->have_copy)
		g->data_block_size = geometry->data_block_size;
	if (geometry->nr_blocks && !rebuilt->proven)
		g->nr_blocks = geometry->nr_blocks;
	/* the open era is one more than the greatest ever archived */
	if (rebuilt->proven && rebuilt->sb.writeset_root)
		greatest++;
	else if (!rebuilt->proven)
		greatest++; /* if one was open, this was it */
	if (g->current_era < greatest)
		g->current_era = greatest;
	if (g->current_era < geometry->current_era)
		g->current_era = geometry->current_era;
}

int era_rebuild_superblock(struct era_rebuilt *rebuilt,
			   const struct era_scan *scan,
			   const struct era_commits *commits,
			   const struct era_orphans *orphans,
			   const struct era_geometry *geometry)
{
	int r;

	*rebuilt = (struct era_rebuilt){ .proven = false };
	r = era_scan_each(scan, ROLE_SUPERBLOCK, NULL, take_copy, rebuilt);
	/* the copy is a snapshot's: of its eras nothing is known */
	rebuilt->sb.geometry.current_era = 0;
	rebuilt->sb.location = ERA_SUPERBLOCK_LOCATION;
	if (!r)
		r = find_alone(scan, &rebuilt->alone);
	if (!r && rebuilt->alone)
		r = take_states(commits, scan, &rebuilt->sb.geometry, true,
				&rebuilt->states, &rebuilt->nr_states,
				&rebuilt->nr_proven);
	if (r)
		return r;
	pick_last(rebuilt);
	apply_geometry(rebuilt, orphans, geometry);
	return 0;
}

void era_rebuilt_release(struct era_rebuilt *rebuilt)
{
	free(rebuilt->states);
	rebuilt->states = NULL;
	rebuilt->nr_states = 0;
}
