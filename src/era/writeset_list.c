/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A growing array, sorted at the end.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/compare.h"
#include "base/grow.h"
#include "era/writeset_list.h"

int writeset_list_add(struct writeset_list *list, uint32_t era,
		      uint32_t nr_bits, uint64_t root)
{
	if (list_grow(&list->entries, list->nr + 1, &list->max))
		return -ENOMEM;
	list->entries[list->nr++] =
		(struct writeset_entry){ era, nr_bits, root };
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct writeset_entry *x = a, *y = b;

	return compare_numbers(x->era, y->era);
}

int writeset_list_sort(struct writeset_list *list, struct era_report *report)
{
	if (list->nr)
		qsort(list->entries, list->nr, sizeof(*list->entries), compare);
	for (size_t i = 1; i < list->nr; i++) {
		if (list->entries[i].era != list->entries[i - 1].era)
			continue;
		era_report_kind(report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"the writeset of era %" PRIu32
				" is given twice",
				list->entries[i].era);
		return -EINVAL;
	}
	return 0;
}

void writeset_list_release(struct writeset_list *list)
{
	free(list->entries);
	*list = (struct writeset_list){ .entries = NULL };
}
