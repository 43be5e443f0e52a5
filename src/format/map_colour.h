/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The colours of a map, one scale whose light rises with the era: from blue
 * for the oldest, over green, to yellow for the youngest, which all who see
 * colours otherwise can tell apart; dark grey for what was never written.
 */
#ifndef FORMAT_MAP_COLOUR_H
#define FORMAT_MAP_COLOUR_H

#include "format/map.h"

struct map_rgb {
	uint8_t r, g, b;
};

struct map_rgb map_bin_colour(const struct map *map, unsigned int bin);

/* The same for terminals of 256 colours. */
unsigned int map_bin_colour_256(const struct map *map, unsigned int bin);

#endif
