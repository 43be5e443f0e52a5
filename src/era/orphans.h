/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What intact blocks say that nothing reachable leads to: writesets that old
 * leaves of the writeset tree name, and blocks of old era arrays.
 *
 * Along one history what was written since an era only grows, so in an
 * undisturbed one these repeat what is reachable. What they say beyond it is
 * the mark of a newer history.
 */
#ifndef ERA_ORPHANS_H
#define ERA_ORPHANS_H

#include "era/layers.h"
#include "era/scan.h"

/* A writeset that an orphan leaf names. */
struct orphan_writeset {
	uint32_t era;
	uint32_t nr_bits;
	uint64_t root;
	uint64_t leaf; /* the block that names it, the last one found */
	/*
	 * As far as its blocks are intact. Leaves can name a tree any number of
	 * times: it was loaded once, and all that name it with this length
	 * share its slots, which are the first's.
	 */
	struct array_map words;
	bool shared; /* the slots are another's */
	/* of the first: all eras that the tree is named for, ascending */
	const uint32_t *eras;
	uint32_t nr_eras;
};

struct era_orphans {
	const struct era_scan *scan;
	/*
	 * The index under which btree leaves file each array block, one more
	 * than it; 0: none does; CLAIM_DISPUTED: they disagree, so the block
	 * was used again and its index is not known.
	 */
	uint32_t *claims;

	struct orphan_writeset *writesets; /* by era, then root */
	size_t nr_writesets;

	/* Orphan era-array blocks; versions[i] holds the i-th found of each
	 * index. */
	struct array_map *era_versions;
	size_t nr_era_versions;

	/* Bitset blocks in orphan bitsets that no leaf names, likewise. */
	struct array_map *word_versions;
	size_t nr_word_versions;

	uint32_t greatest_era; /* that any writeset leaf names; 0 for none */

	uint32_t *eras; /* of all writesets, tree by tree */
	/*
	 * No kernel leaves so many names, or trees that have so much in common,
	 * that all of it comes to more than a few times the device's blocks.
	 * What is past that was not looked at, and its layer says that any data
	 * block can have been written in any era that is named.
	 */
	bool too_many;
};

/* Writesets that are kept, and times the device's blocks that are walked. */
#define ERA_ORPHANS_MAX (1u << 17)
#define ERA_ORPHANS_VISITS 4u

#define CLAIM_DISPUTED UINT32_MAX

/*
 * Collects what is not in reachable. nr_blocks (data) bounds the indexes.
 * disputed: also take array blocks whose index is disputed, under each index.
 */
int era_orphans_init(struct era_orphans *orphans, const struct era_scan *scan,
		     const struct block_set *reachable, uint32_t nr_blocks,
		     bool disputed);
void era_orphans_release(struct era_orphans *orphans);

/*
 * Appends the layers, of class trust: one for each writeset and each version of
 * the era array. 0 or -ENOMEM.
 */
int era_layers_add_orphans(struct era_layers *layers,
			   const struct era_orphans *orphans,
			   enum era_class trust);

#endif
