/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The forms that a sound block can have had, by kind, and the search for one
 * flipped bit.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/compare.h"
#include "base/crc32c.h"
#include "base/grow.h"
#include "era/correct.h"
#include "era/superblock.h"

/* --- one flipped bit ---------------------------------------------------------
 *
 * CRC is linear: a flipped bit changes it by a value that depends on the bit's
 * place alone, and no two places of a block have the same.
 */

#define NR_BITS (ERA_BLOCK_SIZE * 8)

struct place {
	uint32_t syndrome; /* by which a change there puts the checksum off */
	uint32_t at;	   /* bit or unit of the block, lowest first */
};

static struct place flips[NR_BITS];
static pthread_once_t flips_once = PTHREAD_ONCE_INIT;

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return compare_numbers(x->syndrome, y->syndrome);
}

static void make_flips(void)
{
	static const uint8_t zero;
	struct place *flip = flips;

	for (uint32_t bit = 0; bit < 32; bit++) /* of the checksum itself */
		*flip++ = (struct place){ UINT32_C(1) << bit, bit };
	for (uint32_t k = 0; k < 8; k++) {
		uint8_t byte = (uint8_t)(1 << k);
		uint32_t syndrome = era_crc32c(0, &byte, 1);

		for (uint32_t at = ERA_BLOCK_SIZE - 1; at >= 4; at--) {
			*flip++ = (struct place){ syndrome, at * 8 + k };
			syndrome = era_crc32c(syndrome, &zero, 1);
		}
	}
	qsort(flips, NR_BITS, sizeof(*flips), compare_places);
}

static bool flip_one(uint8_t *data, enum block_kind kind)
{
	struct place key = { block_syndrome(data, kind), 0 };
	const struct place *flip;

	pthread_once(&flips_once, make_flips);
	flip = bsearch(&key, flips, NR_BITS, sizeof(*flips), compare_places);
	if (flip)
		data[flip->at / 8] ^= (uint8_t)(1 << flip->at % 8);
	return flip;
}

/* --- a run of zeroes overwritten ---------------------------------------------
 *
 * Most of a block is zero as a rule. What the first i units put into the
 * checksum is known for each i, so the run whose clearing makes it right is
 * that between the two i that differ by as much as it is off.
 */

#define UNIT 8u /* bytes */
#define NR_UNITS (ERA_BLOCK_SIZE / UNIT)

static bool clear_run(uint8_t *data, enum block_kind kind)
{
	static const uint8_t zeroes[ERA_BLOCK_SIZE];
	struct place sums[NR_UNITS], key = { 0 };
	uint32_t syndrome = block_syndrome(data, kind), crc = 0;

	for (uint32_t i = 1; i <= NR_UNITS; i++) { /* past the checksum */
		size_t at = (size_t)i * UNIT;

		sums[i - 1].at = i;
		sums[i - 1].syndrome =
			era_crc32c(crc, zeroes, ERA_BLOCK_SIZE - at);
		if (i < NR_UNITS)
			crc = era_crc32c(crc, data + at, UNIT);
	}
	qsort(sums, NR_UNITS, sizeof(*sums), compare_places);
	for (uint32_t i = 0; i < NR_UNITS; i++) {
		const struct place *end;

		key.syndrome = sums[i].syndrome ^ syndrome;
		end = bsearch(&key, sums, NR_UNITS, sizeof(*sums),
			      compare_places);
		if (!end || end->at <= sums[i].at)
			continue;
		memset(data + (size_t)sums[i].at * UNIT, 0,
		       (size_t)(end->at - sums[i].at) * UNIT);
		return true;
	}
	return false;
}

/* --- what the format fixes ---------------------------------------------------
 */

struct damaged {
	const uint8_t *data; /* as it was read */
	uint64_t block;
	uint64_t nr_blocks;	      /* of the device */
	uint8_t form[ERA_BLOCK_SIZE]; /* what is tried */
};

/* Whether the form is sound, as it is or but for what is still tried. */
static bool is_proven(struct damaged *d, enum block_kind kind, bool last)
{
	if (block_syndrome(d->form, kind) &&
	    !(last && (flip_one(d->form, kind) || clear_run(d->form, kind))))
		return false;
	return era_role_is_sound(era_role_of(d->form, d->block));
}

static void restart(struct damaged *d)
{
	memcpy(d->form, d->data, ERA_BLOCK_SIZE);
}

static void clear_from(struct damaged *d, size_t at)
{
	memset(d->form + at, 0, ERA_BLOCK_SIZE - at);
}

/*
 * How many entries there can have been: the number that stands there and,
 * after it, all that are one flipped bit away.
 */
