/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_changed: which blocks of a device in use were written since an era, and
 * from which era does the next list count?
 *
 * The order is what makes the list complete: a new era begins; the data
 * snapshot is made; then the metadata snapshot is taken, which so has every
 * write that the data snapshot has. What is written after the data snapshot is
 * of the new era or a later one, and in the next list. A write between the two
 * is in both.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/device.h"
#include "era/metadata.h"
#include "format/output_own.h"
#include "live/era_target.h"
#include "live/limit.h"
#include "live/lock.h"
#include "live/snapshot.h"
#include "tools/command.h"
#include "tools/confine.h"
#include "tools/list.h"
#include "tools/tool.h"

#define KEY_SINCE 0x100
#define KEY_DATA_SNAPSHOT 0x101
#define KEY_SAVE 0x102
#define KEY_REPLACE 0x103
#define KEY_TIMEOUT 0x104

#define ASK_SECONDS 30	  /* a message may have to archive an era */
#define MAX_TIMEOUT 86400 /* seconds */
#define DRAIN_MS 5000	  /* for writes that were under way */
#define DRAIN_POLL_MS 10

struct arguments {
	struct tool_list list;
	const char *name;
	const char *since; /* an era, or a file that has one */
	const char *data_snapshot;
	const char *save;
	unsigned int timeout; /* of the data snapshot's command, seconds */
	uint32_t era;
	bool replace_snapshot;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "since", KEY_SINCE, "ERA", 0,
	  "List the blocks written in ERA or later; ERA is a number, or a file "
	  "that --save has written",
	  0 },
	{ "data-snapshot", KEY_DATA_SNAPSHOT, "COMMAND", 0,
	  "Run COMMAND, which makes the snapshot of the data to copy from", 0 },
	{ "save", KEY_SAVE, "FILE", 0,
	  "Write the era from which the next list counts to FILE, once the "
	  "list "
	  "is whole",
	  0 },
	{ "replace-snapshot", KEY_REPLACE, NULL, 0,
	  "Drop a metadata snapshot that is held already", 0 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0,
	  "End COMMAND after so many seconds (default: 600)", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages; the exit status tells",
	  0 },
	{ 0 },
};

