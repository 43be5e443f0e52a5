/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of a salvage, one file each; only these files include this header.
 * salvage.c calls the parts in the order of this header and drives the sink.
 *
 * Contract: a function returns 0, -ENOMEM or the errno of a read, unless it
 * says otherwise, and has reported the problem.
 */
#ifndef ERA_SALVAGE_PARTS_H
#define ERA_SALVAGE_PARTS_H

#include "era/salvage.h"

/* --- salvage_load.c: the reachable state ------------------------------------
 */

/* Returns -EUCLEAN and the like where the superblock is lost. */
int era_salvage_read_superblock(struct era_salvage *s,
				struct era_superblock *sb);
int era_salvage_load(struct era_salvage *s, const struct era_superblock *sb);
/* Collects the orphans. reachable: also takes the reachable blocks, where the
 * trees may lead to blocks of another instance. disputed: as
 * era_orphans_init(). */
int era_salvage_collect_orphans(struct era_salvage *s, bool disputed,
				bool reachable);
/* Counts the array blocks of a map that cannot be read. */
int era_salvage_count_lost(struct era_salvage *s, const struct array_map *map,
			   uint64_t *nr_lost);

/* --- salvage_lost.c: a lost superblock --------------------------------------
 */

/* Makes a superblock. Also returns -EINVAL where the user must give an option,
 * and -ENODATA where nothing is left. */
int era_salvage_rebuild(struct era_salvage *s, struct era_superblock *sb);
/* Sets s->newer.found where anything speaks against the rebuilt state. */
int era_salvage_doubt_rebuilt(struct era_salvage *s);
int era_salvage_plan_rebuilt(struct era_salvage *s);

/* --- salvage_fork.c: a forked history ---------------------------------------
 */

/* Looks for the other instance's last state, and puts it into s->second. */
int era_salvage_find_other(struct era_salvage *s);
int era_salvage_plan_fork(struct era_salvage *s);

/* --- salvage_later.c: a superblock that is not the last ----------------------
 */

/*
 * Looks for a later state that says all that the reachable one does, and puts
 * it into s->second. Sets s->newer.found where there is such a state, or where
 * something else is wrong.
 */
int era_salvage_find_later(struct era_salvage *s);
int era_salvage_plan_later(struct era_salvage *s);

/* --- salvage_older.c: holes -------------------------------------------------
 */

/* Plans the reachable state as the result. Its holes are filled from an older
 * state, s->second, where there is one that can fill them. */
int era_salvage_plan_holes(struct era_salvage *s);

/* --- salvage.c: what the parts share ----------------------------------------
 */

/* Whether there are roots. Without roots every sound block is an orphan, and
 * nothing reachable can be lost. */
bool era_salvage_has_roots(const struct era_salvage *s);
/*
 * Sets found where bitsets that nothing names mark data blocks that neither the
 * reachable state nor second, which may be NULL, dates.
 */
int era_salvage_compare_nameless(struct era_salvage *s,
				 const struct era_metadata *second,
				 bool *found);
/* Appends what the second state says to the result's layers, as orphans. */
int era_salvage_add_second(struct era_salvage *s);
/*
 * Gives an era that is later than every era that the device names or the user
 * has given. It becomes the current era, and what has to be assumed counts as
 * written in it.
 */
int era_salvage_newest_era(const struct era_salvage *s, uint32_t *newest);
/*
 * Returns an era that was never reached, where era is the last that left a
 * trace. An era without a write leaves no trace once it is digested, so any
 * number of such eras can have come since, and been reported to a backup. What
 * counts as written in the returned era is on the list since each of them.
 * Where the user has given the current era, the returned one is not later than
 * that one or era.
 */
uint32_t era_salvage_unreached(const struct era_salvage *s, uint32_t era);

#endif
