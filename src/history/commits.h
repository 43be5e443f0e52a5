/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commits that a device remembers, and which follows which. A commit's
 * last block is its space-map index; what it wrote lies, in the order of the
 * allocator, between the index of the commit before and its own.
 *
 *	     index      index      index             index
 *	 ......|..........|..........|.................|.....  blocks
 *	       A   -next-> B  -next-> C                 E
 *	       +-opened-> (behind block 0)
 *
 * Two edges that lead away from one commit are two histories: a branch each.
 *
 * A proof is of what the blocks hold now. Of an old commit they can have been
 * used again, for the same and with other contents: what was opened later
 * begins to allocate where it did.
 */
#ifndef HISTORY_COMMITS_H
#define HISTORY_COMMITS_H

#include "era/superblock.h"
#include "history/census.h"

/* How a commit follows another. */
enum era_edge {
	ERA_EDGE_NONE, /* it is not known which */
	/* The allocator went on: what is new lies from the first block that
	 * was free behind the one's index up to the other's index. */
	ERA_EDGE_NEXT,
	/* The metadata was opened anew: the same from block 0 on, and the open
	 * writeset was archived, or none was and the era array is the same. */
	ERA_EDGE_OPENED,
	/* None came before: all that it counts was allocated from block 1 on
	 * by itself. */
	ERA_EDGE_FORMAT,
};

#define ERA_NO_COMMIT SIZE_MAX

struct era_commit {
	uint64_t index_block;
	enum era_proof proof;
	bool counted;	       /* its space map could be read */
	uint64_t nr_allocated; /* if counted */

	/* if proven */
	struct era_roots roots;
	uint32_t nr_blocks;    /* data blocks */
	uint32_t nr_open_bits; /* of the open writeset */
	uint32_t era;	       /* that is open, or the last that was */
	bool inferred;	       /* nothing names it: it is that at least */
	bool digested;	       /* its writeset tree is empty */
	uint64_t sum;	       /* of all dates, as far as it tells itself */

	enum era_edge edge;
	size_t before; /* the commit that it follows, or ERA_NO_COMMIT */
	/* both are proven, and no data block is dated earlier by this one */
	bool sure;
	/* by what it counts it follows the one before it on the device, which
	 * dates a data block later: it is not the one that followed, or a
	 * write was lost since */
	bool contradicts;
	/* it counts blocks that the superblock's row of commits has allocated
	 * since; known where rows seem to cross */
	bool rewritten;
	/* from 1 on; 1: the one with the superblock's, or, where it is lost,
	 * with the last that is proven; 0: its space map could not be read */
	uint32_t branch;
};

struct era_commits {
	struct era_commit *list; /* by ascending index block */
	size_t nr;
	size_t nr_proven;
	size_t superblocks; /* the superblock's commit, or ERA_NO_COMMIT */
	size_t *order;	    /* branch by branch, each from its start on */
	uint32_t nr_branches;
};

/*
 * Finds all of them. sb: the superblock; NULL where it is lost.
 * To be released in either case. Returns 0 or -ENOMEM.
 */
int era_commits_load(struct era_commits *commits, const struct era_scan *scan,
		     const struct era_superblock *sb);
void era_commits_release(struct era_commits *commits);

/*
 * Proves a single one by its index block. Returns 0 or -ENOMEM; commit->proof
 * says the rest.
 */
int era_commit_prove(struct era_commit *commit, const struct era_scan *scan,
		     uint64_t index_block);

/*
 * Whether a proven commit came after another one, where both are of one
 * history: dates only grow. Where they add up to the same, archiving is all
 * that lies between, so the later era comes later, and within one the closed
 * state.
 */
bool era_commit_is_later(const struct era_commit *a,
			 const struct era_commit *b);

/*
 * Whether another proven commit is known to say all that this one does: one
 * that follows it, and dates no data block earlier.
 */
bool era_commits_superseded(const struct era_commits *commits, size_t i);

/* The last of all that are proven, as far as dates tell; ERA_NO_COMMIT for
 * none. */
size_t era_commits_last(const struct era_commits *commits);

/* The commit with this index block; ERA_NO_COMMIT for none. */
size_t era_commits_find(const struct era_commits *commits, uint64_t index);

/*
 * How many commits have followed on one, each on the one before it, up to the
 * last that is proven and says more than it does: *last.
 */
size_t era_commits_follow(const struct era_commits *commits, size_t from,
			  size_t *last);

/*
 * Two instances that have gone on from one commit. A single commit that follows
 * on it can also have been under way when the power went: nothing of it was
 * promised. Where there are two, or a writeset was closed, the superblock was
 * written in between.
 */
struct era_fork {
	size_t parting; /* the commit that both follow, or ERA_NO_COMMIT where
			 * it is gone */
	size_t other;	/* the last of the branch without the superblock */
	size_t nr;	/* commits on it; 0: there is no fork */
};

/* Whether the superblock's history has parted from another one. */
struct era_fork era_commits_fork(const struct era_commits *commits);

/* The commit that follows this one so; ERA_NO_COMMIT for none. */
size_t era_commits_after(const struct era_commits *commits, size_t i,
			 enum era_edge edge);

/* In a few words, for people and for JSON. */
const char *era_proof_name(enum era_proof proof);
const char *era_edge_name(enum era_edge edge);

#endif
