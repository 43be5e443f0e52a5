/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The metadata that a tool reads and what of it, for the tools that only
 * read: one set of options, one way to open it.
 */
#ifndef TOOLS_SOURCE_H
#define TOOLS_SOURCE_H

#include <argp.h>
#include <stdbool.h>

#include "device/device.h"
#include "era/metadata.h"
#include "format/output.h"

struct tool_source {
	const char *device;
	uint64_t snapshot_block; /* where it has to be */
	bool have_snapshot_block;
	bool snapshot;	     /* the metadata snapshot, not the live state */
	bool reachable_only; /* whatever unreferenced blocks say */
	bool quiet;
};

/*
 * The argument DEVICE, --metadata-snapshot, --reachable-only, --quiet and what
 * all tools have; to be named as argp's children. The tool's own parser must
 * set state->child_inputs[0] to the source on ARGP_KEY_INIT, and leave
 * ARGP_KEY_ARG alone. A number that stands between --metadata-snapshot and
 * DEVICE is its BLOCK, as other suites have it.
 */
extern const struct argp_child tool_source_argp_children[];
/* The first of them, for a tool that names others, too. */
extern const struct argp tool_source_argp;

/* tool_exit_status_of() the source. */
int tool_source_exit_status(int r, const struct tool_source *source,
			    struct era_report *report);

/* Opens the device: shared where only its metadata snapshot is read. */
int tool_source_open(struct era_device *device,
		     const struct tool_source *source,
		     struct era_report *report);

/*
 * Opens what the options say, which is to be released. Unless told otherwise
 * it refuses metadata that a newer history contradicts, as what a result has
 * forgotten is lost to whoever relies on it.
 */
int tool_source_open_metadata(struct era_metadata *md,
			      struct era_device *device,
			      const struct tool_source *source,
			      struct era_report *report);

/*
 * Opens an output (NULL: standard output) that is not the device itself, and,
 * without force, no file that these tools did not write.
 */
int tool_source_open_output(struct output *out, const char *path, bool force,
			    const struct era_device *device,
			    struct era_report *report);

#endif
