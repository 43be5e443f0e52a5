/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking the census: one block's count, one node's pointers, one bitmap, and
 * from there one commit.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "era/superblock.h"
#include "history/census.h"

/* Bytes of counts in a bitmap block. */
#define BITMAP_BYTES (BITMAP_MAX_ENTRIES / 4)
/* More blocks than a superblock names: the mismatches are not the roots. */
#define MAX_ROOTS 5
/* What a few changed counts cost next to a block. */
#define CHANGES_PER_WORK 64

/* What kind of tree a node belongs to, told by the leftmost way down. */
enum tree {
	TREE_UNKNOWN, /* not asked as yet */
	TREE_NONE,
	TREE_WRITESETS,
	TREE_COUNTS,
	TREE_ERAS,
	TREE_BITSET,
	TREE_EMPTY, /* an array without a block */
};

int era_census_init(struct era_census *census, struct era_reading *reading)
{
	size_t nr = (size_t)reading->scan->nr_blocks + 1;

	*census = (struct era_census){ .reading = reading,
				       .nr_blocks = reading->scan->nr_blocks,
				       .lowest_free = 1 };
	census->counts = calloc(nr / BITMAP_MAX_ENTRIES + 1, BITMAP_BYTES);
	census->refs = calloc(nr, sizeof(*census->refs));
	census->trees = calloc(nr, 1);
	/* pages of the lists that are never touched cost nothing */
	census->wrong = malloc(nr * sizeof(*census->wrong));
	census->wrong_at = calloc(nr, sizeof(*census->wrong_at));
	return census->counts && census->refs && census->trees &&
			       census->wrong && census->wrong_at
		       ? 0
		       : -ENOMEM;
}

void era_census_release(struct era_census *census)
{
	free(census->counts);
	free(census->refs);
	free(census->trees);
	free(census->wrong);
	free(census->wrong_at);
	free(census->other_counts);
	*census = (struct era_census){ 0 };
}

/* --- one block ------------------------------------------------------------ */

/* Puts a block into the list of mismatches, or takes it out. */
static void settle(struct era_census *census, uint64_t block)
{
	unsigned int count = era_census_count(census, block);
	uint32_t refs = census->refs[block], at = census->wrong_at[block];
	bool wrong = refs != count && !(count == 3 && refs > 3);
	uint32_t last;

	if (wrong == !!at)
		return;
	if (wrong) {
		census->wrong[census->nr_wrong++] = (uint32_t)block;
		census->wrong_at[block] = (uint32_t)census->nr_wrong;
		return;
	}
	last = census->wrong[--census->nr_wrong];
	census->wrong[at - 1] = last;
	census->wrong_at[last] = at;
	census->wrong_at[block] = 0;
}

static void count_ref(struct era_census *census, uint64_t block, bool found)
{
	if (block >= census->nr_blocks)
		return;
	census->refs[block] += found ? 1 : UINT32_MAX;
	settle(census, block);
}

/* Counts what a block points to, or no longer does. */
static void count_refs(struct era_census *census, enum era_role role,
		       const uint8_t *data, bool found)
{
	struct era_superblock copy;

	if (role == ROLE_SUPERBLOCK) {
		era_superblock_get(&copy, data);
		count_ref(census, copy.writeset_tree_root, found);
		count_ref(census, copy.era_array_root, found);
		return;
	}
	for (uint32_t i = 0; i < node_nr_entries(data); i++) {
		if (role == ROLE_INTERNAL)
			count_ref(census, node_child(data, i), found);
		else if (role == ROLE_POINTERS)
			count_ref(census, get_le64(node_value(data, i, 8)),
				  found);
		else if (role == ROLE_WRITESETS)
			count_ref(census,
				  get_le64(node_value(data, i,
						      ERA_WRITESET_VALUE_SIZE) +
					   4),
				  found);
	}
}

/* A block is counted now, or no longer: so are the pointers in it. */
static void come_or_go(struct era_census *census, uint64_t block, bool comes)
{
	const struct era_scan *scan = census->reading->scan;
	enum era_role role = era_scan_role(scan, block);
	const uint8_t *data;

	census->nr_allocated += comes ? 1 : UINT64_MAX;
	if (!block)
		return;
	if (role <= ROLE_UNKNOWN)
		census->nr_unsound += comes ? 1 : UINT64_MAX;
	if (!era_role_is_node(role) && role != ROLE_SUPERBLOCK)
		return;
	data = era_reading_get(census->reading, block);
	if (data)
		count_refs(census, role, data, comes);
	else
		census->broken = true;
}

static void compare_with_other(struct era_census *census, uint64_t block,
			       bool comes)
{
	uint64_t one = comes ? 1 : UINT64_MAX;

	if (!census->other)
		return;
	if (!era_census_other_has(census, block)) {
		census->nr_alone += one;
		return;
	}
	census->nr_other_alone -= one;
	if (block > census->other)
		census->nr_other_beyond -= one;
}

/* --- one step ------------------------------------------------------------- */

/* Where the step at hand leads from and to. */
struct step {
	uint64_t from, to; /* index blocks */
	uint64_t first;	   /* the first block free behind from; 0 for none */
};

