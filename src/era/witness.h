/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The space map as a witness: which blocks a committed state used, and how
 * often. It counts blocks to which nothing leads any more because their parent
 * is damaged. Where the superblock is lost, which names the roots, the space
 * map proves which roots belong together.
 */
#ifndef ERA_WITNESS_H
#define ERA_WITNESS_H

#include "era/orphans.h"
#include "history/commits.h"

/* The counts of one space map, 3 standing for 3 and more. */
struct era_witness {
	uint64_t nr_blocks;
	uint8_t *counts;
	bool beyond; /* blocks past the end are counted: the device was longer
		      */
};

/*
 * Reads the counts that the index block leads to. Returns 0, -EUCLEAN where a
 * block of the space map is not sound, or -ENOMEM.
 */
int era_witness_load(struct era_witness *witness, const struct era_scan *scan,
		     uint64_t index_block);
/*
 * The same where the index block is lost, on a device of one bitmap. Looks for
 * the bitmap block that counts all of reached, itself, the index block, and as
 * many blocks as the superblock says. Returns -EUCLEAN where there is not
 * exactly one such block.
 */
int era_witness_find(struct era_witness *witness, const struct era_scan *scan,
		     const struct space_map_root *root,
		     const struct block_set *reached);
void era_witness_release(struct era_witness *witness);

/*
 * Attaches blocks to md whose parents are damaged: blocks that the witness
 * counts and that are not in reached. Where a block fits in one place only, the
 * result is exact; where it fits in several, the latest era counts.
 * walk: the pass that loaded md. reached grows by the attached blocks.
 * oldest: writesets of older eras are not in the tree any more, so an old leaf
 * that names a bitset for an older era speaks of an earlier use of its root.
 * *nr_attached: how many blocks could be placed. Returns 0 or -ENOMEM.
 */
int era_witness_attach(const struct era_witness *witness,
		       struct era_metadata *md, struct walk *walk,
		       const struct era_orphans *orphans, uint32_t oldest,
		       struct block_set *reached, uint64_t *nr_attached);

/* The state of a proven commit, as a superblock that names its roots. */
struct era_proven {
	struct era_superblock sb;
	bool digested; /* the writeset tree is empty */
	uint64_t sum;  /* of all dates; along one history this only grows */
};

/* What is known of a device without its superblock. */
struct era_rebuilt {
	struct era_superblock sb;
	bool alone;	    /* nothing but the superblock is damaged */
	bool proven;	    /* sb is the state of a proven commit */
	bool era_inferred;  /* no writeset of this state names its era */
	uint64_t nr_proven; /* proven commits */
	bool have_copy;	    /* a superblock copy gave the geometry */
	uint64_t copy;	    /* block of that copy */
	/* the proven states, sb's included, but for those that another one is
	 * known to follow and to repeat */
	struct era_proven *states;
	size_t nr_states;
};

/* Gives the state of a proven commit. geometry: what blocks do not tell. */
void era_proven_take(struct era_proven *proven, const struct era_commit *commit,
		     const struct era_scan *scan,
		     const struct era_geometry *geometry);

/*
 * Gives the states of all proven commits, each set of roots once. *states is
 * allocated. Returns 0 or -ENOMEM.
 */
int era_find_proven(const struct era_commits *commits,
		    const struct era_scan *scan,
		    const struct era_geometry *geometry,
		    struct era_proven **states, size_t *nr);

/*
 * Rebuilds the superblock from the rest of the device. It is that of the last
 * proven commit. Where no commit is proven, or something besides the superblock
 * is damaged, proven is false and the superblock has no roots.
 * commits: of the scan, loaded without a superblock. geometry: what the user
 * has given, 0 for the rest.
 * Returns 0 or -ENOMEM. data_block_size stays 0 where nothing tells it.
 */
int era_rebuild_superblock(struct era_rebuilt *rebuilt,
			   const struct era_scan *scan,
			   const struct era_commits *commits,
			   const struct era_orphans *orphans,
			   const struct era_geometry *geometry);
void era_rebuilt_release(struct era_rebuilt *rebuilt);

#endif
