/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sorting data blocks into cells and bins.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "era/group.h"
#include "format/map.h"

/*
 * Bins from first to last, the youngest last: one era each, or, where that is
 * too many, of 1, 1, 2, 4, 8... eras back in time, the oldest of all the rest.
 */
static void add_ages(struct map *map, uint32_t first, uint32_t last)
{
	unsigned int room = MAP_MAX_BINS - map->nr_bins, nr = 0;
	uint64_t nr_eras = (uint64_t)last - first + 1, end, width = 1;
	struct map_bin bins[MAP_MAX_BINS];
	bool doubling = nr_eras > room;

	for (end = (uint64_t)last + 1; end > first; end -= width) {
		if (doubling && nr >= 2)
			width *= 2;
		if (nr + 1 == room || width > end - first)
			width = end - first;
		bins[nr++] = (struct map_bin){
			.first = (uint32_t)(end - width),
			.last = (uint32_t)(end - 1),
		};
	}
	while (nr)
		map->bins[map->nr_bins++] = bins[--nr];
}

static void set_bins(struct map *map)
{
	uint32_t current = map->geometry.current_era;
	uint32_t first = map->since ? map->since : 1;

	map->nr_bins = 1; /* never */
	if (first > 1)
		map->bins[map->nr_bins++] = (struct map_bin){ .first = 1,
							      .last = first - 1,
							      .before = true };
	if (first <= current)
		add_ages(map, first, current);
}

static unsigned int find_bin(const struct map *map, uint32_t era)
{
	unsigned int bin = map->nr_bins - 1;

	while (bin && map->bins[bin].first > era)
		bin--;
	return bin;
}

/* The same, with what was found last for each place kept. */
static inline unsigned int bin_of(struct map *map, uint32_t era)
{
	struct map_found *found = &map->found[era % MAP_NR_FOUND];

	if (found->era != era) {
		found->era = era;
		found->bin = find_bin(map, era);
	}
	return found->bin;
}

static int on_superblock(struct era_visitor *visitor,
			 const struct era_geometry *geometry)
{
	struct map *map = (struct map *)visitor;
	uint32_t nr = geometry->nr_blocks;

	map->geometry = *geometry;
	set_bins(map);
	map->cell_blocks = 1;
	while ((uint64_t)map->cell_blocks * map->max_cells < nr)
		map->cell_blocks *= 2;
	map->nr_cells = nr / map->cell_blocks + !!(nr % map->cell_blocks);
	map->counts = calloc((size_t)map->nr_cells * map->nr_bins + 1,
			     sizeof(*map->counts));
	return map->counts ? 0 : -ENOMEM;
}

/* Eras of blocks of one cell. */
static void count_eras(struct map *map, uint32_t *counts, const uint32_t *eras,
		       size_t nr)
{
	size_t i = 0;

	while (i < nr) {
		if (nr - i >= ERA_GROUP && era_group_is_one(eras + i)) {
			counts[bin_of(map, eras[i])] += ERA_GROUP;
			i += ERA_GROUP;
			continue;
		}
		for (size_t end = nr - i < ERA_GROUP ? nr : i + ERA_GROUP;
		     i < end; i++)
			counts[bin_of(map, eras[i])]++;
	}
}

static int on_eras(struct era_visitor *visitor, uint32_t first_block,
		   const uint32_t *eras, size_t nr)
{
	struct map *map = (struct map *)visitor;
	uint32_t per = map->cell_blocks;

	for (size_t i = 0, end; i < nr; i = end) {
		uint64_t block = first_block + i;
		size_t cell = (size_t)(block / per);

		end = i + (size_t)(per - block % per);
		if (end > nr)
			end = nr;
		count_eras(map, map->counts + cell * map->nr_bins, eras + i,
			   end - i);
	}
	return 0;
}

static int on_end(struct era_visitor *visitor)
{
	struct map *map = (struct map *)visitor;

	for (uint32_t cell = 0; cell < map->nr_cells; cell++)
		for (unsigned int bin = 0; bin < map->nr_bins; bin++)
			map->bins[bin].nr_blocks += map_cell(map, cell)[bin];
	return 0;
}

void map_init(struct map *map, uint32_t max_cells, uint32_t since)
{
	/* a folded visit has no writesets */
	*map = (struct map){
		.visitor = { .superblock = on_superblock,
			     .eras = on_eras,
			     .end = on_end },
		.max_cells = max_cells ? max_cells : 1,
		.since = since,
	};
}

void map_release(struct map *map)
{
	free(map->counts);
	map->counts = NULL;
}
