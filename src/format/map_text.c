/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rows of characters: axis, cells, histogram.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format/human_size.h"
#include "format/map_colour.h"
#include "format/map_dither.h"
#include "format/map_text.h"

#define AXIS_WIDTH 8	   /* " 1023.9M" and a blank */
#define HISTOGRAM_WIDTH 34 /* at the least, with the gap before it */
#define BAR_WIDTH 10	   /* at the least */
#define MAX_BAR_WIDTH 80
#define COLOUR_MAX 28	    /* "38;2;255;255;255", for any int instead of 38 */
#define MIN_CELLS_BESIDE 16 /* or the histogram goes below */

struct text {
	const struct map *map;
	const struct map_text_style *style;
	struct output *out;
	unsigned int columns;
	unsigned int label_step; /* rows */
	char colours[64];	 /* the escape sequence in force */
};

static bool is_beside(const struct map_text_style *style)
{
	return style->width >= AXIS_WIDTH + MIN_CELLS_BESIDE + HISTOGRAM_WIDTH;
}

static unsigned int cells_per_row(const struct map_text_style *style)
{
	return style->colours && style->utf8 ? 2 : 1;
}

static unsigned int nr_columns(const struct map_text_style *style)
{
	unsigned int room = style->width - AXIS_WIDTH;

	if (is_beside(style))
		room -= HISTOGRAM_WIDTH;
	/* so that rows begin at round offsets; the bars take what is left */
	for (unsigned int columns = 16;; columns *= 2)
		if (columns * 2 > room)
			return columns;
}

/* Characters of the longest bar, which has the rest of the width. */
static unsigned int bar_width(const struct text *text)
{
	unsigned int used = AXIS_WIDTH + HISTOGRAM_WIDTH - BAR_WIDTH, width;

	if (is_beside(text->style))
		used += text->columns;
	width = text->style->width > used ? text->style->width - used : 0;
	if (!is_beside(text->style))
		width += AXIS_WIDTH;
	return width < BAR_WIDTH       ? BAR_WIDTH
	       : width > MAX_BAR_WIDTH ? MAX_BAR_WIDTH
				       : width;
}

uint32_t map_text_max_cells(const struct map_text_style *style)
{
	return nr_columns(style) * style->height * cells_per_row(style);
}

