/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Salts, places of the block number, and checksums of the five kinds.
 */
#include "config.h"

#include "base/crc32c.h"
#include "pdata/block.h"

static const struct kind {
	const char *name;
	uint32_t salt;
	uint32_t blocknr; /* byte offset of its own block number */
} kinds[BLOCK_NR_KINDS] = {
	[BLOCK_UNKNOWN] = { "unknown block", 0, 0 },
	[BLOCK_SUPERBLOCK] = { "superblock", 146538381, 8 },
	[BLOCK_BTREE_NODE] = { "btree node", 121107, 8 },
	[BLOCK_ARRAY] = { "array block", 595846735, 16 },
	[BLOCK_INDEX] = { "space map index", 160478, 8 },
	[BLOCK_BITMAP] = { "space map bitmap", 240779, 8 },
};

static uint32_t checksum(const void *data)
{
	return era_crc32c(UINT32_MAX, (const uint8_t *)data + 4,
			  ERA_BLOCK_SIZE - 4);
}

uint32_t block_syndrome(const void *data, enum block_kind kind)
{
	return checksum(data) ^ kinds[kind].salt ^ get_le32(data);
}

enum block_fault block_check(const void *data, enum block_kind kind,
			     uint64_t block)
{
	const uint8_t *p = data;

	if (block_syndrome(p, kind))
		return BLOCK_BAD_CHECKSUM;
	if (get_le64(p + kinds[kind].blocknr) != block)
		return BLOCK_MISPLACED;
	return BLOCK_GOOD;
}

bool block_is_zero(const void *data)
{
	const uint8_t *p = data;

	/* most blocks that are not differ at once */
	return !get_le64(p) && !memcmp(p, p + 8, ERA_BLOCK_SIZE - 8);
}

enum block_kind block_identify_anywhere(const void *data)
{
	uint32_t salt = checksum(data) ^ get_le32(data);

	for (int kind = 1; kind < BLOCK_NR_KINDS; kind++)
		if (kinds[kind].salt == salt)
			return (enum block_kind)kind;
	return BLOCK_UNKNOWN;
}

enum block_kind block_identify(const void *data, uint64_t block)
{
	const uint8_t *p = data;
	enum block_kind kind = block_identify_anywhere(data);

	if (kind && get_le64(p + kinds[kind].blocknr) != block)
		return BLOCK_UNKNOWN;
	return kind;
}

static const char unread[] = "dm-era-tools: this block could not be read\n";

void block_put_unread(void *data)
{
	memset(data, 0, ERA_BLOCK_SIZE);
	memcpy(data, unread, sizeof(unread));
}

bool block_is_unread(const void *data)
{
	uint8_t expected[ERA_BLOCK_SIZE];

	if (memcmp(data, unread, sizeof(unread)) != 0)
		return false;
	block_put_unread(expected);
	return !memcmp(data, expected, ERA_BLOCK_SIZE);
}

void block_seal(void *data, enum block_kind kind, uint64_t block)
{
	uint8_t *p = data;

	put_le64(p + kinds[kind].blocknr, block);
	put_le32(p, checksum(p) ^ kinds[kind].salt);
}

const char *block_kind_name(enum block_kind kind)
{
	return kinds[kind].name;
}
