/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arithmetic of metadata sizes.
 */
#include "config.h"

#include "era/size.h"
#include "era/visitor.h"
#include "pdata/array_build.h"
#include "pdata/space_map_build.h"

#define WRITESET_VALUE_SIZE 12

uint64_t era_size_minimum(uint32_t nr_blocks, uint64_t nr_metadata_blocks)
{
	return 1 + array_build_nr_blocks(nr_blocks, 4) +
	       btree_build_nr_nodes(0, WRITESET_VALUE_SIZE) +
	       space_map_build_nr_blocks(nr_metadata_blocks);
}

uint64_t era_size_recommended(uint32_t nr_blocks, uint32_t nr_eras)
{
	uint64_t bitset = array_build_nr_blocks(era_nr_words(nr_blocks), 8);
	uint64_t nr = 1 + 2 * array_build_nr_blocks(nr_blocks, 4) +
		      ((uint64_t)nr_eras + 2) * bitset +
		      2 * btree_build_nr_nodes(nr_eras, WRITESET_VALUE_SIZE);
	uint64_t all = nr + 2 * space_map_build_nr_blocks(nr);

	return all < MAX_METADATA_BLOCKS ? all : MAX_METADATA_BLOCKS;
}
