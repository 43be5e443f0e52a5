/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options and opening of the metadata that a tool reads.
 */
#include "config.h"

#include <errno.h>

#include "era/whole.h"
#include "tools/source.h"
#include "tools/tool.h"

/* above what the tools number their own from */
#define KEY_SNAPSHOT 0x200
#define KEY_REACHABLE_ONLY 0x201

static const struct argp_option options[] = {
	{ "metadata-snapshot", KEY_SNAPSHOT, NULL, 0,
	  "Read the metadata snapshot, which a live device may hold", 0 },
	{ "metadata-snap", 0, NULL, OPTION_ALIAS, NULL, 0 },
	{ "reachable-only", KEY_REACHABLE_ONLY, NULL, 0,
	  "Do not look for a newer history among unreferenced blocks, which "
	  "takes a scan of the whole device",
	  0 },
	{ "quiet", 'q', NULL, 0, "No messages, result and status only", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct tool_source *source = state->input;

	switch (key) {
	case KEY_SNAPSHOT:
		source->snapshot = true;
		return 0;
	case KEY_REACHABLE_ONLY:
		source->reachable_only = true;
		return 0;
	case 'q':
		source->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (source->device)
			argp_error(state, "only one device can be read");
		source->device = arg;
		return 0;
	case ARGP_KEY_END:
		if (!source->device)
			argp_error(state, "no metadata device given");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options, parse, NULL, NULL, tool_argp_children, NULL, NULL
};

const struct argp_child tool_source_argp_children[] = {
	{ &argp, 0, NULL, 0 },
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

int tool_source_open_metadata(struct era_metadata *md,
			      struct era_device *device,
			      const struct tool_source *source,
			      struct era_report *report)
{
	if (source->snapshot || source->reachable_only)
		return era_metadata_open(md, device, source->snapshot, NULL,
					 report);
	return era_metadata_open_whole(md, device, report);
}

int tool_source_open_output(struct output *out, const char *path,
			    const struct era_device *device,
			    struct era_report *report)
{
	int r = output_open(out, path, report);

	if (r || !output_is_same_file(out, device->fd))
		return r;
	era_report(report, ERA_FATAL, NULL, ERA_NO_DATA,
		   "%s is both input and output", device->path);
	output_abandon(out);
	return -EINVAL;
}
