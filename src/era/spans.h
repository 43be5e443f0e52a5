/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Spans of data blocks, each with an era. They stand for lost writesets. Spans
 * can overlap; where they do, the greatest era counts. A sweep over the data
 * blocks takes time for the sum of spans and data blocks, not for their
 * product.
 */
#ifndef ERA_SPANS_H
#define ERA_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct era_span {
	uint32_t begin, end; /* data blocks */
	uint32_t era;
};

/* All zero: none. */
struct era_spans {
	struct era_span *waiting; /* spans that the sweep has not reached */
	size_t nr_waiting, max_waiting;
	struct era_span *open; /* a heap, the greatest era first */
	size_t nr_open, max_open;
};

/*
 * Adds a span, which must not begin before the place that the sweep has
 * reached. Returns 0 or -ENOMEM.
 */
int era_spans_add(struct era_spans *spans, uint64_t begin, uint64_t end,
		  uint32_t era);

/*
 * Sweeps [begin, end), and calls fn with each part that a span covers and the
 * greatest era of this part, in ascending order. Each sweep goes on where the
 * one before has ended. Returns 0, -ENOMEM, or what fn returned.
 */
int era_spans_sweep(struct era_spans *spans, uint64_t begin, uint64_t end,
		    int (*fn)(void *arg, uint64_t begin, uint64_t end,
			      uint32_t era),
		    void *arg);

/*
 * Whether all of [begin, end) has the same greatest era, which goes to *era; 0
 * where no span covers it. The next sweep must begin at begin.
 */
bool era_spans_is_one(struct era_spans *spans, uint64_t begin, uint64_t end,
		      uint32_t *era);

void era_spans_release(struct era_spans *spans);

#endif
