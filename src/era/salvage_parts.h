/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of a salvage, a file each; for these files alone. salvage.c calls
 * them in the order in which they stand here and drives the sink.
 *
 * Contract: 0, -ENOMEM or the errno of a read, unless said otherwise; what goes
 * wrong is reported where it is known.
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
/* All that nothing reachable leads to, or that, too, where the trees may lead
 * to what is another's; disputed: as era_orphans_init. */
int era_salvage_collect_orphans(struct era_salvage *s, bool disputed,
				bool reachable);
/* Counts the array blocks of a map that cannot be read. */
int era_salvage_count_lost(struct era_salvage *s, const struct array_map *map,
			   uint64_t *nr_lost);

/* --- salvage_lost.c: a lost superblock --------------------------------------
 */

/* Also -EINVAL where an option is needed, -ENODATA where nothing is left. */
int era_salvage_rebuild(struct era_salvage *s, struct era_superblock *sb);
/* Whether anything speaks against the rebuilt state: s->newer.found. */
int era_salvage_doubt_rebuilt(struct era_salvage *s);
int era_salvage_plan_rebuilt(struct era_salvage *s);

/* --- salvage_fork.c: a forked history ---------------------------------------
 */

/* Looks for the other instance's last state: s->second. */
int era_salvage_find_other(struct era_salvage *s);
int era_salvage_plan_fork(struct era_salvage *s);

/* --- salvage_later.c: a superblock that is not the last ----------------------
 */

/*
 * Looks for a later state that says all that the reachable one does: s->second.
 * Sets s->newer.found where there is one, or where something else is wrong.
 */
int era_salvage_find_later(struct era_salvage *s);
int era_salvage_plan_later(struct era_salvage *s);

/* --- salvage_older.c: holes -------------------------------------------------
 */

/* What is reachable, its holes filled where an older state can: s->second. */
int era_salvage_plan_holes(struct era_salvage *s);

/* --- salvage.c: what they share ---------------------------------------------
 */

/* Without roots everything is an orphan, and nothing reachable is lost. */
bool era_salvage_has_roots(const struct era_salvage *s);
/*
 * Whether bitsets that nothing names mark data blocks of which neither the
 * reachable state nor second (or NULL) has ever heard.
 */
int era_salvage_compare_nameless(struct era_salvage *s,
				 const struct era_metadata *second,
				 bool *found);
/* Appends what the second state says to the result's layers, as orphans. */
int era_salvage_add_second(struct era_salvage *s);
/*
 * An era later than all that anything on the device speaks of, and that the
 * user knows of: what was written after a fork counts as written in it, and it
 * is the new current one.
 */
int era_salvage_newest_era(const struct era_salvage *s, uint32_t *newest);
/*
 * An era that was never reached, where era is the last that left a trace. An
 * era without a write leaves none once it is digested, so any number of them
 * can have come, and been reported, since: what counts as written in the era
 * returned is on the list since each of them. Where the user has named the
 * current era, that one and era bound them all.
 */
uint32_t era_salvage_unreached(const struct era_salvage *s, uint32_t era);

#endif
