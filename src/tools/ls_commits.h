/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_ls --commits: which commits are left on a device, and which follows
 * which. A part of era_ls that needs neither a superblock nor whole trees.
 */
#ifndef TOOLS_LS_COMMITS_H
#define TOOLS_LS_COMMITS_H

#include "device/device.h"
#include "tools/table.h"

/* The columns that there are, and those that are printed unless told. */
extern const struct table_choice ls_commits_columns;

struct ls_commits_options {
	const char *path; /* of the device, for the summary */
	struct table_choice choice;
	bool json;
	bool no_headings;
	bool raw;
	bool quiet;
};

/*
 * Prints them to standard output. What may be missing from them is reported
 * as fatal, after they were printed. Returns 0 or a negative errno.
 */
int ls_commits(const struct ls_commits_options *options,
	       struct era_device *device, struct era_report *report);

#endif
