/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The check of a space map. Counts above 2 live in a btree of their own; it
 * is walked twice, first to count its nodes and, once all pointers are known,
 * to compare, so that nothing of it has to be kept.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pdata/space_map.h"

void space_map_root_get(struct space_map_root *root, const uint8_t *data)
{
	root->nr_blocks = get_le64(data);
	root->nr_allocated = get_le64(data + 8);
	root->bitmap_root = get_le64(data + 16);
	root->ref_count_root = get_le64(data + 24);
}

void space_map_root_put(uint8_t *data, const struct space_map_root *root)
{
	memset(data, 0, SPACE_MAP_ROOT_SIZE);
	put_le64(data, root->nr_blocks);
	put_le64(data + 8, root->nr_allocated);
	put_le64(data + 16, root->bitmap_root);
	put_le64(data + 24, root->ref_count_root);
}

/* Blocks whose count is wrong in one way, reported as one problem. */
struct tally {
	uint64_t nr;
	uint64_t first[8];
	uint32_t want, have; /* of the first */
};

struct check {
	struct walk *walk;
	const struct space_map_root *root;
	const struct era_where *parent;
	uint64_t nr_blocks;    /* that have counts and exist */
	struct block_set many; /* bitmap says: look in the tree */
	uint64_t nr_allocated; /* as counted */
	struct tally low, high, leaked, stray;
	struct tally copies; /* leaked, too: of a superblock */
	bool anothers, compared;
	uint8_t index[ERA_BLOCK_SIZE];
};

static void tally_add(struct tally *tally, uint64_t block, uint32_t want,
		      uint32_t have)
{
	if (!tally->nr) {
		tally->want = want;
		tally->have = have;
	}
	if (tally->nr < 8)
		tally->first[tally->nr] = block;
	tally->nr++;
}

static void tally_report(const struct check *check, const struct tally *tally,
			 enum era_severity severity, const char *what)
{
	char list[8 * 21 + 8];
	size_t used = 0;

	if (!tally->nr)
		return;
	for (uint64_t i = 0; i < tally->nr && i < 8; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used,
					 "%s%" PRIu64, i ? ", " : "",
					 tally->first[i]);
	if (tally->nr > 8)
		snprintf(list + used, sizeof(list) - used, ", ...");
	if (severity == ERA_FATAL)
		check->walk->nr_faults++;
	era_report(check->walk->report, severity, check->parent, ERA_NO_DATA,
		   "%" PRIu64 " metadata block%s %s: %s (the first: %" PRIu32
		   " pointers lead there, the space map counts %" PRIu32 ")",
		   tally->nr, tally->nr == 1 ? "" : "s", what, list,
		   tally->want, tally->have);
}

/*
 * The kernel leaks the superblock's copy where taking a metadata snapshot fails
 * after the copy was made (metadata_take_snap, dm-era-target.c): a block less
 * to use, and no sign of anything else.
 */
static bool is_superblock_copy(const struct check *check, uint64_t block)
{
	uint8_t data[ERA_BLOCK_SIZE];

	return !era_device_read(check->walk->device, block, 1, data) &&
	       block_identify(data, block) == BLOCK_SUPERBLOCK;
}

static void compare_count(struct check *check, uint64_t block, uint32_t have)
{
	uint32_t want = check->walk->refs->counts[block];

	if (have == want || (want == REF_COUNT_MAX && have > want))
		return;
	if (have < want) {
		check->anothers |= block == check->root->bitmap_root;
		tally_add(&check->low, block, want, have);
	}
	if (have > want && !want)
		tally_add(is_superblock_copy(check, block) ? &check->copies
							   : &check->leaked,
			  block, want, have);
	else if (have > want)
		tally_add(&check->high, block, want, have);
}

/* The counts of one bitmap block; returns how many of them are 0. */
static uint32_t compare_bitmap(struct check *check, const uint8_t *bitmap,
			       uint64_t first, bool compare)
{
	uint64_t nr = check->root->nr_blocks - first;
	uint32_t nr_free = 0;

	if (nr > BITMAP_MAX_ENTRIES)
		nr = BITMAP_MAX_ENTRIES;
	for (uint32_t i = 0; i < nr; i++) {
		unsigned int count = bitmap_count(bitmap, i);

		nr_free += !count;
		check->nr_allocated += !!count;
		if (first + i >= check->nr_blocks)
			continue;
		if (count == 3)
			block_set_add(&check->many, first + i);
		else if (compare)
			compare_count(check, first + i, count);
	}
	return nr_free;
}

