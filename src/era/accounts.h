/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The space map held against all that a superblock leads to. Whoever checks
 * metadata and whoever lists from it asks the same questions: counts that the
 * pointers do not explain are the mark of a lost write, or of a second table.
 */
#ifndef ERA_ACCOUNTS_H
#define ERA_ACCOUNTS_H

#include "era/metadata.h"

struct era_accounts {
	uint64_t nr_faults; /* of the live trees and the snapshot's */
	/* places among them where a sound block of another kind stands: it has
	 * been used again, as no rot makes one */
	uint64_t nr_reused;
	struct space_map_verdict space_map;
};

/*
 * After the live trees of sb, which were walked in walk's current pass with
 * its refs: walks the metadata snapshot's and the space map, and compares the
 * counts where nothing is damaged. snapshot is told of the snapshot's metadata
 * and may be NULL. What is wrong is reported to walk's report.
 * Returns 0 whatever was found, -ENOMEM, or what snapshot returned.
 */
int era_accounts_check(struct era_accounts *accounts, struct walk *walk,
		       const struct era_superblock *sb,
		       int (*snapshot)(void *arg,
				       const struct era_metadata *md),
		       void *arg);

/*
 * Whether the counts and the pointers disagree in a way that no commit of the
 * kernel's leaves: a write of a tree was lost, or the kernel went on from a
 * bitmap that another table had written. Where the map's blocks are not of one
 * commit and count too little, only the map has lost a write, and the trees are
 * what they were.
 */
static inline bool era_accounts_disagree(const struct era_accounts *accounts)
{
	const struct space_map_verdict *map = &accounts->space_map;

	return map->compared &&
	       (map->nr_low ? !map->anothers : map->nr_high != 0);
}

#endif