static bool next_count(uint32_t stored, int *step, uint32_t max, uint32_t *nr)
{
	while (*step <= 11) { /* an array block holds 1018 */
		int bit = (*step)++ - 1;

		*nr = bit < 0 ? stored : stored ^ UINT32_C(1) << bit;
		if (*nr <= max)
			return true;
	}
	return false;
}

static bool correct_array_of(struct damaged *d, uint32_t value_size)
{
	uint32_t max = array_max_entries(value_size), nr;
	uint32_t stored = get_le32(d->data + ARRAY_NR_ENTRIES);

	if ((get_le32(d->data + ARRAY_MAX_ENTRIES) == max) +
		    (get_le32(d->data + ARRAY_VALUE_SIZE) == value_size) +
		    (get_le64(d->data + 16) == d->block) <
	    2)
		return false;
	for (int step = 0; next_count(stored, &step, max, &nr);) {
		restart(d);
		put_le32(d->form + ARRAY_MAX_ENTRIES, max);
		put_le32(d->form + ARRAY_NR_ENTRIES, nr);
		put_le32(d->form + ARRAY_VALUE_SIZE, value_size);
		put_le64(d->form + 16, d->block);
		clear_from(d, ARRAY_VALUES + (size_t)nr * value_size);
		if (is_proven(d, BLOCK_ARRAY, nr == stored))
			return true;
	}
	return false;
}

static bool correct_array(struct damaged *d)
{
	return correct_array_of(d, 4) || correct_array_of(d, 8);
}

/* Arrays are filed under consecutive indexes, eras follow each other. */
static void count_keys_up(uint8_t *node, uint32_t nr)
{
	for (uint32_t i = 1; i < nr; i++)
		put_le64(node + NODE_KEYS + (size_t)i * 8,
			 node_key(node, 0) + i);
}

static void clear_unused_entries(struct damaged *d, uint32_t nr, uint32_t max,
				 uint32_t value_size)
{
	size_t values = NODE_KEYS + (size_t)max * 8;

	memset(d->form + NODE_KEYS + (size_t)nr * 8, 0, (size_t)(max - nr) * 8);
	clear_from(d, values + (size_t)nr * value_size);
}

static bool correct_node_of(struct damaged *d, uint32_t flags,
			    uint32_t value_size)
{
	uint32_t max = node_max_entries(value_size), nr;
	uint32_t stored = get_le32(d->data + NODE_NR_ENTRIES);

	if ((get_le32(d->data + NODE_FLAGS) == flags) +
		    (get_le32(d->data + NODE_MAX_ENTRIES) == max) +
		    (get_le32(d->data + NODE_VALUE_SIZE) == value_size) +
		    (get_le64(d->data + 8) == d->block) <
	    3)
		return false;
	for (int step = 0; next_count(stored, &step, max, &nr);) {
		restart(d);
		put_le32(d->form + NODE_FLAGS, flags);
		put_le64(d->form + 8, d->block);
		put_le32(d->form + NODE_NR_ENTRIES, nr);
		put_le32(d->form + NODE_MAX_ENTRIES, max);
		put_le32(d->form + NODE_VALUE_SIZE, value_size);
		put_le32(d->form + NODE_VALUE_SIZE + 4, 0);
		clear_unused_entries(d, nr, max, value_size);
		if (is_proven(d, BLOCK_BTREE_NODE, false))
			return true;
		if (flags == NODE_LEAF) {
			count_keys_up(d->form, nr);
			if (is_proven(d, BLOCK_BTREE_NODE, false))
				return true;
		}
	}
	return false;
}

/* As correct_node_of, but for what it has tried: one bit of an entry. */
static bool correct_entry(struct damaged *d)
{
	uint32_t value_size = get_le32(d->data + NODE_VALUE_SIZE);
	uint32_t max = get_le32(d->data + NODE_MAX_ENTRIES);
	uint32_t nr = get_le32(d->data + NODE_NR_ENTRIES);

	if ((value_size != 4 && value_size != 8 &&
	     value_size != ERA_WRITESET_VALUE_SIZE) ||
	    max != node_max_entries(value_size) || nr > max)
		return false;
	restart(d);
	clear_unused_entries(d, nr, max, value_size);
	return is_proven(d, BLOCK_BTREE_NODE, true);
}

static bool correct_node(struct damaged *d)
{
	return correct_node_of(d, NODE_LEAF, 8) ||
	       correct_node_of(d, NODE_LEAF, ERA_WRITESET_VALUE_SIZE) ||
	       correct_node_of(d, NODE_LEAF, 4) ||
	       correct_node_of(d, NODE_INTERNAL, 8) || correct_entry(d);
}

