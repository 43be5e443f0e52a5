/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of a list, and the way from metadata to it.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "era/reader.h"
#include "format/range_limit.h"
#include "tools/list.h"
#include "tools/tool.h"

/* above what the tools number their own from */
#define KEY_FORMAT 0x300
#define KEY_UNIT 0x301
#define KEY_MAX_RANGES 0x302
#define KEY_HEADER 0x303

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, compressed with gzip if its name ends in .gz", 0 },
	{ "force", 'f', NULL, 0,
	  "Overwrite a FILE that these tools did not write", 0 },
	{ "format", KEY_FORMAT, "FORMAT", 0,
	  "xml (the default), text, json, csv or ddrescue (a domain mapfile)",
	  0 },
	{ "unit", KEY_UNIT, "UNIT", 0,
	  "What text, csv and json count in: blocks (the default), sectors or "
	  "bytes",
	  0 },
	{ "header", KEY_HEADER, NULL, 0,
	  "Begin text and csv with a line '# current_era: ERA'", 0 },
	{ "max-ranges", KEY_MAX_RANGES, "NUMBER", 0,
	  "At most NUMBER ranges: if there are more, the nearest neighbours "
	  "are merged, and the blocks between them are listed, too",
	  0 },
	{ 0 },
};

/* The position of arg in names, or bad usage. */
static unsigned int parse_name(const char *arg, const char *const *names,
			       const char *what, const char *all,
			       struct argp_state *state)
{
	for (unsigned int i = 0; names[i]; i++)
		if (!strcmp(arg, names[i]))
			return i;
	argp_error(state, "unknown %s '%s' (%s)", what, arg, all);
	return 0;
}

static void check_usage(const struct tool_list *list, struct argp_state *state)
{
	const char *why = NULL;

	if (list->have_unit)
		why = range_format_refuses_unit(list->format, list->unit);
	if (!why && list->header)
		why = range_format_refuses_header(list->format);
	if (why)
		argp_error(state, "%s", why);
}

static enum range_format parse_format(const char *arg, struct argp_state *state)
{
	const char *names[RANGES_NR_FORMATS + 1] = { NULL };

	for (unsigned int i = 0; i < RANGES_NR_FORMATS; i++)
		names[i] = range_format_name(i);
	return parse_name(arg, names, "format",
			  "xml, text, json, csv or ddrescue", state);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const units[] = { "blocks", "sectors", "bytes",
					     NULL };
	struct tool_list *list = state->input;

	switch (key) {
	case KEY_FORMAT:
		list->format = parse_format(arg, state);
		return 0;
	case KEY_UNIT:
		list->unit = parse_name(arg, units, "unit",
					"blocks, sectors or bytes", state);
		list->have_unit = true;
		return 0;
	case KEY_HEADER:
		list->header = true;
		return 0;
	case KEY_MAX_RANGES:
		list->max_ranges = tool_parse_range(arg, 1, UINT32_MAX,
						    "--max-ranges", state);
		return 0;
	case 'o':
		list->output = arg;
		return 0;
	case 'f':
		list->force = true;
		return 0;
	case ARGP_KEY_END:
		check_usage(list, state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

const struct argp tool_list_argp = { options, parse, NULL, NULL,
				     NULL,    NULL,  NULL };

/* Lists fewer ranges than there are. */
static int write_limited(const struct tool_list *list, struct era_metadata *md,
			 uint32_t era, struct era_range_visitor *sink)
{
	struct range_limit limit;
	int r;

	range_limit_init(&limit, sink, list->max_ranges);
	r = era_read_since(md, era, &limit.visitor);
	if (!r && limit.nr_added)
		era_report(md->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "for fewer ranges, %" PRIu64
			   " blocks are listed that were not written",
			   limit.nr_added);
	range_limit_release(&limit);
	return r;
}

int tool_list_write(const struct tool_list *list, struct era_metadata *md,
		    uint32_t era, const char *device, struct output *out)
{
	struct range_writer writer;

	range_writer_init(&writer, out, list->format, list->unit, device);
	writer.header = list->header;
	if (list->max_ranges)
		return write_limited(list, md, era, &writer.visitor);
	return era_read_since(md, era, &writer.visitor);
}
