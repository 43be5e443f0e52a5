/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_repair: sound metadata from damaged, unclean or stale metadata, without
 * losing a write.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/undo.h"
#include "era/repair.h"
#include "format/report_json.h"
#include "tools/confine.h"
#include "tools/in_place.h"
#include "tools/occupied.h"
#include "tools/repair_summary.h"
#include "tools/tool.h"

#define KEY_IN_PLACE 0x100
#define KEY_UNDO 0x101
#define KEY_UNDO_APPLY 0x102
#define KEY_DRY_RUN 0x103
#define KEY_JSON 0x104
#define KEY_BLOCK_SIZE 0x105
#define KEY_NR_BLOCKS 0x106
#define KEY_CURRENT_ERA 0x107
#define KEY_DROP_SNAPSHOT 0x108
#define KEY_REACHABLE_ONLY 0x109

struct arguments {
	const char *input;
	const char *output;
	const char *in_place;
	const char *undo;
	const char *undo_apply;
	const char *device; /* of --undo-apply */
	struct era_salvage_options salvage;
	bool dry_run;
	bool json;
	bool force;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "input", 'i', "DEVICE", 0, "Read the damaged metadata from DEVICE",
	  0 },
	{ "output", 'o', "DEVICE", 0,
	  "Write the repaired metadata to DEVICE; a file that does not exist "
	  "is created",
	  0 },
	{ "in-place", KEY_IN_PLACE, "DEVICE", 0,
	  "Repair DEVICE itself, in one transaction", 0 },
	{ "undo", KEY_UNDO, "FILE", 0,
	  "First save to FILE every block that --in-place overwrites", 0 },
	{ "undo-apply", KEY_UNDO_APPLY, "FILE", 0,
	  "Put the blocks of DEVICE back that are saved in FILE", 0 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0,
	  "Say what would be done, and write nothing", 0 },
	{ "drop-metadata-snapshot", KEY_DROP_SNAPSHOT, NULL, 0,
	  "Drop the metadata snapshot even where it is sound", 0 },
	{ "reachable-only", KEY_REACHABLE_ONLY, NULL, 0,
	  "Do not look for a newer history among unreferenced blocks", 0 },
	{ "block-size", KEY_BLOCK_SIZE, "SECTORS", 0,
	  "The size of the tracking blocks, if the superblock is lost", 0 },
	{ "nr-blocks", KEY_NR_BLOCKS, "N", 0,
	  "The number of data blocks, if the superblock is lost", 0 },
	{ "current-era", KEY_CURRENT_ERA, "ERA", 0,
	  "The current era was at least ERA; a lower one is raised to ERA", 0 },
	{ "json", KEY_JSON, NULL, 0, "Print the report as JSON", 0 },
	{ "force", 'f', NULL, 0,
	  "With -o, overwrite a device or file that holds something", 0 },
	{ "quiet", 'q', NULL, 0,
	  "Print no messages and no summary; the exit status tells", 0 },
	{ 0 },
};

static void check_usage(const struct arguments *args, struct argp_state *state)
{
	if (args->undo_apply) {
		if (!args->device || args->input || args->output ||
		    args->in_place || args->undo || args->dry_run)
			argp_error(state,
				   "--undo-apply takes the undo file and one "
				   "device, and no other option");
		return;
	}
	if (args->device && !args->in_place && !args->input)
		argp_error(state,
			   "unexpected argument '%s': --in-place %s repairs "
			   "it, -i %s -o NEW_DEVICE writes to another",
			   args->device, args->device, args->device);
	if (args->device)
		argp_error(state, "unexpected argument '%s'", args->device);
	if (args->in_place && (args->input || args->output))
		argp_error(state, "--in-place goes without -i and -o");
	if (!args->in_place && !args->input)
		argp_error(state,
			   "no metadata device given (-i or --in-place)");
	if (!args->in_place && !args->output && !args->dry_run)
		argp_error(state, "no output device given (-o)");
	if (args->undo && !args->in_place)
		argp_error(state, "--undo goes with --in-place");
}

