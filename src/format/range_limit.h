/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A filter before a sink of ranges: no more than so many of them, for clients
 * that take a list only up to some size. Where there are more, neighbours are
 * merged, the nearest first: a block too many costs a copy, a block too few
 * would cost a backup.
 *
 * Memory is bounded by the number of ranges. All of them are given to the sink
 * at the end.
 */
#ifndef FORMAT_RANGE_LIMIT_H
#define FORMAT_RANGE_LIMIT_H

#include "era/visitor.h"

struct range_limit_range {
	uint32_t begin, end;
};

struct range_limit {
	struct era_range_visitor visitor; /* the filter */
	struct era_range_visitor *sink;
	struct era_geometry geometry;
	struct range_limit_range *ranges;
	size_t nr_ranges, allocated, max_ranges;
	uint32_t gap;	   /* neighbours no further apart are merged */
	uint64_t nr_added; /* blocks between those, listed all the same */
};

/* max_ranges: at least 1 */
void range_limit_init(struct range_limit *limit, struct era_range_visitor *sink,
		      size_t max_ranges);
void range_limit_release(struct range_limit *limit);

#endif
