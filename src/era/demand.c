/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sums of what array_build and btree_build say.
 */
#include "config.h"

#include <errno.h>

#include "era/demand.h"
#include "era/superblock.h"
#include "pdata/array_build.h"
#include "pdata/space_map_build.h"

static struct era_demand *to_demand(struct era_visitor *visitor)
{
	return (struct era_demand *)visitor;
}

/* Ends it early, too, for what has more writesets than memory can hold. */
static int add(struct era_demand *demand, uint64_t nr)
{
	demand->nr_blocks += nr;
	if (demand->nr_blocks <= MAX_METADATA_BLOCKS)
		return 0;
	era_report_kind(
		demand->report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
		ERA_NO_DATA,
		"this is more than the largest metadata device can hold");
	return -EFBIG;
}

static int visit_superblock(struct era_visitor *visitor,
			    const struct era_geometry *geometry)
{
	return add(to_demand(visitor),
		   1 + array_build_nr_blocks(geometry->nr_blocks, 4));
}

static int visit_writeset_begin(struct era_visitor *visitor, uint32_t era,
				uint32_t nr_bits)
{
	struct era_demand *demand = to_demand(visitor);
	int r = add(demand, array_build_nr_blocks(era_nr_words(nr_bits), 8));

	return r ? r : writeset_list_add(&demand->writesets, era, nr_bits, 0);
}

static int visit_words(struct era_visitor *visitor, uint32_t first_word,
		       const uint64_t *words, size_t nr)
{
	(void)visitor;
	(void)first_word;
	(void)words;
	(void)nr;
	return 0;
}

static int visit_writeset_end(struct era_visitor *visitor)
{
	(void)visitor;
	return 0;
}

static int visit_eras(struct era_visitor *visitor, uint32_t first_block,
		      const uint32_t *eras, size_t nr)
{
	(void)visitor;
	(void)first_block;
	(void)eras;
	(void)nr;
	return 0;
}

static int visit_end(struct era_visitor *visitor)
{
	struct era_demand *demand = to_demand(visitor);
	int r = writeset_list_sort(&demand->writesets, demand->report);

	if (!r)
		r = add(demand, btree_build_nr_nodes(demand->writesets.nr,
						     ERA_WRITESET_VALUE_SIZE));
	return r;
}

void era_demand_init(struct era_demand *demand, struct era_report *report)
{
	*demand = (struct era_demand){
		.visitor = { visit_superblock, visit_writeset_begin,
			     visit_words, visit_writeset_end, visit_eras,
			     visit_end },
		.report = report,
	};
}

void era_demand_release(struct era_demand *demand)
{
	writeset_list_release(&demand->writesets);
}

/* The space map counts its own blocks, too. */
uint64_t era_demand_nr_blocks(const struct era_demand *demand)
{
	uint64_t nr = demand->nr_blocks, before;

	do {
		before = nr;
		nr = demand->nr_blocks + space_map_build_nr_blocks(before);
	} while (nr != before);
	return nr;
}
