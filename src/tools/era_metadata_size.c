/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_metadata_size: how large must the metadata device be?
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "era/size.h"
#include "era/visitor.h"
#include "format/human_size.h"
#include "format/report_json.h"
#include "pdata/block.h"
#include "tools/confine.h"
#include "tools/tool.h"

#define DEFAULT_ERAS 16
#define MAX_ERAS 1000000
#define MIN_BLOCK_SIZE 4096 /* bytes; a block size is a multiple of it */

#define KEY_JSON 0x100
#define KEY_NO_SNAPSHOT 0x101

struct arguments {
	const char *origin;
	uint64_t block_size;  /* bytes; 0: not given */
	uint64_t device_size; /* bytes; 0: not given */
	uint64_t nr_blocks;
	uint64_t unit; /* bytes; 0: not given */
	uint32_t nr_eras;
	bool have_nr_blocks;
	bool no_snapshot;
	bool json;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "block-size", 'b', "SIZE", 0,
	  "The size of a tracking block, a multiple of 4K", 0 },
	{ "device-size", 's', "SIZE", 0, "The size of the origin", 0 },
	{ "nr-blocks", 'n', "NUMBER", 0,
	  "The number of tracking blocks, in place of the two sizes", 0 },
	{ "eras", 'e', "NUMBER", 0,
	  "How many eras may wait to be digested (default: 16)", 0 },
	{ "no-snapshot", KEY_NO_SNAPSHOT, NULL, 0,
	  "No metadata snapshot will ever be taken", 0 },
	{ "unit", 'u', "UNIT", 0,
	  "Print a bare number, in units of s (sectors), K, M, G, or any size; "
	  "rounded up",
	  0 },
	{ "json", KEY_JSON, NULL, 0, "Print the figures as JSON", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages; the exit status tells",
	  0 },
	{ 0 },
};

static uint64_t parse_unit(const char *arg, struct argp_state *state)
{
	uint64_t unit = tool_parse_size(arg, UINT64_MAX, "--unit", state);

	if (!unit)
		argp_error(state, "the unit must not be 0");
	return unit;
}

static uint64_t parse_block_size(const char *arg, struct argp_state *state)
{
	uint64_t max = UINT64_C(512) * (UINT32_MAX - UINT32_MAX % 8);
	uint64_t size = tool_parse_size(arg, max, "--block-size", state);

	if (!size || size % MIN_BLOCK_SIZE)
		argp_error(state,
			   "the block size must be a multiple of 4K, not '%s'",
			   arg);
	return size;
}

static void check_usage(const struct arguments *args, struct argp_state *state)
{
	int nr = args->have_nr_blocks + !!args->device_size + !!args->origin;

	if (!nr)
		argp_error(state, "no size given (--device-size, --nr-blocks "
				  "or a device)");
	if (nr > 1)
		argp_error(state, "only one of --device-size, --nr-blocks and "
				  "a device can be given");
	if (!args->have_nr_blocks && !args->block_size)
		argp_error(state, "no block size given (--block-size)");
	if (args->json && args->unit)
		argp_error(state, "--json has all units, --unit is for text");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 'b':
		args->block_size = parse_block_size(arg, state);
		return 0;
	case 's':
		args->device_size =
			tool_parse_size(arg, INT64_MAX, "--device-size", state);
		if (!args->device_size)
			argp_error(state, "the device size must not be 0");
		return 0;
	case 'n':
		args->nr_blocks = tool_parse_number(arg, ERA_MAX_NR_BLOCKS - 1,
						    "--nr-blocks", state);
		args->have_nr_blocks = true;
		return 0;
	case 'e':
		args->nr_eras = (uint32_t)tool_parse_number(arg, MAX_ERAS,
							    "--eras", state);
		return 0;
	case 'u':
		args->unit = parse_unit(arg, state);
		return 0;
	case KEY_NO_SNAPSHOT:
		args->no_snapshot = true;
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
		tool_take_device(&args->origin, arg, "looked at", state);
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
	"-b SIZE -s SIZE\n-b SIZE ORIGIN\n-n NUMBER",
	"Says how large the metadata device of a dm-era device must be."
	"\vSizes take the suffixes K, M, G, T, P (powers of 1024), KB, MB... "
	"(powers of 1000) and s (sectors); ORIGIN is a block device or a file "
	"to take the size of.",
	tool_argp_children,
	NULL,
	NULL
};

