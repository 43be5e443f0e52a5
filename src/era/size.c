/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arithmetic of metadata sizes.
 */
#include "config.h"

#include "era/size.h"
#include "era/superblock.h"
#include "pdata/array_build.h"
#include "pdata/space_map_build.h"

uint64_t era_size_minimum(uint32_t nr_blocks, uint64_t nr_metadata_blocks)
{
	return 1 + array_build_nr_blocks(nr_blocks, 4) +
	       btree_build_nr_nodes(0, ERA_WRITESET_VALUE_SIZE) +
	       space_map_build_nr_blocks(nr_metadata_blocks);
}

/* The most nodes that a btree of nr_entries can have. */
static uint64_t most_nodes(uint64_t nr_entries, uint32_t value_size)
{
	uint64_t nr = nr_entries, total = 0;
	uint32_t least = node_max_entries(value_size) / 3;

	do {
		nr = nr > least ? nr / least : 1;
		total += nr;
		least = node_max_entries(8) / 3;
	} while (nr > 1);
	return total;
}

static uint64_t most_array_blocks(uint64_t nr_values, uint32_t value_size)
{
	uint32_t max = array_max_entries(value_size);
	uint64_t nr = (nr_values + max - 1) / max;

	return nr + most_nodes(nr, 8);
}

/* Index, ref-count tree and bitmaps, for a device that holds them too. */
static uint64_t space_map_blocks(uint64_t nr_others, uint32_t copies)
{
	uint64_t nr = 2, before;

	do {
		before = nr;
		nr = 2 + space_map_nr_bitmaps(nr_others + copies * before);
	} while (nr != before);
	return nr;
}

void era_size_worst_case(struct era_size *size, uint32_t nr_blocks,
			 uint32_t nr_eras, bool snapshot)
{
	uint64_t bitset = most_array_blocks(era_nr_words(nr_blocks), 8);
	uint64_t nr_sets = (uint64_t)nr_eras * (snapshot ? 2 : 1) + 2;

	*size = (struct era_size){ .nr_blocks = 0 };
	size->parts[ERA_SIZE_SUPERBLOCK].each = 1;
	size->parts[ERA_SIZE_SUPERBLOCK].copies = snapshot ? 2 : 1;
	size->parts[ERA_SIZE_ERA_ARRAY].each = most_array_blocks(nr_blocks, 4);
	size->parts[ERA_SIZE_ERA_ARRAY].copies = snapshot ? 3 : 2;
	size->parts[ERA_SIZE_WRITESET].each = bitset;
	size->parts[ERA_SIZE_WRITESET].copies =
		nr_sets < UINT32_MAX ? (uint32_t)nr_sets : UINT32_MAX;
	size->parts[ERA_SIZE_WRITESET_TREE].each =
		most_nodes(nr_eras, ERA_WRITESET_VALUE_SIZE);
	size->parts[ERA_SIZE_WRITESET_TREE].copies = snapshot ? 3 : 2;
	for (int i = 0; i < ERA_SIZE_SPACE_MAP; i++)
		size->nr_blocks += size->parts[i].each * size->parts[i].copies;
	size->parts[ERA_SIZE_SPACE_MAP].copies = 2;
	size->parts[ERA_SIZE_SPACE_MAP].each =
		space_map_blocks(size->nr_blocks, 2);
	size->nr_blocks += 2 * size->parts[ERA_SIZE_SPACE_MAP].each;
}

uint64_t era_size_recommended(uint32_t nr_blocks, uint32_t nr_eras)
{
	struct era_size size;

	era_size_worst_case(&size, nr_blocks, nr_eras, false);
	return size.nr_blocks < MAX_METADATA_BLOCKS ? size.nr_blocks
						    : MAX_METADATA_BLOCKS;
}