static int count_bitmaps(struct check *check, uint32_t nr_bitmaps,
			 const struct era_where *index_at, bool *good)
{
	for (uint32_t i = 0; i < nr_bitmaps; i++) {
		const uint8_t *entry =
			check->index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE;
		uint64_t block = get_le64(entry + INDEX_ENTRY_BLOCK);
		struct era_where where = { index_at, "space map bitmap",
					   block };
		bool counted = true;

		good[i] = walk_reference(check->walk, block, &where,
					 ERA_NO_DATA, &counted);
	}
	return 0;
}

/*
 * Whether the index's free count of bitmap i is one that the kernel leaves.
 * It counts entries past the device's end as free, too. And when it formats a
 * device (dm_sm_metadata_create), two blocks that the first bitmap has in use
 * by then do not reach the index on disk; an instance that activates the
 * device later carries that on for ever. All that the count is used for is to
 * pass over bitmaps where it is 0 (sm_ll_find_free_block).
 */
static bool is_right_free(uint32_t said, uint32_t nr_free, uint32_t i,
			  uint64_t exist)
{
	uint32_t beyond = exist < BITMAP_MAX_ENTRIES
				  ? BITMAP_MAX_ENTRIES - (uint32_t)exist
				  : 0;
	uint32_t counted = nr_free + beyond;

	return said == nr_free || said == counted ||
	       (!i && said > counted && said - counted <= 2);
}

static void check_bitmap(struct check *check, uint32_t i,
			 const struct era_where *index_at, bool compare)
{
	const uint8_t *entry =
		check->index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE;
	uint64_t block = get_le64(entry + INDEX_ENTRY_BLOCK);
	uint32_t said = get_le32(entry + INDEX_ENTRY_NR_FREE), nr_free;
	struct era_where where = { index_at, "space map bitmap", block };
	uint64_t first = (uint64_t)i * BITMAP_MAX_ENTRIES;
	uint64_t exist = check->root->nr_blocks - first;
	uint8_t bitmap[ERA_BLOCK_SIZE];
	int r = era_device_read(check->walk->device, block, 1, bitmap);

	if (!walk_check_block(check->walk, bitmap, (uint8_t)-r, BLOCK_BITMAP,
			      &where, ERA_NO_DATA))
		return;
	nr_free = compare_bitmap(check, bitmap, first, compare);
	if (is_right_free(said, nr_free, i, exist))
		return;
	check->anothers = true;
	era_report(check->walk->report, ERA_NON_FATAL, &where, ERA_NO_DATA,
		   "the index says %" PRIu32
		   " blocks are free here, the bitmap %" PRIu32,
		   said, nr_free);
}

static int compare_leaf(void *arg, struct walk *walk,
			const struct era_where *where, const uint8_t *node,
			uint32_t nr, bool counted)
{
	struct check *check = arg;

	(void)walk;
	(void)where;
	(void)counted;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t block = node_key(node, i);
		uint32_t count = get_le32(node_value(node, i, 4));

		if (block >= check->nr_blocks ||
		    !block_set_has(&check->many, block)) {
			tally_add(&check->stray, block, 0, count);
			continue;
		}
		block_set_remove(&check->many, block);
		compare_count(check, block, count);
	}
	return 0;
}

/* Compares the counts above 2; silent on what the first walk reported. */
static int compare_many(struct check *check)
{
	struct btree tree = { .role = "ref-count tree node",
			      .root = check->root->ref_count_root,
			      .value_size = 4,
			      .leaf = compare_leaf,
			      .arg = check };
	struct walk again;
	int r = walk_init(&again, check->walk->device, NULL, NULL);

	if (!r)
		r = btree_walk(&again, &tree, check->parent);
	for (uint64_t block = 0; block < check->nr_blocks && !r; block++)
		if (block_set_has(&check->many, block) && !again.nr_faults)
			tally_add(&check->low, block,
				  check->walk->refs->counts[block], 0);
	walk_release(&again);
	return r;
}

