/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sink that counts the blocks that the builder would take, so that a device
 * that is too small can be left as it was.
 */
#ifndef ERA_DEMAND_H
#define ERA_DEMAND_H

#include "era/visitor.h"
#include "era/writeset_list.h"

struct era_demand {
	struct era_visitor visitor;
	struct era_report *report;
	struct writeset_list writesets;
	uint64_t nr_blocks; /* metadata blocks of superblock and arrays */
};

/*
 * Refuses what the builder would refuse: two writesets of one era, and more
 * blocks than metadata can have.
 */
void era_demand_init(struct era_demand *demand, struct era_report *report);
void era_demand_release(struct era_demand *demand);

/* The least number of metadata blocks that suffices; after the visit. */
uint64_t era_demand_nr_blocks(const struct era_demand *demand);

#endif