/* Whether the allocator, going on from one index, passes block on its way. */
static bool is_between(const struct era_census *census, const struct step *step,
		       uint64_t block)
{
	uint64_t nr = census->nr_blocks;

	return block != step->from && (block + nr - step->from) % nr <=
					      (step->to + nr - step->from) % nr;
}

static void change_count(struct era_census *census, const struct step *step,
			 uint64_t block, unsigned int before)
{
	unsigned int after = era_census_count(census, block);

	if (!before != !after) {
		come_or_go(census, block, after);
		compare_with_other(census, block, after);
		if (census->watched && block_set_has(census->watched, block))
			census->nr_watched += after ? 1 : UINT64_MAX;
		if (after) {
			census->nr_came++;
			if (census->came)
				block_set_add(census->came, block);
			census->nr_came_outside +=
				!is_between(census, step, block);
			census->nr_came_beyond += block > step->to;
			census->is_behind |= block && block == step->first;
		} else {
			census->nr_went++;
			if (block < census->lowest_free)
				census->lowest_free = block;
		}
	}
	settle(census, block);
}

/* Takes over the counts of a bitmap block; NULL: the block counts nothing. */
static void take_bitmap(struct era_census *census, const struct step *step,
			uint32_t nr, const uint8_t *bitmap)
{
	uint64_t first = (uint64_t)nr * BITMAP_MAX_ENTRIES;
	uint8_t *counts = census->counts + (size_t)nr * BITMAP_BYTES;
	uint64_t nr_changed = 0;

	for (uint32_t i = 0; i < BITMAP_BYTES; i += 8) {
		uint8_t before[8];

		if (first + i * 4 >= census->nr_blocks)
			break;
		memcpy(before, counts + i, 8);
		if (bitmap)
			memcpy(counts + i, bitmap + BITMAP_COUNTS + i, 8);
		else
			memset(counts + i, 0, 8);
		if (!memcmp(before, counts + i, 8))
			continue;
		for (uint32_t k = 0; k < 32; k++) {
			uint64_t block = first + i * 4 + k;
			unsigned int bits = before[k / 4] >> (2 * (k % 4)) & 3;

			bits = (bits & 1) << 1 | bits >> 1;
			if (block >= census->nr_blocks ||
			    bits == era_census_count(census, block))
				continue;
			change_count(census, step, block, bits);
			nr_changed++;
		}
	}
	census->reading->work += 1 + nr_changed / CHANGES_PER_WORK;
}

/* The first block that is free behind the index at hand, up to another one. */
static uint64_t first_free(const struct era_census *census, uint64_t to)
{
	uint64_t nr = census->nr_blocks, from = census->index;

	for (uint64_t i = 1; i <= (to + nr - from) % nr; i++) {
		uint64_t block = (from + i) % nr;

		if (block && !era_census_count(census, block))
			return block;
	}
	return 0;
}

/* The bitmap blocks that an index block names; false where one is lost. */
static bool get_bitmaps(struct era_census *census, const uint8_t *index,
			uint64_t *bitmaps)
{
	const struct era_scan *scan = census->reading->scan;
	uint32_t nr = space_map_nr_bitmaps(census->nr_blocks);
	bool ended = false;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t block =
			get_le64(index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE);

		ended |= !block; /* the space map covers no more */
		bitmaps[i] = ended ? 0 : block;
		if (!ended && era_scan_role(scan, block) != ROLE_BITMAP)
			return false;
	}
	return true;
}

static void take_bitmaps(struct era_census *census, const struct step *step,
			 const uint64_t *bitmaps)
{
	for (uint32_t i = 0; i < space_map_nr_bitmaps(census->nr_blocks); i++) {
		uint64_t before = census->bitmaps[i];
		uint8_t bitmap[ERA_BLOCK_SIZE];
		const uint8_t *data = NULL;

		if (before == bitmaps[i])
			continue;
		if (before)
			count_ref(census, before, false);
		if (bitmaps[i])
			count_ref(census, bitmaps[i], true);
		census->bitmaps[i] = bitmaps[i];
		if (bitmaps[i]) {
			data = era_reading_get(census->reading, bitmaps[i]);
			census->broken |= !data;
		}
		/* what is read for the nodes would take its place */
		if (data)
			data = memcpy(bitmap, data, ERA_BLOCK_SIZE);
		take_bitmap(census, step, i, data);
	}
}

enum era_proof era_census_step(struct era_census *census, uint64_t index)
{
	struct step step = { .from = census->index, .to = index };
	uint64_t bitmaps[INDEX_MAX_ENTRIES];
	const uint8_t *data;

	if (era_reading_is_over(census->reading))
		return ERA_PROOF_BUDGET;
	data = era_reading_get(census->reading, index);
	if (!data || era_scan_role(census->reading->scan, index) != ROLE_INDEX)
		return ERA_PROOF_NO_BITMAP;
	if (!get_bitmaps(census, data, bitmaps))
		return ERA_PROOF_NO_BITMAP;
	step.first = first_free(census, index);
	census->nr_came = census->nr_went = 0;
	census->nr_came_outside = census->nr_came_beyond = 0;
	census->is_behind = false;
	if (census->index)
		count_ref(census, census->index, false);
	else
		count_ref(census, ERA_SUPERBLOCK_LOCATION, true);
	count_ref(census, index, true);
	census->index = index;
	take_bitmaps(census, &step, bitmaps);
	return ERA_PROVEN;
}

