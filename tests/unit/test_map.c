/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a map counts of the eras that it is given, whatever the batches.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "format/map.h"

TestSuite(map, .timeout = 60);

#define NR_BLOCKS 163000u
#define NR_CELLS 40u

/* In runs of all lengths and one by one, of 16 eras. */
static void spread_eras(uint32_t *eras)
{
	for (uint32_t i = 0, end; i < NR_BLOCKS; i = end) {
		uint32_t era =
			(uint32_t)rand() % 8 * 1024 + (uint32_t)rand() % 2;

		end = i + 1 + (rand() % 3 ? 0 : (uint32_t)rand() % 60);
		end = end < NR_BLOCKS ? end : NR_BLOCKS;
		for (uint32_t k = i; k < end; k++)
			eras[k] = era;
	}
}

static int drive(struct era_visitor *visitor, const uint32_t *eras)
{
	const struct era_geometry geometry = { .data_block_size = 128,
					       .nr_blocks = NR_BLOCKS,
					       .current_era = 9000 };
	int r = visitor->superblock(visitor, &geometry);

	for (uint32_t b = 0, step; b < NR_BLOCKS && !r; b += step) {
		step = 1 + (uint32_t)rand() % 3000;
		step = step < NR_BLOCKS - b ? step : NR_BLOCKS - b;
		r = visitor->eras(visitor, b, eras + b, step);
	}
	return r ? r : visitor->end(visitor);
}

static unsigned int bin_that_has(const struct map *map, uint32_t era)
{
	for (unsigned int bin = 1; bin < map->nr_bins; bin++)
		if (era >= map->bins[bin].first && era <= map->bins[bin].last)
			return bin;
	return 0;
}

Test(map, counts_each_block_in_its_cell_and_bin)
{
	static uint32_t eras[NR_BLOCKS];
	static uint32_t counts[NR_CELLS][MAP_MAX_BINS];
	uint64_t sums[MAP_MAX_BINS] = { 0 };
	struct map map;

	srand(11);
	spread_eras(eras);
	map_init(&map, NR_CELLS, 0);
	cr_assert_eq(drive(&map.visitor, eras), 0);
	cr_assert_leq(map.nr_cells, NR_CELLS);
	for (uint32_t i = 0; i < NR_BLOCKS; i++) {
		unsigned int bin = bin_that_has(&map, eras[i]);

		counts[i / map.cell_blocks][bin]++;
		sums[bin]++;
	}
	for (unsigned int bin = 0; bin < map.nr_bins; bin++) {
		cr_assert_eq(map.bins[bin].nr_blocks, sums[bin]);
		for (uint32_t cell = 0; cell < map.nr_cells; cell++)
			cr_assert_eq(map_cell(&map, cell)[bin],
				     counts[cell][bin]);
	}
	map_release(&map);
}
