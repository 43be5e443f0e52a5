/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commits of the superblock's own history that say more than it does. Those
 * that followed on its commit: the superblock is an old one, or the power went
 * before it was written. One that came before: a write was lost since.
 */
#ifndef ERA_LATER_H
#define ERA_LATER_H

#include "era/witness.h"
#include "history/commits.h"

struct era_later {
	/* commits that followed on md's, up to the last that says more; 0
	 * where none does */
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
 * Looks for the commits that followed on md's; where there is none, for one
 * that came before md's and says more. What is of a later era than md's is
 * found by its name, too (era/newer.h). commits: of the scan. reachable: what
 * md leads to.
 * Returns 0, -ENOMEM or the errno of a read.
 */
int era_later_find(struct era_later *later, const struct era_metadata *md,
		   const struct era_scan *scan,
		   const struct era_commits *commits,
		   const struct block_set *reachable);

#endif