/* The size of a block device, in use or not, or of a file. */
static int origin_size(const char *path, uint64_t *size,
		       struct era_report *report)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st)) {
		r = -errno;
	} else if (S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
	} else if (!S_ISBLK(st.st_mode)) {
		r = S_ISDIR(st.st_mode) ? -EISDIR : -ENOTBLK;
	} else if (ioctl(fd, BLKGETSIZE64, size)) {
		r = -errno;
	}
	if (fd >= 0)
		close(fd);
	if (r)
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s: %s", path, strerror(-r));
	return r;
}

/* The smallest power of two that tracks size bytes in few enough blocks. */
static uint64_t least_block_size(uint64_t size)
{
	uint64_t block_size = MIN_BLOCK_SIZE;

	while (size / block_size >= ERA_MAX_NR_BLOCKS - 1)
		block_size *= 2;
	return block_size;
}

static int count_blocks(struct arguments *args, struct era_report *report)
{
	char text[HUMAN_SIZE_MAX];
	int r = 0;

	if (args->have_nr_blocks)
		return 0;
	if (args->origin)
		r = origin_size(args->origin, &args->device_size, report);
	if (r)
		return r;
	args->nr_blocks = args->device_size / args->block_size +
			  !!(args->device_size % args->block_size);
	if (args->nr_blocks < ERA_MAX_NR_BLOCKS)
		return 0;
	era_report_kind(report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"%" PRIu64 " blocks are more than dm-era can track; "
			"a block size of %s would do",
			args->nr_blocks,
			human_size(text, least_block_size(args->device_size)));
	return -EINVAL;
}

static uint64_t addressable(uint64_t nr)
{
	return nr < MAX_METADATA_BLOCKS ? nr : MAX_METADATA_BLOCKS;
}

static void warn(const struct era_size *size, struct era_report *report)
{
	char need[HUMAN_SIZE_MAX], most[HUMAN_SIZE_MAX];

	if (size->nr_blocks <= MAX_METADATA_BLOCKS)
		return;
	era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
		   "the worst case takes %s, more than the %s that dm-era can "
		   "use: it may run full, choose a larger block size",
		   human_size(need, size->nr_blocks * ERA_BLOCK_SIZE),
		   human_size(most,
			      (uint64_t)MAX_METADATA_BLOCKS * ERA_BLOCK_SIZE));
}

static const char *const part_names[] = {
	[ERA_SIZE_SUPERBLOCK] = "superblock",
	[ERA_SIZE_ERA_ARRAY] = "era_array",
	[ERA_SIZE_WRITESET] = "writeset",
	[ERA_SIZE_WRITESET_TREE] = "writeset_tree",
	[ERA_SIZE_SPACE_MAP] = "space_map",
};

/* Why there are as many of each. */
static void print_reasons(const struct arguments *args)
{
	const char *old = args->no_snapshot ? "" : ", the snapshot's";

	printf("\nsuperblock     one%s\n", old);
	printf("era_array      4 bytes a block: the old, the new%s\n", old);
	printf("writeset       1 bit a block: %" PRIu32 " undigested",
	       args->nr_eras);
	if (!args->no_snapshot)
		printf(", %" PRIu32 " in the snapshot", args->nr_eras);
	printf(", 2 open\n");
	printf("writeset_tree  the old, the new%s\n", old);
	printf("space_map      2 bits a metadata block: the old, the new\n");
}

