/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Space maps: counts as the kernel packs them, built and checked against the
 * truth, and each way in which they can be wrong.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_device.h"
#include "pdata/space_map_build.h"

TestSuite(space_map, .timeout = 120);
TestSuite(block, .timeout = 60);

Test(space_map, the_high_bit_of_a_count_comes_first)
{
	uint8_t bitmap[ERA_BLOCK_SIZE] = { 0 };

	bitmap_set_count(bitmap, 0, 1);
	cr_assert_eq(bitmap[BITMAP_COUNTS], 2);
	bitmap_set_count(bitmap, 0, 2);
	cr_assert_eq(bitmap[BITMAP_COUNTS], 1);
	bitmap_set_count(bitmap, 0, 3);
	cr_assert_eq(bitmap[BITMAP_COUNTS], 3);
	bitmap_set_count(bitmap, 3, 1);
	cr_assert_eq(bitmap[BITMAP_COUNTS], 0x83);
	bitmap_set_count(bitmap, 0, 0);
	cr_assert_eq(bitmap[BITMAP_COUNTS], 0x80);
}

Test(space_map, counts_do_not_touch_each_other)
{
	uint8_t bitmap[ERA_BLOCK_SIZE];
	uint8_t counts[BITMAP_MAX_ENTRIES];

	memset(bitmap, 0xff, sizeof(bitmap));
	memset(counts, 3, sizeof(counts));
	srand(4);
	for (int i = 0; i < 100000; i++) {
		uint32_t k = (uint32_t)rand() % BITMAP_MAX_ENTRIES;

		counts[k] = (uint8_t)(rand() & 3);
		bitmap_set_count(bitmap, k, counts[k]);
	}
	for (uint32_t k = 0; k < BITMAP_MAX_ENTRIES; k++)
		cr_assert_eq(bitmap_count(bitmap, k), counts[k]);
	for (int i = 0; i < BITMAP_COUNTS; i++)
		cr_assert_eq(bitmap[i], 0xff);
}

Test(space_map, the_root_goes_both_ways)
{
	struct space_map_root root = { 1, 2, 3, UINT64_MAX }, back;
	uint8_t data[SPACE_MAP_ROOT_SIZE];

	memset(data, 0xee, sizeof(data));
	space_map_root_put(data, &root);
	for (int i = 32; i < SPACE_MAP_ROOT_SIZE; i++)
		cr_assert_eq(data[i], 0);
	space_map_root_get(&back, data);
	cr_assert_eq(memcmp(&root, &back, sizeof(root)), 0);
}

struct fixture {
	struct fake_device fake;
	struct fake_report report;
	struct ref_counts truth; /* of all but the space map itself */
	struct space_map_root root;
};

/* Blocks from 1 on have the counts, then comes the space map. */
static void fixture_init(struct fixture *f, uint64_t nr_blocks,
			 const uint16_t *counts, uint64_t nr)
{
	struct block_allocator allocator;
	struct block_writer writer;

	memset(f, 0, sizeof(*f));
	fake_init(&f->fake, nr_blocks);
	cr_assert_eq(block_allocator_init(&allocator, &f->fake.device, NULL),
		     0);
	cr_assert_eq(block_writer_init(&writer, &f->fake.device), 0);
	cr_assert_eq(ref_counts_init(&f->truth, nr_blocks), 0);
	allocator.refs.counts[0] = f->truth.counts[0] = 1;
	for (uint64_t i = 0; i < nr; i++)
		allocator.refs.counts[1 + i] = f->truth.counts[1 + i] =
			counts[i];
	allocator.next = 1 + nr;
	cr_assert_eq(space_map_build(&allocator, &writer, nr_blocks, &f->root),
		     0);
	cr_assert_eq(block_writer_finish(&writer), 0);
	block_writer_release(&writer);
	block_allocator_release(&allocator);
}

static void fixture_release(struct fixture *f)
{
	ref_counts_release(&f->truth);
	fake_release(&f->fake);
}

/* Checks against the truth, which it leaves as it is. */
static void check(struct fixture *f)
{
	struct ref_counts refs;
	struct walk walk;

	cr_assert_eq(ref_counts_init(&refs, f->truth.nr_blocks), 0);
	memcpy(refs.counts, f->truth.counts,
	       f->truth.nr_blocks * sizeof(*refs.counts));
	fake_report_init(&f->report);
	cr_assert_eq(
		walk_init(&walk, &f->fake.device, &f->report.report, &refs), 0);
	cr_assert_eq(space_map_check(&walk, &f->root, NULL, true, NULL), 0);
	cr_assert_eq(walk.nr_faults, f->report.report.nr[ERA_FATAL]);
	walk_release(&walk);
	ref_counts_release(&refs);
}

static void expect_none(struct fixture *f)
{
	check(f);
	cr_assert_eq(f->report.report.nr[ERA_FATAL], 0, "%s", f->report.text);
	cr_assert_eq(f->report.report.nr[ERA_NON_FATAL], 0, "%s",
		     f->report.text);
}