/* Blocks in use past the end of the space map have no count at all. */
static void tally_uncounted(struct check *check)
{
	for (uint64_t block = check->nr_blocks; block < check->walk->nr_blocks;
	     block++)
		if (check->walk->refs->counts[block])
			tally_add(&check->low, block,
				  check->walk->refs->counts[block], 0);
}

static void report_tallies(struct check *check)
{
	tally_report(check, &check->low, ERA_FATAL,
		     "counted too low, the kernel would overwrite them");
	tally_report(check, &check->high, ERA_NON_FATAL, "counted too high");
	tally_report(check, &check->leaked, ERA_NON_FATAL,
		     "leaked, nothing leads there");
	tally_report(check, &check->stray, ERA_NON_FATAL,
		     "in the ref-count tree that do not belong there");
	tally_report(check, &check->copies, ERA_NOTE,
		     "leaked when a metadata snapshot could not be taken, a "
		     "copy of the superblock");
}

/* The index block into check->index. */
static bool read_index(struct check *check, const struct era_where *where)
{
	bool counted = true;
	int r;

	if (!walk_reference(check->walk, where->block, where, ERA_NO_DATA,
			    &counted))
		return false;
	r = era_device_read(check->walk->device, where->block, 1, check->index);
	return walk_check_block(check->walk, check->index, (uint8_t)-r,
				BLOCK_INDEX, where, ERA_NO_DATA);
}

static int run_check(struct check *check, bool compare)
{
	const struct space_map_root *root = check->root;
	struct walk *walk = check->walk;
	struct era_where index_at = { check->parent, "space map index",
				      root->bitmap_root };
	struct btree tree = { .role = "ref-count tree node",
			      .root = root->ref_count_root,
			      .value_size = 4 };
	uint32_t nr_bitmaps = space_map_nr_bitmaps(root->nr_blocks);
	bool good[INDEX_MAX_ENTRIES] = { false };
	uint64_t faults = walk->nr_faults;
	bool have_index = read_index(check, &index_at);
	int r;

	if (have_index)
		count_bitmaps(check, nr_bitmaps, &index_at, good);
	r = btree_walk(walk, &tree, check->parent);
	if (r || !have_index)
		return r;
	compare = compare && walk->nr_faults == faults;
	for (uint32_t i = 0; i < nr_bitmaps; i++)
		if (good[i])
			check_bitmap(check, i, &index_at, compare);
	if (walk->nr_faults != faults)
		return 0;
	if (compare) {
		tally_uncounted(check);
		r = compare_many(check);
		check->compared = true;
	}
	if (r || check->nr_allocated == root->nr_allocated)
		return r;
	check->anothers = true;
	era_report(walk->report, ERA_NON_FATAL, check->parent, ERA_NO_DATA,
		   "nr_allocated is %" PRIu64 ", the bitmaps count %" PRIu64,
		   root->nr_allocated, check->nr_allocated);
	return 0;
}

static void give_verdict(const struct check *check,
			 struct space_map_verdict *verdict)
{
	verdict->compared = check->compared;
	verdict->nr_low = check->low.nr;
	verdict->nr_high = check->high.nr + check->leaked.nr + check->stray.nr;
	verdict->anothers = check->anothers;
}

int space_map_check(struct walk *walk, const struct space_map_root *root,
		    const struct era_where *parent, bool compare,
		    struct space_map_verdict *verdict)
{
	struct check *check = calloc(1, sizeof(*check));
	int r;

	if (!check)
		return -ENOMEM;
	check->walk = walk;
	check->root = root;
	check->parent = parent;
	check->nr_blocks = root->nr_blocks < walk->nr_blocks ? root->nr_blocks
							     : walk->nr_blocks;
	r = block_set_init(&check->many, check->nr_blocks);
	if (!r)
		r = run_check(check, compare);
	if (!r)
		report_tallies(check);
	if (verdict)
		give_verdict(check, verdict);
	block_set_release(&check->many);
	free(check);
	return r;
}
