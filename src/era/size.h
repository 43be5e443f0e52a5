/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many metadata blocks a device of a given geometry needs.
 */
#ifndef ERA_SIZE_H
#define ERA_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The number of blocks in use of metadata that was just written, for nr_blocks
 * data blocks and with no writeset, on a metadata device of nr_metadata_blocks.
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
 * A transaction copies a block that it changes, and the old block is free only
 * after the commit. So everything that can change is there twice: the era
 * array, which a digest changes everywhere within one transaction, the open
 * writeset, the writeset tree and the space map. A metadata snapshot keeps a
 * third era array and writeset tree, and the writesets that were not digested
 * when it was taken. Btree nodes count as a third full, the least that the
 * kernel leaves them (rebalance_children(), dm-btree-remove.c).
 */
struct era_size {
	struct {
		uint64_t each;	 /* blocks of one copy */
		uint32_t copies; /* at the same time */
	} parts[ERA_SIZE_NR_PARTS];
	uint64_t nr_blocks; /* in all; may exceed MAX_METADATA_BLOCKS */
};

/* nr_eras: eras that may wait to be digested at the same time. snapshot: a
 * metadata snapshot may be held. */
void era_size_worst_case(struct era_size *size, uint32_t nr_blocks,
			 uint32_t nr_eras, bool snapshot);

/* The worst case without a snapshot, cut to what dm-era can address. */
uint64_t era_size_recommended(uint32_t nr_blocks, uint32_t nr_eras);

#endif
