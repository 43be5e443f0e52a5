/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_map: where and when was this device written?
 */
#include "config.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "era/reader.h"
#include "format/map_svg.h"
#include "format/map_text.h"
#include "format/output.h"
#include "tools/confine.h"
#include "tools/source.h"
#include "tools/tool.h"

#define DEFAULT_WIDTH 80
#define DEFAULT_HEIGHT 20
#define MIN_HEIGHT 4
#define ROWS_BESIDE 5 /* of a terminal: title and prompt */

#define KEY_WRITTEN_SINCE 0x100
#define KEY_COLOR 0x101
#define KEY_FORMAT 0x102
#define KEY_WIDTH 0x103
#define KEY_HEIGHT 0x104

struct arguments {
	struct tool_source source;
	const char *output;
	bool force;
	const char *color;
	const char *format;
	uint32_t era;
	unsigned int width, height; /* 0: as large as fits */
};

static const struct argp_option options[] = {
	{ "written-since", KEY_WRITTEN_SINCE, "ERA", 0,
	  "Tell only eras from ERA on apart", 0 },
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, as SVG if its name ends in .svg or .svg.gz", 0 },
	{ "force", 'f', NULL, 0,
	  "Overwrite a FILE that these tools did not write", 0 },
	{ "format", KEY_FORMAT, "FORMAT", 0, "text or svg", 0 },
	{ "color", KEY_COLOR, "WHEN", 0,
	  "auto (the default), never, always, 256 or true", 0 },
	{ "width", KEY_WIDTH, "COLUMNS", 0, "Width of the text, 40 to 400", 0 },
	{ "height", KEY_HEIGHT, "ROWS", 0,
	  "The most rows of the map in text, 4 to 200", 0 },
	{ 0 },
};

static const char *parse_name(const char *arg, const char *const *names,
			      const char *what, struct argp_state *state)
{
	for (; *names; names++)
		if (!strcmp(arg, *names))
			return *names;
	argp_error(state, "unknown %s '%s'", what, arg);
	return NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const formats[] = { "text", "svg", NULL };
	static const char *const colors[] = { "auto", "never", "always",
					      "256",  "true",  NULL };
	struct arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->source;
		return 0;
	case KEY_WRITTEN_SINCE:
		args->era = tool_parse_era(arg, UINT32_MAX, "--written-since",
					   state);
		return 0;
	case KEY_COLOR:
		args->color = parse_name(arg, colors, "--color", state);
		return 0;
	case KEY_FORMAT:
		args->format = parse_name(arg, formats, "format", state);
		return 0;
	case KEY_WIDTH:
		args->width =
			tool_parse_range(arg, MAP_TEXT_MIN_WIDTH,
					 MAP_TEXT_MAX_WIDTH, "--width", state);
		return 0;
	case KEY_HEIGHT:
		args->height =
			tool_parse_range(arg, MIN_HEIGHT, MAP_TEXT_MAX_HEIGHT,
					 "--height", state);
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case 'f':
		args->force = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"DEVICE",
	"Draws where and when the origin of a dm-era device was written."
	"\vColours are for terminals, and not where NO_COLOR is set; the "
	"width is the terminal's or COLUMNS.",
	tool_source_argp_children,
	NULL,
	NULL
};

static bool ends_in(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && !strcmp(s + len - n, end);
}

static bool is_svg(const struct arguments *args)
{
	if (args->format)
		return !strcmp(args->format, "svg");
	return args->output && (ends_in(args->output, ".svg") ||
				ends_in(args->output, ".svg.gz"));
}

static enum map_colours best_colours(void)
{
	const char *colorterm = getenv("COLORTERM");

	if (colorterm &&
	    (!strcmp(colorterm, "truecolor") || !strcmp(colorterm, "24bit")))
		return MAP_TRUE_COLOURS;
	return MAP_256_COLOURS;
}

static enum map_colours choose_colours(const struct arguments *args, bool tty)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!strcmp(args->color, "never"))
		return MAP_NO_COLOURS;
	if (!strcmp(args->color, "256"))
		return MAP_256_COLOURS;
	if (!strcmp(args->color, "true"))
		return MAP_TRUE_COLOURS;
	if (!strcmp(args->color, "always"))
		return best_colours();
	if (!tty || (no_color && *no_color) || !term || !strcmp(term, "dumb"))
		return MAP_NO_COLOURS;
	return best_colours();
}

static unsigned int within(unsigned long v, unsigned int min, unsigned int max)
{
	return v < min ? min : v > max ? max : (unsigned int)v;
}

static void choose_style(struct map_text_style *style,
			 const struct arguments *args)
{
	bool tty = !args->output && isatty(STDOUT_FILENO);
	const char *columns = getenv("COLUMNS");
	unsigned long width = DEFAULT_WIDTH, height = DEFAULT_HEIGHT;
	struct winsize size;

	if (tty && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col) {
		width = size.ws_col;
		height = size.ws_row > ROWS_BESIDE + MIN_HEIGHT
				 ? size.ws_row - ROWS_BESIDE
				 : MIN_HEIGHT;
	}
	if (columns && *columns >= '1' && *columns <= '9')
		width = strtoul(columns, NULL, 10);
	if (args->width)
		width = args->width;
	if (args->height)
		height = args->height;
	style->colours = choose_colours(args, tty);
	style->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	style->width = within(width, MAP_TEXT_MIN_WIDTH, MAP_TEXT_MAX_WIDTH);
	style->height = within(height, MIN_HEIGHT, MAP_TEXT_MAX_HEIGHT);
}

static int fill(struct map *map, const struct arguments *args,
		struct era_device *device, struct era_report *report)
{
	struct progress progress;
	struct era_metadata md;
	int r;

	/* to standard output nothing goes before the end */
	tool_progress_start(&progress, device, era_device_used(device),
			    args->source.quiet, args->source.device);
	r = tool_source_open_metadata(&md, device, &args->source, report);
	if (!r) {
		r = era_metadata_check_era(&md, args->era);
		if (!r)
			r = era_read_logical(&md, &map->visitor);
		era_metadata_release(&md);
	}
	tool_progress_finish(&progress, device);
	return r;
}

static int draw(const struct arguments *args, struct era_device *device,
		struct output *out, struct era_report *report)
{
	struct map_text_style style;
	bool svg = is_svg(args);
	struct map map;
	int r;

	choose_style(&style, args);
	map_init(&map, svg ? MAP_SVG_MAX_CELLS : map_text_max_cells(&style),
		 args->era);
	r = fill(&map, args, device, report);
	if (!r && svg)
		r = map_svg_write(&map, args->source.device, out);
	else if (!r)
		r = map_text_write(&map, args->source.device, &style, out);
	map_release(&map);
	return r;
}

static int draw_to(const struct arguments *args, struct era_device *device,
		   struct era_report *report)
{
	struct output out;
	int r = tool_source_open_output(&out, args->output, args->force, device,
					report);

	if (r)
		return r;
	r = draw(args, device, &out, report);
	if (r)
		output_abandon(&out);
	else
		r = output_finish(&out);
	return r;
}

static int run(const struct arguments *args, struct era_report *report)
{
	struct era_device device;
	int r = tool_source_open(&device, &args->source, report);

	if (r)
		return r;
	r = draw_to(args, &device, report);
	era_device_close(&device);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .color = "auto" };
	struct report_text text;
	int r;

	setlocale(LC_CTYPE, "");
	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(args.output != NULL);
	report_text_init(&text, stderr, tool_name(), args.source.quiet);
	r = run(&args, &text.report);
	return tool_source_exit_status(r, &args.source, &text.report);
}
