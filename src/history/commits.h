/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commits that a device remembers, and which follows which. The last block
 * that a commit writes is its space-map index. The kernel's allocator goes on
 * from there, so the blocks that a commit wrote lie between the index of the
 * commit before and its own index.
 *
 *	     index      index      index             index
 *	 ......|..........|..........|.................|.....  blocks
 *	       A   -next-> B  -next-> C                 E
 *	       +-opened-> (behind block 0)
 *
 * Two edges that lead away from one commit are two histories: a branch each.
 *
 * A proof is of what the blocks hold now. Blocks of an old commit can have been
 * reused for the same purpose, with other contents: each later activation
 * begins to allocate at block 0, as the earlier one did.
 */
#ifndef HISTORY_COMMITS_H
#define HISTORY_COMMITS_H

#include "era/superblock.h"
#include "history/census.h"

/* How a commit B follows a commit A. */
enum era_edge {
	ERA_EDGE_NONE, /* it is not known which commit B follows */
	/* The allocator went on: B's new blocks lie from the first block that
	 * was free behind A's index up to B's index. */
	ERA_EDGE_NEXT,
	/* The metadata was opened anew: B's new blocks lie from the first free
	 * block of the device on. B still counts A's open writeset, which was
	 * archived, or A's era array where no writeset was open. */
	ERA_EDGE_OPENED,
	/* No commit came before B: all blocks that B counts were allocated from
	 * block 1 on by B itself. */
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
	uint32_t era;	       /* the open era, or the last that was open */
	bool inferred; /* nothing names this era: it is the least it can be */
	bool digested; /* the writeset tree is empty */
	uint64_t sum;  /* of the dates of all data blocks */

	enum era_edge edge;
	size_t before; /* the commit that this one follows, or ERA_NO_COMMIT */
	/* the edge is sure: both commits are proven, and this one dates no data
	 * block earlier */
	bool sure;
	/* By the blocks that it counts, this commit follows the one before it
	 * on the device; but it dates a data block earlier than that one does.
	 * So it did not follow, or a write was lost since. */
	bool contradicts;
	/* this commit counts blocks that the superblock's row has allocated
	 * since; only looked for where rows seem to cross */
	bool rewritten;
	/* Numbered from 1. 1: the branch with the superblock's commit, or,
	 * where the superblock is lost, with the last proven commit. 0: the
	 * commit's space map could not be read. */
	uint32_t branch;
};

struct era_commits {
	struct era_commit *list; /* by ascending index block */
	size_t nr;
	size_t nr_proven;
	size_t superblocks; /* the superblock's commit, or ERA_NO_COMMIT */
	size_t *order;	    /* places in list, branch by branch, oldest first */
	uint32_t nr_branches;
};

/*
 * Finds all commits of a device. sb: the superblock; NULL where it is lost.
 * The caller releases commits in either case. Returns 0 or -ENOMEM.
 */
int era_commits_load(struct era_commits *commits, const struct era_scan *scan,
		     const struct era_superblock *sb);
void era_commits_release(struct era_commits *commits);

/*
 * Proves a single commit, by its index block. Returns 0 or -ENOMEM;
 * commit->proof says whether it is proven.
 */
int era_commit_prove(struct era_commit *commit, const struct era_scan *scan,
		     uint64_t index_block);

/*
 * Whether another proven commit is known to say all that commit i does: one
 * that follows it, and dates no data block earlier.
 */
bool era_commits_superseded(const struct era_commits *commits, size_t i);

/* The last of all proven commits, as far as dates tell; ERA_NO_COMMIT for
 * none. */
size_t era_commits_last(const struct era_commits *commits);

/*
 * Follows commits from one on, each to the next, up to the last that is proven
 * and says more than commit from does: *last. Returns how many there are.
 */
size_t era_commits_follow(const struct era_commits *commits, size_t from,
			  size_t *last);

/*
 * Two instances that have gone on from one commit. A branch of one commit is no
 * proof of a fork: that commit can have been under way when the power went, and
 * nobody was promised anything of it. A branch of two commits, or one that
 * closed a writeset, is a proof: the superblock was written in between.
 */
struct era_fork {
	size_t parting; /* the commit that both follow; ERA_NO_COMMIT: gone */
	size_t other;	/* last commit of the branch without the superblock */
	size_t nr;	/* commits of this branch; 0: there is no fork */
};

/* The fork of the superblock's history, if there is one. */
struct era_fork era_commits_fork(const struct era_commits *commits);

/* The commit that follows commit i by such an edge; ERA_NO_COMMIT for none. */
size_t era_commits_after(const struct era_commits *commits, size_t i,
			 enum era_edge edge);

/* Names of proofs and edges, for people and for JSON. */
const char *era_proof_name(enum era_proof proof);
const char *era_edge_name(enum era_edge edge);

#endif