static error_t parse_geometry(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;
	struct era_geometry *g = &args->salvage.geometry;

	switch (key) {
	case KEY_BLOCK_SIZE:
		g->data_block_size = (uint32_t)tool_parse_number(
			arg, UINT32_MAX, "--block-size", state);
		if (!g->data_block_size || g->data_block_size % 8)
			argp_error(
				state,
				"--block-size must be a multiple of 8 sectors");
		return 0;
	case KEY_NR_BLOCKS:
		g->nr_blocks = (uint32_t)tool_parse_number(
			arg, ERA_MAX_NR_BLOCKS - 1, "--nr-blocks", state);
		return 0;
	case KEY_CURRENT_ERA:
		g->current_era = tool_parse_era(arg, UINT32_MAX - 2,
						"--current-era", state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

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
	case KEY_IN_PLACE:
		args->in_place = arg;
		return 0;
	case KEY_UNDO:
		args->undo = arg;
		return 0;
	case KEY_UNDO_APPLY:
		args->undo_apply = arg;
		return 0;
	case KEY_DRY_RUN:
		args->dry_run = true;
		return 0;
	case KEY_REACHABLE_ONLY:
		args->salvage.reachable_only = true;
		return 0;
	case KEY_DROP_SNAPSHOT:
		args->salvage.drop_snapshot = true;
		return 0;
	case KEY_JSON:
		args->json = true;
		return 0;
	case 'f':
		args->force = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!*arg) /* lvm has its tools called so */
			return 0;
		if (args->device)
			argp_error(state, "unexpected argument '%s'", arg);
		args->device = arg;
		return 0;
	case ARGP_KEY_END:
		check_usage(args, state);
		return 0;
	}
	return parse_geometry(key, arg, state);
}

static const struct argp argp = {
	options,
	parse,
	"-i DEVICE -o DEVICE\n--in-place DEVICE\n--undo-apply FILE DEVICE",
	"Repairs the metadata of a dm-era device without losing a write: what "
	"is "
	"in doubt counts as written."
	"\vExit status: 0 where the result is sound, whatever had to be "
	"assumed; "
	"1 nothing sound could be made of it, 2 it could not be looked at or "
	"written.",
	tool_argp_children,
	NULL,
	NULL
};

/* A sink that takes everything, for --dry-run. */
static int ignore_superblock(struct era_visitor *v,
			     const struct era_geometry *g)
{
	(void)v;
	(void)g;
	return 0;
}

static int ignore_begin(struct era_visitor *v, uint32_t era, uint32_t nr_bits)
{
	(void)v;
	(void)era;
	(void)nr_bits;
	return 0;
}

static int ignore_words(struct era_visitor *v, uint32_t first,
			const uint64_t *words, size_t nr)
{
	(void)v;
	(void)first;
	(void)words;
	(void)nr;
	return 0;
}

static int ignore_end(struct era_visitor *v)
{
	(void)v;
	return 0;
}

static int ignore_eras(struct era_visitor *v, uint32_t first,
		       const uint32_t *eras, size_t nr)
{
	(void)v;
	(void)first;
	(void)eras;
	(void)nr;
	return 0;
}

static struct era_visitor ignore = { ignore_superblock, ignore_begin,
				     ignore_words,	ignore_end,
				     ignore_eras,	ignore_end };

static int repair_to(const struct arguments *args, struct era_salvage *salvage,
		     const struct era_repair_told *told,
		     struct era_report *report)
{
	struct tool_target target;
	int r;

