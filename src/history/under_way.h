/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commit that was under way when the power went: it follows the
 * superblock's, none follows it, and its space map is on the device. It has
 * written what the superblock's commit left free, so what older blocks say of
 * those no longer holds.
 */
#ifndef HISTORY_UNDER_WAY_H
#define HISTORY_UNDER_WAY_H

#include "history/commits.h"

/* All zero where there is none. */
struct era_under_way {
	bool found;
	struct block_set counted; /* by its space map */
	struct block_set wrote;	  /* of these: not by the superblock's */
};

/*
 * commits: of scan. Returns 0 or -ENOMEM; to be released in either case.
 */
int era_under_way_find(struct era_under_way *under_way,
		       const struct era_scan *scan,
		       const struct era_commits *commits);
void era_under_way_release(struct era_under_way *under_way);

#endif
