/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mixing the colours of a map in whole numbers; light is taken as the square
 * of a component.
 */
#include "config.h"

#include "format/map_colour.h"

/* What lies behind the cells. */
static const struct map_rgb never = { 0x2c, 0x2c, 0x32 };
static const struct map_rgb before = { 0x5c, 0x5c, 0x66 };

/*
 * From the oldest to the youngest, at even distances: like viridis, whose light
 * rises all the way, without its darkest end, which would be lost on the ground.
 */
static const struct map_rgb scale[] = {
	{ 0x4a, 0x46, 0xa8 }, { 0x31, 0x68, 0x9e }, { 0x26, 0x84, 0x8e },
	{ 0x1f, 0xa0, 0x88 }, { 0x35, 0xb7, 0x79 }, { 0x6e, 0xce, 0x58 },
	{ 0xb5, 0xde, 0x2b }, { 0xfd, 0xe7, 0x25 },
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

/* The first bin of the eras of interest. */
static unsigned int first_bin(const struct map *map)
{
	return map->nr_bins > 1 && map->bins[1].before ? 2 : 1;
}

struct map_rgb map_bin_colour(const struct map *map, unsigned int bin)
{
	unsigned int first = first_bin(map), nr = map->nr_bins - first;
	uint32_t at;

	if (bin == MAP_NEVER)
		return never;
	if (bin < first)
		return before;
	/* the youngest is yellow, how many there ever are */
	at = nr > 1 ? (uint32_t)((bin - first) * NR_STEPS * 1024 / (nr - 1))
		    : (uint32_t)(NR_STEPS * 1024);
	if (at / 1024 == NR_STEPS)
		return scale[NR_STEPS];
	return mix(scale[at / 1024], scale[at / 1024 + 1], at % 1024);
}

/*
 * Of the 240 colours that all terminals of 256 agree on, a cube of 6 by 6 by 6
 * from 16 on and greys from 232 on: the scale's way through the cube, whose
 * light rises, too, and that has one for each bin that there can be.
 */
unsigned int map_bin_colour_256(const struct map *map, unsigned int bin)
{
	static const uint8_t way[] = { 25, 61, 62, 30,	31,  36,  71, 72,
				       42, 77, 113, 149, 184, 220, 226 };
	const unsigned int last = sizeof(way) - 1;
	unsigned int first = first_bin(map), nr = map->nr_bins - first;

	if (bin == MAP_NEVER)
		return 236;
	if (bin < first)
		return 242;
	return way[nr > 1 ? (bin - first) * last / (nr - 1) : last];
}
