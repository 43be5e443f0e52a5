/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of writesets that no longer hold: a leaf of the writeset tree that the
 * superblock's history has left behind can name a bitset's root that the commit
 * under way has since used for the open writeset.
 */
#ifndef ERA_STALE_NAMES_H
#define ERA_STALE_NAMES_H

#include "era/orphans.h"
#include "history/under_way.h"

struct era_overwritten {
	const struct era_under_way *by;
	const struct era_metadata *md; /* the superblock's */
};

/*
 * Drops the names of bitsets that the commit under way has written: it counts
 * all their blocks and not the leaf, and they have every bit of the open
 * writeset, which only gains bits while its era lasts (writeset_test_and_set,
 * dm-era-target.c). What else they have was never promised to anyone. A name
 * stays where its era has another root, too: then it shows a second table.
 * Returns 0 or -ENOMEM.
 */
int era_orphans_drop_stale(struct era_orphans *orphans,
			   const struct era_overwritten *overwritten);

#endif
