/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a superblock leads to: the era array, the archived writesets and the
 * open one, each as a map of its array blocks.
 *
 * Contract: after a load every btree has been walked and checked; the array
 * blocks have not been read yet. The open writeset is in the list like any
 * other, so that no caller forgets the last era of a crashed host.
 */
#ifndef ERA_METADATA_H
#define ERA_METADATA_H

#include "era/scan.h"
#include "era/superblock.h"
#include "pdata/array.h"

struct era_writeset {
	uint32_t era;
	bool open;    /* only the superblock names it */
	bool partial; /* found again in part; another writeset has the rest */
	struct array_map words; /* words.nr_values counts words, not bits */
	uint32_t nr_bits;
};

struct era_metadata {
	struct era_device *device;
	struct era_report *report;
	struct era_superblock sb;
	/*
	 * The superblock of the device. It differs from sb where sb is a
	 * snapshot's copy, or of a later commit.
	 */
	struct era_superblock live;
	/* sb is a snapshot's copy: it gives the trees, live all the rest */
	bool snapshot;
	/* era_metadata_confirm() is to compare live with the device again */
	bool opened;
	struct array_map eras;
	struct era_writeset *writesets; /* by ascending era, open one last */
	size_t nr_writesets;
	size_t max_writesets;
	/* an unknown number of writesets is lost: any data block can have been
	 * written in any archived era */
	bool writesets_lost;
	uint64_t nr_wholly_lost; /* writesets of which no block is left */
};

/* The list holds no more wholly lost writesets; past that, writesets_lost. */
#define ERA_MAX_WHOLLY_LOST 65536u

/*
 * Walks the trees that sb names, in walk's current pass, so that no block is
 * taken twice. With snapshot, sb is a metadata snapshot's copy: its open
 * writeset is not valid and not followed.
 * Damage is reported and counted in walk->nr_faults; the sound rest is loaded.
 * Returns 0 or -ENOMEM. The caller releases md in either case.
 */
int era_metadata_load(struct era_metadata *md, struct walk *walk,
		      const struct era_superblock *sb, bool snapshot);
/*
 * The same in a pass of its own and without a report, for a state that has to
 * be sound; returns -EUCLEAN where it is not.
 */
int era_metadata_load_state(struct era_metadata *md, struct era_device *device,
			    const struct era_superblock *sb);
void era_metadata_release(struct era_metadata *md);

/*
 * Reads the superblock of device, or that of its metadata snapshot, and loads
 * the metadata. Any damage is an error, and so is a device that is cut off.
 * reachable, where it is not NULL, becomes the set of blocks that the trees are
 * made of; the caller releases it. Returns 0, -EUCLEAN, -ENODATA where a
 * snapshot is asked for and none is held, or the errno of a read.
 */
int era_metadata_open(struct era_metadata *md, struct era_device *device,
		      bool snapshot, struct block_set *reachable,
		      struct era_report *report);

/*
 * Called after everything was read: whether the superblock that
 * era_metadata_open() read first is still there. When the metadata snapshot of
 * a live device is dropped, the kernel reuses its blocks, and a reader would
 * take a new block of the same kind for the old one.
 * Returns 0, or -EAGAIN, reported; always 0 for metadata that was loaded and
 * not opened.
 */
int era_metadata_confirm(const struct era_metadata *md);

/*
 * Whether this metadata can tell what was written since era. An era that has
 * not begun, or that began after the snapshot was taken, was saved from another
 * device, or before this one was formatted anew. An empty list would say that
 * nothing was written. Returns 0, or -ERANGE, reported.
 */
int era_metadata_check_era(const struct era_metadata *md, uint32_t era);

/* Adds the writesets of one sound leaf of a writeset tree; 0 or -ENOMEM. */
int era_metadata_load_writesets(struct era_metadata *md, struct walk *walk,
				const struct era_where *where,
				const uint8_t *node);

/* Adds an archived writeset with no array block as yet; 0 or -ENOMEM. */
int era_metadata_add_writeset(struct era_metadata *md, uint32_t era,
			      uint32_t nr_bits, uint64_t root,
			      struct era_writeset **ws);

/* How many array blocks the maps lead to, and so a reader has to read. */
uint64_t era_metadata_nr_array_blocks(const struct era_metadata *md);

/*
 * Tells a scan which roles the array blocks of the maps should have, so that
 * the scan need not read them. Only for a caller that reads the blocks that
 * matter itself, and fails where one has another role.
 */
void era_metadata_tell_scan(const struct era_metadata *md,
			    struct era_scan *scan);

/* Lets the scan read the blocks that it was only told of. 0 or -ENOMEM. */
int era_metadata_read_told(const struct era_metadata *md,
			   struct era_scan *scan);

/* The greatest era that the writeset tree can hold. */
uint32_t era_metadata_last_archived(const struct era_metadata *md);

/* The open writeset; NULL where none is open. */
static inline const struct era_writeset *
era_metadata_open_writeset(const struct era_metadata *md)
{
	return md->nr_writesets && md->writesets[md->nr_writesets - 1].open
		       ? &md->writesets[md->nr_writesets - 1]
		       : NULL;
}

/* Sorts the writesets by era after some were added. */
void era_metadata_sort(struct era_metadata *md);

/* Reads and checks the superblock copy of a metadata snapshot. */
int era_metadata_read_snapshot(struct era_superblock *copy,
			       const struct era_superblock *sb,
			       struct era_device *device,
			       struct era_report *report);

#endif
