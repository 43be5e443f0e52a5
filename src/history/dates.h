/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dates of committed states, from one to the next. Along one history they
 * only grow: their sum ranks states, and where a date falls two states do not
 * follow each other.
 *
 * Contract: from one state to the next only array blocks that differ are read,
 * and only data blocks are dated again that these speak of, by units: those
 * that one block of the era array dates. Memory: a dozen bytes for each array
 * block of one state.
 */
#ifndef HISTORY_DATES_H
#define HISTORY_DATES_H

#include "history/census.h"
#include "history/slots.h"

/* A writeset of the state at hand, or of the one before. */
struct era_dated_writeset {
	struct slots slots;
	uint32_t nr_bits;
	bool is, is_open;   /* in the state at hand */
	bool was, was_open; /* in the one before */
	uint32_t era, era_before;
};

struct era_dates {
	struct era_reading *reading;
	bool loaded;	       /* there is a state at hand */
	uint32_t nr_blocks;    /* data blocks */
	uint32_t era;	       /* that is open, or that was the last to be */
	bool inferred;	       /* no writeset of the state names the last one */
	uint32_t nr_open_bits; /* of the open writeset */
	uint64_t sum;	       /* of all dates */

	/* what the last step changed in data blocks that both states have */
	bool compared;
	bool rose; /* one is dated later */
	bool fell; /* one is dated earlier; what is open counts as the latest */

	struct slots eras;
	uint32_t nr_blocks_before;
	uint32_t *latest;     /* date in each unit of the era array */
	uint32_t greatest;    /* of these */
	uint32_t nr_greatest; /* units that have it */
	uint64_t writeset_tree;
	struct era_dated_writeset **writesets; /* by era, the open one last */
	size_t nr_writesets;
	struct block_set dirty; /* units that are to be dated again */
	uint32_t *units;	/* the same as a list */
	size_t nr_units;
	uint32_t max_units; /* that there is room for */
};

void era_dates_init(struct era_dates *dates, struct era_reading *reading);
void era_dates_release(struct era_dates *dates);

/*
 * Goes on to the state of these roots. Returns 0, -EUCLEAN where its trees
 * are not whole, -E2BIG where the budget is spent, or -ENOMEM; then there is
 * no state at hand any more.
 */
int era_dates_step(struct era_dates *dates, const struct era_roots *roots);

#endif