static void expect(struct fixture *f, enum era_severity severity,
		   const char *text)
{
	check(f);
	cr_assert_eq(f->report.report.nr[severity], 1, "%s", f->report.text);
	cr_assert(strstr(f->report.text, text), "%s", f->report.text);
}

static const uint16_t some[] = { 0, 1, 2, 3, 4, 5, 1000, REF_COUNT_MAX - 1,
				 0, 3, 1, 2 };
#define NR_SOME (sizeof(some) / sizeof(*some))

Test(space_map, counts_of_any_size_are_what_was_built)
{
	struct fixture f;

	fixture_init(&f, 64, some, NR_SOME);
	expect_none(&f);
	/* 10 of these, the superblock, tree, bitmap and index */
	cr_assert_eq(f.root.nr_allocated, 14);
	fixture_release(&f);
}

Test(space_map, may_have_many_large_counts)
{
	uint16_t counts[1500];
	struct fixture f;

	for (size_t i = 0; i < 1500; i++)
		counts[i] = (uint16_t)(i % 5 + 1);
	fixture_init(&f, 2000, counts, 1500);
	expect_none(&f);
	fixture_release(&f);
}

Test(space_map, covers_devices_around_the_edges_of_a_bitmap)
{
	static const uint64_t sizes[] = { 16319, 16320, 16321,
					  32640, 32641, 40000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct fixture f;

		fixture_init(&f, sizes[i], some, NR_SOME);
		expect_none(&f);
		cr_assert_eq(f.root.nr_blocks, sizes[i]);
		cr_assert_eq(f.root.nr_allocated,
			     11 + space_map_build_nr_blocks(sizes[i]));
		fixture_release(&f);
	}
}

Test(space_map, a_count_below_the_truth_is_fatal)
{
	for (uint32_t i = 0; i < NR_SOME; i++) {
		struct fixture f;

		fixture_init(&f, 64, some, NR_SOME);
		f.truth.counts[1 + i]++;
		expect(&f, ERA_FATAL, "counted too low");
		cr_assert_eq(f.report.report.nr[ERA_NON_FATAL], 0);
		fixture_release(&f);
	}
}

Test(space_map, a_count_above_the_truth_is_not)
{
	for (uint32_t i = 0; i < NR_SOME; i++) {
		struct fixture f;

		if (!some[i])
			continue;
		fixture_init(&f, 64, some, NR_SOME);
		f.truth.counts[1 + i]--;
		expect(&f, ERA_NON_FATAL,
		       some[i] > 1 ? "counted too high" : "leaked");
		cr_assert_eq(f.report.report.nr[ERA_FATAL], 0);
		fixture_release(&f);
	}
}

static uint8_t *index_of(struct fixture *f)
{
	return fake_block(&f->fake, f->root.bitmap_root);
}

static uint64_t bitmap_of(struct fixture *f, uint32_t i)
{
	return get_le64(index_of(f) + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE);
}

Test(space_map, wrong_totals_are_found)
{
	struct fixture f;
	uint8_t *entry;

	fixture_init(&f, 64, some, NR_SOME);
	f.root.nr_allocated++;
	expect(&f, ERA_NON_FATAL, "nr_allocated is 15, the bitmaps count 14");
	f.root.nr_allocated--;
	entry = index_of(&f) + INDEX_ENTRIES + INDEX_ENTRY_NR_FREE;
	cr_assert_eq(get_le32(entry), 50);
	put_le32(entry, 49);
	block_seal(index_of(&f), BLOCK_INDEX, f.root.bitmap_root);
	expect(&f, ERA_NON_FATAL,
	       "the index says 49 blocks are free here, the bitmap 50");
	/* as the kernel counts: those past the device's end are free */
	put_le32(entry, 50 + BITMAP_MAX_ENTRIES - 64);
	block_seal(index_of(&f), BLOCK_INDEX, f.root.bitmap_root);
	expect_none(&f);
	/* as it does after a format by another instance */
	put_le32(entry, 52 + BITMAP_MAX_ENTRIES - 64);
	block_seal(index_of(&f), BLOCK_INDEX, f.root.bitmap_root);
	expect_none(&f);
	put_le32(entry, 53 + BITMAP_MAX_ENTRIES - 64);
	block_seal(index_of(&f), BLOCK_INDEX, f.root.bitmap_root);
	expect(&f, ERA_NON_FATAL,
	       "the index says 16309 blocks are free here, the bitmap 50");
	fixture_release(&f);
}

Test(space_map, a_large_count_without_an_entry_is_too_low)
{
	struct fixture f;
	uint8_t *leaf;

	fixture_init(&f, 64, some, NR_SOME);
	leaf = fake_block(&f.fake, f.root.ref_count_root);
	put_le32(leaf + NODE_NR_ENTRIES, node_nr_entries(leaf) - 1);
	block_seal(leaf, BLOCK_BTREE_NODE, f.root.ref_count_root);
	expect(&f, ERA_FATAL, "counted too low");
	fixture_release(&f);
}

