/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many metadata blocks a device of a given geometry needs.
 */
#ifndef ERA_SIZE_H
#define ERA_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Blocks of metadata just written for nr_blocks data blocks with no writeset,
 * on a metadata device of nr_metadata_blocks.
 */
uint64_t era_size_minimum(uint32_t nr_blocks, uint64_t nr_metadata_blocks);

/* What the metadata of a device consists of. */
enum era_size_part {
	ERA_SIZE_SUPERBLOCK,
	ERA_SIZE_ERA_ARRAY,
	ERA_SIZE_WRITESET,
	ERA_SIZE_WRITESET_TREE,
	ERA_SIZE_SPACE_MAP,
	ERA_SIZE_NR_PARTS,
};

/*
 * The most blocks that dm-era can come to use at a time.
 *
 * A transaction copies what it changes before the old is free, so of all that
 * can change there are two: the era array, which a digest changes everywhere
 * within one transaction, the open writeset, the writeset tree, the space
 * map. A metadata snapshot keeps a third era array and tree, and the
 * writesets that were not digested when it was taken. Btree nodes count as a
 * third full, the least that the kernel leaves them (rebalance_children(),
 * dm-btree-remove.c).
 */
struct era_size {
	struct {
		uint64_t each;	 /* blocks of one */
		uint32_t copies; /* at a time */
	} parts[ERA_SIZE_NR_PARTS];
	uint64_t nr_blocks; /* of all; may exceed MAX_METADATA_BLOCKS */
};

/* For nr_eras eras not digested at a time; snapshot: one may be held. */
void era_size_worst_case(struct era_size *size, uint32_t nr_blocks,
			 uint32_t nr_eras, bool snapshot);

/* The worst case without a snapshot, cut to what dm-era can address. */
uint64_t era_size_recommended(uint32_t nr_blocks, uint32_t nr_eras);

#endif
