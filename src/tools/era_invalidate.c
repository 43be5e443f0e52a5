/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_invalidate: which blocks were written since an era?
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "era/reader.h"
#include "format/range_limit.h"
#include "format/ranges.h"
#include "tools/confine.h"
#include "tools/source.h"
#include "tools/tool.h"

#define KEY_WRITTEN_SINCE 0x100
#define KEY_FORMAT 0x101
#define KEY_UNIT 0x102
#define KEY_MAX_RANGES 0x103

struct arguments {
	struct tool_source source;
	const char *output;
	uint32_t era;
	size_t max_ranges; /* 0: as many as there are */
	bool have_era;
	bool have_unit;
	enum range_format format;
	enum range_unit unit;
};

static const struct argp_option options[] = {
	{ "written-since", KEY_WRITTEN_SINCE, "ERA", 0,
	  "Blocks that were written in ERA or later", 0 },
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, compressed where its name ends in .gz", 0 },
	{ "format", KEY_FORMAT, "FORMAT", 0,
	  "xml (the default), text, json, csv or ddrescue (a domain mapfile)",
	  0 },
	{ "unit", KEY_UNIT, "UNIT", 0,
	  "Of text, csv and json: blocks (the default), sectors or bytes", 0 },
	{ "max-ranges", KEY_MAX_RANGES, "NUMBER", 0,
	  "At most NUMBER ranges: where there are more, neighbours are merged "
	  "and blocks between them listed too",
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

static void check_usage(const struct arguments *args, struct argp_state *state)
{
	if (!args->have_era)
		argp_error(state, "no era given (--written-since)");
	if (args->have_unit && args->format == RANGES_XML)
		argp_error(state, "XML always counts blocks, --unit is for "
				  "--format=text, csv and json");
	if (args->have_unit && args->format == RANGES_DDRESCUE &&
	    args->unit != UNIT_BYTES)
		argp_error(state, "a mapfile of ddrescue is in bytes");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const formats[] = { "xml", "text",	  "json",
					       "csv", "ddrescue", NULL };
	static const char *const units[] = { "blocks", "sectors", "bytes",
					     NULL };
	struct arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->source;
		return 0;
	case KEY_WRITTEN_SINCE:
		args->era = tool_parse_era(arg, UINT32_MAX, "--written-since",
					   state);
		args->have_era = true;
		return 0;
	case KEY_FORMAT:
		args->format =
			parse_name(arg, formats, "format",
				   "xml, text, json, csv or ddrescue", state);
		return 0;
	case KEY_UNIT:
		args->unit = parse_name(arg, units, "unit",
					"blocks, sectors or bytes", state);
		args->have_unit = true;
		return 0;
	case KEY_MAX_RANGES:
		args->max_ranges = tool_parse_number(arg, UINT32_MAX,
						     "--max-ranges", state);
		if (!args->max_ranges)
			argp_error(state, "--max-ranges must not be 0");
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case ARGP_KEY_END:
		check_usage(args, state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"--written-since ERA DEVICE",
	"Lists the blocks of a dm-era device that were written since an era.",
	tool_source_argp_children,
	NULL,
	NULL
};

/* Lists fewer ranges than there are. */
static int read_limited(const struct arguments *args, struct era_metadata *md,
			struct era_range_visitor *sink,
			struct era_report *report)
{
	struct range_limit limit;
	int r;

	range_limit_init(&limit, sink, args->max_ranges);
	r = era_read_since(md, args->era, &limit.visitor);
	if (!r && limit.nr_added)
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "for fewer ranges, %" PRIu64
			   " blocks are listed that were not written",
			   limit.nr_added);
	range_limit_release(&limit);
	return r;
}

static int list(const struct arguments *args, struct era_device *device,
		struct output *out, struct era_report *report)
{
	struct range_writer writer;
	struct progress progress;
	struct era_metadata md;
	int r;

	tool_progress_start(&progress, device, era_device_used(device),
			    args->source.quiet, args->output);
	r = tool_source_open_metadata(&md, device, &args->source, report);
	if (!r) {
		range_writer_init(&writer, out, args->format, args->unit,
				  args->source.device);
		if (args->max_ranges)
			r = read_limited(args, &md, &writer.visitor, report);
		else
			r = era_read_since(&md, args->era, &writer.visitor);
		era_metadata_release(&md);
	}
	tool_progress_finish(&progress, device);
	if (r)
		output_abandon(out);
	else
		r = output_finish(out);
	return r;
}

static int run(const struct arguments *args, struct era_report *report)
{
	struct era_device device;
	struct output out;
	int r = tool_source_open(&device, &args->source, report);

	if (r)
		return r;
	r = tool_source_open_output(&out, args->output, &device, report);
	if (!r)
		r = list(args, &device, &out, report);
	era_device_close(&device);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .output = NULL };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(args.output != NULL);
	report_text_init(&text, stderr, tool_name(), args.source.quiet);
	return tool_source_exit_status(run(&args, &text.report), &args.source,
				       &text.report);
}
