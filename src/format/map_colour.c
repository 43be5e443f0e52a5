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
	part = 320 + 704 * nr / (nr + counts[MAP_NEVER]);
	return mix(ground->never, written, part);
}

/*
 * How different two colours look. Hue counts more than its share of the
 * squares, for a faint red must not become the grey that means something else;
 * no more than that, for the dark blues of neighbouring eras must not become
 * one.
 */
static int difference(struct map_rgb a, struct map_rgb b)
{
	int red = a.r - b.r, green = a.g - b.g, blue = a.b - b.b;
	int light = (red + green + blue) / 3;

	red -= light;
	green -= light;
	blue -= light;
	return 2 * light * light + red * red + green * green + blue * blue;
}

/* Colour i of those behind the first 16: a cube of 6 by 6 by 6, then greys */
static struct map_rgb terminal_colour(unsigned int i)
{
	static const uint8_t levels[] = { 0, 95, 135, 175, 215, 255 };
	uint8_t grey;

	if (i < 216)
		return (struct map_rgb){ levels[i / 36], levels[i / 6 % 6],
					 levels[i % 6] };
	grey = (uint8_t)(8 + 10 * (i - 216));
	return (struct map_rgb){ grey, grey, grey };
}

unsigned int map_colour_256(struct map_rgb colour)
{
	unsigned int best = 0;
	int least = INT32_MAX;

	for (unsigned int i = 0; i < 240; i++) {
		int d = difference(colour, terminal_colour(i));

		if (d < least) {
			least = d;
			best = i;
		}
	}
	return 16 + best;
}
