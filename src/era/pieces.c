/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pieces are sorted once, and what is asked of an index is counted beforehand.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/compare.h"
#include "base/grow.h"
#include "era/pieces.h"

int pieces_add(struct pieces *pieces, uint32_t index, uint32_t block,
	       uint32_t node)
{
	if (pieces->nr >= pieces->max) {
		pieces->too_many = true;
		return 0;
	}
	if (list_grow(&pieces->pieces, pieces->nr + 1, &pieces->allocated))
		return -ENOMEM;
	pieces->pieces[pieces->nr++] = (struct piece){
		.index = index,
		.block = block,
		.node = node,
	};
	return 0;
}

/* The indexes of the pieces from first on, ascending. */
static uint32_t *sort_indexes(const struct pieces *pieces, size_t first)
{
	size_t nr = pieces->nr - first;
	uint32_t *sorted = malloc((nr + 1) * sizeof(*sorted));

	if (!sorted)
		return NULL;
	for (size_t i = 0; i < nr; i++)
		sorted[i] = pieces->pieces[first + i].index;
	qsort(sorted, nr, sizeof(*sorted), compare_uint32);
	return sorted;
}

int pieces_repeat(const struct pieces *pieces, size_t first)
{
	uint32_t *sorted = sort_indexes(pieces, first);
	bool repeat = false;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 1; i < pieces->nr - first; i++)
		repeat |= sorted[i] == sorted[i - 1];
	free(sorted);
	return repeat;
}

/* The first group with an index of at least index. */
static size_t find_group(const struct pieces *pieces, uint32_t index)
{
	size_t low = 0, high = pieces->nr_groups;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pieces->groups[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct piece_group *pieces_at(const struct pieces *pieces, uint32_t index)
{
	size_t at = find_group(pieces, index);

	return at < pieces->nr_groups && pieces->groups[at].index == index
		       ? &pieces->groups[at]
		       : NULL;
}

int pieces_group(struct pieces *pieces)
{
	uint32_t *sorted = sort_indexes(pieces, 0);
	size_t nr = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < pieces->nr; i++)
		if (!i || sorted[i] != sorted[i - 1])
			sorted[nr++] = sorted[i];
	pieces->groups = calloc(nr + 1, sizeof(*pieces->groups));
	pieces->nr_groups = pieces->groups ? nr : 0;
	for (size_t i = 0; i < pieces->nr_groups; i++)
		pieces->groups[i].index = sorted[i];
	free(sorted);
	if (!pieces->groups)
		return -ENOMEM;
	for (size_t i = 0; i < pieces->nr; i++) {
		struct piece *p = &pieces->pieces[i];
		size_t at = find_group(pieces, p->index);

		p->group = (uint32_t)at;
		pieces->groups[at].nr++;
		pieces->groups[at].nr_loose += !p->node;
	}
	return 0;
}

void pieces_place(struct pieces *pieces, struct piece *p)
{
	struct piece_group *group = &pieces->groups[p->group];

	p->placed = true;
	group->nr--;
	group->nr_loose -= !p->node;
}

static void add_to(struct piece_gaps *gaps, const struct piece_gaps *more)
{
	gaps->nr += more->nr;
	gaps->sum += more->sum;
}

void pieces_expect(struct pieces *pieces, uint64_t number, uint32_t end)
{
	struct piece_gaps one = { 1, number };

	/* it lacks all groups before this one; the tree counts from 1 */
	for (size_t i = find_group(pieces, end); i; i &= i - 1)
		add_to(&pieces->groups[i - 1].ends, &one);
}

void pieces_fill(struct piece_group *group, uint64_t number)
{
	add_to(&group->filled, &(struct piece_gaps){ 1, number });
}

struct piece_gaps pieces_gaps(const struct pieces *pieces,
			      const struct piece_group *group)
{
	struct piece_gaps gaps = { 0, 0 };

	/* those that end at this group or later */
	for (size_t i = (size_t)(group - pieces->groups) + 1;
	     i <= pieces->nr_groups; i += i & -i)
		add_to(&gaps, &pieces->groups[i - 1].ends);
	gaps.nr -= group->filled.nr;
	gaps.sum -= group->filled.sum;
	return gaps;
}

void pieces_release(struct pieces *pieces)
{
	free(pieces->pieces);
	free(pieces->groups);
	*pieces = (struct pieces){ .pieces = NULL };
}
