/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_activate: an era device, after a look at its metadata.
 *
 * The kernel takes what it finds: it formats a superblock that is all zero, it
 * forgets what lies past the end of a smaller origin, and some kernels drop the
 * open era of a host that crashed. Here nothing of that happens unasked.
 *
 * A repair calls what era_repair calls, and runs no other program: so it works
 * in an initramfs, and what is checked is what is repaired, under one exclusive
 * open.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device/device.h"
#include "era/size.h"
#include "era/superblock.h"
#include "live/era_target.h"
#include "live/limit.h"
#include "live/lock.h"
#include "tools/activate.h"
#include "tools/in_place.h"
#include "tools/repair_summary.h"
#include "tools/tool.h"

#define KEY_FORMAT 0x100
#define KEY_DEACTIVATE 0x101
#define KEY_CONFIG 0x102
#define KEY_UNDO_DIR 0x103
#define KEY_WAIT 0x104

#define CONFIG_DIR "/etc/era"
#define UNDO_DIR "/var/lib/dm-era"
#define RUN_DIR "/run/dm-era" /* where the former cannot be written */
#define REMOVE_SECONDS 60
#define ASK_SECONDS 30
#define WAIT_POLL_MS 100
#define MAX_WAIT 3600 /* seconds */

struct arguments {
	struct activation to;
	const char *words[4]; /* NAME METADATA ORIGIN BLOCK_SIZE */
	size_t nr_words;
	const char *config;
	const char *undo_dir;
	unsigned int wait; /* for the devices, seconds */
	bool format;
	bool deactivate;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "deactivate", KEY_DEACTIVATE, NULL, 0,
	  "Remove the device, unless it is in use", 0 },
	{ "format", KEY_FORMAT, NULL, 0,
	  "Begin anew on a metadata device whose superblock is all zero", 0 },
	{ "config", KEY_CONFIG, "FILE", 0,
	  "Read FILE instead of /etc/era/NAME.conf", 0 },
	{ "undo-dir", KEY_UNDO_DIR, "DIRECTORY", 0,
	  "Save what a repair overwrites in DIRECTORY (default: "
	  "/var/lib/dm-era)",
	  0 },
	{ "wait", KEY_WAIT, "SECONDS", 0,
	  "Wait so long for the two devices to appear (default: 0)", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages; the exit status tells",
	  0 },
	{ 0 },
};

static void check_usage(struct arguments *args, struct argp_state *state)
{
	if (!args->nr_words)
		argp_error(state, "no device given");
	args->to.name = args->words[0];
	if (strchr(args->to.name, '/'))
		argp_error(state,
			   "'%s' is no name of a device, but perhaps an "
			   "instance of a unit: see systemd-escape(1)",
			   args->to.name);
	if (!*args->to.name || strlen(args->to.name) >= 128)
		argp_error(state, "'%s' is no name of a device", args->to.name);
	if (args->deactivate && (args->nr_words > 1 || args->format))
		argp_error(state, "--deactivate takes the name alone");
	if (args->nr_words == 2)
		argp_error(state, "no origin given");
	if (args->nr_words > 2 && args->config)
		argp_error(state, "--config goes with the name alone");
	if (args->nr_words < 3)
		return;
	if (strlen(args->words[1]) >= ACTIVATE_PATH_MAX ||
	    strlen(args->words[2]) >= ACTIVATE_PATH_MAX)
		argp_error(state, "a path is too long");
	strcpy(args->to.metadata, args->words[1]);
	strcpy(args->to.origin, args->words[2]);
	if (args->nr_words > 3 &&
	    !activation_block_size(args->words[3], &args->to.block_size))
		argp_error(state,
			   "the block size must be a multiple of 8 sectors, or "
			   "such as 64K, not '%s'",
			   args->words[3]);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case KEY_DEACTIVATE:
		args->deactivate = true;
		return 0;
	case KEY_FORMAT:
		args->format = true;
		return 0;
	case KEY_CONFIG:
		args->config = arg;
		return 0;
	case KEY_UNDO_DIR:
		args->undo_dir = arg;
		return 0;
	case KEY_WAIT:
		args->wait =
			tool_parse_range(arg, 0, MAX_WAIT, "--wait", state);
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->nr_words == 4)
			argp_error(state, "unexpected argument '%s'", arg);
		args->words[args->nr_words++] = arg;
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
	"NAME [METADATA ORIGIN [BLOCK_SIZE]]\n--deactivate NAME",
	"Activates a dm-era device: checks its metadata, repairs it where that "
	"is needed, and creates the device.",
	tool_argp_children,
	NULL,
	NULL
};

