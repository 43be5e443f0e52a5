/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The space map as a witness: which blocks a committed state used, and how
 * often. It knows of blocks that nothing leads to any more because what led
 * there is damaged, and it proves which roots belong together when the
 * superblock, which names them, is lost.
 */
#ifndef ERA_WITNESS_H
#define ERA_WITNESS_H

#include "era/orphans.h"
#include "history/commits.h"

/* The counts of one space map, 3 standing for 3 and more. */
struct era_witness {
	uint64_t nr_blocks;
	uint8_t *counts;
	bool beyond; /* it counts blocks past the end: the device was longer */
};

/*
 * Reads the counts that the index block leads to. Returns 0, -EUCLEAN where
 * one of its blocks is not intact, or -ENOMEM.
 */
int era_witness_load(struct era_witness *witness, const struct era_scan *scan,
		     uint64_t index_block);
/*
 * The same where the index block is lost, on a device of one bitmap: the
 * bitmap block that counts all of reached, itself, the index block and as
 * many blocks as the superblock says. -EUCLEAN where it is not just one.
 */
int era_witness_find(struct era_witness *witness, const struct era_scan *scan,
		     const struct space_map_root *root,
		     const struct block_set *reached);
void era_witness_release(struct era_witness *witness);

/*
 * Attaches to md what its damaged nodes no longer lead to: blocks that the
 * witness counts and that nothing in reached leads to. Exact where there is
 * one way to fit them in; where there are several, the latest era counts.
 * walk: the pass that loaded md; reached grows by what is attached.
 * oldest: a writeset of an older era is not in the tree any more, so an old
 * leaf that names a bitset so speaks of an earlier use of its root.
 * Returns how many blocks could be placed in *nr_attached; 0 or -ENOMEM.
 */
int era_witness_attach(const struct era_witness *witness,
		       struct era_metadata *md, struct walk *walk,
		       const struct era_orphans *orphans, uint32_t oldest,
		       struct block_set *reached, uint64_t *nr_attached);

/* A committed state that a space map proves, as a superblock of its own. */
struct era_proven {
	struct era_superblock sb;
	bool digested; /* its writeset tree is empty */
	uint64_t sum;  /* of all dates: along one history it only grows */
};

/* What is known of a device without its superblock. */
struct era_rebuilt {
	struct era_superblock sb;
	bool alone;	    /* nothing but the superblock is damaged */
	bool proven;	    /* a space map explains exactly these roots */
	bool era_inferred;  /* no writeset of the state names the last era */
	uint64_t nr_proven; /* committed states that are proven */
	bool have_copy;	    /* a superblock copy gave the geometry */
	uint64_t copy;	    /* block of that copy */
	/* those that no other is known to follow and to say all that they do,
	 * this one included */
	struct era_proven *states;
	size_t nr_states;
};

/* The state of a proven commit. geometry gives what its blocks do not tell. */
void era_proven_take(struct era_proven *proven, const struct era_commit *commit,
		     const struct era_scan *scan,
		     const struct era_geometry *geometry);

/*
 * Those of all commits that are proven, but for states that have the same
 * roots. *states is allocated. Returns 0 or -ENOMEM.
 */
int era_find_proven(const struct era_commits *commits,
		    const struct era_scan *scan,
		    const struct era_geometry *geometry,
		    struct era_proven **states, size_t *nr);

/*
 * Rebuilds the superblock from the rest of the device: the last committed
 * state that a space map proves, or no roots at all (proven is false) where
 * none does or something else than the superblock is damaged, too.
 * commits: of the scan, loaded without a superblock. geometry: what the user
 * says, 0 for what he does not.
 * Returns 0 or -ENOMEM; data_block_size stays 0 where nothing tells it.
 */
int era_rebuild_superblock(struct era_rebuilt *rebuilt,
			   const struct era_scan *scan,
			   const struct era_commits *commits,
			   const struct era_orphans *orphans,
			   const struct era_geometry *geometry);
void era_rebuilt_release(struct era_rebuilt *rebuilt);

#endif