	if (tool_is_device(args->output, salvage->device)) {
		era_report_kind(
			report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is both input and output (--in-place repairs it)",
			args->output);
		return -EINVAL;
	}
	r = tool_target_open(&target, args->output, report);
	if (r)
		return r;
	if (!target.is_new && !args->force)
		r = tool_check_occupied(&target.device, report);
	if (r)
		return tool_target_close(&target, r, report);
	/* one line for both: read twice, written, and read for the check */
	target.device.moved = salvage->device->moved;
	target.device.moved_arg = salvage->device->moved_arg;
	r = era_repair_to(salvage, &target.device, told, report);
	return tool_target_close(&target, r, report);
}

static int repair(const struct arguments *args, struct era_salvage *salvage,
		  struct repair_summary *summary, struct era_report *report)
{
	struct era_repair_told told = { .raised = repair_summary_raised,
					.arg = summary };
	enum era_repair_need need = ERA_REPAIR_REBUILD;
	int r = era_repair_heed(salvage, &told);

	if (!r && args->in_place)
		r = era_repair_prepare(salvage, &need);
	summary->need = need;
	summary->dry_run = args->dry_run;
	repair_summary_take(summary, salvage);
	if (told.is_raised)
		summary->exact = false;
	if (r)
		return r;
	if (args->dry_run)
		return need == ERA_REPAIR_REBUILD
			       ? era_repair_read(salvage, &ignore, &told)
			       : 0;
	if (args->in_place)
		return tool_repair_in_place(salvage, need, args->undo, &told,
					    report);
	return repair_to(args, salvage, &told, report);
}

static int run(const struct arguments *args, struct repair_summary *summary,
	       struct era_report *report)
{
	const char *path = args->in_place ? args->in_place : args->input;
	unsigned int flags =
		args->in_place && !args->dry_run ? ERA_DEVICE_WRITE : 0;
	struct era_salvage salvage;
	struct progress progress;
	struct era_device device;
	int r = era_device_open(&device, path, flags, NULL, report);

	if (r)
		return r;
	tool_progress_start(&progress, &device,
			    (args->output ? 4 : 2) * era_device_used(&device),
			    args->quiet, args->output ? args->output : path);
	r = era_salvage_open(&salvage, &device, &args->salvage, report);
	if (!r) {
		r = repair(args, &salvage, summary, report);
		era_salvage_close(&salvage);
	}
	tool_progress_finish(&progress, &device);
	era_device_close(&device);
	return r;
}

static int apply_undo(const struct arguments *args, struct era_report *report)
{
	struct era_device device;
	int r = era_device_open(&device, args->device, ERA_DEVICE_WRITE, NULL,
				report);

	if (r)
		return r;
	r = undo_apply(args->undo_apply, &device, report);
	era_device_close(&device);
	return r;
}

static const char *device_name(const struct arguments *args)
{
	if (args->undo_apply)
		return args->device;
	return args->in_place ? args->in_place : args->input;
}

static int run_json(const struct arguments *args, struct era_report *errors)
{
	struct repair_summary summary = { .nr_counts = 0 };
	struct report_json json;
	enum era_outcome outcome;
	int r = report_json_init(&json), printed;

	if (r)
		return tool_exit_status(r, errors);
	r = run(args, &summary, &json.report);
	tool_put_into_words(r, &json.report);
	outcome = era_report_outcome(&json.report, r);
	printed = repair_summary_json(&summary, device_name(args), &json,
				      outcome);
	report_json_release(&json);
	repair_summary_release(&summary);
	return tool_exit_status_json(printed, outcome, errors);
}

static int run_text(const struct arguments *args, struct era_report *report)
{
	struct repair_summary summary = { .nr_counts = 0 };
	int r = args->undo_apply ? apply_undo(args, report)
				 : run(args, &summary, report);

	if (!r && !args->undo_apply && !args->quiet)
		repair_summary_text(&summary, stdout);
	repair_summary_release(&summary);
	return tool_exit_status_of(r, device_name(args), args->quiet, report);
}

int main(int argc, char **argv)
{
	struct arguments args = { .input = NULL };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(!args.dry_run);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	return args.json && !args.undo_apply ? run_json(&args, &text.report)
					     : run_text(&args, &text.report);
}
