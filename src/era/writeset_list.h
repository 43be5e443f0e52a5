/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writesets that a sink was given, to be sorted by era: XML may have them
 * in any order. A writeset takes 16 bytes here, and at least one block of the
 * metadata device, which bounds the list.
 */
#ifndef ERA_WRITESET_LIST_H
#define ERA_WRITESET_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

struct writeset_entry {
	uint32_t era;
	uint32_t nr_bits;
	uint64_t root;
};

struct writeset_list {
	struct writeset_entry *entries;
	size_t nr;
	size_t max;
};

/* 0 or -ENOMEM */
int writeset_list_add(struct writeset_list *list, uint32_t era,
		      uint32_t nr_bits, uint64_t root);

/* Returns 0, or -EINVAL, reported, where two are of the same era. */
int writeset_list_sort(struct writeset_list *list, struct era_report *report);

void writeset_list_release(struct writeset_list *list);

#endif