static void print_text(const struct arguments *args,
		       const struct era_size *size)
{
	uint64_t nr = addressable(size->nr_blocks);
	uint64_t least = era_size_minimum((uint32_t)args->nr_blocks, nr);
	char text[HUMAN_SIZE_MAX];

	if (args->unit) {
		printf("%" PRIu64 "\n",
		       (nr * ERA_BLOCK_SIZE - 1) / args->unit + 1);
		return;
	}
	/* exact first: a rounded size may be too small by some blocks */
	printf("metadata device: %" PRIu64 "K, about %s, for %" PRIu64
	       " data blocks",
	       nr * (ERA_BLOCK_SIZE / 1024),
	       human_size(text, nr * ERA_BLOCK_SIZE), args->nr_blocks);
	if (args->block_size)
		printf(" of %s", human_size(text, args->block_size));
	printf("\n\n%-14s%12s  %8s %12s\n", "WORST CASE", "EACH", "TIMES",
	       "BLOCKS");
	for (int i = 0; i < ERA_SIZE_NR_PARTS; i++)
		printf("%-14s%12" PRIu64 "  %8" PRIu32 " %12" PRIu64 "\n",
		       part_names[i], size->parts[i].each,
		       size->parts[i].copies,
		       size->parts[i].each * size->parts[i].copies);
	printf("%-14s%35" PRIu64 "\n", "all, of 4K", size->nr_blocks);
	printf("%-14s%35" PRIu64 "\n", "at the least", least);
	print_reasons(args);
}

static json_t *new_parts(const struct era_size *size)
{
	json_t *parts = json_object();

	for (int i = 0; i < ERA_SIZE_NR_PARTS; i++) {
		json_t *part =
			json_pack("{s:I, s:I}", "blocks",
				  (json_int_t)size->parts[i].each, "copies",
				  (json_int_t)size->parts[i].copies);

		if (json_object_set_new(parts, part_names[i], part)) {
			json_decref(parts);
			return NULL;
		}
	}
	return parts;
}

static json_t *new_figures(const struct arguments *args,
			   const struct era_size *size)
{
	uint64_t nr = addressable(size->nr_blocks);
	json_t *root = json_pack(
		"{s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:b, s:o}",
		"block_size", (json_int_t)args->block_size / 512, "nr_blocks",
		(json_int_t)args->nr_blocks, "eras", (json_int_t)args->nr_eras,
		"metadata_snapshot", !args->no_snapshot, "metadata_blocks",
		(json_int_t)nr, "bytes", (json_int_t)(nr * ERA_BLOCK_SIZE),
		"minimum_blocks",
		(json_int_t)era_size_minimum((uint32_t)args->nr_blocks, nr),
		"worst_case_blocks", (json_int_t)size->nr_blocks, "fits",
		size->nr_blocks <= MAX_METADATA_BLOCKS, "parts",
		new_parts(size));

	if (!args->block_size)
		json_object_set_new(root, "block_size", json_null());
	return root;
}

static int calculate(struct arguments *args, struct era_size *size,
		     struct era_report *report)
{
	int r = count_blocks(args, report);

	if (r)
		return r;
	era_size_worst_case(size, (uint32_t)args->nr_blocks, args->nr_eras,
			    !args->no_snapshot);
	warn(size, report);
	return 0;
}

static int run_json(struct arguments *args, struct era_report *errors)
{
	struct report_json json;
	enum era_outcome outcome;
	enum era_advice advice;
	struct era_size size;
	json_t *root, *figures = NULL;
	int r = report_json_init(&json);

	if (r)
		return tool_exit_status(r, errors);
	r = calculate(args, &size, &json.report);
	tool_put_into_words(r, &json.report);
	outcome = era_report_outcome(&json.report, r);
	advice = era_kind_advice(era_report_main_kind(&json.report));
	root = report_json_new(args->origin, outcome, era_advice_code(advice),
			       NULL);
	if (!r)
		figures = new_figures(args, &size);
	if (!r && (!figures || json_object_update(root, figures)))
		r = -ENOMEM;
	json_decref(figures);
	if (r != -ENOMEM)
		r = report_json_print(root, &json, stdout);
	else
		json_decref(root);
	report_json_release(&json);
	return tool_exit_status_json(r, outcome, errors);
}

static int run_text(struct arguments *args, struct era_report *report)
{
	struct era_size size;
	int r = calculate(args, &size, report);

	if (!r)
		print_text(args, &size);
	return tool_exit_status(r, report);
}

int main(int argc, char **argv)
{
	struct arguments args = { .nr_eras = DEFAULT_ERAS };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(false);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	return args.json ? run_json(&args, &text.report)
			 : run_text(&args, &text.report);
}