Test(space_map, an_entry_that_no_bitmap_asks_for_is_found)
{
	struct fixture f;
	uint8_t *leaf;

	fixture_init(&f, 64, some, NR_SOME);
	leaf = fake_block(&f.fake, f.root.ref_count_root);
	put_le64(leaf + NODE_KEYS + (node_nr_entries(leaf) - 1) * 8,
		 UINT64_MAX - 1);
	block_seal(leaf, BLOCK_BTREE_NODE, f.root.ref_count_root);
	check(&f);
	cr_assert_eq(f.report.report.nr[ERA_NON_FATAL], 1);
	cr_assert_eq(f.report.report.nr[ERA_FATAL], 1);
	cr_assert(strstr(f.report.text, "do not belong there"));
	fixture_release(&f);
}

Test(space_map, each_of_its_blocks_is_checked)
{
	struct fixture f;
	uint64_t blocks[4];

	fixture_init(&f, 20000, some, NR_SOME);
	blocks[0] = f.root.bitmap_root;
	blocks[1] = f.root.ref_count_root;
	blocks[2] = bitmap_of(&f, 0);
	blocks[3] = bitmap_of(&f, 1);
	for (int i = 0; i < 4; i++) {
		fake_block(&f.fake, blocks[i])[1234] ^= 1;
		expect(&f, ERA_FATAL, "checksum does not match");
		fake_block(&f.fake, blocks[i])[1234] ^= 1;
	}
	expect_none(&f);
	fixture_release(&f);
}

Test(space_map, pointers_to_nowhere_or_to_a_block_twice_are_found)
{
	static const uint64_t pointers[] = { UINT64_MAX, 20000, 0 };
	struct fixture f;
	uint64_t before;

	fixture_init(&f, 20000, some, NR_SOME);
	before = bitmap_of(&f, 1);
	for (int i = 0; i < 4; i++) {
		put_le64(index_of(&f) + INDEX_ENTRIES + INDEX_ENTRY_SIZE,
			 i < 3 ? pointers[i] : bitmap_of(&f, 0));
		block_seal(index_of(&f), BLOCK_INDEX, f.root.bitmap_root);
		expect(&f, ERA_FATAL,
		       i < 2 ? "out of range" : "in use already");
	}
	put_le64(index_of(&f) + INDEX_ENTRIES + INDEX_ENTRY_SIZE, before);
	block_seal(index_of(&f), BLOCK_INDEX, f.root.bitmap_root);
	expect_none(&f);
	f.root.bitmap_root = UINT64_MAX;
	expect(&f, ERA_FATAL, "out of range");
	fixture_release(&f);
}

Test(space_map, takes_as_many_blocks_as_are_asked_for)
{
	cr_assert_eq(space_map_nr_bitmaps(1), 1);
	cr_assert_eq(space_map_nr_bitmaps(16320), 1);
	cr_assert_eq(space_map_nr_bitmaps(16321), 2);
	cr_assert_eq(space_map_nr_bitmaps(MAX_METADATA_BLOCKS), 255);
}

/* --- blocks and their kinds -------------------------------------------------
 */

Test(block, each_kind_is_told_from_the_others)
{
	for (int kind = 1; kind < BLOCK_NR_KINDS; kind++) {
		uint8_t data[ERA_BLOCK_SIZE];

		memset(data, 0x42, sizeof(data));
		block_seal(data, (enum block_kind)kind, 77);
		for (int other = 1; other < BLOCK_NR_KINDS; other++)
			cr_assert_eq(block_check(data, (enum block_kind)other,
						 77),
				     kind == other ? BLOCK_GOOD
						   : BLOCK_BAD_CHECKSUM);
		cr_assert_eq(block_check(data, (enum block_kind)kind, 78),
			     BLOCK_MISPLACED);
		cr_assert_eq(block_identify(data, 77), (enum block_kind)kind);
		cr_assert_eq(block_identify(data, 78), BLOCK_UNKNOWN);
		cr_assert_eq(block_identify_anywhere(data), (enum block_kind)kind);
	}
}

Test(block, any_bit_flipped_is_noticed)
{
	uint8_t data[ERA_BLOCK_SIZE];

	memset(data, 0x42, sizeof(data));
	block_seal(data, BLOCK_ARRAY, 5);
	for (uint32_t bit = 0; bit < ERA_BLOCK_SIZE * 8; bit += 7) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(block_check(data, BLOCK_ARRAY, 5),
			     BLOCK_BAD_CHECKSUM);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_eq(block_check(data, BLOCK_ARRAY, 5), BLOCK_GOOD);
}

Test(block, a_block_of_zeroes_is_of_no_kind)
{
	uint8_t data[ERA_BLOCK_SIZE] = { 0 };

	cr_assert_eq(block_identify_anywhere(data), BLOCK_UNKNOWN);
	cr_assert_eq(block_identify(data, 0), BLOCK_UNKNOWN);
}
