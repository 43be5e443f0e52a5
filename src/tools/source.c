/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options and opening of the metadata that a tool reads.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "era/whole.h"
#include "format/output_own.h"
#include "tools/source.h"
#include "tools/tool.h"

/* above what the tools number their own from */
#define KEY_SNAPSHOT 0x200
#define KEY_REACHABLE_ONLY 0x201

static const struct argp_option options[] = {
	{ "metadata-snapshot", KEY_SNAPSHOT, "BLOCK", OPTION_ARG_OPTIONAL,
	  "Read the metadata snapshot of a device in use; BLOCK: only if the "
	  "snapshot is in that block",
	  0 },
	{ "metadata-snap", 0, NULL, OPTION_ALIAS, NULL, 0 },
	{ "reachable-only", KEY_REACHABLE_ONLY, NULL, 0,
	  "Do not look for a newer history among unreferenced blocks", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages; the exit status tells",
	  0 },
	{ 0 },
};

static bool is_number(const char *arg)
{
	return *arg && !arg[strspn(arg, "0123456789")];
}

static void parse_snapshot(struct tool_source *source, const char *arg,
			   struct argp_state *state)
{
	source->snapshot_block = tool_parse_number(
		arg, UINT32_MAX, "--metadata-snapshot", state);
	source->have_snapshot_block = true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct tool_source *source = state->input;

	switch (key) {
	case KEY_SNAPSHOT:
		source->snapshot = true;
		if (arg)
			parse_snapshot(source, arg, state);
		return 0;
	case KEY_REACHABLE_ONLY:
		source->reachable_only = true;
		return 0;
	case 'q':
		source->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!*arg) /* lvm has its tools called so */
			return 0;
		if (source->snapshot && source->device &&
		    is_number(source->device)) {
			parse_snapshot(source, source->device, state);
			source->device = NULL;
		}
		tool_take_device(&source->device, arg, "read", state);
		return 0;
	case ARGP_KEY_END:
		if (!source->device)
			argp_error(state, "no metadata device given");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

const struct argp tool_source_argp = {
	options, parse, NULL, NULL, tool_argp_children, NULL, NULL
};

const struct argp_child tool_source_argp_children[] = {
	{ &tool_source_argp, 0, NULL, 0 },
	{ 0 },
};

int tool_source_open(struct era_device *device,
		     const struct tool_source *source,
		     struct era_report *report)
{
	return era_device_open(device, source->device,
			       source->snapshot ? ERA_DEVICE_SHARED
						: ERA_DEVICE_HINT_SNAPSHOT,
			       NULL, report);
}

/* A script that names the snapshot means the one that it has taken. */
static int check_snapshot_block(const struct era_metadata *md,
				const struct tool_source *source,
				struct era_report *report)
{
	if (!source->have_snapshot_block ||
	    md->sb.location == source->snapshot_block)
		return 0;
	era_report_kind(report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"the metadata snapshot of %s is in block %" PRIu64
			", not in %" PRIu64,
			source->device, md->sb.location,
			source->snapshot_block);
	return -EINVAL;
}

static int open_some(struct era_metadata *md, struct era_device *device,
		     const struct tool_source *source,
		     struct era_report *report)
{
	int r = era_metadata_open(md, device, source->snapshot, NULL, report);

	if (r)
		return r;
	r = check_snapshot_block(md, source, report);
	if (r)
		era_metadata_release(md);
	return r;
}

int tool_source_exit_status(int r, const struct tool_source *source,
			    struct era_report *report)
{
	return tool_exit_status_of(r, source->device, source->quiet, report);
}

int tool_source_open_metadata(struct era_metadata *md,
			      struct era_device *device,
			      const struct tool_source *source,
			      struct era_report *report)
{
	if (source->snapshot || source->reachable_only)
		return open_some(md, device, source, report);
	return era_metadata_open_whole(md, device, report);
}

int tool_source_open_output(struct output *out, const char *path, bool force,
			    const struct era_device *device,
			    struct era_report *report)
{
	int r = output_open(out, path, report);

	if (r)
		return r;
	if (output_is_same_file(out, device->fd)) {
		era_report_kind(report, ERA_KIND_USAGE, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s is both input and output",
				device->path);
		r = -EINVAL;
	} else if (!force) {
		r = output_check_own(path, report);
	}
	if (r)
		output_abandon(out);
	return r;
}
