/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_dump: metadata as XML.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "era/reader.h"
#include "era/salvage.h"
#include "format/output.h"
#include "format/xml_writer.h"
#include "tools/confine.h"
#include "tools/source.h"
#include "tools/tool.h"

#define KEY_LOGICAL 0x100
#define KEY_COMPACT 0x101

struct arguments {
	struct tool_source source;
	const char *output;
	bool force;
	bool logical;
	bool compact;
	bool repair;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, compressed with gzip if its name ends in .gz", 0 },
	{ "force", 'f', NULL, 0,
	  "Overwrite a FILE that these tools did not write", 0 },
	{ "logical", KEY_LOGICAL, NULL, 0,
	  "Write no writesets, and the last era of each block", 0 },
	{ "compact", KEY_COMPACT, NULL, 0,
	  "Write an element for each run of blocks, not for each block", 0 },
	{ "repair", 'r', NULL, 0,
	  "Write what can be salvaged of damaged metadata", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->source;
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case 'f':
		args->force = true;
		return 0;
	case KEY_LOGICAL:
		args->logical = true;
		return 0;
	case KEY_COMPACT:
		args->compact = true;
		return 0;
	case 'r':
		args->repair = true;
		return 0;
	case ARGP_KEY_END:
		if (args->repair && args->source.snapshot)
			argp_error(state, "--repair and --metadata-snapshot "
					  "exclude each other");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"DEVICE",
	"Dumps the metadata of a dm-era device as XML.",
	tool_source_argp_children,
	NULL,
	NULL
};

static int dump_sound(const struct arguments *args, struct era_device *device,
		      struct era_visitor *sink, struct era_report *report)
{
	struct era_metadata md;
	struct progress progress;
	int r = tool_source_open_metadata(&md, device, &args->source, report);

	if (r)
		return r;
	tool_progress_start(&progress, device,
			    era_metadata_nr_array_blocks(&md) * ERA_BLOCK_SIZE,
			    args->source.quiet, args->output);
	r = args->logical ? era_read_logical(&md, sink) : era_read(&md, sink);
	tool_progress_finish(&progress, device);
	era_metadata_release(&md);
	return r;
}

static int dump_salvaged(const struct arguments *args,
			 struct era_device *device, struct era_visitor *sink,
			 struct era_report *report)
{
	struct era_salvage_options opt = {
		.logical = args->logical,
		.reachable_only = args->source.reachable_only,
	};
	struct era_salvage salvage;
	struct progress progress;
	int r;

	/* all is read once to see what is there, and once for what it says */
	tool_progress_start(&progress, device, 2 * era_device_used(device),
			    args->source.quiet, args->output);
	r = era_salvage_open(&salvage, device, &opt, report);
	if (!r) {
		r = era_salvage_read(&salvage, sink);
		era_salvage_close(&salvage);
	}
	tool_progress_finish(&progress, device);
	return r;
}

static int dump(const struct arguments *args, struct era_device *device,
		struct output *out, struct era_report *report)
{
	struct xml_writer *writer = malloc(sizeof(*writer));
	int r = -ENOMEM;

	if (writer) {
		xml_writer_init(writer, out, args->compact);
		r = args->repair ? dump_salvaged(args, device, &writer->visitor,
						 report)
				 : dump_sound(args, device, &writer->visitor,
					      report);
	}
	free(writer);
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
	r = tool_source_open_output(&out, args->output, args->force, &device,
				    report);
	if (!r)
		r = dump(args, &device, &out, report);
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
