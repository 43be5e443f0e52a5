/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of blocks as era_invalidate and era_changed make it: where it goes,
 * and in what form.
 */
#ifndef TOOLS_LIST_H
#define TOOLS_LIST_H

#include <argp.h>

#include "era/metadata.h"
#include "format/output.h"
#include "format/ranges.h"

struct tool_list {
	const char *output;
	bool force; /* over whatever is there */
	size_t max_ranges; /* 0: as many as there are */
	bool have_unit;
	bool header;
	enum range_format format;
	enum range_unit unit;
};

/* -o, -f, --format, --unit, --header and --max-ranges, for argp's children. */
extern const struct argp tool_list_argp;

/*
 * Lists the blocks of md, of the metadata device named, that were written in
 * era or later; the output is to be finished. 0 or a negative errno.
 */
int tool_list_write(const struct tool_list *list, struct era_metadata *md,
		    uint32_t era, const char *device, struct output *out);

#endif
