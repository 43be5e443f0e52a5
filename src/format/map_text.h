/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A map for a terminal: the cells with an axis in bytes on the left, the
 * histogram of eras, which is the legend too, on the right.
 *
 * With colours a character is a cell, or two in UTF-8 (half blocks). Without,
 * it is a letter: the youngest era that has the most of the cell's blocks,
 * upper case where at least half of the cell was written.
 */
#ifndef FORMAT_MAP_TEXT_H
#define FORMAT_MAP_TEXT_H

#include "format/map.h"
#include "format/output.h"

enum map_colours {
	MAP_NO_COLOURS,
	MAP_256_COLOURS,
	MAP_TRUE_COLOURS,
};

struct map_text_style {
	enum map_colours colours;
	bool utf8;
	unsigned int width;  /* columns of the terminal */
	unsigned int height; /* rows for the cells, at most */
};

#define MAP_TEXT_MIN_WIDTH 40
#define MAP_TEXT_MAX_WIDTH 400
#define MAP_TEXT_MAX_HEIGHT 200

/* How many cells a style has room for. */
uint32_t map_text_max_cells(const struct map_text_style *style);

/* name: the device's; what is no printable ASCII in it is printed as '?'.
 * Returns 0 or what out says. */
int map_text_write(const struct map *map, const char *name,
		   const struct map_text_style *style, struct output *out);

#endif
