/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing a space map from reference counts.
 */
#ifndef PDATA_SPACE_MAP_BUILD_H
#define PDATA_SPACE_MAP_BUILD_H

#include "pdata/btree_build.h"
#include "pdata/space_map.h"

/*
 * Writes bitmaps, index and ref-count tree for what the allocator counts,
 * its own blocks included; nothing may be allocated afterwards. Counts are
 * for nr_blocks, at most MAX_METADATA_BLOCKS. root->bitmap_root: the index
 * where it is allocated already, else 0.
 */
int space_map_build(struct block_allocator *allocator,
		    struct block_writer *writer, uint64_t nr_blocks,
		    struct space_map_root *root);

/* Blocks that a space map for nr_blocks takes, no count being above 2. */
uint64_t space_map_build_nr_blocks(uint64_t nr_blocks);

#endif
