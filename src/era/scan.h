/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The role of every block of a metadata device, reachable or not: what the
 * block is by itself. Whatever does not trust the superblock begins with a
 * scan.
 */
#ifndef ERA_SCAN_H
#define ERA_SCAN_H

#include "pdata/btree.h"

enum era_role {
	ROLE_ZERO,	 /* all zero: most likely never written */
	ROLE_UNREADABLE, /* the device does not give it */
	ROLE_FORMER,	 /* sound, of an earlier life (history/former.h) */
	ROLE_UNKNOWN,	 /* damaged or foreign */
	ROLE_SUPERBLOCK, /* the superblock or a metadata snapshot's copy */
	ROLE_INTERNAL,	 /* btree node with children */
	ROLE_COUNTS,	 /* btree leaf of 4-byte values: ref counts */
	ROLE_POINTERS,	 /* btree leaf of 8-byte values: an array's */
	ROLE_WRITESETS,	 /* btree leaf of 12-byte values: writeset tree's */
	ROLE_ERAS,	 /* array block of 4-byte values */
	ROLE_WORDS,	 /* array block of 8-byte values */
	ROLE_INDEX,	 /* of a space map */
	ROLE_BITMAP,	 /* of a space map */
	ROLE_UNREAD,	 /* until the scan is finished */
};

/*
 * The role of the contents of a block whose number is block: ROLE_ZERO where
 * they are all zero, ROLE_UNKNOWN where they are not sound.
 */
enum era_role era_role_of(const uint8_t *data, uint64_t block);

struct era_scan {
	struct era_device *device;
	uint64_t nr_blocks;
	uint8_t *roles; /* enum era_role of each block */
	struct block_set unreadable;
	uint64_t nr_unreadable;
	bool told; /* some roles were told and not read */
	/* what the device held before this scan, to be put back at its end */
	const uint64_t *known_before;
	int surprise_before;
};

/*
 * Reads the whole device once. After that, a read that fails at a block that
 * the scan could read is a surprise (device.h). Returns 0 or -ENOMEM.
 */
int era_scan_init(struct era_scan *scan, struct era_device *device);

/*
 * The same in steps, for a caller that reads most of the device anyway. After
 * the start the caller tells the roles of the blocks that it has read and
 * checked; the finish reads the other blocks.
 */
int era_scan_start(struct era_scan *scan, struct era_device *device);
int era_scan_finish(struct era_scan *scan);

static inline void era_scan_tell(struct era_scan *scan, uint64_t block,
				 enum era_role role)
{
	if (block < scan->nr_blocks)
		scan->roles[block] = (uint8_t)role;
}

void era_scan_release(struct era_scan *scan);

static inline enum era_role era_scan_role(const struct era_scan *scan,
					  uint64_t block)
{
	return block < scan->nr_blocks ? (enum era_role)scan->roles[block]
				       : ROLE_UNKNOWN;
}

/* Whether blocks of this role have the right checksum. */
static inline bool era_role_is_sound(enum era_role role)
{
	return role > ROLE_UNKNOWN && role < ROLE_UNREAD;
}

static inline bool era_role_is_node(enum era_role role)
{
	return role >= ROLE_INTERNAL && role <= ROLE_WRITESETS;
}

/*
 * Reads a block and checks that its role is still that of the scan, for nothing
 * keeps a device from changing in between. Returns 0, the errno of the read, or
 * -ESTALE where the role is another one. Each error is a surprise.
 */
int era_scan_read(const struct era_scan *scan, uint64_t block, void *data);

/*
 * Calls fn with each block of this role and its contents, in ascending order,
 * but for the blocks of skip, which may be NULL. Stops at the first non-zero
 * result of fn and returns it.
 */
int era_scan_each(const struct era_scan *scan, enum era_role role,
		  const struct block_set *skip,
		  int (*fn)(void *arg, uint64_t block, const uint8_t *data),
		  void *arg);

#endif
