/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every block of persistent data has: a kind, a checksum salted with the
 * kind, and its own block number. Mirrors the block validators of
 * drivers/md/persistent-data (dm-btree-spine.c, dm-array.c,
 * dm-space-map-common.c) and of dm-era-target.c (sb_validator).
 */
#ifndef PDATA_BLOCK_H
#define PDATA_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/endian.h"
#include "device/device.h"

enum block_kind {
	BLOCK_UNKNOWN, /* no checksum matches: free, foreign or damaged */
	BLOCK_SUPERBLOCK,
	BLOCK_BTREE_NODE,
	BLOCK_ARRAY,
	BLOCK_INDEX,  /* of the space map */
	BLOCK_BITMAP, /* of the space map */
};

#define BLOCK_NR_KINDS 6

/* btree node: header, keys, values */
#define NODE_FLAGS 4
#define NODE_NR_ENTRIES 16
#define NODE_MAX_ENTRIES 20
#define NODE_VALUE_SIZE 24
#define NODE_KEYS 32
#define NODE_INTERNAL 1
#define NODE_LEAF 2

/* array block: header, values */
#define ARRAY_MAX_ENTRIES 4
#define ARRAY_NR_ENTRIES 8
#define ARRAY_VALUE_SIZE 12
#define ARRAY_VALUES 24

/* space-map index: header, entries of 16 bytes */
#define INDEX_ENTRIES 16
#define INDEX_MAX_ENTRIES 255
#define INDEX_ENTRY_SIZE 16
#define INDEX_ENTRY_BLOCK 0
#define INDEX_ENTRY_NR_FREE 8
#define INDEX_ENTRY_NONE_FREE_BEFORE 12

/* space-map bitmap: header, 2-bit counts */
#define BITMAP_COUNTS 16
#define BITMAP_MAX_ENTRIES ((ERA_BLOCK_SIZE - BITMAP_COUNTS) * 4) /* 16320 */

/* The most blocks that a metadata device can use. */
#define MAX_METADATA_BLOCKS (INDEX_MAX_ENTRIES * BITMAP_MAX_ENTRIES)

enum block_fault {
	BLOCK_GOOD,
	BLOCK_BAD_CHECKSUM,
	BLOCK_MISPLACED, /* checksum right, but it says another block number */
};

/*
 * By which bits the checksum of a block of this kind is off: 0 where it is
 * right. CRC is linear, so this depends on what was damaged alone, and not on
 * what the block holds.
 */
uint32_t block_syndrome(const void *data, enum block_kind kind);

/* Whether checksum and block number say that this is a block of this kind. */
enum block_fault block_check(const void *data, enum block_kind kind,
			     uint64_t block);

/*
 * The kind whose checksum matches and that says it belongs at block;
 * BLOCK_UNKNOWN for all else.
 */
enum block_kind block_identify(const void *data, uint64_t block);

/* As block_identify, but wherever it says it belongs. */
enum block_kind block_identify_anywhere(const void *data);

/* Whether nothing is there. */
bool block_is_zero(const void *data);

/*
 * What stands for a block that could not be read, where a copy is made: it is
 * of no kind, not all zero, and era_scan takes it for one that cannot be read.
 */
void block_put_unread(void *data);
bool block_is_unread(const void *data);

/* Writes the block number and then the checksum. */
void block_seal(void *data, enum block_kind kind, uint64_t block);

const char *block_kind_name(enum block_kind kind);

/* Entries that a btree node holds for values of value_size (calc_max_entries,
 * dm-btree.c: rounded down to a multiple of three). */
static inline uint32_t node_max_entries(uint32_t value_size)
{
	uint32_t n = (ERA_BLOCK_SIZE - NODE_KEYS) / (8 + value_size);

	return n - n % 3;
}

/* Entries that an array block holds. */
static inline uint32_t array_max_entries(uint32_t value_size)
{
	return (ERA_BLOCK_SIZE - ARRAY_VALUES) / value_size;
}

static inline uint64_t node_key(const uint8_t *node, uint32_t i)
{
	return get_le64(node + NODE_KEYS + (size_t)i * 8);
}

/* Value i; max_entries must have been checked. */
static inline const uint8_t *node_value(const uint8_t *node, uint32_t i,
					uint32_t value_size)
{
	return node + NODE_KEYS +
	       (size_t)get_le32(node + NODE_MAX_ENTRIES) * 8 +
	       (size_t)i * value_size;
}

#endif
