/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mixing the colours of a map in whole numbers; light is taken as the square
 * of a component.
 */
#include "config.h"

#include "format/map_colour.h"

const struct map_ground map_ground_dark = {
	.never = { 0x2c, 0x2c, 0x32 },
	.before = { 0x5c, 0x5c, 0x66 },
};

const struct map_ground map_ground_light = {
	.never = { 0xec, 0xec, 0xf0 },
	.before = { 0xc4, 0xc6, 0xce },
};

/* From the oldest to the youngest, at even distances. */
static const struct map_rgb scale[] = {
	{ 0x2c, 0x50, 0xa8 }, { 0x4a, 0x8f, 0xc7 }, { 0x98, 0xca, 0xe1 },
	{ 0xfe, 0xda, 0x8b }, { 0xf6, 0x7e, 0x4b }, { 0xc8, 0x10, 0x2e },
};

#define NR_STEPS (sizeof(scale) / sizeof(*scale) - 1)

static uint32_t square(uint32_t v)
{
	return v * v;
}

static uint8_t square_root(uint64_t v)
{
	uint32_t low = 0, high = 255;

	while (low < high) {
		uint32_t middle = (low + high + 1) / 2;

		if ((uint64_t)square(middle) <= v)
			low = middle;
		else
			high = middle - 1;
	}
	return (uint8_t)low;
}

/* a and b in parts of 1024 */
static struct map_rgb mix(struct map_rgb a, struct map_rgb b, uint64_t part)
{
	uint64_t rest = 1024 - part;

	return (struct map_rgb){
		square_root((square(a.r) * rest + square(b.r) * part) / 1024),
		square_root((square(a.g) * rest + square(b.g) * part) / 1024),
		square_root((square(a.b) * rest + square(b.b) * part) / 1024),
	};
}

struct map_rgb map_bin_colour(const struct map *map,
			      const struct map_ground *ground, unsigned int bin)
{
	unsigned int first = map->nr_bins > 1 && map->bins[1].before ? 2 : 1;
	unsigned int nr = map->nr_bins - first;
	uint32_t at;

	if (bin == MAP_NEVER)
		return ground->never;
	if (bin < first)
		return ground->before;
	/* the youngest is red, how many there ever are */
	at = nr > 1 ? (uint32_t)((bin - first) * NR_STEPS * 1024 / (nr - 1))
		    : (uint32_t)(NR_STEPS * 1024);
	if (at / 1024 == NR_STEPS)
		return scale[NR_STEPS];
	return mix(scale[at / 1024], scale[at / 1024 + 1], at % 1024);
}

struct map_rgb map_cell_colour(const struct map *map,
			       const struct map_ground *ground, uint32_t cell)
{
	const uint32_t *counts = map_cell(map, cell);
	uint64_t r = 0, g = 0, b = 0, nr = 0, part;
	struct map_rgb written;

	for (unsigned int bin = 1; bin < map->nr_bins; bin++) {
		struct map_rgb c = map_bin_colour(map, ground, bin);

		r += (uint64_t)square(c.r) * counts[bin];
		g += (uint64_t)square(c.g) * counts[bin];
		b += (uint64_t)square(c.b) * counts[bin];
		nr += counts[bin];
	}
	if (!nr)
		return ground->never;
	written = (struct map_rgb){ square_root(r / nr), square_root(g / nr),
				    square_root(b / nr) };
	part = 256 + 768 * nr / (nr + counts[MAP_NEVER]);
	return mix(ground->never, written, part);
}

static unsigned int distance(struct map_rgb a, int r, int g, int b)
{
	return (unsigned int)((a.r - r) * (a.r - r) + (a.g - g) * (a.g - g) +
			      (a.b - b) * (a.b - b));
}

static unsigned int cube_step(uint8_t v)
{
	return v < 48 ? 0 : v < 115 ? 1 : (v - 35u) / 40;
}

/* How far a colour is from grey. */
static int saturation(struct map_rgb c)
{
	int most = c.r > c.g ? c.r : c.g, least = c.r < c.g ? c.r : c.g;

	most = most > c.b ? most : c.b;
	least = least < c.b ? least : c.b;
	return most - least;
}

/*
 * A faint colour must not become grey, which means something else: it loses
 * its darkest component instead.
 */
unsigned int map_colour_256(struct map_rgb c)
{
	static const uint8_t levels[] = { 0, 95, 135, 175, 215, 255 };
	unsigned int r = cube_step(c.r), g = cube_step(c.g), b = cube_step(c.b);
	int mean = (c.r + c.g + c.b) / 3;
	unsigned int grey = mean < 8 ? 0 : mean > 238 ? 23 : (mean - 3u) / 10;
	int level = 8 + 10 * (int)grey;

	if (saturation(c) > 24 && r == g && g == b && r) {
		r -= c.r <= c.g && c.r <= c.b;
		g -= c.g < c.r && c.g <= c.b;
		b -= c.b < c.r && c.b < c.g;
	} else if (saturation(c) <= 24 &&
		   distance(c, level, level, level) <
			   distance(c, levels[r], levels[g], levels[b])) {
		return 232 + grey;
	}
	return 16 + 36 * r + 6 * g + b;
}
