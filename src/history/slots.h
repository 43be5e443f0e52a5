/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An array of one state as the list of its blocks, and going on to the same
 * array of another state: subtrees that both share are not walked.
 *
 * Contract: an array is taken as it is whole, or not at all: each block of it
 * is there, in nodes whose keys leave no gap, and is of the kind it should be.
 */
#ifndef HISTORY_SLOTS_H
#define HISTORY_SLOTS_H

#include "history/reading.h"

struct slot_change {
	uint32_t index;
	uint32_t before; /* the metadata block then */
};

/* All zero but for the role: an array without a block. */
struct slots {
	enum era_role role; /* of its blocks */
	uint64_t root;
	uint32_t nr;
	uint32_t *blocks; /* metadata block of each array block */
	/* what changed from the state before, by ascending index */
	bool fresh; /* all did, and there was nothing before */
	struct slot_change *changes;
	size_t nr_changes, max_changes;
};

/*
 * Goes on to the array of nr blocks at root. Returns 0, -EUCLEAN where it is
 * not whole, -E2BIG where the budget is spent, or -ENOMEM; then the slots are
 * good for nothing but their release.
 */
int slots_change(struct slots *slots, struct era_reading *reading,
		 uint64_t root, uint32_t nr);

/* Forgets what changed. */
void slots_settle(struct slots *slots);
void slots_release(struct slots *slots);

/* The block with this index in the state before; 0 for none. */
uint32_t slots_before(const struct slots *slots, uint32_t index);

/* The number of values of the array at root, told by its last block. */
uint64_t slots_nr_values(struct era_reading *reading, uint64_t root);

#endif
