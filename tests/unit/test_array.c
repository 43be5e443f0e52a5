/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arrays and bitsets: what is built is what is read, and a block that is not
 * what its index asks for is lost, reported, and no other.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_device.h"
#include "pdata/array.h"
#include "pdata/array_build.h"

TestSuite(array, .timeout = 120);
TestSuite(array_walk, .timeout = 60);

struct fixture {
	struct fake_device fake;
	struct block_allocator allocator;
	struct block_writer writer;
	struct walk walk;
	struct fake_report report;
	struct array_map map;
	struct array_window window;
	uint64_t nr_lost;
};

static uint64_t value_at(uint64_t i, uint32_t value_size)
{
	uint64_t value = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return value_size == 4 ? (uint32_t)value : value;
}

/* Adds values in batches that grow and shrink. */
static void build(struct fixture *f, uint64_t nr, uint32_t value_size)
{
	struct array_build *b = malloc(sizeof(*b));
	uint32_t eras[1500];
	uint64_t words[1500];
	size_t batch = 1;

	array_build_init(b, &f->writer, &f->allocator, value_size);
	for (uint64_t i = 0; i < nr; i += batch) {
		batch = (size_t)(i * 7 % 1499) + 1;
		if (batch > nr - i)
			batch = (size_t)(nr - i);
		for (size_t k = 0; k < batch; k++) {
			words[k] = value_at(i + k, value_size);
			eras[k] = (uint32_t)words[k];
		}
		cr_assert_eq(value_size == 4
				     ? array_build_add_eras(b, eras, batch)
				     : array_build_add_words(b, words, batch),
			     0);
	}
	cr_assert_eq(array_build_finish(b, &f->map.root), 0);
	cr_assert_eq(block_writer_finish(&f->writer), 0);
	array_build_release(b);
	free(b);
}

static void fixture_init(struct fixture *f, uint64_t nr, uint32_t value_size)
{
	memset(f, 0, sizeof(*f));
	fake_init(&f->fake, array_build_nr_blocks(nr, value_size) + 3);
	cr_assert_eq(block_allocator_init(&f->allocator, &f->fake.device, NULL),
		     0);
	f->allocator.next = 1;
	cr_assert_eq(block_writer_init(&f->writer, &f->fake.device), 0);
	f->map = (struct array_map){ .value_size = value_size,
				     .nr_values = nr,
				     .name = "array" };
	build(f, nr, value_size);
	fake_report_init(&f->report);
	cr_assert_eq(walk_init(&f->walk, &f->fake.device, &f->report.report,
			       NULL),
		     0);
	cr_assert_eq(array_window_init(&f->window, 40), 0);
}

static void fixture_release(struct fixture *f)
{
	array_window_release(&f->window);
	array_map_release(&f->map);
	walk_release(&f->walk);
	block_writer_release(&f->writer);
	block_allocator_release(&f->allocator);
	fake_release(&f->fake);
}

/* Loads and reads all; returns how many values were there and right. */
static uint64_t read_all(struct fixture *f)
{
	uint64_t nr = 0, i = 0;

	cr_assert_eq(array_map_load(&f->map, &f->walk, NULL), 0);
	for (uint32_t first = 0; first < array_map_nr_blocks(&f->map);
	     first += 40) {
		cr_assert_eq(array_window_read(&f->window, &f->fake.device,
					       &f->map, first, 40,
					       &f->report.report, &f->nr_lost),
			     0);
		for (uint32_t k = 0; k < 40; k++) {
			const uint8_t *values = f->window.values[k];
			uint32_t n = array_map_nr_entries(&f->map, first + k);

			for (uint32_t v = 0; v < n; v++, i++) {
				uint64_t want = value_at(i, f->map.value_size);

				if (!values)
					continue;
				cr_assert_eq(f->map.value_size == 4
						     ? get_le32(values + v * 4)
						     : get_le64(values + v * 8),
					     want);
				nr++;
			}
		}
	}
	return nr;
}

