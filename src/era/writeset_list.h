/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writesets as a sink is given them, to be put into the order of their eras:
 * XML may have them in any. 16 bytes each, and each takes a metadata block at
 * the least.
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
