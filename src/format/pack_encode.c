/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The encoder. It writes only what every reader of the format understands,
 * and leans on deflate for the rest: what it takes away is mostly what costs
 * deflate time (runs, and the zero bytes between small numbers).
 */
#include "config.h"

#include <string.h>

#include "base/crc32c.h"
#include "format/pack_encode.h"
#include "format/pack_format.h"
#include "pdata/block.h"

/* Salts of checksums that block.h does not know. */
#define THIN_SUPERBLOCK_SALT 160774
#define CACHE_SUPERBLOCK_SALT 9031977

/* Bytes of instructions up to which an array block is mostly long runs. */
#define FEW_RUNS 128

bool pack_is_known(const void *block)
{
	uint32_t salt;

	if (block_identify_anywhere(block) != BLOCK_UNKNOWN)
		return true;
	salt = era_crc32c(UINT32_MAX, (const uint8_t *)block + 4,
			  ERA_BLOCK_SIZE - 4) ^
	       get_le32(block);
	return salt == THIN_SUPERBLOCK_SALT || salt == CACHE_SUPERBLOCK_SALT;
}

static uint8_t *put_tag(uint8_t *out, enum pack_tag tag, size_t nibble)
{
	*out = (uint8_t)((unsigned int)tag << 4 | nibble);
	return out + 1;
}

static unsigned int width_of(uint64_t n)
{
	if (n <= UINT8_MAX)
		return 1;
	if (n <= UINT16_MAX)
		return 2;
	return n <= UINT32_MAX ? 4 : 8;
}

/* The tag and n as its operand. */
static uint8_t *put_operand(uint8_t *out, enum pack_tag tag, uint64_t n)
{
	unsigned int width = width_of(n);

	out = put_tag(out, tag, width);
	for (unsigned int i = 0; i < width; i++)
		*out++ = (uint8_t)(n >> i * 8);
	return out;
}

/* The tag of the short form with n in its nibble, else that of the long. */
static uint8_t *put_count(uint8_t *out, enum pack_tag brief, enum pack_tag wide,
			  size_t n)
{
	if (n < 16)
		return put_tag(out, brief, n);
	out = put_tag(out, wide, n >> 8);
	*out = (uint8_t)n;
	return out + 1;
}

static uint8_t *put_literal(uint8_t *out, const uint8_t *data, size_t n)
{
	if (!n)
		return out;
	if (n < 16)
		out = put_tag(out, PACK_LIT, n);
	else
		out = put_operand(out, PACK_LIT_W, n);
	memcpy(out, data, n);
	return out + n;
}

/* count steps from base to w, base's neighbour. */
static uint8_t *put_step(uint8_t *out, uint64_t base, uint64_t w, size_t count)
{
	bool up = w > base;
	uint64_t delta = up ? w - base : base - w;

	if (count > 1)
		out = put_count(out, PACK_COUNT, PACK_COUNT_8, count);
	if (delta < 16)
		return put_tag(out, up ? PACK_POS : PACK_NEG, (size_t)delta);
	return put_operand(out, up ? PACK_POS_W : PACK_NEG_W, delta);
}

/*
 * How many words, the first included, follow base at equal distances, without
 * passing 0 or 2^64: a debug build of the Rust suite would stop there.
 */
static size_t steps(uint64_t base, const uint64_t *words, size_t nr)
{
	uint64_t delta = words[0] - base;
	bool up = words[0] > base;
	size_t n = 1;

	while (n < nr && words[n] - words[n - 1] == delta &&
	       (words[n] > words[n - 1]) == up)
		n++;
	return n;
}

/* Whether a word is worth an instruction of its own, rather than a literal. */
static bool is_near(uint64_t base, uint64_t w)
{
	uint64_t delta = w > base ? w - base : base - w;

	return delta <= UINT16_MAX;
}

static size_t run_length(const uint64_t *words, size_t nr)
{
	size_t n = 1;

	while (n < nr && words[n] == words[0])
		n++;
	return n;
}

/*
 * nr words, which lie as bytes at raw. Words far from base and with nothing
 * in common with their successor are gathered into literals; base stays.
 */
