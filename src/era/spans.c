/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list of the spans that are still to come, and a heap of those that have
 * begun. One that has ended leaves the heap when it comes to the top, or when
 * the heap is full.
 */
#include "config.h"

#include <stdlib.h>

#include "base/compare.h"
#include "base/grow.h"
#include "era/spans.h"

int era_spans_add(struct era_spans *spans, uint64_t begin, uint64_t end,
		  uint32_t era)
{
	int r;

	if (begin >= end || !era)
		return 0;
	r = list_grow(&spans->waiting, spans->nr_waiting + 1,
		      &spans->max_waiting);
	if (r)
		return r;
	spans->waiting[spans->nr_waiting++] =
		(struct era_span){ (uint32_t)begin, (uint32_t)end, era };
	return 0;
}

/* Moves what is at position i down to where nothing below is greater. */
static void sink(struct era_span *heap, size_t nr, size_t i)
{
	struct era_span moved = heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < nr && heap[child + 1].era > heap[child].era)
			child++;
		if (child >= nr || heap[child].era <= moved.era)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moved;
}

static void drop_top(struct era_spans *spans)
{
	spans->open[0] = spans->open[--spans->nr_open];
	if (spans->nr_open)
		sink(spans->open, spans->nr_open, 0);
}

/* Drops all spans of the heap that have ended by at. */
static void drop_ended(struct era_spans *spans, uint64_t at)
{
	size_t kept = 0;

	for (size_t i = 0; i < spans->nr_open; i++)
		if (spans->open[i].end > at)
			spans->open[kept++] = spans->open[i];
	spans->nr_open = kept;
	for (size_t i = kept / 2; i-- > 0;)
		sink(spans->open, kept, i);
}

static int open_span(struct era_spans *spans, const struct era_span *span)
{
	size_t i;
	int r;

	/* nothing to say beside the top, now or later */
	if (spans->nr_open && spans->open[0].era >= span->era &&
	    spans->open[0].end >= span->end)
		return 0;
	if (spans->nr_open == spans->max_open) {
		drop_ended(spans, span->begin);
		/* twice what is needed, or this would be done each time */
		r = spans->nr_open * 2 < spans->max_open
			    ? 0
			    : list_grow(&spans->open, spans->max_open + 1,
					&spans->max_open);
		if (r)
			return r;
	}
	for (i = spans->nr_open++; i; i = (i - 1) / 2) {
		if (spans->open[(i - 1) / 2].era >= span->era)
			break;
		spans->open[i] = spans->open[(i - 1) / 2];
	}
	spans->open[i] = *span;
	return 0;
}

static int compare_spans(const void *a, const void *b)
{
	const struct era_span *x = a, *y = b;

	return compare_numbers(x->begin, y->begin);
}

int era_spans_sweep(struct era_spans *spans, uint64_t begin, uint64_t end,
		    int (*fn)(void *arg, uint64_t begin, uint64_t end,
			      uint32_t era),
		    void *arg)
{
	struct era_span *waiting = spans->waiting;
	size_t next = 0;
	int r = 0;

	if (spans->nr_waiting)
		qsort(waiting, spans->nr_waiting, sizeof(*waiting),
		      compare_spans);
	while (begin < end && !r) {
		uint64_t stop = end;

		for (; next < spans->nr_waiting &&
		       waiting[next].begin <= begin && !r;
		     next++)
			r = open_span(spans, &waiting[next]);
		while (spans->nr_open && spans->open[0].end <= begin)
			drop_top(spans);
		if (next < spans->nr_waiting && waiting[next].begin < stop)
			stop = waiting[next].begin;
		if (spans->nr_open && spans->open[0].end < stop)
			stop = spans->open[0].end;
		if (!r && spans->nr_open)
			r = fn(arg, begin, stop, spans->open[0].era);
		begin = stop;
	}
	/* those that begin behind */
	for (size_t i = next; i < spans->nr_waiting; i++)
		waiting[i - next] = waiting[i];
	spans->nr_waiting -= next;
	return r;
}

bool era_spans_is_one(struct era_spans *spans, uint64_t begin, uint64_t end,
		      uint32_t *era)
{
	for (size_t i = 0; i < spans->nr_waiting; i++)
		if (spans->waiting[i].begin < end)
			return false;
	while (spans->nr_open && spans->open[0].end <= begin)
		drop_top(spans);
	*era = spans->nr_open ? spans->open[0].era : 0;
	return !spans->nr_open || spans->open[0].end >= end;
}

void era_spans_release(struct era_spans *spans)
{
	free(spans->waiting);
	free(spans->open);
	*spans = (struct era_spans){ NULL, 0, 0, NULL, 0, 0 };
}
