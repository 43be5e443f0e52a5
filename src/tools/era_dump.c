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
#include "era/whole.h"
#include "format/output.h"
#include "format/xml_writer.h"
#include "tools/tool.h"

#define KEY_LOGICAL 0x100
#define KEY_COMPACT 0x101
#define KEY_SNAPSHOT 0x102
#define KEY_REACHABLE_ONLY 0x103

struct arguments {
	const char *device;
	const char *output;
	bool logical;
	bool compact;
	bool snapshot;
	bool repair;
	bool reachable_only;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, compressed where its name ends in .gz", 0 },
	{ "logical", KEY_LOGICAL, NULL, 0,
	  "Fold the writesets into the era array", 0 },
	{ "compact", KEY_COMPACT, NULL, 0,
	  "Write runs of marked blocks, not one element for each block", 0 },
	{ "metadata-snapshot", KEY_SNAPSHOT, NULL, 0,
	  "Dump the metadata snapshot, which a live device may hold", 0 },
	{ "metadata-snap", 0, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
	{ "repair", 'r', NULL, 0,
	  "Dump what can be salvaged of damaged metadata", 0 },
	{ "reachable-only", KEY_REACHABLE_ONLY, NULL, 0,
	  "Do not look for a newer history among unreferenced blocks", 0 },
	{ "quiet", 'q', NULL, 0, "No messages, exit status only", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 'o':
		args->output = arg;
		return 0;
	case KEY_LOGICAL:
		args->logical = true;
		return 0;
	case KEY_COMPACT:
		args->compact = true;
		return 0;
	case KEY_SNAPSHOT:
		args->snapshot = true;
		return 0;
	case KEY_REACHABLE_ONLY:
		args->reachable_only = true;
		return 0;
	case 'r':
		args->repair = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->device)
			argp_error(state, "only one device can be dumped");
		args->device = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->device)
			argp_error(state, "no metadata device given");
		if (args->repair && args->snapshot)
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
	tool_argp_children,
	NULL,
	NULL
};

static int dump_sound(const struct arguments *args, struct era_device *device,
		      struct era_visitor *sink, struct era_report *report)
{
	struct era_metadata md;
	struct progress progress;
	int r;

	/* what a dump has forgotten is gone once it is restored */
	if (args->snapshot || args->reachable_only)
		r = era_metadata_open(&md, device, args->snapshot, NULL,
				      report);
	else
		r = era_metadata_open_whole(&md, device, report);

	if (r)
		return r;
	tool_progress_start(&progress, device,
			    era_metadata_nr_array_blocks(&md) * ERA_BLOCK_SIZE,
			    args->quiet, args->output);
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
		.reachable_only = args->reachable_only,
	};
	struct era_salvage salvage;
	struct progress progress;
	int r;

	/* all is read once to see what is there, and once for what it says */
	tool_progress_start(&progress, device, 2 * era_device_used(device),
			    args->quiet, args->output);
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
	int r;

	if (!writer)
		return -ENOMEM;
	xml_writer_init(writer, out, args->compact);
	r = args->repair ? dump_salvaged(args, device, &writer->visitor, report)
			 : dump_sound(args, device, &writer->visitor, report);
	free(writer);
	if (r)
		output_abandon(out);
	else
		r = output_finish(out);
	return r;
}

static int run(const struct arguments *args, struct era_report *report)
{
	unsigned int flags =
		args->snapshot ? ERA_DEVICE_SHARED : ERA_DEVICE_HINT_SNAPSHOT;
	struct era_device device;
	struct output out;
	int r = era_device_open(&device, args->device, flags, NULL, report);

	if (r)
		return r;
	r = output_open(&out, args->output, report);
	if (!r && output_is_same_file(&out, device.fd)) {
		era_report(report, ERA_FATAL, NULL, ERA_NO_DATA,
			   "%s is both input and output", args->device);
		output_abandon(&out);
		r = -EINVAL;
	}
	if (!r)
		r = dump(args, &device, &out, report);
	era_device_close(&device);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .device = NULL };
	struct report_text text;

	tool_init(argv);
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	return tool_exit_status(run(&args, &text.report), &text.report);
}