static void round_trip(uint64_t nr, uint32_t value_size)
{
	struct fixture f;

	fixture_init(&f, nr, value_size);
	cr_assert_eq(f.allocator.nr_allocated,
		     array_build_nr_blocks(nr, value_size));
	cr_assert_eq(f.allocator.next, 1 + f.allocator.nr_allocated);
	cr_assert_eq(read_all(&f), nr);
	cr_assert_eq(f.nr_lost, 0);
	cr_assert_eq(f.walk.nr_faults, 0);
	/* reached: every block that was built */
	cr_assert_eq(block_set_count(&f.walk.seen), f.allocator.nr_allocated);
	fixture_release(&f);
}

Test(array, of_eras_is_read_as_it_was_built_around_every_boundary)
{
	static const uint64_t sizes[] = { 0,
					  1,
					  2,
					  251,
					  252,
					  253,
					  504,
					  505,
					  1017,
					  1018,
					  1019,
					  2035,
					  2036,
					  2037,
					  251 * 1018,
					  252 * 1018 - 1,
					  252 * 1018,
					  252 * 1018 + 1,
					  253 * 1018 + 1,
					  378 * 1018,
					  504 * 1018,
					  504 * 1018 + 1,
					  505 * 1018 };

	cr_assert_eq(array_max_entries(4), 1018);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		round_trip(sizes[i], 4);
}

Test(array, of_words_is_read_as_it_was_built_around_every_boundary)
{
	static const uint64_t sizes[] = {
		0,    1,    508,	   509,	      510,	     1017,
		1018, 1019, 252 * 509 - 1, 252 * 509, 252 * 509 + 1, 505 * 509
	};

	cr_assert_eq(array_max_entries(8), ARRAY_MAX_WORDS);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		round_trip(sizes[i], 8);
}

Test(array, a_bitset_takes_the_blocks_that_its_bits_fill)
{
	static const struct {
		uint32_t bits, words, blocks;
	} edges[] = { { 0, 0, 0 },	 { 1, 1, 1 },	    { 63, 1, 1 },
		      { 64, 1, 1 },	 { 65, 2, 1 },	    { 32575, 509, 1 },
		      { 32576, 509, 1 }, { 32577, 510, 2 }, { 65152, 1018, 2 },
		      { 65153, 1019, 3 } };

	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
		uint64_t words = (edges[i].bits + UINT64_C(63)) / 64;

		cr_assert_eq(words, edges[i].words);
		cr_assert_eq(array_nr_blocks(words, 8), edges[i].blocks);
		round_trip(words, 8);
	}
}

Test(array, the_last_block_holds_the_rest)
{
	struct array_map map = { .value_size = 4, .nr_values = 2037 };

	cr_assert_eq(array_map_nr_entries(&map, 0), 1018);
	cr_assert_eq(array_map_nr_entries(&map, 1), 1018);
	cr_assert_eq(array_map_nr_entries(&map, 2), 1);
	cr_assert_eq(array_map_nr_entries(&map, 3), 0);
	cr_assert_eq(array_map_nr_entries(&map, UINT32_MAX), 0);
	map.nr_values = 2036;
	cr_assert_eq(array_map_nr_entries(&map, 1), 1018);
	cr_assert_eq(array_map_nr_entries(&map, 2), 0);
}

Test(array, a_map_knows_its_data_blocks)
{
	struct array_map eras = { .value_size = 4, .nr_values = 2037 };
	struct array_map words = { .value_size = 8, .nr_values = 510 };
	struct era_data_range r = array_map_data(&eras, 1, 3);

	cr_assert(r.begin == 1018 && r.end == 2037);
	r = array_map_data(&words, 1, 2);
	cr_assert(r.begin == 32576 && r.end == 510 * 64);
	r = array_map_data(&eras, 3, 4);
	cr_assert(r.begin == r.end);
}

