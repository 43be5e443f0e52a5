/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rectangles and text.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "format/human_size.h"
#include "format/map_colour.h"
#include "format/map_dither.h"
#include "format/map_svg.h"

/* All in pixels. */
#define MARGIN 24
#define TITLE_HEIGHT 76
#define AXIS_WIDTH 64
#define CELLS_WIDTH 512
#define CELLS_X (MARGIN + AXIS_WIDTH)
#define CELLS_Y (MARGIN + TITLE_HEIGHT)
#define BINS_X (CELLS_X + CELLS_WIDTH + 32)
#define BIN_LABEL_WIDTH 104
#define BIN_HEIGHT 24
#define BAR_X (BINS_X + BIN_LABEL_WIDTH + 8)
#define BAR_WIDTH 152
#define WIDTH (BAR_X + BAR_WIDTH + 72 + MARGIN)
#define LABEL_HEIGHT 20 /* the least distance of labels on the axis */
#define MIN_COLUMNS 8

struct svg {
	const struct map *map;
	struct output *out;
	uint32_t columns;
	uint32_t nr_rows;
	uint32_t cell_size; /* pixels */
};

static int put(struct svg *svg, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int put(struct svg *svg, const char *fmt, ...)
{
	char buf[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	return output_puts(svg->out, buf);
}

static void put_name(struct svg *svg, const char *name)
{
	for (const char *p = name; *p; p++) {
		if (*p < ' ' || *p > '~')
			put(svg, "?");
		else if (*p == '<' || *p == '>' || *p == '&')
			put(svg, "&#%d;", *p);
		else
			put(svg, "%c", *p);
	}
}

/* About as high as it is wide, in columns that offsets are easy to read by. */
static void set_grid(struct svg *svg)
{
	uint64_t nr = svg->map->nr_cells;

	svg->columns = MIN_COLUMNS;
	while ((uint64_t)svg->columns * svg->columns < nr)
		svg->columns *= 2;
	svg->nr_rows = (uint32_t)((nr + svg->columns - 1) / svg->columns);
	svg->cell_size = CELLS_WIDTH / svg->columns;
}

static uint64_t row_bytes(const struct svg *svg, uint64_t row)
{
	uint64_t block = row * svg->columns * svg->map->cell_blocks;

	if (block > svg->map->geometry.nr_blocks)
		block = svg->map->geometry.nr_blocks;
	return block * map_block_bytes(svg->map);
}

static uint32_t height(const struct svg *svg)
{
	uint32_t cells = svg->nr_rows * svg->cell_size + LABEL_HEIGHT;
	uint32_t bins = (svg->map->nr_bins + 1) * BIN_HEIGHT;

	return CELLS_Y + (cells < bins ? bins : cells) + MARGIN;
}

static void put_head(struct svg *svg, const char *name)
{
	const struct era_geometry *geometry = &svg->map->geometry;
	uint64_t size = map_block_bytes(svg->map);
	char all[HUMAN_SIZE_MAX], block[HUMAN_SIZE_MAX], cell[HUMAN_SIZE_MAX];

	put(svg,
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" "
	    "width=\"%d\" height=\"%" PRIu32 "\" viewBox=\"0 0 %d %" PRIu32
	    "\" font-family=\"DejaVu Sans, sans-serif\" font-size=\"12\" "
	    "fill=\"#24242c\">\n<title>",
	    WIDTH, height(svg), WIDTH, height(svg));
	put_name(svg, name);
	put(svg,
	    "</title>\n<rect width=\"100%%\" height=\"100%%\" "
	    "fill=\"#ffffff\"/>\n"
	    "<text x=\"%d\" y=\"%d\" font-size=\"18\" "
	    "font-weight=\"bold\">",
	    MARGIN, MARGIN + 16);
	put_name(svg, name);
	put(svg,
	    "</text>\n<text x=\"%d\" y=\"%d\">%s in %" PRIu32
	    " blocks of %s, current era %" PRIu32 "</text>\n",
	    MARGIN, MARGIN + 38, human_size(all, geometry->nr_blocks * size),
	    geometry->nr_blocks, human_size(block, size),
	    geometry->current_era);
	put(svg,
	    "<text x=\"%d\" y=\"%d\" fill=\"#6a6a74\">"
	    "A cell is %s; it shows one of its eras, and is as full as it "
	    "is written.</text>\n",
	    MARGIN, MARGIN + 56,
	    human_size(cell, svg->map->cell_blocks * size));
}

static void put_label(struct svg *svg, uint32_t y, uint64_t bytes)
{
	char size[HUMAN_SIZE_MAX];

	put(svg,
	    "<text x=\"%d\" y=\"%" PRIu32 "\" text-anchor=\"end\">%s</text>\n"
	    "<path d=\"M%d %" PRIu32 "h5\" stroke=\"#24242c\"/>\n",
	    CELLS_X - 8, y + 4, human_size(size, bytes), CELLS_X - 6, y);
}

/*
 * Rows from label to label: as close as there is room for, or wider where that
 * makes all labels exact, for 1.25G would be written as 1.3G.
 */
static uint32_t label_step(const struct svg *svg)
{
	uint64_t unit = 1, end = row_bytes(svg, svg->nr_rows);
	uint32_t step = 1;

	/* of the last label but the end's */
	while (end > 1 && (end - 1) / unit >= 1024)
		unit *= 1024;
	while (step * svg->cell_size < LABEL_HEIGHT)
		step *= 2;
	for (uint32_t exact = step; exact < svg->nr_rows; exact *= 2)
		if (row_bytes(svg, exact) * 2 % unit == 0)
			return exact;
	return step;
}

static void put_axis(struct svg *svg)
{
	uint32_t step = label_step(svg), y = CELLS_Y, end;

	end = y + svg->nr_rows * svg->cell_size;
	for (uint32_t row = 0; row < svg->nr_rows; row += step) {
		y = CELLS_Y + row * svg->cell_size;
		if (y + LABEL_HEIGHT <= end)
			put_label(svg, y, row_bytes(svg, row));
	}
	put_label(svg, end, row_bytes(svg, svg->nr_rows));
}

/*
 * Pixels of a cell's side that are coloured, by the part of it that is written:
 * all, or so much less that a part can be seen, but never none.
 */
static uint32_t filled(const struct svg *svg, uint32_t cell)
{
	uint64_t nr = map_cell_written(svg->map, cell);
	uint64_t all = nr + map_cell(svg->map, cell)[MAP_NEVER];
	uint32_t side = svg->cell_size, least = (side + 2) / 3, at = side;

	if (nr == all)
		return side;
	/* of the area, rounded up */
	while (at > least &&
	       (uint64_t)(at - 1) * (at - 1) * all >= nr * side * side)
		at--;
	return at < side ? at : side - 1;
}

/* Of the cells from i on that show the same as that one, the end. */
static uint32_t end_of_run(const struct svg *svg, uint32_t first, uint32_t i,
			   uint32_t n)
{
	unsigned int bin = map_cell_bin(svg->map, first + i, svg->columns);

	if (bin != MAP_NEVER && filled(svg, first + i) < svg->cell_size)
		return i + 1;
	for (i++; i < n; i++)
		if (map_cell_bin(svg->map, first + i, svg->columns) != bin ||
		    filled(svg, first + i) < svg->cell_size)
			break;
	return i;
}

static void put_rect(struct svg *svg, uint32_t x, uint32_t y, uint32_t width,
		     uint32_t height, struct map_rgb c)
{
	put(svg,
	    "<rect x=\"%" PRIu32 "\" y=\"%" PRIu32 "\" width=\"%" PRIu32
	    "\" height=\"%" PRIu32 "\" fill=\"#%02x%02x%02x\"/>\n",
	    x, y, width, height, c.r, c.g, c.b);
}

/* The cells of a row on the ground, neighbours that show the same together. */
static void put_row(struct svg *svg, uint32_t row)
{
	const struct map *map = svg->map;
	uint32_t first = row * svg->columns, n = svg->columns;
	uint32_t size = svg->cell_size, y = CELLS_Y + row * size;
	char from[HUMAN_SIZE_MAX], to[HUMAN_SIZE_MAX];

	if (map->nr_cells - first < n)
		n = map->nr_cells - first;
	put(svg, "<g><title>%s to %s</title>\n",
	    human_size(from, row_bytes(svg, row)),
	    human_size(to, row_bytes(svg, row + 1)));
	put_rect(svg, CELLS_X, y, n * size, size,
		 map_bin_colour(map, MAP_NEVER));
	for (uint32_t i = 0, end; i < n; i = end) {
		unsigned int bin = map_cell_bin(map, first + i, svg->columns);
		uint32_t part = filled(svg, first + i);
		uint32_t margin = (size - part) / 2;

		end = end_of_run(svg, first, i, n);
		if (bin != MAP_NEVER)
			put_rect(svg, CELLS_X + i * size + margin, y + margin,
				 part == size ? (end - i) * size : part, part,
				 map_bin_colour(map, bin));
	}
	put(svg, "</g>\n");
}

static uint64_t largest_bin(const struct map *map)
{
	uint64_t largest = 1;

	for (unsigned int bin = 0; bin < map->nr_bins; bin++)
		if (largest < map->bins[bin].nr_blocks)
			largest = map->bins[bin].nr_blocks;
	return largest;
}

static const char *bin_name(const struct map *map, unsigned int bin, char *buf)
{
	const struct map_bin *b = &map->bins[bin];

	if (bin == MAP_NEVER)
		return "never written";
	if (b->before)
		sprintf(buf, "before era %" PRIu32, b->last + 1);
	else if (b->first == b->last)
		sprintf(buf, "era %" PRIu32, b->first);
	else
		sprintf(buf, "%" PRIu32 "\xe2\x80\x93%" PRIu32, b->first,
			b->last);
	return buf;
}

/* Bar i of the histogram, the youngest bin first. */
static void put_bin(struct svg *svg, unsigned int i)
{
	const struct map *map = svg->map;
	unsigned int bin = map->nr_bins - 1 - i;
	uint64_t nr = map->bins[bin].nr_blocks;
	uint32_t y = CELLS_Y + i * BIN_HEIGHT;
	uint32_t len = (uint32_t)(nr * BAR_WIDTH / largest_bin(map));
	struct map_rgb c = map_bin_colour(map, bin);
	char name[64], size[HUMAN_SIZE_MAX];

	if (nr && len < 2)
		len = 2;
	put(svg,
	    "<g><title>%" PRIu64 " blocks</title>"
	    "<text x=\"%d\" y=\"%" PRIu32 "\" text-anchor=\"end\">%s</text>",
	    nr, BINS_X + BIN_LABEL_WIDTH, y + 13, bin_name(map, bin, name));
	put(svg,
	    "<rect x=\"%d\" y=\"%" PRIu32 "\" width=\"%" PRIu32
	    "\" height=\"%d\" fill=\"#%02x%02x%02x\"/>",
	    BAR_X, y, len, BIN_HEIGHT - 6, c.r, c.g, c.b);
	put(svg, "<text x=\"%" PRIu32 "\" y=\"%" PRIu32 "\">%s</text></g>\n",
	    BAR_X + len + 6, y + 13,
	    human_size(size, nr * map_block_bytes(map)));
}

int map_svg_write(const struct map *map, const char *name, struct output *out)
{
	struct svg svg = { .map = map, .out = out };

	set_grid(&svg);
	put_head(&svg, name);
	put_axis(&svg);
	put(&svg, "<g shape-rendering=\"crispEdges\">\n");
	for (uint32_t row = 0; row < svg.nr_rows && !out->error; row++)
		put_row(&svg, row);
	put(&svg,
	    "</g>\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\" "
	    "fill=\"#6a6a74\">last written in</text>\n"
	    "<text x=\"%d\" y=\"%d\" fill=\"#6a6a74\">bytes</text>\n",
	    BINS_X + BIN_LABEL_WIDTH, CELLS_Y - 10, BAR_X, CELLS_Y - 10);
	for (unsigned int i = 0; i < map->nr_bins; i++)
		put_bin(&svg, i);
	return output_puts(out, "</svg>\n");
}
