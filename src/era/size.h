/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many metadata blocks a device of a given geometry needs.
 */
#ifndef ERA_SIZE_H
#define ERA_SIZE_H

#include <stdint.h>

/*
 * Blocks of metadata just written for nr_blocks data blocks with no writeset,
 * on a metadata device of nr_metadata_blocks.
 */
uint64_t era_size_minimum(uint32_t nr_blocks, uint64_t nr_metadata_blocks);

/*
 * Blocks that dm-era can come to use with nr_eras eras not yet digested: the
 * era array and the space map twice, for a transaction copies what it
 * changes before the old is free; a bitset for each era, and two more for
 * the open one and its copy.
 */
uint64_t era_size_recommended(uint32_t nr_blocks, uint32_t nr_eras);

#endif