Test(array, slots_are_found_by_index_however_they_came)
{
	struct array_map map = { .value_size = 4 };

	cr_assert_eq(array_map_find(&map, 0), 0);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t index = i * 37 % 100 * 2;

		cr_assert_eq(array_map_add(&map, index, index + 1000), 0);
	}
	array_map_sort(&map);
	cr_assert_eq(map.nr_slots, 100);
	for (uint32_t i = 0; i < 100; i++) {
		cr_assert_eq(map.slots[i].index, 2 * i);
		cr_assert_eq(map.slots[i].block, 2 * i + 1000);
		cr_assert_eq(array_map_find(&map, 2 * i), i);
		cr_assert_eq(array_map_find(&map, 2 * i + 1), i + 1);
	}
	cr_assert_eq(array_map_find(&map, UINT32_MAX), 100);
	array_map_release(&map);
}

/* --- what is refused --------------------------------------------------------
 */

/* Three array blocks, 1..3, and the btree leaf over them, 4. */
#define NR 2500

static void expect_lost_block(struct fixture *f, uint32_t index,
			      const char *why)
{
	uint32_t nr;

	cr_assert_eq(read_all(f), NR - array_map_nr_entries(&f->map, index));
	cr_assert_eq(f->nr_lost, 1);
	cr_assert(strstr(f->report.fatal, why), "%s", f->report.fatal);
	nr = array_map_nr_entries(&f->map, index);
	cr_assert_eq(f->report.data.begin, index * 1018);
	cr_assert_eq(f->report.data.end, index * 1018 + nr);
	cr_assert(strstr(f->report.path, "superblock 0 -> array node 4"), "%s",
		  f->report.path);
}

static void block_is_refused(uint32_t offset, uint32_t value, const char *why)
{
	for (uint32_t index = 0; index < 3; index++) {
		struct fixture f;
		uint8_t *block;

		fixture_init(&f, NR, 4);
		block = fake_block(&f.fake, index + 1);
		put_le32(block + offset, value);
		block_seal(block, BLOCK_ARRAY, index + 1);
		expect_lost_block(&f, index, why);
		fixture_release(&f);
	}
}

Test(array_walk, refuses_a_block_whose_count_exceeds_its_capacity)
{
	block_is_refused(ARRAY_NR_ENTRIES, 1019, "number of entries");
	block_is_refused(ARRAY_NR_ENTRIES, UINT32_MAX, "number of entries");
}

Test(array_walk, refuses_a_block_with_fewer_entries_than_belong_there)
{
	block_is_refused(ARRAY_NR_ENTRIES, 0, "number of entries");
	block_is_refused(ARRAY_NR_ENTRIES, 463, "number of entries");
}

Test(array_walk, refuses_a_block_of_another_capacity)
{
	block_is_refused(ARRAY_MAX_ENTRIES, 1017, "capacity");
	block_is_refused(ARRAY_MAX_ENTRIES, 0, "capacity");
	block_is_refused(ARRAY_MAX_ENTRIES, UINT32_MAX, "capacity");
}

Test(array_walk, refuses_values_of_another_size)
{
	block_is_refused(ARRAY_VALUE_SIZE, 8, "values of another size");
	block_is_refused(ARRAY_VALUE_SIZE, 0, "values of another size");
}

Test(array_walk, refuses_a_block_whose_checksum_does_not_match)
{
	for (uint32_t at = 0; at < ERA_BLOCK_SIZE; at += 333) {
		struct fixture f;

		fixture_init(&f, NR, 4);
		fake_block(&f.fake, 2)[at] ^= 0x80;
		expect_lost_block(&f, 1, "checksum does not match");
		fixture_release(&f);
	}
}

Test(array_walk, refuses_a_block_that_belongs_elsewhere)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	memcpy(fake_block(&f.fake, 2), fake_block(&f.fake, 1), ERA_BLOCK_SIZE);
	expect_lost_block(&f, 1, "belongs elsewhere");
	fixture_release(&f);
}

