/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The superblock of dm-era metadata (struct superblock_disk,
 * dm-era-target.c).
 */
#ifndef ERA_SUPERBLOCK_H
#define ERA_SUPERBLOCK_H

#include "era/visitor.h"
#include "pdata/btree.h"
#include "pdata/space_map.h"

#define ERA_SUPERBLOCK_LOCATION 0
#define ERA_SUPERBLOCK_MAGIC UINT64_C(2126579579)
#define ERA_SUPERBLOCK_MAGIC_AT 32 /* bytes into the block */
#define ERA_SUPERBLOCK_VERSION 1

/* What a pack begins with (doc/pack.md), where metadata has a superblock. */
#define PACK_MAGIC UINT64_C(0xa537a0aa6309ef77)

/* A value of the writeset tree: nr_bits (le32), root of the bitset (le64). */
#define ERA_WRITESET_VALUE_SIZE 12

struct era_superblock {
	uint64_t location; /* the block that it was read from */
	uint32_t flags;
	struct era_geometry geometry;
	struct space_map_root space_map;
	/* the open writeset; root 0: no writeset is open */
	uint32_t writeset_nr_bits;
	uint64_t writeset_root;
	uint64_t writeset_tree_root;
	uint64_t era_array_root;
	uint64_t metadata_snap; /* 0, or where the copy is */
};

/* Convert from and to the bytes of a block, without checks or checksum. */
void era_superblock_get(struct era_superblock *sb, const uint8_t *data);
void era_superblock_put(uint8_t *data, const struct era_superblock *sb);

/*
 * What is wrong with a block that should be the superblock at location: magic,
 * checksum, place, version, geometry. Returns one sentence, which may be in
 * buf, or NULL where nothing is wrong. Thin and cache metadata, XML, and a
 * restore that was cut short are named as such.
 */
const char *era_superblock_fault(const uint8_t *data, uint64_t location,
				 char *buf, size_t size);

bool era_superblock_has_magic(const uint8_t *data);

/* Whether era_superblock_invalidate() has written the block. */
bool era_superblock_is_unfinished(const uint8_t *data);

/*
 * Puts the fields of a damaged superblock at location right that the format
 * fixes, or that the kernel always leaves zero.
 */
void era_superblock_restore(uint8_t *data, uint64_t location);

/* Sets how many blocks the space map covers, and how many are in use. */
void era_superblock_put_totals(uint8_t *data, uint64_t nr_blocks,
			       uint64_t nr_allocated);

/*
 * Reads and checks the superblock at location. Reports what is wrong; returns
 * 0, or -EUCLEAN, or the errno of the read.
 */
int era_superblock_read(struct era_superblock *sb, struct era_device *device,
			uint64_t location, struct era_report *report);

/*
 * Whether device is shorter than the space map says, reported with severity. It
 * was then cut off, or is a copy that was cut off. What a newer history left
 * may have been in the part that is missing.
 */
bool era_superblock_is_cut_off(const struct era_superblock *sb,
			       const struct era_device *device,
			       enum era_severity severity,
			       struct era_report *report);

/*
 * Whether the space map claims more blocks than its format can count, reported
 * as fatal.
 */
bool era_superblock_is_too_long(const struct era_superblock *sb,
				struct era_report *report);

/*
 * Writes and flushes a superblock that holds the magic, a readable note and a
 * checksum that cannot match, so that neither the kernel nor a reader takes the
 * device for whole or for empty.
 */
int era_superblock_invalidate(struct era_device *device);

/*
 * The commit point of every writer: flushes what was written before, writes the
 * superblock to its location and flushes again.
 */
int era_superblock_commit(struct era_device *device,
			  const struct era_superblock *sb);

#endif
