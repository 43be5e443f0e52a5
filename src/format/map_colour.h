/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The colours of a map: blue for the oldest eras, over yellow, to red for the
 * youngest, which those who cannot tell red from green can tell apart; grey
 * for what was never written.
 */
#ifndef FORMAT_MAP_COLOUR_H
#define FORMAT_MAP_COLOUR_H

#include "format/map.h"

struct map_rgb {
	uint8_t r, g, b;
};

/* What lies behind: dark for terminals, light for paper. */
struct map_ground {
	struct map_rgb never;  /* not known to be written */
	struct map_rgb before; /* before the eras of interest */
};

extern const struct map_ground map_ground_dark;
extern const struct map_ground map_ground_light;

struct map_rgb map_bin_colour(const struct map *map,
			      const struct map_ground *ground,
			      unsigned int bin);

/*
 * The mean of the cell's blocks, in linear light: as they would look from
 * afar. What was written weighs a quarter at the least, so that a single block
 * does not vanish.
 */
struct map_rgb map_cell_colour(const struct map *map,
			       const struct map_ground *ground, uint32_t cell);

/* The nearest of the 240 colours that all terminals of 256 agree on. */
unsigned int map_colour_256(struct map_rgb colour);

static inline bool map_rgb_same(struct map_rgb a, struct map_rgb b)
{
	return a.r == b.r && a.g == b.g && a.b == b.b;
}

#endif