void era_census_watch(struct era_census *census,
		      const struct block_set *watched)
{
	census->watched = watched;
	census->nr_watched = 0;
	for (uint64_t block = 0; block < census->nr_blocks; block++)
		census->nr_watched += era_census_count(census, block) &&
				      block_set_has(watched, block);
}

int era_census_remember(struct era_census *census)
{
	size_t size =
		(size_t)space_map_nr_bitmaps(census->nr_blocks) * BITMAP_BYTES;

	census->other_counts = malloc(size + 1);
	if (!census->other_counts)
		return -ENOMEM;
	memcpy(census->other_counts, census->counts, size);
	census->other = census->index;
	census->nr_other_alone = census->nr_other_beyond = census->nr_alone = 0;
	return 0;
}

uint64_t era_census_lowest_free(struct era_census *census)
{
	uint64_t block = census->lowest_free, from = block;

	while (block < census->nr_blocks && era_census_count(census, block))
		block++;
	census->lowest_free = block;
	census->reading->work += (block - from) / CHANGES_PER_WORK;
	return block;
}

/* --- the roots ------------------------------------------------------------ */

static enum tree tree_of_leaf(enum era_role role, bool empty)
{
	switch (role) {
	case ROLE_WRITESETS:
		return TREE_WRITESETS;
	case ROLE_COUNTS:
		return TREE_COUNTS;
	case ROLE_ERAS:
		return TREE_ERAS;
	case ROLE_WORDS:
		return TREE_BITSET;
	case ROLE_POINTERS:
		return empty ? TREE_EMPTY : TREE_NONE;
	default:
		return TREE_NONE;
	}
}

static enum tree tree_of(struct era_census *census, uint64_t root)
{
	uint64_t path[BTREE_MAX_DEPTH], block = root;
	enum tree tree = TREE_NONE;
	int depth = 0;

	while (depth < BTREE_MAX_DEPTH) {
		enum era_role role =
			era_scan_role(census->reading->scan, block);
		const uint8_t *data = NULL;

		if (block < census->nr_blocks && census->trees[block]) {
			tree = (enum tree)census->trees[block];
			break;
		}
		if (role == ROLE_INTERNAL || role == ROLE_POINTERS)
			data = era_reading_get(census->reading, block);
		if (!data || !node_nr_entries(data)) {
			/* only a root can be empty */
			tree = tree_of_leaf(role, data && !depth);
			break;
		}
		path[depth++] = block;
		block = node_child(data, 0);
	}
	while (depth)
		census->trees[path[--depth]] = (uint8_t)tree;
	return tree;
}

/* Takes a block with one pointer too few as a root; false where none fits. */
static bool take_root(struct era_census *census, struct era_roots *roots,
		      uint64_t block, uint64_t *empty)
{
	enum era_role role = era_scan_role(census->reading->scan, block);
	uint64_t *root = NULL;

	if (role == ROLE_SUPERBLOCK) {
		root = &roots->snapshot;
	} else if (era_role_is_node(role)) {
		switch (tree_of(census, block)) {
		case TREE_WRITESETS:
			root = &roots->writeset_tree;
			break;
		case TREE_COUNTS:
			root = &roots->ref_counts;
			break;
		case TREE_ERAS:
			root = &roots->era_array;
			break;
		case TREE_BITSET:
			root = &roots->open;
			break;
		case TREE_EMPTY:
			root = empty;
			break;
		case TREE_UNKNOWN:
		case TREE_NONE:
			break;
		}
	}
	if (!root || *root)
		return false;
	*root = block;
	return true;
}

enum era_proof era_census_prove(struct era_census *census,
				struct era_roots *roots)
{
	uint64_t empty = 0;
	bool fit = true;

	*roots = (struct era_roots){ 0 };
	if (census->nr_unsound || census->broken)
		return ERA_PROOF_UNSOUND;
	if (census->nr_wrong > MAX_ROOTS)
		return ERA_PROOF_UNEXPLAINED;
	for (size_t i = 0; i < census->nr_wrong; i++)
		if (census->refs[census->wrong[i]] + 1 !=
		    era_census_count(census, census->wrong[i]))
			return ERA_PROOF_UNEXPLAINED;
	for (size_t i = 0; i < census->nr_wrong && fit; i++)
		fit = take_root(census, roots, census->wrong[i], &empty);
	/* right after a format there is no data block as yet */
	if (empty && !roots->era_array && !roots->open)
		roots->era_array = empty;
	else if (empty)
		fit = false;
	if (fit && roots->writeset_tree && roots->era_array &&
	    roots->ref_counts)
		return ERA_PROVEN;
	*roots = (struct era_roots){ 0 };
	return ERA_PROOF_NO_ROOTS;
}