static void note(struct era_report *report, const char *text)
{
	era_report(report, ERA_NOTE, NULL, ERA_NO_DATA, "%s", text);
}

/* --- the devices below -----------------------------------------------------
 */

static void wait_for_devices(const struct arguments *args)
{
	unsigned long long deadline = limit_now() + args->wait * 1000ull;

	while ((access(args->to.metadata, F_OK) ||
		access(args->to.origin, F_OK)) &&
	       limit_now() < deadline)
		limit_sleep(WAIT_POLL_MS);
}

/* Sectors and number of a block device. */
static int look_at_origin(const char *path, uint64_t *sectors, dev_t *number,
			  struct era_report *report)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st = { .st_rdev = 0 };
	uint64_t size = 0;
	int r = 0;

	if (fd < 0 || fstat(fd, &st))
		r = -errno;
	else if (!S_ISBLK(st.st_mode))
		r = -ENOTBLK;
	else if (ioctl(fd, BLKGETSIZE64, &size))
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r)
		return tool_refuse(report, r, "%s: %s", path, strerror(-r));
	*sectors = size / 512;
	*number = st.st_rdev;
	return 0;
}

/* --- the metadata ----------------------------------------------------------
 */

/* What is known of an origin once its metadata is sound. */
struct plan {
	uint64_t sectors; /* of the origin */
	dev_t metadata, origin;
	uint32_t block_size; /* sectors */
};

static int is_all_zero(struct era_device *device, bool *zero,
		       struct era_report *report)
{
	uint8_t block[ERA_BLOCK_SIZE];
	int r = era_device_read(device, 0, 1, block);

	if (r)
		return era_device_report(device, report, "cannot read", r);
	*zero = block_is_zero(block);
	return 0;
}

static uint64_t nr_data_blocks(uint64_t sectors, uint32_t block_size)
{
	return (sectors + block_size - 1) / block_size;
}

/* The kernel formats it; what lies behind would look like a newer history. */
static int format(const struct arguments *args, struct era_device *device,
		  struct plan *plan, struct era_report *report)
{
	uint64_t nr;
	int r;

	if (!args->to.block_size)
		return tool_refuse(report, -EINVAL,
				   "%s: to format it takes a block size",
				   device->path);
	plan->block_size = args->to.block_size;
	nr = nr_data_blocks(plan->sectors, plan->block_size);
	if (nr >= ERA_MAX_NR_BLOCKS)
		return tool_refuse(report, -EINVAL,
				   "%" PRIu64
				   " blocks are more than dm-era can "
				   "track: a larger block size is needed",
				   nr);
	if (era_size_minimum((uint32_t)nr, device->nr_blocks) >
	    device->nr_blocks)
		return tool_refuse(
			report, -ENOSPC,
			"%s is too small (era_metadata_size tells how "
			"large it must be)",
			device->path);
	r = era_device_zero(device, 0, device->nr_blocks);
	if (!r)
		r = era_device_flush(device);
	return r ? era_device_report(device, report, "cannot write", r) : 0;
}

/* What the kernel would do to metadata of another shape. */
static int check_geometry(const struct arguments *args,
			  const struct era_geometry *g, struct plan *plan,
			  struct era_report *report)
{
	uint64_t nr;

	if (args->to.block_size && args->to.block_size != g->data_block_size)
		return tool_refuse(report, -EINVAL,
				   "%s: the metadata has blocks of %" PRIu32
				   " sectors, not of %" PRIu32,
				   args->to.metadata, g->data_block_size,
				   args->to.block_size);
	plan->block_size = g->data_block_size;
	nr = nr_data_blocks(plan->sectors, plan->block_size);
	if (nr < g->nr_blocks)
		return tool_refuse(
			report, -EINVAL,
			"%s: has %" PRIu64 " blocks, the metadata knows "
			"%" PRIu32 ": the kernel would forget the rest; "
			"is it the right one?",
			args->to.origin, nr, g->nr_blocks);
	if (nr >= ERA_MAX_NR_BLOCKS)
		return tool_refuse(report, -EINVAL,
				   "%s: has %" PRIu64
				   " blocks, more than dm-era can track",
				   args->to.origin, nr);
	if (nr > g->nr_blocks)
		note(report, "the origin has grown, and the metadata will");
	return 0;
}

/* The directory, and the file of the repair before the last one gone. */
static int undo_path(const struct arguments *args, char *path, size_t size,
		     struct era_report *report)
{
	const char *dir = args->undo_dir ? args->undo_dir : UNDO_DIR;
	char old[ACTIVATE_PATH_MAX];

