/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dates of committed states, from one state to the next. Along one history
 * dates only grow. So the sum of all dates ranks states, and where a date falls
 * from one state to another, the second does not follow the first.
 *
 * A unit is the data blocks that one block of the era array dates.
 *
 * Contract: from one state to the next only array blocks that differ are read,
 * and only the units that these speak of are dated again. Memory: a dozen bytes
 * for each array block of one state.
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
	uint32_t era;	       /* the open era, or the last that was open */
	bool inferred;	       /* no writeset of the state names this era */
	uint32_t nr_open_bits; /* of the open writeset */
	uint64_t sum;	       /* of the dates of all data blocks */

	/* what the last step changed in the data blocks that both states have;
	 * a block of the open writeset counts as dated latest */
	bool compared;
	bool rose; /* some data block is dated later than before */
	bool fell; /* some data block is dated earlier than before */

	struct slots eras;
	uint32_t nr_blocks_before;
	uint32_t *latest;     /* latest date in each unit of the era array */
	uint32_t greatest;    /* of latest */
	uint32_t nr_greatest; /* units whose latest date is the greatest */
	uint64_t writeset_tree;
	struct era_dated_writeset **writesets; /* by era, the open one last */
	size_t nr_writesets;
	struct block_set dirty; /* units that are to be dated again */
	uint32_t *units;	/* the units of dirty, as a list */
	size_t nr_units;
	uint32_t max_units; /* allocated */
};

void era_dates_init(struct era_dates *dates, struct era_reading *reading);
void era_dates_release(struct era_dates *dates);

/*
 * Makes the state of these roots the state at hand. Returns 0, -EUCLEAN where
 * the trees of the state are not whole, -E2BIG where the budget is spent, or
 * -ENOMEM. After an error no state is at hand.
 */
int era_dates_step(struct era_dates *dates, const struct era_roots *roots);

#endif
