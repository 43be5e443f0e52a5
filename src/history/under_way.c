/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding the commit that was under way, and what it wrote, from two space
 * maps.
 */
#include "config.h"

#include "history/under_way.h"

static size_t follower(const struct era_commits *commits, size_t i)
{
	size_t next = era_commits_after(commits, i, ERA_EDGE_NEXT);

	return next != ERA_NO_COMMIT
		       ? next
		       : era_commits_after(commits, i, ERA_EDGE_OPENED);
}

static void compare(struct era_under_way *under_way, struct era_census *census,
		    uint64_t own, uint64_t index)
{
	if (era_census_step(census, own) != ERA_PROVEN)
		return;
	census->came = &under_way->wrote;
	if (era_census_step(census, index) != ERA_PROVEN || census->broken)
		return;
	for (uint64_t block = 0; block < census->nr_blocks; block++)
		if (era_census_count(census, block))
			block_set_add(&under_way->counted, block);
	under_way->found = true;
}

int era_under_way_find(struct era_under_way *under_way,
		       const struct era_scan *scan,
		       const struct era_commits *commits)
{
	struct era_reading reading;
	struct era_census census;
	size_t i;
	int r;

	*under_way = (struct era_under_way){ .found = false };
	if (commits->superblocks == ERA_NO_COMMIT)
		return 0;
	i = follower(commits, commits->superblocks);
	if (i == ERA_NO_COMMIT)
		return 0;
	r = block_set_init(&under_way->counted, scan->nr_blocks);
	if (!r)
		r = block_set_init(&under_way->wrote, scan->nr_blocks);
	if (r)
		return r;
	r = era_reading_init(&reading, scan);
	if (!r) {
		r = era_census_init(&census, &reading);
		if (!r)
			compare(under_way, &census,
				commits->list[commits->superblocks].index_block,
				commits->list[i].index_block);
		era_census_release(&census);
	}
	era_reading_release(&reading);
	return r;
}

void era_under_way_release(struct era_under_way *under_way)
{
	block_set_release(&under_way->counted);
	block_set_release(&under_way->wrote);
	*under_way = (struct era_under_way){ .found = false };
}
