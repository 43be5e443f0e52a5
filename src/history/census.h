/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A census of one commit: how often its space map counts each block, and how
 * many pointers lead to each block from the blocks that the space map counts.
 * The two differ by one pointer for each root, since only the superblock of the
 * commit, which is gone, led there. Where they differ nowhere else, the roots
 * are proven.
 *
 *	 index block --> bitmap blocks --> counts ---+
 *	                                             +--> mismatches: the roots
 *	 blocks counted --> pointers in them --> refs-+
 *
 * Contract: the census goes from commit to commit by what differs between
 * them: bitmap blocks, the counts in these, and the pointers in the nodes that
 * came or went. A few bytes a metadata block, whatever the number of commits.
 */
#ifndef HISTORY_CENSUS_H
#define HISTORY_CENSUS_H

#include "history/reading.h"
#include "pdata/space_map.h"

/* Why a commit is proven, or not. */
enum era_proof {
	ERA_PROVEN,
	ERA_PROOF_NO_BITMAP, /* a bitmap block of its space map is lost */
	ERA_PROOF_UNSOUND, /* its space map counts a block that is not sound */
	ERA_PROOF_UNEXPLAINED, /* the pointers do not explain the counts */
	ERA_PROOF_NO_ROOTS,    /* what lacks a pointer can not be the roots */
	ERA_PROOF_TREES,       /* the trees of the roots are not whole */
	ERA_PROOF_BUDGET,      /* finding out would take too long */
};

#define ERA_NR_PROOFS 7

/* What a superblock names. */
struct era_roots {
	uint64_t writeset_tree;
	uint64_t era_array;
	uint64_t ref_counts;
	uint64_t open;	   /* 0: no writeset is open */
	uint64_t snapshot; /* 0: none is held */
};

struct era_census {
	struct era_reading *reading;
	uint64_t nr_blocks;
	uint64_t index; /* of the commit at hand; 0: none as yet */
	uint64_t nr_allocated;
	uint64_t bitmaps[INDEX_MAX_ENTRIES];

	/*
	 * What changed with the last step, from one commit to another. Blocks
	 * that only the new commit counts have come, blocks that only the old
	 * one counts have gone.
	 */
	uint64_t nr_came;
	uint64_t nr_went;
	/* blocks that came outside of the range from the old commit's index up
	 * to the new one's */
	uint64_t nr_came_outside;
	uint64_t nr_came_beyond; /* blocks that came above the new index */
	/* the first block that was free behind the old index has come */
	bool is_behind;

	uint8_t *counts; /* packed as in bitmap blocks, without their headers */
	uint32_t *refs;
	uint8_t *trees; /* which tree a node is of, as far as that was asked */
	/* a list of the blocks for which counts and refs differ, and the place
	 * of each block in this list */
	uint32_t *wrong;
	uint32_t *wrong_at; /* one more than the place; 0: not in the list */
	size_t nr_wrong;
	uint64_t nr_unsound;  /* blocks that are counted and not sound */
	uint64_t lowest_free; /* no block below is free */
	bool broken; /* a block could not be read again: nothing adds up */

	/* set by the caller, or NULL: blocks to look out for; nr_watched of
	 * them are counted */
	const struct block_set *watched;
	uint64_t nr_watched;
	/* set by the caller, or NULL: blocks that come are added to this set */
	struct block_set *came;

	/* another commit to be compared with, and what it counts */
	uint64_t other; /* its index block, 0 for none */
	uint8_t *other_counts;
	uint64_t nr_other_alone;  /* blocks that only the other counts */
	uint64_t nr_other_beyond; /* of these: above the other's index */
	uint64_t nr_alone; /* blocks that only the commit at hand counts */
};

int era_census_init(struct era_census *census, struct era_reading *reading);
void era_census_release(struct era_census *census);

/*
 * Makes the commit with this index block the commit at hand. Returns
 * ERA_PROVEN: its counts are known now; or ERA_PROOF_NO_BITMAP or
 * ERA_PROOF_BUDGET: the commit at hand is still the one before.
 */
enum era_proof era_census_step(struct era_census *census, uint64_t index);

/*
 * Whether the counts of the commit at hand prove its roots: ERA_PROVEN,
 * ERA_PROOF_UNSOUND, ERA_PROOF_UNEXPLAINED or ERA_PROOF_NO_ROOTS.
 */
enum era_proof era_census_prove(struct era_census *census,
				struct era_roots *roots);

/* How often the commit at hand counts a block, 3 for more. */
static inline unsigned int era_census_count(const struct era_census *census,
					    uint64_t block)
{
	unsigned int bits = census->counts[block / 4] >> (2 * (block % 4)) & 3;

	return (bits & 1) << 1 | bits >> 1; /* the low bit comes second */
}

/* Looks out for the blocks of a set from here on. */
void era_census_watch(struct era_census *census,
		      const struct block_set *watched);

/* Makes the commit at hand the other one, to compare later ones with. */
int era_census_remember(struct era_census *census);

/* The first block that the commit at hand leaves free; nr_blocks for none. */
uint64_t era_census_lowest_free(struct era_census *census);

/* Whether the other commit counts a block. */
static inline bool era_census_other_has(const struct era_census *census,
					uint64_t block)
{
	return census->other && block < census->nr_blocks &&
	       census->other_counts[block / 4] >> (2 * (block % 4)) & 3;
}

#endif
