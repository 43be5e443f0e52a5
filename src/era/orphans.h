/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What orphans say, the sound blocks that nothing reachable leads to: writesets
 * that old leaves of the writeset tree name, and blocks of old era arrays.
 *
 * Along one history what was written since an era only grows. So in an
 * undisturbed history orphans only repeat what is reachable, and an orphan that
 * says more is the mark of a newer history.
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
	 * The bitset, as far as its blocks are sound. Leaves can name one
	 * bitset any number of times. It is loaded once: all writesets that
	 * name it with this length share its slots, which the first of them
	 * owns.
	 */
	struct array_map words;
	bool shared; /* another writeset owns the slots */
	/* in the owner: all eras that the bitset is named for, ascending */
	const uint32_t *eras;
	uint32_t nr_eras;
};

struct era_orphans {
	const struct era_scan *scan;
	/*
	 * For each array block one more than the index under which btree leaves
	 * file it. 0: no leaf files it. CLAIM_DISPUTED: leaves disagree, so the
	 * block was reused and its index is not known.
	 */
	uint32_t *claims;

	struct orphan_writeset *writesets; /* by era, then root */
	size_t nr_writesets;

	/* Orphan era-array blocks: the map era_versions[i] holds the i-th block
	 * that was found of each index. */
	struct array_map *era_versions;
	size_t nr_era_versions;

	/* The same for the blocks of orphan bitsets that no leaf names. */
	struct array_map *word_versions;
	size_t nr_word_versions;

	uint32_t greatest_era; /* that any writeset leaf names; 0 for none */

	uint32_t *eras; /* of all writesets, bitset by bitset */
	/*
	 * There were more than ERA_ORPHANS_MAX writesets, or walking their
	 * bitsets took more than ERA_ORPHANS_VISITS times the device's blocks.
	 * No kernel leaves that. The rest was not looked at; a layer stands for
	 * it which says that any data block can have been written in any era
	 * that is named.
	 */
	bool too_many;
};

#define ERA_ORPHANS_MAX (1u << 17)
#define ERA_ORPHANS_VISITS 4u

#define CLAIM_DISPUTED UINT32_MAX

struct era_overwritten; /* era/stale_names.h */

/*
 * Collects the orphans: all sound blocks that are not in reachable. nr_blocks,
 * in data blocks, bounds the indexes. disputed: also take array blocks whose
 * index is disputed, under each index. overwritten: what a commit under way
 * has written over, or NULL.
 */
int era_orphans_init(struct era_orphans *orphans, const struct era_scan *scan,
		     const struct block_set *reachable, uint32_t nr_blocks,
		     bool disputed, const struct era_overwritten *overwritten);
void era_orphans_release(struct era_orphans *orphans);

/*
 * Whether another leaf, or md's writeset tree, names another root for the era
 * of writeset i: an era is archived once and its bitset stays as it is, so in
 * one history it has one root.
 */
bool era_orphans_name_twice(const struct era_orphans *orphans,
			    const struct era_metadata *md, size_t i);

/*
 * Appends layers of class trust: one for each writeset and each version of the
 * era array. Returns 0 or -ENOMEM.
 */
int era_layers_add_orphans(struct era_layers *layers,
			   const struct era_orphans *orphans,
			   enum era_class trust);

#endif
