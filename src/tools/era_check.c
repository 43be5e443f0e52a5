/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_check: is this metadata sound?
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "era/check.h"
#include "format/report_json.h"
#include "tools/confine.h"
#include "tools/tool.h"

#define KEY_SUPERBLOCK_ONLY 0x100
#define KEY_IGNORE_NON_FATAL 0x101
#define KEY_JSON 0x102
#define KEY_REACHABLE_ONLY 0x103

struct arguments {
	const char *device;
	unsigned int flags;
	bool ignore_non_fatal;
	bool json;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "super-block-only", KEY_SUPERBLOCK_ONLY, NULL, 0,
	  "Check the superblock and nothing else", 0 },
	{ "ignore-non-fatal-errors", KEY_IGNORE_NON_FATAL, NULL, 0,
	  "Exit with 0 if only leaks, wrong totals and stray bits are found",
	  0 },
	{ "reachable-only", KEY_REACHABLE_ONLY, NULL, 0,
	  "Do not look for a newer history among unreferenced blocks", 0 },
	{ "json", KEY_JSON, NULL, 0, "Print the report as JSON", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages; the exit status tells",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case KEY_SUPERBLOCK_ONLY:
		args->flags |= ERA_CHECK_SUPERBLOCK_ONLY;
		return 0;
	case KEY_IGNORE_NON_FATAL:
		args->ignore_non_fatal = true;
		return 0;
	case KEY_REACHABLE_ONLY:
		args->flags |= ERA_CHECK_REACHABLE_ONLY;
		return 0;
	case KEY_JSON:
		args->json = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!*arg) /* lvm has its tools called so */
			return 0;
		tool_take_device(&args->device, arg, "checked", state);
		return 0;
	case ARGP_KEY_END:
		if (!args->device)
			argp_error(state, "no metadata device given");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = { options,
				  parse,
				  "DEVICE",
				  "Checks the metadata of a dm-era device."
				  "\vExit status: 0 sound, 1 not sound, 2 it "
				  "could not be looked at.",
				  tool_argp_children,
				  NULL,
				  NULL };

/* current_era stays as it is where no superblock tells. */
static int check(const struct arguments *args, int64_t *current_era,
		 struct era_report *report)
{
	struct era_superblock sb;
	struct era_device device;
	struct progress progress;
	int r = era_device_open(&device, args->device, 0, NULL, report);

	if (r)
		return r;
	/* to standard output nothing goes before the end */
	tool_progress_start(&progress, &device, era_device_used(&device),
			    args->quiet, args->device);
	r = era_check(&device, args->flags, report);
	if (!era_superblock_read(&sb, &device, ERA_SUPERBLOCK_LOCATION, NULL))
		*current_era = sb.geometry.current_era;
	tool_progress_finish(&progress, &device);
	era_device_close(&device);
	return r;
}

/* As all functions end: with -EUCLEAN where what is wrong was reported. */
static int judge(const struct arguments *args, int r,
		 const struct era_report *report)
{
	if (r)
		return r;
	if (report->nr[ERA_FATAL] ||
	    (!args->ignore_non_fatal && report->nr[ERA_NON_FATAL]))
		return -EUCLEAN;
	return 0;
}

/* Of what ended with r. */
static enum era_advice choose_advice(int r, const struct era_report *report)
{
	if (r && !report->nr[ERA_FATAL])
		return era_kind_advice(ERA_KIND_WASTE);
	return era_kind_advice(era_report_main_kind(report));
}

static int check_json(const struct arguments *args, struct era_report *errors)
{
	enum era_outcome outcome;
	enum era_advice advice;
	char buf[TOOL_ADVICE_MAX];
	struct report_json json;
	int64_t era = -1;
	json_t *root;
	int r = report_json_init(&json), printed;

	if (r)
		return tool_exit_status(r, errors);
	r = judge(args, check(args, &era, &json.report), &json.report);
	if (r != -EUCLEAN)
		tool_put_into_words(r, &json.report);
	outcome = era_report_outcome(&json.report, r);
	advice = choose_advice(r, &json.report);
	root = report_json_new(args->device, outcome, era_advice_code(advice),
			       tool_advice(advice, args->device, buf,
					   sizeof(buf)));
	json_object_set_new(root, "current_era",
			    era < 0 ? json_null() : json_integer(era));
	printed = report_json_print(root, &json, stdout);
	report_json_release(&json);
	return tool_exit_status_json(printed, outcome, errors);
}

/* The last line: how much is wrong, and what to do next. */
static void sum_up(const struct arguments *args, int r,
		   const struct era_report *report)
{
	const uint64_t *nr = report->nr;
	char buf[TOOL_ADVICE_MAX];
	const char *next = tool_advice(choose_advice(r, report), args->device,
				       buf, sizeof(buf));

	if (args->quiet || !(nr[ERA_FATAL] + nr[ERA_NON_FATAL]))
		return;
	fprintf(stderr,
		"%s: %s: %" PRIu64 " error%s, %" PRIu64 " non-fatal%s%s\n",
		tool_name(), args->device, nr[ERA_FATAL],
		nr[ERA_FATAL] == 1 ? "" : "s", nr[ERA_NON_FATAL],
		r && next ? "; next: " : "", r && next ? next : "");
}

static int check_text(const struct arguments *args, struct era_report *report)
{
	int64_t era;
	int r = judge(args, check(args, &era, report), report);

	/* with non-fatal problems alone there is nothing more to say */
	if (r != -EUCLEAN)
		tool_put_into_words(r, report);
	sum_up(args, r, report);
	return era_report_outcome(report, r);
}

int main(int argc, char **argv)
{
	struct arguments args = { .device = NULL };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(false);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	return args.json ? check_json(&args, &text.report)
			 : check_text(&args, &text.report);
}
