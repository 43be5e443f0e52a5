/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damaged blocks that their own checksum sets right, and those that it must
 * not touch.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <string.h>

#include "era/correct.h"
#include "era/superblock.h"

TestSuite(correct, .timeout = 60);

#define NR_BLOCKS 4096
#define AT 347 /* where the block stands */

static uint8_t sound[ERA_BLOCK_SIZE], damaged[ERA_BLOCK_SIZE];

static uint32_t seed;

static uint32_t next_random(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static void scribble(size_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		damaged[at + i] = (uint8_t)next_random();
}

static void flip(uint32_t bit)
{
	damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void make_array(uint32_t value_size, uint32_t nr)
{
	memset(sound, 0, sizeof(sound));
	put_le32(sound + ARRAY_MAX_ENTRIES, array_max_entries(value_size));
	put_le32(sound + ARRAY_NR_ENTRIES, nr);
	put_le32(sound + ARRAY_VALUE_SIZE, value_size);
	for (uint32_t i = 0; i < nr * value_size; i++)
		sound[ARRAY_VALUES + i] = (uint8_t)(1 + next_random() % 250);
	block_seal(sound, BLOCK_ARRAY, AT);
	memcpy(damaged, sound, sizeof(sound));
}

static void make_node(uint32_t flags, uint32_t value_size, uint32_t nr,
		      uint64_t first, uint64_t step)
{
	uint32_t max = node_max_entries(value_size);

	memset(sound, 0, sizeof(sound));
	put_le32(sound + NODE_FLAGS, flags);
	put_le32(sound + NODE_NR_ENTRIES, nr);
	put_le32(sound + NODE_MAX_ENTRIES, max);
	put_le32(sound + NODE_VALUE_SIZE, value_size);
	for (uint32_t i = 0; i < nr; i++) {
		put_le64(sound + NODE_KEYS + i * 8, first + i * step);
		sound[NODE_KEYS + max * 8 + i * value_size] =
			(uint8_t)(1 + next_random() % 250);
	}
	block_seal(sound, BLOCK_BTREE_NODE, AT);
	memcpy(damaged, sound, sizeof(sound));
}

static void make_superblock(void)
{
	struct era_superblock sb = {
		.location = 0,
		.geometry = { .data_block_size = 128,
			      .nr_blocks = 512,
			      .current_era = 4 },
		.space_map = { .nr_blocks = NR_BLOCKS,
			       .nr_allocated = 19,
			       .bitmap_root = 31,
			       .ref_count_root = 2 },
		.writeset_nr_bits = 512,
		.writeset_root = 30,
		.writeset_tree_root = 622,
		.era_array_root = 621,
	};

	era_superblock_put(sound, &sb);
	memcpy(damaged, sound, sizeof(sound));
}

static void expect_corrected_at(uint64_t block)
{
	cr_assert(memcmp(damaged, sound, sizeof(sound)));
	cr_assert(era_correct_block(damaged, block, NR_BLOCKS));
	cr_assert_arr_eq(damaged, sound, sizeof(sound));
}

static void expect_corrected(void)
{
	expect_corrected_at(AT);
}

static void expect_given_up(void)
{
	uint8_t before[ERA_BLOCK_SIZE];

	memcpy(before, damaged, sizeof(before));
	cr_assert(!era_correct_block(damaged, AT, NR_BLOCKS));
	cr_assert_arr_eq(damaged, before, sizeof(before));
}

Test(correct, finds_any_one_flipped_bit_of_a_full_array_block)
{
	make_array(4, 1018);
	for (uint32_t bit = 0; bit < ERA_BLOCK_SIZE * 8; bit += 7) {
		memcpy(damaged, sound, sizeof(sound));
		flip(bit);
		expect_corrected();
	}
}

Test(correct, clears_what_was_written_past_the_last_entry)
{
	for (uint32_t value_size = 4; value_size <= 8; value_size += 4) {
		make_array(value_size, 8);
		scribble(ARRAY_VALUES + 8 * value_size,
			 ERA_BLOCK_SIZE - ARRAY_VALUES - 8 * value_size);
		expect_corrected();
	}
}

Test(correct, finds_a_flipped_bit_beside_a_scribbled_tail)
{
	make_array(8, 8);
	scribble(200, 1000);
	flip((ARRAY_VALUES + 11) * 8 + 3);
	expect_corrected();
}

Test(correct, puts_back_a_header_that_the_format_fixes)
{
	make_array(8, 8);
	scribble(ARRAY_MAX_ENTRIES, 4);
	expect_corrected();
	make_node(NODE_LEAF, 12, 3, 5, 1);
	scribble(8, 8); /* its own block number */
	expect_corrected();
}

Test(correct, finds_a_flipped_bit_in_the_number_of_entries)
{
	make_array(8, 8);
	flip((ARRAY_NR_ENTRIES * 8) + 5);
	scribble(2000, 500);
	expect_corrected();
	make_node(NODE_LEAF, 8, 4, 0, 1);
	flip(NODE_NR_ENTRIES * 8 + 2);
	scribble(500, 500);
	expect_corrected();
}

Test(correct, counts_the_keys_of_a_leaf_up)
{
	make_node(NODE_LEAF, 8, 20, 0, 1); /* array blocks 0 to 19 */
	scribble(NODE_KEYS + 8, 20);
	expect_corrected();
	make_node(NODE_LEAF, 12, 6, 41, 1); /* eras 41 to 46 */
	scribble(NODE_KEYS + 8, 20);
	expect_corrected();
}

Test(correct, clears_unused_entries_of_every_kind_of_node)
{
	make_node(NODE_INTERNAL, 8, 3, 0, 126);
	scribble(NODE_KEYS + 3 * 8, 100);
	scribble(3000, 100);
	expect_corrected();
	make_node(NODE_LEAF, 4, 0, 0, 1);
	scribble(NODE_KEYS, 2000);
	expect_corrected();
}

Test(correct, restores_a_run_of_zeroes_among_values)
{
	make_array(8, 509);
	memset(sound + 1000, 0, 96);
	block_seal(sound, BLOCK_ARRAY, AT);
	memcpy(damaged, sound, sizeof(sound));
	scribble(1010, 60);
	expect_corrected();
}

Test(correct, knows_what_a_superblock_leaves_zero)
{
	seed = 3;
	make_superblock();
	scribble(224, ERA_BLOCK_SIZE - 224);
	expect_corrected_at(0);
	make_superblock();
	flip(205 * 8 + 1); /* a root */
	flip(400 * 8);
	flip(4000 * 8);
	expect_corrected_at(0);
}

Test(correct, counts_a_superblocks_totals_again)
{
	make_superblock();
	scribble(40, 20); /* version, nr_blocks, nr_allocated */
	expect_corrected_at(0);
}

Test(correct, gives_up_on_values_that_nothing_else_tells)
{
	for (seed = 1; seed < 200; seed++) {
		make_array(8, 8);
		scribble(40, 20);
		expect_given_up();
		make_array(4, 1018);
		flip(200 * 8);
		flip(3000 * 8 + 1);
		expect_given_up();
	}
}

Test(correct, gives_up_on_noise_and_on_zeroes)
{
	memset(damaged, 0, sizeof(damaged));
	expect_given_up();
	for (seed = 1; seed < 200; seed++) {
		scribble(0, sizeof(damaged));
		put_le64(damaged + 8, AT);
		expect_given_up();
	}
}

Test(correct, leaves_a_restore_that_was_cut_short_alone)
{
	static const char note[] =
		"dm-era-tools: the writing of this metadata was cut short\n";

	make_superblock();
	memcpy(damaged + 1024, note, sizeof(note));
	cr_assert(!era_correct_block(damaged, 0, NR_BLOCKS));
}
