/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_check: is this metadata sound?
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

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
	  "Exit with 0 where only leaks, wrong totals and stray bits are found",
	  0 },
	{ "reachable-only", KEY_REACHABLE_ONLY, NULL, 0,
	  "Do not look for a newer history among unreferenced blocks", 0 },
	{ "json", KEY_JSON, NULL, 0, "Print the report as JSON", 0 },
	{ "quiet", 'q', NULL, 0, "Print nothing, exit status only", 0 },
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
		if (args->device)
			argp_error(state, "only one device can be checked");
		args->device = arg;
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
				  "\vExit status: 0 sound, 1 anything else.",
				  tool_argp_children,
				  NULL,
				  NULL };

static int check(const struct arguments *args, struct era_report *report)
{
	struct era_device device;
	struct progress progress;
	int r = era_device_open(&device, args->device, 0, NULL, report);

	if (r)
		return r;
	/* to standard output nothing goes before the end */
	tool_progress_start(&progress, &device, era_device_used(&device),
			    args->quiet, args->device);
	r = era_check(&device, args->flags, report);
	tool_progress_finish(&progress, &device);
	era_device_close(&device);
	return r;
}

static bool is_sound(const struct arguments *args,
		     const struct era_report *report)
{
	return !report->nr[ERA_FATAL] &&
	       (args->ignore_non_fatal || !report->nr[ERA_NON_FATAL]);
}

static int print_json(const struct arguments *args,
		      const struct report_json *json, bool sound)
{
	json_t *root =
		json_pack("{s:s, s:b}", "device", args->device, "sound", sound);
	json_t *problems = report_json_object(json);
	int r = 0;

	if (!root || !problems || json_object_update(root, problems))
		r = -ENOMEM;
	else if (json_dumpf(root, stdout, JSON_INDENT(2)) ||
		 putchar('\n') == EOF)
		r = -errno;
	json_decref(problems);
	json_decref(root);
	return r;
}

static int check_json(const struct arguments *args, struct era_report *errors)
{
	struct report_json json;
	bool sound;
	int r = report_json_init(&json);

	if (!r)
		r = check(args, &json.report);
	sound = !r && is_sound(args, &json.report);
	if (!args->quiet) {
		int printed = print_json(args, &json, sound);

		/* what the report says needs no saying again on stderr */
		errors->nr[ERA_FATAL] += !printed;
		r = printed ? printed : r;
	}
	report_json_release(&json);
	return r ? r : sound ? 0 : -EUCLEAN;
}

static int check_text(const struct arguments *args, struct era_report *report)
{
	const uint64_t *nr = report->nr;
	int r = check(args, report);

	if (r)
		return r;
	if (!args->quiet && nr[ERA_FATAL] + nr[ERA_NON_FATAL])
		fprintf(stderr,
			"%s: %s: %" PRIu64 " error%s, %" PRIu64 " non-fatal\n",
			tool_name(), args->device, nr[ERA_FATAL],
			nr[ERA_FATAL] == 1 ? "" : "s", nr[ERA_NON_FATAL]);
	return is_sound(args, report) ? 0 : -EUCLEAN;
}

int main(int argc, char **argv)
{
	struct arguments args = { .device = NULL };
	struct report_text text;
	int r;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(false);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	r = args.json ? check_json(&args, &text.report)
		      : check_text(&args, &text.report);
	/* with non-fatal problems alone there is nothing more to say, either */
	text.report.nr[ERA_FATAL] += r == -EUCLEAN;
	return tool_exit_status(r, &text.report);
}
