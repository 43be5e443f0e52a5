/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A map as a picture (SVG 1.1, no script, no font or image from elsewhere):
 * the cells with an axis in bytes on the left, the histogram of eras, which
 * is the legend too, on the right. Names of rows and bars show on hovering.
 */
#ifndef FORMAT_MAP_SVG_H
#define FORMAT_MAP_SVG_H

#include "format/map.h"
#include "format/output.h"

#define MAP_SVG_MAX_CELLS (128u * 128u)

/* name: the device's; what is no printable ASCII in it is printed as '?'.
 * Returns 0 or what out says. */
int map_svg_write(const struct map *map, const char *name, struct output *out);

#endif
