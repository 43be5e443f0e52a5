/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_metadata_pack: metadata, small enough for a bug report.
 */
#include "config.h"

#include <inttypes.h>

#include "format/output_file.h"
#include "format/output_own.h"
#include "format/pack_target.h"
#include "format/pack_write.h"
#include "tools/confine.h"
#include "tools/tool.h"

struct arguments {
	const char *input;
	const char *output;
	bool all;
	bool force;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "input", 'i', "DEVICE", 0, "The metadata to pack", 0 },
	{ "output", 'o', "FILE", 0, "The pack to write", 0 },
	{ "all", 'a', NULL, 0, "Keep blocks without a valid checksum, too", 0 },
	{ "force", 'f', NULL, 0,
	  "Overwrite a FILE that these tools did not write", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages; the exit status tells",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 'i':
		args->input = arg;
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case 'a':
		args->all = true;
		return 0;
	case 'f':
		args->force = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		/* lvm has its tools called with one that is empty */
		return *arg ? ARGP_ERR_UNKNOWN : 0;
	case ARGP_KEY_END:
		if (!args->input)
			argp_error(state, "no input given (-i)");
		if (!args->output)
			argp_error(state, "no output given (-o)");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"-i DEVICE -o FILE",
	"Packs the metadata of a dm-era device into a file for a bug report."
	"\vThe format is that of thin_metadata_pack. Exit status: 0 packed, "
	"1 packed but for blocks that cannot be read, or what is there is no "
	"metadata, 2 it could not be read or written.",
	tool_argp_children,
	NULL,
	NULL
};

static void say_what_is_left_out(const struct arguments *args,
				 const struct pack_stats *stats,
				 struct era_report *report)
{
	if (!stats->nr_unknown || args->all)
		return;
	era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
		   "%" PRIu64 " block%s left out that %s not zero and %s no "
		   "valid checksum (--all keeps them)",
		   stats->nr_unknown, stats->nr_unknown == 1 ? "" : "s",
		   stats->nr_unknown == 1 ? "is" : "are",
		   stats->nr_unknown == 1 ? "has" : "have");
}

/* A pack of what can be read is of use, but is not the whole. */
static int say_what_cannot_be_read(const struct arguments *args,
				   const struct pack_stats *stats,
				   struct era_report *report)
{
	if (!stats->nr_unread)
		return 0;
	era_report_kind(report, ERA_KIND_DAMAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"%" PRIu64 " block%s of %s cannot be read (the first "
			"is %" PRIu64 "): the pack has a mark in place of "
			"each, which era_metadata_unpack makes damage of",
			stats->nr_unread, stats->nr_unread == 1 ? "" : "s",
			args->input, stats->first_unread);
	return -EUCLEAN;
}

static int pack_to_file(const struct arguments *args, struct era_device *device,
			struct era_report *report)
{
	struct pack_stats stats;
	struct output_file file;
	struct progress progress;
	int r = output_file_open(&file, args->output, report);

	if (r)
		return r;
	tool_progress_start(&progress, device, era_device_used(device),
			    args->quiet, args->output);
	r = pack_write(device, file.fd, file.name, args->all, &stats, report);
	tool_progress_finish(&progress, device);
	if (r)
		output_file_discard(&file);
	else
		r = output_file_commit(&file, report);
	if (r)
		return r;
	say_what_is_left_out(args, &stats, report);
	return say_what_cannot_be_read(args, &stats, report);
}

static int pack(const struct arguments *args, struct era_report *report)
{
	struct era_device device;
	bool is_block_device;
	int r = era_device_open(&device, args->input, 0, NULL, report);

	if (r)
		return r;
	r = pack_check_target(args->output, device.fd, args->force,
			      &is_block_device, report);
	if (!r && !args->force)
		r = output_check_own(args->output, report);
	if (!r)
		r = pack_to_file(args, &device, report);
	era_device_close(&device);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .input = NULL };
	struct report_text text;
	int r;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(true);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	r = pack(&args, &text.report);
	return tool_exit_status(r, &text.report);
}