static uint8_t *put_words(uint8_t *out, const uint64_t *words,
			  const uint8_t *raw, size_t nr)
{
	uint64_t base = 0;
	size_t literal = 0; /* first word not written */
	size_t i = 0;

	while (i < nr) {
		size_t n;

		if (words[i] == base)
			n = run_length(words + i, nr - i);
		else
			n = steps(base, words + i, nr - i);
		if (n == 1 && !is_near(base, words[i]) &&
		    !(i + 1 < nr && is_near(words[i], words[i + 1]))) {
			i++;
			continue;
		}
		out = put_literal(out, raw + literal * 8, (i - literal) * 8);
		if (words[i] == base)
			out = put_count(out, PACK_CONST, PACK_CONST_8, n);
		else
			out = put_step(out, base, words[i], n);
		i += n;
		literal = i;
		base = words[i - 1];
	}
	return put_literal(out, raw + literal * 8, (nr - literal) * 8);
}

/*
 * nr words, each set outright: deflate's code for the tag is then short,
 * where signs and sizes of differences would be noise.
 */
static uint8_t *put_settings(uint8_t *out, const uint64_t *words, size_t nr)
{
	for (size_t i = 0, n; i < nr; i += n) {
		n = run_length(words + i, nr - i);
		out = put_operand(out, PACK_SET, words[i]);
		if (n > 1)
			out = put_count(out, PACK_CONST, PACK_CONST_8, n - 1);
	}
	return out;
}

/*
 * An era array's block. Two eras make a word; the shifted run takes it apart
 * again, into numbers so small that most of their zero bytes go.
 */
static size_t encode_eras(uint8_t *start, const uint8_t *block)
{
	uint64_t high[PACK_WORDS], low[PACK_WORDS];
	size_t nr = (ERA_BLOCK_SIZE - ARRAY_VALUES) / 8;
	uint8_t *out = put_literal(start, block, ARRAY_VALUES);

	for (size_t i = 0; i < nr; i++) {
		uint64_t w = get_le64(block + ARRAY_VALUES + i * 8);

		high[i] = w >> PACK_SHIFT;
		low[i] = w & ((UINT64_C(1) << PACK_SHIFT) - 1);
	}
	out = put_tag(out, PACK_SHIFTED_RUN, nr >> 8);
	*out++ = (uint8_t)nr;
	out = put_settings(out, high, nr);
	out = put_settings(out, low, nr);
	return (size_t)(out - start);
}

/* As a literal: what deflate then sees is the block itself. */
static size_t pack_encode_literal(uint8_t out[PACK_ENCODED_MAX],
				  const void *block)
{
	return (size_t)(put_literal(out, block, ERA_BLOCK_SIZE) - out);
}

/* How often the next era is another. */
static size_t nr_changes(const uint8_t *block)
{
	size_t n = 0;

	for (size_t at = ARRAY_VALUES; at + 8 <= ERA_BLOCK_SIZE; at += 4)
		n += get_le32(block + at) != get_le32(block + at + 4);
	return n;
}

/*
 * An array block that did not come out as a handful of runs. deflate finds
 * the shorter runs itself and does it better in the bytes as they are: our
 * instructions would hide them from it. Only eras without runs are worth
 * taking apart.
 */
static size_t encode_array(uint8_t out[PACK_ENCODED_MAX], const uint8_t *block)
{
	if (get_le32(block + ARRAY_VALUE_SIZE) == 4 &&
	    nr_changes(block) > ERA_BLOCK_SIZE / 8)
		return encode_eras(out, block);
	return pack_encode_literal(out, block);
}

static bool is_array_block(const uint8_t *block)
{
	uint32_t value_size = get_le32(block + ARRAY_VALUE_SIZE);

	/* in other blocks the upper half of their number: 0 */
	return value_size == 4 || value_size == 8;
}

size_t pack_encode(uint8_t out[PACK_ENCODED_MAX], const void *block)
{
	uint64_t words[PACK_WORDS];
	size_t len;

	get_le64_array(words, block, PACK_WORDS);
	len = (size_t)(put_words(out, words, block, PACK_WORDS) - out);
	if (len > FEW_RUNS && is_array_block(block))
		len = encode_array(out, block);
	return len;
}
