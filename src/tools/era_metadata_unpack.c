/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_metadata_unpack: the metadata of a bug report, as it was.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/output_file.h"
#include "format/pack_read.h"
#include "format/pack_target.h"
#include "tools/confine.h"
#include "tools/occupied.h"
#include "tools/tool.h"
#include "tools/unpack_device.h"

struct arguments {
	const char *input;
	const char *output;
	bool force;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "input", 'i', "FILE", 0, "The pack to read", 0 },
	{ "output", 'o', "FILE|DEVICE", 0, "Where the metadata goes", 0 },
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
	"-i FILE -o FILE|DEVICE",
	"Unpacks metadata that era_metadata_pack or thin_metadata_pack packed."
	"\vExit status: 0 unpacked, 1 the pack is damaged, 2 it could not be "
	"read or nothing could be written.",
	tool_argp_children,
	NULL,
	NULL
};

static int unpack_to_device(struct pack_reader *reader,
			    const struct arguments *args,
			    struct era_report *report)
{
	struct era_device device;
	int r = era_device_open(&device, args->output, ERA_DEVICE_WRITE, NULL,
				report);

	if (r)
		return r;
	if (!args->force)
		r = tool_check_occupied(&device, report);
	if (!r)
		r = unpack_device(reader, &device, report);
	era_device_close(&device);
	return r;
}

static int fill_file(struct pack_reader *reader, struct output_file *file,
		     struct era_report *report)
{
	struct era_device device;
	int r;

	if (ftruncate(file->fd, (off_t)(reader->nr_blocks * ERA_BLOCK_SIZE))) {
		r = -errno;
		era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"%s: cannot make it %" PRIu64 " bytes long: %s",
				file->name, reader->nr_blocks * ERA_BLOCK_SIZE,
				strerror(-r));
		return r;
	}
	era_device_init_new(&device, file->name, file->fd, NULL);
	/* set here, so that threads that write do not move it */
	device.nr_blocks = reader->nr_blocks;
	device.growable = false;
	r = pack_reader_run(reader, &device);
	if (!r)
		r = unpack_superblock(reader, &device, report);
	return r;
}

static int unpack_to_file(struct pack_reader *reader,
			  const struct arguments *args,
			  struct era_report *report)
{
	struct era_device old = { .fd = -1 };
	struct output_file file;
	int r = 0;

	/* who is at work on a file that is replaced would work for nothing */
	if (!access(args->output, F_OK))
		r = era_device_open(&old, args->output, ERA_DEVICE_WRITE, NULL,
				    report);
	if (r)
		return r;
	if (old.fd >= 0 && !args->force)
		r = tool_check_occupied(&old, report);
	if (r) {
		era_device_close(&old);
		return r;
	}
	r = tool_new_file_open(&file, args->output, report);
	if (!r) {
		r = fill_file(reader, &file, report);
		if (!r)
			r = output_file_commit(&file, report);
		else
			output_file_discard(&file);
	}
	era_device_close(&old);
	return r;
}

static int unpack(const struct arguments *args, struct era_report *report)
{
	struct pack_reader reader;
	bool is_block_device;
	int r = pack_reader_open(&reader, args->input, report);

	if (r)
		return r;
	r = pack_check_target(args->output, reader.fd, args->force,
			      &is_block_device, report);
	if (!r)
		r = is_block_device ? unpack_to_device(&reader, args, report)
				    : unpack_to_file(&reader, args, report);
	pack_reader_close(&reader);
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
	r = unpack(&args, &text.report);
	return tool_exit_status(r, &text.report);
}
