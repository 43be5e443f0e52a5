/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sink of era_map: where and when a device was written, in a number of
 * cells that does not grow with it.
 *
 * Contract: each cell stands for the same power of two of data blocks (the
 * last one for what is left) and counts them by bins of eras. The bins follow
 * from the superblock alone, so that one pass does: an era each where they
 * are few, else by age, twice as many eras the older they are.
 */
#ifndef FORMAT_MAP_H
#define FORMAT_MAP_H

#include <stdbool.h>

#include "era/visitor.h"

#define MAP_MAX_BINS 16u
#define MAP_NEVER 0u /* the bin of blocks not known to be written */

struct map_bin {
	uint32_t first, last; /* eras */
	uint64_t nr_blocks;
	bool before; /* written, but before the first era of interest */
};

#define MAP_NR_FOUND 1024u

/* Era 0 is in bin 0, so all zero is true, too. */
struct map_found {
	uint32_t era;
	unsigned int bin;
};

struct map {
	struct era_visitor visitor; /* the sink */
	uint32_t max_cells;
	uint32_t since; /* first era of interest; 0: all */

	struct era_geometry geometry;
	struct map_bin bins[MAP_MAX_BINS]; /* never, then ascending */
	unsigned int nr_bins;
	uint32_t cell_blocks; /* data blocks of a cell */
	uint32_t nr_cells;
	uint32_t *counts;		      /* cell by cell, nr_bins each */
	struct map_found found[MAP_NR_FOUND]; /* by the era's remainder */
};

void map_init(struct map *map, uint32_t max_cells, uint32_t since);
void map_release(struct map *map);

/* The counts of a cell, by bin. */
static inline const uint32_t *map_cell(const struct map *map, uint32_t cell)
{
	return map->counts + (size_t)cell * map->nr_bins;
}

static inline uint64_t map_block_bytes(const struct map *map)
{
	return map->geometry.data_block_size * UINT64_C(512);
}

#endif
