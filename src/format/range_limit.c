/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ranges are merged across ever wider gaps, doubled whenever there are too
 * many. What comes of it depends on the ranges alone: the narrowest of these
 * gaps that does.
 */
#include "config.h"

#include <stdlib.h>

#include "base/grow.h"
#include "format/range_limit.h"

static int on_begin(struct era_range_visitor *visitor,
		    const struct era_geometry *geometry)
{
	struct range_limit *limit = (struct range_limit *)visitor;

	limit->geometry = *geometry;
	return 0;
}

/* To the last range where it is near enough, else as one more. */
static void append(struct range_limit *limit, uint32_t begin, uint32_t end)
{
	struct range_limit_range *last = limit->ranges + limit->nr_ranges - 1;

	if (limit->nr_ranges && begin - last->end <= limit->gap) {
		limit->nr_added += begin - last->end;
		last->end = end;
		return;
	}
	limit->ranges[limit->nr_ranges++] =
		(struct range_limit_range){ begin, end };
}

static void widen(struct range_limit *limit)
{
	size_t nr = limit->nr_ranges;

	limit->gap = limit->gap ? limit->gap * 2 : 1;
	limit->nr_ranges = 0;
	for (size_t i = 0; i < nr; i++)
		append(limit, limit->ranges[i].begin, limit->ranges[i].end);
}

static int on_range(struct era_range_visitor *visitor, uint32_t begin,
		    uint32_t end)
{
	struct range_limit *limit = (struct range_limit *)visitor;
	int r = list_grow(&limit->ranges, limit->nr_ranges + 1,
			  &limit->allocated);

	if (r)
		return r;
	append(limit, begin, end);
	while (limit->nr_ranges > limit->max_ranges)
		widen(limit);
	return 0;
}

static int on_end(struct era_range_visitor *visitor)
{
	struct range_limit *limit = (struct range_limit *)visitor;
	struct era_range_visitor *sink = limit->sink;
	int r = sink->begin(sink, &limit->geometry);

	for (size_t i = 0; i < limit->nr_ranges && !r; i++)
		r = sink->range(sink, limit->ranges[i].begin,
				limit->ranges[i].end);
	return r ? r : sink->end(sink);
}

void range_limit_init(struct range_limit *limit, struct era_range_visitor *sink,
		      size_t max_ranges)
{
	*limit = (struct range_limit){
		.visitor = { .begin = on_begin,
			     .range = on_range,
			     .end = on_end },
		.sink = sink,
		.max_ranges = max_ranges,
	};
}

void range_limit_release(struct range_limit *limit)
{
	free(limit->ranges);
}