static int put(struct text *text, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int put(struct text *text, const char *fmt, ...)
{
	char buf[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	return output_puts(text->out, buf);
}

/* One colour in an escape sequence: what is 38 for letters, 48 for behind. */
static void format_colour(const struct text *text, char buf[COLOUR_MAX],
			  int what, const unsigned int *bin)
{
	struct map_rgb c;

	*buf = '\0';
	if (!bin)
		return;
	if (text->style->colours == MAP_256_COLOURS) {
		snprintf(buf, COLOUR_MAX, "%d;5;%u", what,
			 map_bin_colour_256(text->map, *bin));
		return;
	}
	c = map_bin_colour(text->map, *bin);
	snprintf(buf, COLOUR_MAX, "%d;2;%u;%u;%u", what, c.r, c.g, c.b);
}

/* front and behind: the bins whose colours they are to have, or NULL */
static void set_colours(struct text *text, const unsigned int *front,
			const unsigned int *behind)
{
	char letter[COLOUR_MAX] = "0", ground[COLOUR_MAX] = "";
	char buf[sizeof(text->colours)];

	if (!text->style->colours)
		return;
	if (front || behind) {
		format_colour(text, letter, 38, front);
		format_colour(text, ground, 48, behind);
	}
	snprintf(buf, sizeof(buf), "\033[%s%s%sm", letter,
		 front && behind ? ";" : "", ground);
	if (!strcmp(buf, text->colours))
		return;
	memcpy(text->colours, buf, strlen(buf) + 1);
	output_puts(text->out, buf);
}

/* a is the youngest bin */
static char bin_letter(const struct map *map, unsigned int bin)
{
	if (bin == MAP_NEVER)
		return '.';
	if (map->bins[bin].before)
		return '-';
	return (char)('a' + map->nr_bins - 1 - bin);
}

static char cell_letter(const struct text *text, uint32_t cell)
{
	const struct map *map = text->map;
	char letter = bin_letter(map, map_cell_bin(map, cell, text->columns));

	if (letter >= 'a' &&
	    map_cell_written(map, cell) >= map_cell(map, cell)[MAP_NEVER])
		letter = (char)(letter - 'a' + 'A');
	return letter;
}

static unsigned int cell_bin(const struct text *text, uint32_t cell)
{
	return map_cell_bin_or_never(text->map, cell, text->columns);
}

static void put_cell(struct text *text, uint64_t cell)
{
	const struct map *map = text->map;
	unsigned int above, below;
	uint64_t under = cell + text->columns;

	if (cell >= map->nr_cells) {
		set_colours(text, NULL, NULL);
		output_puts(text->out, " ");
		return;
	}
	if (!text->style->colours) {
		put(text, "%c", cell_letter(text, (uint32_t)cell));
		return;
	}
	above = cell_bin(text, (uint32_t)cell);
	if (cells_per_row(text->style) == 1) {
		set_colours(text, NULL, &above);
		output_puts(text->out, " ");
		return;
	}
	if (under < map->nr_cells) {
		below = cell_bin(text, (uint32_t)under);
		set_colours(text, &above, &below);
	} else {
		set_colours(text, NULL, NULL);
		set_colours(text, &above, NULL);
	}
	output_puts(text->out, "\xe2\x96\x80"); /* upper half block */
}

static uint64_t row_bytes(const struct text *text, uint64_t row)
{
	return row * cells_per_row(text->style) * text->columns *
	       text->map->cell_blocks * map_block_bytes(text->map);
}

/*
 * Rows from label to label: every other one is enough to read, or more apart
 * where that makes all of them round, for 1.25G would be written as 1.3G.
 */
static unsigned int label_step(const struct text *text, unsigned int nr_rows)
{
	uint64_t unit = 1, end = row_bytes(text, nr_rows);

	/* of the last label but the end's */
	while (end > 1 && (end - 1) / unit >= 1024)
		unit *= 1024;
	for (unsigned int step = 2; step < nr_rows; step *= 2)
		if (row_bytes(text, step) * 2 % unit == 0)
			return step;
	return 2;
}

static void put_axis(struct text *text, uint64_t row)
{
	uint64_t cell = row * cells_per_row(text->style) * text->columns;
	char size[HUMAN_SIZE_MAX];

	if (row % text->label_step || cell >= text->map->nr_cells)
		put(text, "%*s", AXIS_WIDTH, "");
	else
		put(text, "%*s ", AXIS_WIDTH - 1,
		    human_size(size, row_bytes(text, row)));
}

static const char *bin_name(const struct map *map, unsigned int bin, char *buf)
{
	const struct map_bin *b = &map->bins[bin];

	if (bin == MAP_NEVER)
		return "never";
	if (b->before)
		sprintf(buf, "< %" PRIu32, b->last + 1);
	else if (b->first == b->last)
		sprintf(buf, "%" PRIu32, b->first);
	else
		sprintf(buf, "%" PRIu32 "-%" PRIu32, b->first, b->last);
	return buf;
}

static uint64_t largest_bin(const struct map *map)
{
	uint64_t largest = 1;

	for (unsigned int bin = 0; bin < map->nr_bins; bin++)
		if (largest < map->bins[bin].nr_blocks)
			largest = map->bins[bin].nr_blocks;
	return largest;
}

/* Eighths of a character in UTF-8, else whole ones; any block is a sliver. */
static void put_bar(struct text *text, unsigned int bin)
{
	static const char *const eighths[] = {
		"",
		"\xe2\x96\x8f",
		"\xe2\x96\x8e",
		"\xe2\x96\x8d",
		"\xe2\x96\x8c",
		"\xe2\x96\x8b",
		"\xe2\x96\x8a",
		"\xe2\x96\x89",
	};
	const struct map *map = text->map;
	unsigned int per = text->style->utf8 ? 8 : 1, at = 0;
	uint64_t nr = map->bins[bin].nr_blocks;
	unsigned int width = bar_width(text);
	uint64_t len = nr * width * per / largest_bin(map);

	if (nr && !len)
		len = 1;
	set_colours(text, &bin, NULL);
	for (; at < len / per; at++)
		output_puts(text->out, per == 8 ? "\xe2\x96\x88" : "#");
	if (len % per) {
		output_puts(text->out, eighths[len % per]);
		at++;
	}
	set_colours(text, NULL, NULL);
	put(text, "%*s", (int)(width - at), "");
}

/* Line i of the histogram, the youngest bin first. */
static void put_bin(struct text *text, unsigned int i)
{
	const struct map *map = text->map;
	unsigned int bin = map->nr_bins - 1 - i;
	char name[32], size[HUMAN_SIZE_MAX];

	put(text, "  ");
	if (text->style->colours)
		put(text, "%11.11s ", bin_name(map, bin, name));
	else
		put(text, "%c %9.11s ", bin_letter(map, bin),
		    bin_name(map, bin, name));
	put_bar(text, bin);
	put(text, " %s",
	    human_size(size, map->bins[bin].nr_blocks * map_block_bytes(map)));
}

static void put_title(struct text *text, const char *name)
{
	const struct map *map = text->map;
	char size[HUMAN_SIZE_MAX], block[HUMAN_SIZE_MAX];
	char cell[HUMAN_SIZE_MAX];

	for (const char *p = name; *p; p++)
		put(text, "%c", *p < ' ' || *p > '~' ? '?' : *p);
	put(text, ": %s in %" PRIu32 " blocks of %s, era %" PRIu32 "\n",
	    human_size(size, map->geometry.nr_blocks * map_block_bytes(map)),
	    map->geometry.nr_blocks, human_size(block, map_block_bytes(map)),
	    map->geometry.current_era);
	put(text, "a cell is %s, bars are bytes by era\n\n",
	    human_size(cell, map->cell_blocks * map_block_bytes(map)));
}

static void put_row(struct text *text, unsigned int row)
{
	uint64_t first =
		(uint64_t)row * text->columns * cells_per_row(text->style);

	put_axis(text, row);
	for (unsigned int i = 0; i < text->columns; i++)
		put_cell(text, first + i);
	set_colours(text, NULL, NULL);
}

int map_text_write(const struct map *map, const char *name,
		   const struct map_text_style *style, struct output *out)
{
	struct text text = { .map = map,
			     .style = style,
			     .out = out,
			     .columns = nr_columns(style),
			     .colours = "\033[0m" };
	unsigned int per_row = text.columns * cells_per_row(style);
	unsigned int nr_rows = (map->nr_cells + per_row - 1) / per_row;
	bool beside = is_beside(style);

	text.label_step = label_step(&text, nr_rows);
	put_title(&text, name);
	for (unsigned int row = 0;
	     row < nr_rows || (beside && row < map->nr_bins); row++) {
		put_row(&text, row);
		if (beside && row < map->nr_bins)
			put_bin(&text, row);
		put(&text, "\n");
	}
	if (!beside)
		put(&text, "\n");
	for (unsigned int i = 0; !beside && i < map->nr_bins; i++) {
		put_bin(&text, i);
		put(&text, "\n");
	}
	return out->error;
}
