/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordered dithering: whether a cell shows this era or that depends on its
 * place alone, so that the same metadata is the same picture.
 */
#include "config.h"

#include "format/map_dither.h"

#define LEAST_PART 8 /* of a cell, of its youngest era: an eighth */

/*
 * A threshold for each place, in parts of 2^32, even over all and over each
 * neighbourhood: multiples of 1/g and 1/g^2, where g^3 = g + 1 (the sequence
 * R2 of Martin Roberts).
 */
static uint32_t threshold(uint32_t x, uint32_t y)
{
	return x * 3242174889u + y * 2447445414u;
}

uint64_t map_cell_written(const struct map *map, uint32_t cell)
{
	const uint32_t *counts = map_cell(map, cell);
	uint64_t nr = 0;

	for (unsigned int bin = 1; bin < map->nr_bins; bin++)
		nr += counts[bin];
	return nr;
}

unsigned int map_cell_bin(const struct map *map, uint32_t cell,
			  uint32_t columns)
{
	const uint32_t *counts = map_cell(map, cell);
	uint64_t nr = map_cell_written(map, cell), so_far, at;
	unsigned int bin = map->nr_bins;

	if (!nr)
		return MAP_NEVER;
	while (!counts[--bin])
		;
	at = (uint64_t)threshold(cell % columns, cell / columns) * nr >> 32;
	so_far = counts[bin];
	if (so_far < nr / LEAST_PART)
		so_far = nr / LEAST_PART;
	if (at < so_far)
		return bin;
	/* what the youngest has more than its share is the others' loss */
	for (so_far = counts[bin--]; bin > MAP_NEVER; bin--) {
		so_far += counts[bin];
		if (at < so_far)
			return bin;
	}
	return MAP_NEVER; /* not reached: at < nr */
}

/* Whether at least half of a cell is written. */
static bool is_half_written(const struct map *map, uint32_t cell)
{
	return map_cell_written(map, cell) >= map_cell(map, cell)[MAP_NEVER];
}

unsigned int map_cell_bin_or_never(const struct map *map, uint32_t cell,
				   uint32_t columns)
{
	uint32_t x = cell % columns, y = cell / columns;

	/* as the squares of a chess board: the pair of cells shows one */
	if (x % 2 == y % 2 && !is_half_written(map, cell)) {
		uint32_t beside = x % 2 ? cell - 1 : cell + 1;

		if (beside < map->nr_cells && beside / columns == y &&
		    map_cell_written(map, beside))
			return MAP_NEVER;
	}
	return map_cell_bin(map, cell, columns);
}
