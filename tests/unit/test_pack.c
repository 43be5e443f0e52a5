/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pack instructions: what the encoder writes the decoder reads back, what the
 * Rust suite writes too, and what nobody writes is refused.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/endian.h"
#include "format/pack_decode.h"
#include "format/pack_encode.h"
#include "format/pack_format.h"
#include "pdata/block.h"

static uint64_t random_word(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Encodes and decodes; returns the length of the instructions. */
static size_t round_trip(const uint8_t *block)
{
	uint8_t code[PACK_ENCODED_MAX], back[ERA_BLOCK_SIZE];
	size_t len = pack_encode(code, block);

	cr_assert_leq(len, sizeof(code));
	cr_assert_eq(pack_decode(back, code, len), (ssize_t)len);
	cr_assert_arr_eq(back, block, ERA_BLOCK_SIZE);
	/* none of it can be spared */
	cr_assert_eq(pack_decode(back, code, len - 1), -ENODATA);
	return len;
}

/* An era array's block, whose eras are given by what. */
static void era_block(uint8_t *block, uint32_t (*what)(size_t i))
{
	memset(block, 0, ERA_BLOCK_SIZE);
	put_le32(block + ARRAY_MAX_ENTRIES, 1018);
	put_le32(block + ARRAY_NR_ENTRIES, 1018);
	put_le32(block + ARRAY_VALUE_SIZE, 4);
	for (size_t i = 0; i < 1018; i++)
		put_le32(block + ARRAY_VALUES + i * 4, what(i));
	block_seal(block, BLOCK_ARRAY, 7);
}

static uint32_t same(size_t i)
{
	(void)i;
	return 12;
}

static uint32_t mixed(size_t i)
{
	return (uint32_t)i * 2654435761u >> 25;
}

static uint32_t largest(size_t i)
{
	return UINT32_MAX - (uint32_t)i * 2654435761u;
}

Test(pack_encode, shrinks_a_block_of_zeroes_to_two_bytes)
{
	uint8_t block[ERA_BLOCK_SIZE] = { 0 };

	cr_assert_eq(round_trip(block), 2);
}

Test(pack_encode, takes_every_length_of_run_and_literal)
{
	uint64_t state = 1;

	for (size_t run = 1; run <= PACK_WORDS; run++) {
		uint8_t block[ERA_BLOCK_SIZE];
		uint64_t w = 0;

		for (size_t i = 0; i < PACK_WORDS; i++) {
			if (i % run == 0)
				w = random_word(&state);
			put_le64(block + i * 8, w);
		}
		round_trip(block);
	}
}

Test(pack_encode, takes_rising_and_falling_words_of_every_distance)
{
	for (unsigned int shift = 0; shift < 64; shift++) {
		uint8_t up[ERA_BLOCK_SIZE], down[ERA_BLOCK_SIZE];

		for (size_t i = 0; i < PACK_WORDS; i++) {
			/* passes 2^64 for the larger ones */
			put_le64(up + i * 8, (uint64_t)i << shift);
			put_le64(down + i * 8, -((uint64_t)i << shift));
		}
		round_trip(up);
		round_trip(down);
	}
}

Test(pack_encode, takes_noise_of_every_width)
{
	uint64_t state = 2;

	for (unsigned int width = 1; width <= 64; width++) {
		uint8_t block[ERA_BLOCK_SIZE];

		for (size_t i = 0; i < PACK_WORDS; i++)
			put_le64(block + i * 8,
				 random_word(&state) >> (64 - width));
		cr_assert_leq(round_trip(block), ERA_BLOCK_SIZE + 600);
	}
}

Test(pack_encode, takes_eras_of_every_size)
{
	uint8_t block[ERA_BLOCK_SIZE];

	era_block(block, same);
	cr_assert_leq(round_trip(block), 64);
	era_block(block, mixed);
	cr_assert_leq(round_trip(block), ERA_BLOCK_SIZE * 2 / 3);
	era_block(block, largest);
	round_trip(block);
}

Test(pack_encode, needs_no_node_to_make_sense)
{
	uint8_t block[ERA_BLOCK_SIZE] = { 0 };

	/* the Rust suite cannot pack a device with such a block */
	put_le32(block + NODE_MAX_ENTRIES, UINT32_MAX);
	put_le32(block + NODE_VALUE_SIZE, 8);
	block_seal(block, BLOCK_BTREE_NODE, 3);
	cr_assert(pack_is_known(block));
	round_trip(block);
}

Test(pack_encode, knows_blocks_by_their_checksum_alone)
{
	uint8_t block[ERA_BLOCK_SIZE] = { 0 };

	cr_assert_not(pack_is_known(block));
	for (int kind = 1; kind < BLOCK_NR_KINDS; kind++) {
		block_seal(block, (enum block_kind)kind, 99);
		cr_assert(pack_is_known(block));
	}
	/* thin's salt in place of era's */
	block_seal(block, BLOCK_SUPERBLOCK, 0);
	put_le32(block, get_le32(block) ^ 146538381 ^ 160774);
	cr_assert(pack_is_known(block));
	put_le32(block, get_le32(block) ^ 160774 ^ 9031977);
	cr_assert(pack_is_known(block));
	block[100] ^= 1;
	cr_assert_not(pack_is_known(block));
}

/* Instructions, then a literal that fills what is left of the block. */
static ssize_t decode_filled(uint8_t *block, const uint8_t *code, size_t len,
			     size_t emitted)
{
	uint8_t all[3 * ERA_BLOCK_SIZE] = { 0 };
	size_t left = ERA_BLOCK_SIZE - emitted;

	memcpy(all, code, len);
	if (left) {
		all[len] = PACK_LIT_W << 4 | 2;
		all[len + 1] = (uint8_t)left;
		all[len + 2] = (uint8_t)(left >> 8);
		len += 3 + left;
	}
	return pack_decode(block, all, len);
}

static void expect_words(const uint8_t *code, size_t len, const uint64_t *words,
			 size_t nr)
{
	uint8_t block[ERA_BLOCK_SIZE];

	cr_assert_gt(decode_filled(block, code, len, nr * 8), 0);
	for (size_t i = 0; i < nr; i++)
		cr_assert_eq(get_le64(block + i * 8), words[i]);
}

Test(pack_decode, does_each_instruction)
{
	static const uint8_t code[] = {
		0x01, 5,			       /* set 5 */
		0x13,				       /* + 3 */
		0x22, 0x00, 0x01,		       /* + 256 */
		0x31,				       /* - 1 */
		0x41, 7,			       /* - 7 */
		0x52,				       /* twice more */
		0x60, 1,			       /* once more */
		0x72, 0x12,			       /* + 2, twice */
		0x80, 2,    0x11,		       /* + 1, twice */
		0x98, 1,    2,	  3, 4,	   5, 6, 7, 8, /* literal */
		0xb0, 1,    0x01, 9, 0x01, 4, /* shifted: 9 << 24 | 4 */
	};
	static const uint64_t words[] = { 5,
					  8,
					  264,
					  263,
					  256,
					  256,
					  256,
					  256,
					  258,
					  260,
					  261,
					  262,
					  0x0807060504030201,
					  9 << 24 | 4 };

	expect_words(code, sizeof(code), words, 14);
}

Test(pack_decode, wraps_as_the_rust_suite_does)
{
	static const uint8_t code[] = { 0x01, 0, 0x31, 0x12 };
	static const uint64_t words[] = { 0, UINT64_MAX, 1 };

	expect_words(code, sizeof(code), words, 3);
}

Test(pack_decode, goes_on_from_the_base_of_a_shifted_run)
{
	static const uint8_t code[] = { 0xb0, 1, 0x01, 1, 0x01, 6, 0x51 };
	static const uint64_t words[] = { 1 << 24 | 6, 6 };

	expect_words(code, sizeof(code), words, 2);
}

static int decode(const uint8_t *code, size_t len)
{
	uint8_t block[ERA_BLOCK_SIZE];

	return (int)pack_decode(block, code, len);
}

#define REFUSES(...)                                                           \
	do {                                                                   \
		static const uint8_t code[] = { __VA_ARGS__ };                 \
		cr_assert_eq(decode(code, sizeof(code)), -EINVAL);             \
	} while (0)

Test(pack_decode, refuses_what_makes_no_sense)
{
	REFUSES(0xc0); /* no such tag */
	REFUSES(0xff);
	REFUSES(0x00); /* widths */
	REFUSES(0x03, 1, 2, 3);
	REFUSES(0x29);
	REFUSES(0xa5, 1);
	REFUSES(0x72, 0x52); /* counts before what has one */
	REFUSES(0x72, 0x91, 0);
	REFUSES(0x72, 0x72, 0x11);
	REFUSES(0x62, 1); /* 513 words */
	REFUSES(0x82, 1, 0x11);
	REFUSES(0xa2, 1, 0x10);	   /* 4097 bytes */
	REFUSES(0xb2, 1);	   /* a shifted run of 513 */
	REFUSES(0xb0, 2, 0xb0, 1); /* and one in another */
	REFUSES(0xb0, 1, 0x52);	   /* a half that is too long */
	REFUSES(0xa8, 255, 255, 255, 255, 255, 255, 255, 255);
}

Test(pack_decode, refuses_code_that_ends_anywhere)
{
	static const uint8_t wide[] = { 0x08, 1, 2, 3, 4, 5, 6, 7, 8 };

	for (size_t len = 0; len <= sizeof(wide); len++)
		cr_assert_eq(decode(wide, len), -ENODATA);
}

Test(pack_decode, survives_noise)
{
	uint64_t state = 3;
	size_t len = 16384;
	uint8_t *noise = malloc(len);

	cr_assert_not_null(noise);
	for (int i = 0; i < 2000; i++) {
		uint8_t block[ERA_BLOCK_SIZE];
		ssize_t used;

		for (size_t j = 0; j < len; j += 8)
			put_le64(noise + j, random_word(&state));
		used = pack_decode(block, noise, len);
		cr_assert(used == -EINVAL || used == -ENODATA ||
			  (used > 0 && (size_t)used <= len));
	}
	free(noise);
}

Test(pack_decode, takes_what_emits_nothing_for_what_it_is)
{
	uint8_t *idle = malloc(PACK_RECORD_MAX);

	/* "const 0", over and over: ends with the bytes it has */
	cr_assert_not_null(idle);
	memset(idle, 0x50, PACK_RECORD_MAX);
	cr_assert_eq(decode(idle, PACK_RECORD_MAX), -ENODATA);
	free(idle);
}