Test(array_walk, refuses_a_block_of_another_kind)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	block_seal(fake_block(&f.fake, 3), BLOCK_BTREE_NODE, 3);
	expect_lost_block(&f, 2, "is of another kind: btree node");
	fixture_release(&f);
}

Test(array_walk, an_unreadable_block_is_lost_and_no_other)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	f.fake.bad_block = 2;
	expect_lost_block(&f, 1, "cannot be read");
	fixture_release(&f);
}

/* The leaf's entry i as given, and its checksum mended. */
static void set_entry(struct fixture *f, uint32_t i, uint64_t key,
		      uint64_t block)
{
	uint8_t *leaf = fake_block(&f->fake, 4);

	put_le64(leaf + NODE_KEYS + i * 8, key);
	put_le64(leaf + NODE_KEYS + 252 * 8 + i * 8, block);
	block_seal(leaf, BLOCK_BTREE_NODE, 4);
}

Test(array_walk, refuses_two_indexes_that_share_a_block)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	set_entry(&f, 2, 2, 1);
	cr_assert_eq(read_all(&f), 2 * 1018);
	cr_assert_eq(f.walk.nr_faults, 1);
	cr_assert(strstr(f.report.fatal, "in use already"));
	cr_assert_eq(f.nr_lost, 1);
	fixture_release(&f);
}

Test(array_walk, refuses_a_block_past_the_end)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	set_entry(&f, 1, 1, UINT64_MAX);
	cr_assert_eq(read_all(&f), NR - 1018);
	cr_assert_eq(f.walk.nr_faults, 1);
	cr_assert(strstr(f.report.fatal, "out of range"));
	fixture_release(&f);
}

Test(array_walk, says_which_index_is_missing)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	/* 0 and 2, then one that does not belong */
	set_entry(&f, 1, 2, 3);
	set_entry(&f, 2, 3, 2);
	cr_assert_eq(read_all(&f), NR - 1018);
	cr_assert_eq(f.walk.nr_faults, 2);
	cr_assert_eq(f.nr_lost, 1);
	fixture_release(&f);
}

Test(array_walk, misses_what_follows_the_last_index)
{
	struct fixture f;
	uint8_t *leaf;

	fixture_init(&f, NR, 4);
	leaf = fake_block(&f.fake, 4);
	put_le32(leaf + NODE_NR_ENTRIES, 1);
	block_seal(leaf, BLOCK_BTREE_NODE, 4);
	cr_assert_eq(read_all(&f), 1018);
	cr_assert_eq(f.walk.nr_faults, 1);
	cr_assert_str_eq(f.report.fatal,
			 "array has no array block 1 and following");
	cr_assert_eq(f.report.data.begin, 1018);
	cr_assert_eq(f.report.data.end, NR);
	cr_assert_eq(f.nr_lost, 2);
	fixture_release(&f);
}

Test(array_walk, a_lost_tree_loses_all_and_reports_once)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	fake_block(&f.fake, 4)[9] ^= 1;
	cr_assert_eq(read_all(&f), 0);
	cr_assert_eq(f.walk.nr_faults, 1);
	cr_assert_eq(f.nr_lost, 3);
	cr_assert_eq(f.report.data.end, NR);
	fixture_release(&f);
}

Test(array_walk, a_window_past_the_end_holds_nothing)
{
	struct fixture f;

	fixture_init(&f, NR, 4);
	cr_assert_eq(array_map_load(&f.map, &f.walk, NULL), 0);
	cr_assert_eq(array_window_read(&f.window, &f.fake.device, &f.map, 2, 40,
				       NULL, &f.nr_lost),
		     0);
	cr_assert_not_null(f.window.values[0]);
	for (int i = 1; i < 40; i++)
		cr_assert_null(f.window.values[i]);
	cr_assert_eq(f.nr_lost, 0);
	cr_assert_eq(array_window_read(&f.window, &f.fake.device, &f.map, 3, 40,
				       NULL, &f.nr_lost),
		     0);
	cr_assert_eq(f.nr_lost, 0);
	fixture_release(&f);
}
