/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which era a cell of several shows. A mixture of their colours would be one
 * that no legend has, so that a device written all over looks like nothing in
 * particular; here each cell shows one of its eras, more often those of which
 * it has more, and many cells together show all in their proportions.
 */
#ifndef FORMAT_MAP_DITHER_H
#define FORMAT_MAP_DITHER_H

#include "format/map.h"

/*
 * The bin that a cell in a grid of so many columns shows: of the eras that it
 * holds, each by its share, the youngest by an eighth at the least, so that it
 * does not get lost among many. Never only where nothing is written.
 */
unsigned int map_cell_bin(const struct map *map, uint32_t cell,
			  uint32_t columns);

/*
 * The same for pictures that cannot show how much of a cell is written: every
 * other cell of which less than half is written shows MAP_NEVER, where the one
 * beside it shows that something is.
 */
unsigned int map_cell_bin_or_never(const struct map *map, uint32_t cell,
				   uint32_t columns);

/* Blocks of a cell that were written. */
uint64_t map_cell_written(const struct map *map, uint32_t cell);

#endif
