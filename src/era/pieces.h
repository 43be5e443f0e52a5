/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pieces are array blocks that no parent leads to any more. This groups them by
 * their index in their array, and tells how many arrays lack a block of that
 * index.
 *
 * Contract: a question about an index costs the logarithm of the number of
 * indexes, however many pieces have that index and however many arrays lack it.
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
	uint32_t group; /* of the pieces with the same index */
	bool placed;	/* in an array again */
};

/* A set of numbered arrays. Where nr is 1, sum is the number of the array. */
struct piece_gaps {
	uint64_t nr;
	uint64_t sum;
};

/* The pieces with one index. */
struct piece_group {
	uint32_t index;
	uint32_t nr;		  /* pieces that are not placed */
	uint32_t nr_loose;	  /* of these, pieces without a leaf */
	struct piece_gaps filled; /* arrays that have a block of this index */
	/*
	 * A node of a Fenwick tree over the groups: the arrays whose last group
	 * is one of those that this node sums.
	 */
	struct piece_gaps ends;
};

struct pieces {
	struct piece *pieces;
	size_t nr, allocated;
	size_t max;		    /* no more pieces are taken */
	bool too_many;		    /* more than max were offered */
	struct piece_group *groups; /* by index */
	size_t nr_groups;
};

/* Adds a piece. Returns 0 or -ENOMEM; past the maximum too_many is set. */
int pieces_add(struct pieces *pieces, uint32_t index, uint32_t block,
	       uint32_t node);

/* Returns whether two of the pieces from first on have the same index, or
 * -ENOMEM. */
int pieces_repeat(const struct pieces *pieces, size_t first);

/* Groups the pieces, after the last was added and before any call below.
 * Returns 0 or -ENOMEM. */
int pieces_group(struct pieces *pieces);

/* The group of pieces with this index, NULL where there are none. */
struct piece_group *pieces_at(const struct pieces *pieces, uint32_t index);

/* Takes note that a piece is placed. */
void pieces_place(struct pieces *pieces, struct piece *p);

/* Takes note that array number is to have blocks of all indexes below end. */
void pieces_expect(struct pieces *pieces, uint64_t number, uint32_t end);

/* Takes note that array number has a block of the group's index, which is below
 * the end of the array. */
void pieces_fill(struct piece_group *group, uint64_t number);

/* The arrays that lack a block of the group's index. */
struct piece_gaps pieces_gaps(const struct pieces *pieces,
			      const struct piece_group *group);

void pieces_release(struct pieces *pieces);

#endif
