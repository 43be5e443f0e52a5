/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Spans of data blocks with an era each, of which the greatest counts: what a
 * writeset dates of which nothing is left. They are given in any number and
 * overlap as they like; a sweep over the data blocks costs what the spans and
 * the data blocks come to, and not their product.
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
	struct era_span *waiting; /* the sweep has not come to their begin */
	size_t nr_waiting, max_waiting;
	struct era_span *open; /* a heap, the greatest era first */
	size_t nr_open, max_open;
};

/*
 * Adds a span, which may not begin before where the sweep stands. Returns 0 or
 * -ENOMEM.
 */
int era_spans_add(struct era_spans *spans, uint64_t begin, uint64_t end,
		  uint32_t era);

/*
 * Sweeps [begin, end): tells fn of the greatest era of each part that a span
 * covers, ascending. Each sweep goes on where the one before has ended. Returns
 * 0, -ENOMEM, or what fn returned.
 */
int era_spans_sweep(struct era_spans *spans, uint64_t begin, uint64_t end,
		    int (*fn)(void *arg, uint64_t begin, uint64_t end,
			      uint32_t era),
		    void *arg);

/*
 * Whether one era holds for all of [begin, end), where the next sweep begins;
 * 0: none.
 */
bool era_spans_is_one(struct era_spans *spans, uint64_t begin, uint64_t end,
		      uint32_t *era);

void era_spans_release(struct era_spans *spans);

#endif
