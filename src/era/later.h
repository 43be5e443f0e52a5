/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commits that are later than the superblock: their space maps prove them,
 * but block 0 is that of an earlier one. Either its last write was lost, or
 * the power went before it.
 */
#ifndef ERA_LATER_H
#define ERA_LATER_H

#include "era/witness.h"

struct era_later {
	/* commits in a row that came after md's; 0 where none says more */
	size_t nr;
	struct era_proven last; /* the last of them that says more */
	bool dropped; /* it is md's own, with an open writeset that md lacks */
	bool write_lost; /* it is an earlier one: md has lost a write since */
	/* it is later, but there may be a later one yet: in the place of md's
	 * space map stands something else, so that they were not followed */
	bool reused;
	/* eras without a write, which leave no trace, may have gone before it:
	 * its era is the one given or a later one */
	bool idle;
	uint32_t lowest;	 /* era in which it says more */
	uint64_t nr_data_blocks; /* that it dates later */
};

/*
 * Looks for the commits that came after md's, where the one right after it is
 * still there, or something else than md's space map in that one's place: those
 * that say all that md does, and more. Where there is none,
 * for one that came before md's and says more. What is of a later era than
 * md's is found by its name, too (era/newer.h). reachable: what md leads to;
 * in_use: that, and what its snapshot and its space map take, or NULL where
 * only the space map tells.
 * Returns 0, -ENOMEM or the errno of a read.
 */
int era_later_find(struct era_later *later, const struct era_metadata *md,
		   const struct era_orphans *orphans,
		   const struct block_set *reachable,
		   const struct block_set *in_use);

/*
 * Whether a state's index block was written after that of sb, as far as their
 * places tell: the allocator goes forward, round and round.
 */
bool era_later_is_ahead(const struct era_superblock *sb,
			const struct era_superblock *state, uint64_t nr_blocks);

#endif
