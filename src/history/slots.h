/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An array of one state as the list of its blocks, and how that list changes to
 * the same array of another state. Subtrees that both arrays share are not
 * walked.
 *
 * Contract: an array is taken whole or not at all. Whole means that the keys of
 * its nodes leave no gap, and that each block is there and of the right kind.
 */
#ifndef HISTORY_SLOTS_H
#define HISTORY_SLOTS_H

#include "history/reading.h"

struct slot_change {
	uint32_t index;
	uint32_t before; /* the metadata block in the state before */
};

/* An array without a block is all zero, but for the role. */
struct slots {
	enum era_role role; /* of the array's blocks */
	uint64_t root;
	uint32_t nr;
	uint32_t *blocks; /* metadata block of each array block */
	/* what changed from the state before, by ascending index */
	bool fresh; /* everything: there was no array before */
	struct slot_change *changes;
	size_t nr_changes, max_changes;
};

/*
 * Changes the slots to the array of nr blocks at root. Returns 0, -EUCLEAN
 * where that array is not whole, -E2BIG where the budget is spent, or -ENOMEM.
 * After an error the slots can only be released.
 */
int slots_change(struct slots *slots, struct era_reading *reading,
		 uint64_t root, uint32_t nr);

/* Forgets what changed. */
void slots_settle(struct slots *slots);
void slots_release(struct slots *slots);

/* The block with this index in the state before; 0 for none. */
uint32_t slots_before(const struct slots *slots, uint32_t index);

/* The number of values of the array at root, from its last block. */
uint64_t slots_nr_values(struct era_reading *reading, uint64_t root);

#endif