static bool correct_index(struct damaged *d)
{
	uint32_t nr = space_map_nr_bitmaps(d->nr_blocks);

	restart(d);
	put_le32(d->form + 4, 0);
	if (nr < INDEX_MAX_ENTRIES)
		clear_from(d, INDEX_ENTRIES + (size_t)nr * INDEX_ENTRY_SIZE);
	return is_proven(d, BLOCK_INDEX, true);
}

static bool correct_bitmap(struct damaged *d)
{
	restart(d);
	put_le32(d->form + 4, 0);
	/* of several bitmaps it is not known which one this is */
	for (uint64_t i = d->nr_blocks; i < BITMAP_MAX_ENTRIES; i++)
		bitmap_set_count(d->form, (uint32_t)i, 0);
	return is_proven(d, BLOCK_BITMAP, true);
}

/*
 * The space map covers the device, and of its blocks some number is in use.
 * Tried on devices of one bitmap: there are no more numbers than bits.
 */
static bool correct_totals(struct damaged *d)
{
	if (d->nr_blocks > BITMAP_MAX_ENTRIES)
		return false;
	for (uint64_t nr = 0; nr <= d->nr_blocks; nr++) {
		era_superblock_put_totals(d->form, d->nr_blocks, nr);
		if (is_proven(d, BLOCK_SUPERBLOCK, false))
			return true;
	}
	return false;
}

static bool correct_superblock(struct damaged *d)
{
	restart(d);
	era_superblock_restore(d->form, d->block);
	if (is_proven(d, BLOCK_SUPERBLOCK, true))
		return true;
	restart(d);
	era_superblock_restore(d->form, d->block);
	return correct_totals(d);
}

/* One bit alone, wherever it is: even where a block keeps old entries. */
static bool correct_bit(struct damaged *d)
{
	static const enum block_kind kinds[] = {
		BLOCK_BTREE_NODE, BLOCK_ARRAY,	    BLOCK_INDEX,
		BLOCK_BITMAP,	  BLOCK_SUPERBLOCK,
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		restart(d);
		if (is_proven(d, kinds[i], true))
			return true;
	}
	return false;
}

bool era_correct_block(uint8_t *data, uint64_t block, uint64_t nr_blocks)
{
	struct damaged d = { .data = data,
			     .block = block,
			     .nr_blocks = nr_blocks };
	bool magic = era_superblock_has_magic(data);
	bool placed = get_le64(data + 8) == block;
	bool good;

	if (era_superblock_is_unfinished(data))
		return false;
	good = correct_array(&d) || correct_node(&d) ||
	       (magic && correct_superblock(&d)) ||
	       (placed && (correct_index(&d) || correct_bitmap(&d))) ||
	       correct_bit(&d);
	if (good)
		memcpy(data, d.form, ERA_BLOCK_SIZE);
	return good;
}

/* Whether a block that is not sound may have been one of ours. */
static bool looks_like_metadata(const uint8_t *data, uint64_t block)
{
	return get_le64(data + 8) == block || get_le64(data + 16) == block ||
	       get_le32(data + NODE_VALUE_SIZE) == 8 ||
	       get_le32(data + ARRAY_VALUE_SIZE) == 8 ||
	       get_le32(data + ARRAY_VALUE_SIZE) == 4 ||
	       era_superblock_has_magic(data);
}

static int add(struct era_substitutes *corrected, uint64_t block,
	       const uint8_t *data)
{
	struct era_substitute *added;

	if (list_grow(&corrected->list, corrected->nr + 1, &corrected->max))
		return -ENOMEM;
	added = &corrected->list[corrected->nr++];
	added->block = block;
	memcpy(added->data, data, ERA_BLOCK_SIZE);
	return 0;
}

int era_correct(struct era_substitutes *corrected, struct era_scan *scan)
{
	uint8_t data[ERA_BLOCK_SIZE];
	uint32_t nr_tried = 0;
	int r = 0;

	*corrected = (struct era_substitutes){ .nr = 0 };
	for (uint64_t block = 0; block < scan->nr_blocks && !r; block++) {
		if (era_scan_role(scan, block) != ROLE_UNKNOWN ||
		    era_device_read(scan->device, block, 1, data) ||
		    !looks_like_metadata(data, block))
			continue;
		if (nr_tried++ == ERA_CORRECT_MAX)
			break;
		if (!era_correct_block(data, block, scan->nr_blocks))
			continue;
		r = add(corrected, block, data);
		era_scan_tell(scan, block, era_role_of(data, block));
	}
	scan->device->substitutes = corrected;
	return r;
}

void era_correct_release(struct era_substitutes *corrected,
			 struct era_device *device)
{
	if (device->substitutes == corrected)
		device->substitutes = NULL;
	free(corrected->list);
	*corrected = (struct era_substitutes){ .nr = 0 };
}
