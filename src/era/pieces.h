/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Array blocks that no parent leads to any more, by their index, and how many
 * arrays lack a block of that index.
 *
 * Contract: what is asked of an index costs the logarithm of how many indexes
 * there are, however many pieces have it and however many arrays lack it.
 */
#ifndef ERA_PIECES_H
#define ERA_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bitset block, or an era-array block, that has no parent any more. */
struct piece {
	uint32_t index;
	uint32_t block;
	uint32_t node;	/* the btree leaf that files it, 0 for none */
	uint32_t group; /* of those with its index */
	bool placed;
};

/* Arrays, by their numbers: where it is but one, the sum is its number. */
struct piece_gaps {
	uint64_t nr;
	uint64_t sum;
};

/* Those with the same index. */
struct piece_group {
	uint32_t index;
	uint32_t nr;	   /* not placed */
	uint32_t nr_loose; /* of these, without a leaf */
	struct piece_gaps filled;
	/*
	 * A Fenwick tree: of the arrays whose last group is among those that
	 * this node sums.
	 */
	struct piece_gaps ends;
};

struct pieces {
	struct piece *pieces;
	size_t nr;
	size_t max; /* no more are taken */
	bool too_many;
	struct piece_group *groups; /* by index */
	size_t nr_groups;
};

/* The next piece. Returns 0 or -ENOMEM; past the maximum too_many is set. */
int pieces_add(struct pieces *pieces, uint32_t index, uint32_t block,
	       uint32_t node);

/* Whether two of the pieces from first on have the same index; or -ENOMEM. */
int pieces_repeat(const struct pieces *pieces, size_t first);

/* After the last was added, and before any of what follows. 0 or -ENOMEM. */
int pieces_group(struct pieces *pieces);

/* The group of pieces with this index, NULL where there are none. */
struct piece_group *pieces_at(const struct pieces *pieces, uint32_t index);

void pieces_place(struct pieces *pieces, struct piece *p);

/* An array with this number is to have blocks of the indexes below end. */
void pieces_expect(struct pieces *pieces, uint64_t number, uint32_t end);

/* The array has one of the group's index, which is below its end. */
void pieces_fill(struct piece_group *group, uint64_t number);

/* The arrays that lack the group's index. */
struct piece_gaps pieces_gaps(const struct pieces *pieces,
			      const struct piece_group *group);

void pieces_release(struct pieces *pieces);

#endif
