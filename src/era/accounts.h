/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compares the space map with all that a superblock leads to. era_check and the
 * readers that make lists ask the same question here: counts that the pointers
 * do not explain are the mark of a lost write, or of a second table.
 */
#ifndef ERA_ACCOUNTS_H
#define ERA_ACCOUNTS_H

#include "era/metadata.h"

struct era_accounts {
	uint64_t nr_faults; /* of the live trees and of the snapshot's */
	/* faults where a sound block of another kind stands: rot makes none, so
	 * the block was reused */
	uint64_t nr_reused;
	struct space_map_verdict space_map;
};

/*
 * Walks the metadata snapshot's trees and the space map, and compares the
 * counts with walk's refs where nothing is damaged. The caller has walked the
 * live trees of sb in walk's current pass. snapshot is called with the metadata
 * of the snapshot and may be NULL. Problems go to walk's report.
 * Returns 0 whatever was found, -ENOMEM, or what snapshot returned.
 */
int era_accounts_check(struct era_accounts *accounts, struct walk *walk,
		       const struct era_superblock *sb,
		       int (*snapshot)(void *arg,
				       const struct era_metadata *md),
		       void *arg);

/*
 * Whether the counts and the pointers disagree in a way that no commit of the
 * kernel leaves. Then a write of a tree was lost, or the kernel went on from a
 * bitmap that another table had written. But where the space map's blocks are
 * not of one commit, and count too little, only the space map has lost a write
 * and the trees are right.
 */
static inline bool era_accounts_disagree(const struct era_accounts *accounts)
{
	const struct space_map_verdict *map = &accounts->space_map;

	return map->compared &&
	       (map->nr_low ? !map->anothers : map->nr_high != 0);
}

#endif