	if (mkdir(dir, 0700) && errno != EEXIST && !args->undo_dir)
		dir = NULL;
	if (!dir || (access(dir, W_OK | X_OK) && !args->undo_dir)) {
		dir = RUN_DIR;
		mkdir(dir, 0755);
		note(report, UNDO_DIR " cannot be written: what a repair "
				      "overwrites is saved to " RUN_DIR);
	}
	if ((size_t)snprintf(path, size, "%s/%s.undo", dir, args->to.name) >=
		    size ||
	    (size_t)snprintf(old, sizeof(old), "%s.old", path) >= sizeof(old))
		return tool_refuse(report, -ENAMETOOLONG, "%s: name too long",
				   dir);
	if (rename(path, old) && errno != ENOENT)
		return tool_refuse(report, -errno, "%s: cannot rename: %s",
				   path, strerror(errno));
	return 0;
}

static int repair(const struct arguments *args, struct era_salvage *salvage,
		  enum era_repair_need need, struct repair_summary *summary,
		  struct era_report *report)
{
	struct era_repair_told told = { .raised = repair_summary_raised,
					.arg = summary };
	char undo[ACTIVATE_PATH_MAX - 8];
	int r;

	if (need == ERA_REPAIR_NOTHING)
		return 0;
	r = undo_path(args, undo, sizeof(undo), report);
	if (!r)
		r = tool_repair_in_place(salvage, need, undo, &told, report);
	if (r)
		return tool_refuse(
			report, r,
			"%s: could not be repaired in place, and is as it "
			"was: see era_recovery(7)",
			args->to.metadata);
	if (!args->quiet)
		repair_summary_text(summary, stdout);
	return 0;
}

static int check_and_repair(const struct arguments *args,
			    struct era_salvage *salvage, struct plan *plan,
			    struct era_report *report)
{
	struct repair_summary summary = { .nr_counts = 0 };
	enum era_repair_need need;
	int r = era_repair_prepare(salvage, &need);

	if (!r) {
		summary.need = need;
		repair_summary_take(&summary, salvage);
		r = check_geometry(args, &salvage->geometry, plan, report);
	}
	if (!r)
		r = repair(args, salvage, need, &summary, report);
	repair_summary_release(&summary);
	return r;
}

/* What the device itself says comes before what we are told. */
static void tell_geometry(const struct arguments *args,
			  struct era_device *device,
			  struct era_salvage_options *salvage)
{
	struct era_superblock sb;

	if (!args->to.block_size ||
	    !era_superblock_read(&sb, device, ERA_SUPERBLOCK_LOCATION, NULL))
		return;
	salvage->geometry.data_block_size = args->to.block_size;
}

static int make_sound(const struct arguments *args, struct era_device *device,
		      struct plan *plan, struct era_report *report)
{
	struct era_salvage_options told = { .logical = false };
	struct era_salvage salvage;
	struct progress progress;
	bool zero = false;
	int r = is_all_zero(device, &zero, report);

	if (r)
		return r;
	if (zero && !args->format)
		return tool_refuse(
			report, -EUCLEAN,
			"%s: the superblock is all zero, and the kernel "
			"would begin anew: --format, if that is meant; "
			"else see era_repair(8)",
			device->path);
	if (zero)
		return format(args, device, plan, report);
	if (args->format)
		return tool_refuse(
			report, -EEXIST,
			"%s: holds metadata, or something else: only a "
			"superblock that is all zero is formatted",
			device->path);
	tell_geometry(args, device, &told);
	tool_progress_start(&progress, device, 2 * era_device_used(device),
			    args->quiet, device->path);
	r = era_salvage_open(&salvage, device, &told, report);
	if (!r) {
		r = check_and_repair(args, &salvage, plan, report);
		era_salvage_close(&salvage);
	}
	tool_progress_finish(&progress, device);
	return r;
}