static void check_usage(const struct arguments *args, struct argp_state *state)
{
	if (!args->name)
		argp_error(state, "no device given");
	if (!args->since)
		argp_error(state, "no era given (--since)");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->list;
		return 0;
	case KEY_SINCE:
		args->since = arg;
		return 0;
	case KEY_DATA_SNAPSHOT:
		args->data_snapshot = arg;
		return 0;
	case KEY_SAVE:
		args->save = arg;
		return 0;
	case KEY_REPLACE:
		args->replace_snapshot = true;
		return 0;
	case KEY_TIMEOUT:
		args->timeout = tool_parse_range(arg, 1, MAX_TIMEOUT,
						 "--timeout", state);
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		tool_take_device(&args->name, arg, "listed", state);
		return 0;
	case ARGP_KEY_END:
		check_usage(args, state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {
	{ &tool_list_argp, 0, NULL, 0 },
	{ &tool_common_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp argp = {
	options,
	parse,
	"--since ERA NAME",
	"Lists the blocks of a dm-era device in use that were written since an "
	"era, and tells the era to count from next time.",
	children,
	NULL,
	NULL
};

/* --- the era to count from -------------------------------------------------
 */

static bool take_number(const char *text, uint32_t *era)
{
	unsigned long long value = 0;
	size_t n = strspn(text, "0123456789");

	if (!n || n > 10 || (text[n] && strcmp(text + n, "\n")))
		return false;
	value = strtoull(text, NULL, 10);
	*era = (uint32_t)value;
	return value <= UINT32_MAX;
}

/* What is no number is a file with one, and nothing else, in it. */
static int resolve_since(struct arguments *args, struct era_report *report)
{
	char text[64] = "";
	FILE *file;

	if (take_number(args->since, &args->era))
		return 0;
	file = fopen(args->since, "re");
	if (!file) {
		int r = -errno;

		era_report_kind(report, ERA_KIND_USAGE, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"--since %s: is no era, and no file: %s",
				args->since, strerror(-r));
		return r;
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	if (take_number(text, &args->era))
		return 0;
	era_report_kind(report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
			ERA_NO_DATA, "%s: holds no era as --save writes it",
			args->since);
	return -EINVAL;
}

static int save_era(const char *path, uint32_t era, struct era_report *report)
{
	struct output out;
	char text[16];
	int r = output_open(&out, path, report);

	if (r)
		return r;
	snprintf(text, sizeof(text), "%" PRIu32 "\n", era);
	output_puts(&out, text);
	return output_finish(&out);
}

/* --- the device ------------------------------------------------------------
 */

static int refuse(struct era_report *report, int r, const char *name,
		  const char *why)
{
	return tool_refuse(report, r, "%s: %s", name, why);
}

static int refuse_metadata_suspended(const struct live_era *era,
				     struct era_report *report)
{
	return live_is_suspended(era->table.metadata_numbers)
		       ? refuse(report, -EBUSY, era->table.metadata,
				"is suspended, or what is below it: whoever "
				"reads it waits until that is resumed")
		       : 0;
}

/* Asks for the status, which is to be one of a target that works. */
static int ask(struct live_era *era, struct era_report *report)
{
	int r = live_era_ask(era, ASK_SECONDS, report);

	if (r || era->answer == LIVE_ERA_ANSWERED)
		return r;
	if (era->info.suspended)
		return refuse(report, -EBUSY, era->info.name,
			      "is suspended: whoever asks it anything waits "
			      "until it is resumed");
	if (era->answer == LIVE_ERA_FAILED)
		return refuse(report, -EIO, era->info.name,
			      "its metadata has failed: see era_recovery(7)");
	return refuse(report, -ETIMEDOUT, era->info.name,
		      "did not answer in time: see era_status(8)");
}

static int look(struct live_era *era, const struct arguments *args,
		struct era_report *report)
{
	int r = live_era_look(era, args->name, report);

	if (r)
		return r;
	if (!era->is_era)
		return refuse(report, -EINVAL, args->name, "no era device");
	if (era->nr_targets > 1)
		return refuse(report, -EINVAL, args->name,
			      "its table has more than one target");
	if (era->info.inactive_table && !era->info.suspended)
		return refuse(report, -EBUSY, args->name,
			      "a new table was loaded while it is live: do not "
			      "resume, dmsetup clear it; see era_status(8)");
	r = refuse_metadata_suspended(era, report);
	return r ? r : ask(era, report);
}

/* A list since an era that never was would be empty, and look complete. */
static int check_era(const struct live_era *era, const struct arguments *args,
		     struct era_report *report)
{
	if (args->era <= era->era)
		return 0;
	era_report_kind(report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s: is in era %" PRIu32
			", and has not reached %" PRIu32
			": that era was saved from other metadata; take a full "
			"backup (--since 0)",
			args->name, era->era, args->era);
	return -EINVAL;
}

static int free_snapshot(struct live_era *era, const struct arguments *args,
			 struct era_report *report)
{
	if (!era->snapshot)
		return 0;
	if (args->replace_snapshot)
		return live_message(args->name, "drop_metadata_snap",
				    ASK_SECONDS, report);
	return refuse(report, -EBUSY, args->name,
		      "a metadata snapshot is held: somebody reads it, or has "
		      "left it behind (--replace-snapshot)");
}

/* Whether no write that the kernel has passed on is under way. */
static bool is_at_rest(const struct live_info *info)
{
	unsigned long reads, writes = 1;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path),
		 "/sys/dev/block/%" PRIu32 ":%" PRIu32 "/inflight", info->major,
		 info->minor);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%lu %lu", &reads, &writes) != 2)
		writes = 1;
	fclose(file);
	return !writes;
}

/*
 * A write that was under way at the checkpoint counts as of the era before.
 * Were it to reach the origin after the data is copied, the next list would not
 * have it; so it is waited for. False where the device was never seen at rest.
 */
static bool drain(const struct live_info *info)
{
	unsigned long long deadline = limit_now() + DRAIN_MS;

	do {
		limit_sleep(DRAIN_POLL_MS);
		if (is_at_rest(info))
			return true;
	} while (limit_now() < deadline);
	return false;
}

/* Begins the era that the next list counts from, then the data snapshot. */
static int begin_era(struct live_era *era, const struct arguments *args,
		     uint32_t *next, struct era_report *report)
{
	uint32_t before = era->era;
	int r = live_message(args->name, "checkpoint", ASK_SECONDS, report);

	if (!r)
		r = ask(era, report);
	if (r)
		return r;
	if (era->era <= before)
		return refuse(report, -EIO, args->name,
			      "no new era began with the checkpoint");
	*next = era->era;
	if (!drain(&era->info)) {
		*next = before;
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "%s: writes were under way all the time, so the era "
			   "that they are of is to be in the next list, too",
			   args->name);
	}
	if (!args->data_snapshot)
		return 0;
	setenv("ERA_NAME", args->name, 1);
	return command_run(args->data_snapshot, args->timeout, report);
}

/* --- the list --------------------------------------------------------------
 */

static int open_metadata_device(struct era_device *device,
				const struct live_era *era,
				struct era_report *report)
{
	struct stat st;
	int r = refuse_metadata_suspended(era, report);

	if (!r)
		r = era_device_open(device, era->table.metadata,
				    ERA_DEVICE_SHARED, NULL, report);
	if (r)
		return r;
	if (!fstat(device->fd, &st) && S_ISBLK(st.st_mode) &&
	    live_is_device(era->table.metadata_numbers, st.st_rdev))
		return 0;
	era_device_close(device);
	era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is not the metadata device %s", era->table.metadata,
			era->table.metadata_numbers);
	return -ENODEV;
}

static int list(const struct arguments *args, const struct live_era *era,
		struct output *out, struct era_report *report)
{
	struct progress progress;
	struct era_metadata md;
	struct era_device device;
	int r = open_metadata_device(&device, era, report);

	if (r)
		return r;
	/* nothing but the list is written, and nothing run, from here on */
	tool_confine(args->list.output || args->save);
	tool_progress_start(&progress, &device, 0, args->quiet,
			    args->list.output);
	r = era_metadata_open(&md, &device, true, NULL, report);
	if (!r) {
		r = tool_list_write(&args->list, &md, args->era, device.path,
				    out);
		era_metadata_release(&md);
	}
	tool_progress_finish(&progress, &device);
	era_device_close(&device);
	return r;
}

/*
 * The list counts once all of it is written and nothing is left behind: whoever
 * is told of a failure does not go on from the era that is saved.
 */
static int list_from_snapshot(const struct arguments *args,
			      const struct live_era *era, struct output *out,
			      struct era_report *report)
{
	struct live_snapshot snapshot;
	int r = live_snapshot_take(&snapshot, args->name, ASK_SECONDS, report);
	int dropped;

	if (r)
		return r;
	r = list(args, era, out, report);
	dropped = live_snapshot_drop(&snapshot, report);
	return r ? r : dropped;
}

static int finish(const struct arguments *args, uint32_t next,
		  struct output *out, struct era_report *report)
{
	int r = output_finish(out);

	if (!r && args->save)
		r = save_era(args->save, next, report);
	if (!r)
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "the next list counts from era %" PRIu32, next);
	return r;
}

