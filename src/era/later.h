/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commits of the superblock's own history that say more than its own commit.
 * If they followed the superblock's commit, the superblock is an old one, or
 * the power went before the next one was written. If one came before the
 * superblock's commit, a write was lost since.
 *
 * md, below, is the metadata that the superblock leads to.
 */
#ifndef ERA_LATER_H
#define ERA_LATER_H

#include "era/witness.h"
#include "history/commits.h"

struct era_later {
	/* how many commits followed md's, up to the last one that says more;
	 * 0: no commit says more */
	size_t nr;
	struct era_proven last; /* the state that says more than md */
	/* last is of md's own commit, whose open writeset md lacks */
	bool dropped;
	/* last came before md's commit, and md has lost a write since */
	bool write_lost;
	/* There may be a commit later than last. md's space map was reused, so
	 * that the commits after md's could not be followed. */
	bool reused;
	/* Eras without a write, which leave no trace, may have come before
	 * last. The era of last is then the least that it can be. */
	bool idle;
	uint32_t lowest;	 /* the lowest era in which last says more */
	uint64_t nr_data_blocks; /* that last dates later */
};

/*
 * Looks for the commits that followed md's; where there is none, for one that
 * came before md's and says more. era/newer.h also finds what names a later era
 * than md's. commits: of the scan. reachable: the blocks that md leads to.
 * Returns 0, -ENOMEM or the errno of a read.
 */
int era_later_find(struct era_later *later, const struct era_metadata *md,
		   const struct era_scan *scan,
		   const struct era_commits *commits,
		   const struct block_set *reachable);

#endif
