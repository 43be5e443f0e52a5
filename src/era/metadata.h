/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a superblock leads to: the era array, the archived writesets and the
 * open one, each as a map of its array blocks.
 *
 * Contract: after a load every btree has been walked and checked; the array
 * blocks have not been read yet. The open writeset is in the list like any
 * other, which is what keeps the last era of a crashed host.
 */
#ifndef ERA_METADATA_H
#define ERA_METADATA_H

#include "era/scan.h"
#include "era/superblock.h"
#include "pdata/array.h"

struct era_writeset {
	uint32_t era;
	bool open;    /* the current writeset: in the superblock alone */
	bool partial; /* found again in part: what it lacks, another has */
	struct array_map words; /* its nr_values are words, not bits */
	uint32_t nr_bits;
};

struct era_metadata {
	struct era_device *device;
	struct era_report *report;
	struct era_superblock sb;
	/*
	 * The superblock as it was opened: sb, but where sb is a snapshot's
	 * copy, or of a commit that follows it.
	 */
	struct era_superblock live;
	/* the snapshot's copy gives the trees, the live one all the rest */
	bool snapshot;
	/* as it was read, where era_metadata_confirm() is to compare it */
	bool opened;
	struct array_map eras;
	struct era_writeset *writesets; /* by ascending era, open one last */
	size_t nr_writesets;
	size_t max_writesets;
	/* a writeset tree node is lost, and with it an unknown number */
	bool writesets_lost;
	/* writesets of which no block is left; no more are in the list */
	uint64_t nr_wholly_lost;
};

/* Above that the writesets count as lost, and with them all that they say. */
#define ERA_MAX_WHOLLY_LOST 65536u

/*
 * Walks the trees that sb names, in walk's current pass; nothing of them is
 * followed twice. With snapshot, sb is a metadata snapshot's copy: its open
 * writeset is not valid and not followed.
 * Damage is reported and counted in walk->nr_faults, what is sound is loaded.
 * Returns 0 or -ENOMEM. To be released in either case.
 */
int era_metadata_load(struct era_metadata *md, struct walk *walk,
		      const struct era_superblock *sb, bool snapshot);
/*
 * The same in a pass of its own, unreported, for a state that is to be sound:
 * -EUCLEAN where it is not.
 */
int era_metadata_load_state(struct era_metadata *md, struct era_device *device,
			    const struct era_superblock *sb);
void era_metadata_release(struct era_metadata *md);

/*
 * Reads the superblock of device, or its metadata snapshot's, and loads;
 * any damage is an error, as is a device that is cut off. reachable, where it
 * is not NULL, becomes the set of blocks that the trees are made of, to be
 * released by the caller. Returns 0, -EUCLEAN, -ENODATA where a snapshot is
 * asked for and none is held, or the errno of a read.
 */
int era_metadata_open(struct era_metadata *md, struct era_device *device,
		      bool snapshot, struct block_set *reachable,
		      struct era_report *report);

/*
 * After all else was read: whether what era_metadata_open() has read first is
 * still there. A live device whose metadata snapshot is dropped uses its
 * blocks again, and another of the same kind would pass for what was meant.
 * Returns 0, or -ESTALE, reported; 0 for what was not opened but loaded.
 */
int era_metadata_confirm(const struct era_metadata *md);

/*
 * Whether there is an answer to what was written since era: an era that has
 * not begun, or that a snapshot is too old for, was saved from another device,
 * or before this one was formatted anew, and an empty list would pass for
 * "nothing". Returns 0, or -ERANGE, reported.
 */
int era_metadata_check_era(const struct era_metadata *md, uint32_t era);

/* Adds the writesets of one sound leaf of the tree; 0 or -ENOMEM. */
int era_metadata_load_writesets(struct era_metadata *md, struct walk *walk,
				const struct era_where *where,
				const uint8_t *node);

/* Adds an archived writeset with no array block as yet; 0 or -ENOMEM. */
int era_metadata_add_writeset(struct era_metadata *md, uint32_t era,
			      uint32_t nr_bits, uint64_t root,
			      struct era_writeset **ws);

/* Array blocks that the maps lead to: what reading all arrays comes to. */
uint64_t era_metadata_nr_array_blocks(const struct era_metadata *md);

/*
 * Tells a scan what the array blocks that the maps lead to should be, so that
 * it need not read them. For whoever will read those that matter all the
 * same, and fails where one is something else.
 */
void era_metadata_tell_scan(const struct era_metadata *md,
			    struct era_scan *scan);

/* Has the scan read what it was only told of. Returns 0 or -ENOMEM. */
int era_metadata_read_told(const struct era_metadata *md,
			   struct era_scan *scan);

/* The greatest era that the writeset tree can hold. */
uint32_t era_metadata_last_archived(const struct era_metadata *md);

/* Puts the writesets into their order after some were added. */
void era_metadata_sort(struct era_metadata *md);

/* Reads and checks the superblock copy of a metadata snapshot. */
int era_metadata_read_snapshot(struct era_superblock *copy,
			       const struct era_superblock *sb,
			       struct era_device *device,
			       struct era_report *report);

#endif