static int run_locked(const struct arguments *args, struct output *out,
		      struct era_report *report)
{
	struct live_era era;
	uint32_t next = 0;
	int r = look(&era, args, report);

	if (!r)
		r = check_era(&era, args, report);
	if (!r)
		r = free_snapshot(&era, args, report);
	if (!r)
		r = begin_era(&era, args, &next, report);
	if (!r)
		r = list_from_snapshot(args, &era, out, report);
	if (!r)
		return finish(args, next, out, report);
	output_abandon(out);
	return r;
}

/* Before anything is done to the device. */
static int check_targets(const struct arguments *args,
			 struct era_report *report)
{
	int r = 0;

	if (args->list.force)
		return 0;
	if (args->save)
		r = output_check_own(args->save, report);
	return r ? r : output_check_own(args->list.output, report);
}

static int run(struct arguments *args, struct era_report *report)
{
	struct live_info info;
	struct output out;
	int r = resolve_since(args, report), lock;

	if (!r)
		r = check_targets(args, report);
	if (!r)
		r = live_info(args->name, &info, report);
	if (r)
		return r;
	lock = live_lock(info.name, report);
	if (lock < 0)
		return lock;
	r = output_open(&out, args->list.output, report);
	if (!r)
		r = run_locked(args, &out, report);
	close(lock);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .timeout = 600 };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	return tool_exit_status(run(&args, &text.report), &text.report);
}