/* Whoever read it would wait until it is resumed, and could not be killed. */
static int refuse_suspended(const char *path, struct era_report *report)
{
	char numbers[24];
	struct stat st;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return 0; /* the opening says so */
	snprintf(numbers, sizeof(numbers), "%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	return live_is_suspended(numbers)
		       ? tool_refuse(report, -EBUSY,
				     "%s: is suspended, or what is below it: "
				     "whoever reads it waits until that is "
				     "resumed",
				     path)
		       : 0;
}

/* What comes out is sound metadata, or what the kernel is to format. */
static int prepare(const struct arguments *args, struct plan *plan,
		   struct era_report *report)
{
	struct era_device device;
	struct stat st;
	int r = look_at_origin(args->to.origin, &plan->sectors, &plan->origin,
			       report);

	if (!r)
		r = refuse_suspended(args->to.metadata, report);
	if (!r)
		r = era_device_open(&device, args->to.metadata,
				    ERA_DEVICE_WRITE, NULL, report);
	if (r)
		return r;
	if (fstat(device.fd, &st) || !S_ISBLK(st.st_mode))
		r = tool_refuse(report, -ENOTBLK, "%s: is no block device",
				args->to.metadata);
	plan->metadata = st.st_rdev;
	if (!r && plan->metadata == plan->origin)
		r = tool_refuse(report, -EINVAL,
				"%s is both metadata device and origin",
				args->to.origin);
	if (!r)
		r = make_sound(args, &device, plan, report);
	era_device_close(&device);
	return r;
}

/* --- the device ------------------------------------------------------------
 */

static int create(const struct arguments *args, const struct plan *plan,
		  struct era_report *report)
{
	char params[96];
	struct live_target target = { .len = plan->sectors,
				      .type = "era",
				      .params = params };
	struct live_era era;
	int r;

	/* by number: whatever is in a path, a table has no blanks to spare */
	snprintf(params, sizeof(params), "%u:%u %u:%u %" PRIu32,
		 major(plan->metadata), minor(plan->metadata),
		 major(plan->origin), minor(plan->origin), plan->block_size);
	r = live_create(args->to.name, NULL, &target, report);
	if (!r)
		r = live_era_look(&era, args->to.name, report);
	if (!r)
		r = live_era_ask(&era, ASK_SECONDS, report);
	if (r)
		return r;
	if (era.answer != LIVE_ERA_ANSWERED)
		return tool_refuse(report, -EIO,
				   "%s: was created, but does not work: see "
				   "era_status(8)",
				   args->to.name);
	if (!args->quiet)
		printf("%s: active, era %" PRIu32 "\n", args->to.name, era.era);
	return 0;
}

/* Whether the numbers are those of the device at path. */
static bool is_path(const char *numbers, const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode) &&
	       live_is_device(numbers, st.st_rdev);
}

/* 1: it is there, and what is asked for; 0: there is no such device. */
static int is_active(const struct arguments *args, struct era_report *report)
{
	struct live_era era;
	int r = live_era_look(&era, args->to.name, NULL);

	if (r == -ENXIO)
		return 0;
	if (r)
		/* said with its reason this time */
		return live_era_look(&era, args->to.name, report);
	if (era.is_era && !era.info.suspended && !era.info.inactive_table &&
	    is_path(era.table.metadata_numbers, args->to.metadata) &&
	    is_path(era.table.origin_numbers, args->to.origin) &&
	    (!args->to.block_size ||
	     args->to.block_size == era.table.block_size))
		return 1;
	return tool_refuse(
		report, -EEXIST,
		"%s: there is a device of that name, and not this one",
		args->to.name);
}

static int activate(const struct arguments *args, struct era_report *report)
{
	struct plan plan = { .sectors = 0 };
	int r;

	wait_for_devices(args);
	r = is_active(args, report);
	if (r > 0) {
		note(report, "it is active already");
		return 0;
	}
	if (!r)
		r = prepare(args, &plan, report);
	return r ? r : create(args, &plan, report);
}

static int deactivate(const struct arguments *args, struct era_report *report)
{
	struct live_era era;
	int r = live_era_look(&era, args->to.name, report);

	if (r)
		return r;
	if (!era.is_era && !era.next_is_era)
		return tool_refuse(report, -EINVAL, "%s: no era device",
				   args->to.name);
	if (era.info.open_count > 0)
		return tool_refuse(report, -EBUSY,
				   "%s: is in use (open %d times)",
				   args->to.name, era.info.open_count);
	return live_remove(args->to.name, REMOVE_SECONDS, report);
}

static int read_config(struct arguments *args, struct era_report *report)
{
	char path[ACTIVATE_PATH_MAX];

	if (args->deactivate || args->nr_words > 1)
		return 0;
	snprintf(path, sizeof(path), CONFIG_DIR "/%s.conf", args->to.name);
	return activation_read(&args->to, args->config ? args->config : path,
			       report);
}

static int run(struct arguments *args, struct era_report *report)
{
	int r = read_config(args, report), lock;

	if (!r)
		r = live_reach(report);
	if (r)
		return r;
	lock = live_lock(args->to.name, report);
	if (lock < 0)
		return lock;
	r = args->deactivate ? deactivate(args, report)
			     : activate(args, report);
	close(lock);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .nr_words = 0 };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	return tool_exit_status(run(&args, &text.report), &text.report);
}
