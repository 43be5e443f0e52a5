/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_restore: XML back to metadata.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "era/builder.h"
#include "era/demand.h"
#include "format/xml_reader.h"
#include "tools/confine.h"
#include "tools/occupied.h"
#include "tools/tool.h"

struct arguments {
	const char *input;
	const char *output;
	bool force;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "input", 'i', "FILE", 0,
	  "Read the XML from FILE, '-' for standard input; gzip is recognised",
	  0 },
	{ "output", 'o', "DEVICE", 0,
	  "Write the metadata to DEVICE; a file that does not exist is created",
	  0 },
	{ "force", 'f', NULL, 0,
	  "Overwrite a device or file that holds something", 0 },
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
	case 'f':
		args->force = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!*arg) /* lvm has its tools called so */
			return 0;
		argp_error(state, "unexpected argument '%s'", arg);
		return 0;
	case ARGP_KEY_END:
		if (!args->input)
			argp_error(state, "no input file given (-i)");
		if (!args->output)
			argp_error(state, "no output device given (-o)");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"-i FILE -o DEVICE",
	"Writes metadata of a dm-era device from XML, as era_dump makes it.",
	tool_argp_children,
	NULL,
	NULL
};

static int build(struct input *in, const char *name, struct era_device *device,
		 struct era_report *report)
{
	struct era_builder builder;
	int r = era_builder_init(&builder, device, report);

	if (!r)
		r = xml_read(in, name, &builder.visitor, report);
	if (!r)
		r = era_builder_commit(&builder);
	era_builder_release(&builder);
	return r;
}

/* What the first reading has said is not said again; an error is. */
static void pass_on_errors(void *arg, const struct era_problem *problem)
{
	struct era_report *report = arg;

	if (problem->severity == ERA_FATAL)
		era_report_kind(report, problem->kind, ERA_FATAL,
				problem->where, problem->data, "%s",
				problem->text);
}

/*
 * Reads all before the first write to what exists: XML with a mistake, or a
 * device that is too small, leaves it as it was.
 */
static int check_room(struct input *in, const char *name,
		      const struct era_device *device,
		      struct era_report *report)
{
	uint64_t nr = device->nr_blocks < MAX_METADATA_BLOCKS
			      ? device->nr_blocks
			      : MAX_METADATA_BLOCKS;
	struct era_demand demand;
	uint64_t needed;
	int r = input_keep(in);

	era_demand_init(&demand, report);
	if (!r)
		r = xml_read(in, name, &demand.visitor, report);
	needed = era_demand_nr_blocks(&demand);
	era_demand_release(&demand);
	if (r)
		return r;
	if (needed <= nr)
		return input_rewind(in);
	era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is too small and was left as it was: %" PRIu64
			" metadata blocks (%" PRIu64
			" bytes) are needed, it has "
			"%" PRIu64,
			device->path, needed, needed * ERA_BLOCK_SIZE,
			device->nr_blocks);
	return -ENOSPC;
}

static int build_over(struct input *in, const char *name,
		      struct era_device *device, struct era_report *report)
{
	struct era_report errors = { .problem = pass_on_errors, .arg = report };
	int r = check_room(in, name, device, report);

	return r ? r : build(in, name, device, &errors);
}

/* What is written tells nothing of what is to come; what was read does. */
struct reading {
	struct progress progress;
	const struct input *in;
};

static void count_input(void *arg, uint64_t n)
{
	struct reading *reading = arg;

	(void)n;
	reading->progress.done = reading->in->offset;
	progress_add(&reading->progress, 0);
}

static int build_shown(const struct arguments *args, struct input *in,
		       const char *name, struct era_device *device,
		       struct era_report *report)
{
	struct reading reading = { .in = in };
	uint64_t size = 0; /* a pipe has none */
	struct stat st;
	int r;

	if (!fstat(in->fd, &st) && S_ISREG(st.st_mode))
		size = (uint64_t)st.st_size;
	tool_progress_start(&reading.progress, device, size, args->quiet,
			    args->output);
	device->moved = count_input;
	device->moved_arg = &reading;
	if (device->growable)
		r = build(in, name, device, report);
	else
		r = build_over(in, name, device, report);
	tool_progress_finish(&reading.progress, device);
	return r;
}

/* Whether the device to be written is the file that is being read. */
static bool is_same(const struct input *in, const struct era_device *device)
{
	struct stat a, b;

	return !fstat(in->fd, &a) && !fstat(device->fd, &b) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int restore(const struct arguments *args, struct input *in,
		   struct era_report *report)
{
	const char *name =
		strcmp(args->input, "-") ? args->input : "standard input";
	struct tool_target target;
	int r = tool_target_open(&target, args->output, report);

	if (r)
		return r;
	if (is_same(in, &target.device)) {
		era_report_kind(report, ERA_KIND_USAGE, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s is both input and output",
				args->output);
		r = -EINVAL;
	}
	if (!r && !target.is_new && !args->force)
		r = tool_check_occupied(&target.device, report);
	if (!r)
		r = build_shown(args, in, name, &target.device, report);
	return tool_target_close(&target, r, report);
}

int main(int argc, char **argv)
{
	struct arguments args = { .input = NULL };
	struct report_text text;
	struct input in;
	int r;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(true);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	r = input_open(&in, args.input, &text.report);
	if (!r) {
		r = restore(&args, &in, &text.report);
		input_close(&in);
	}
	return tool_exit_status(r, &text.report);
}
