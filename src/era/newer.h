/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether unreferenced blocks know of a newer history than the superblock:
 * the mark that a table loaded too early leaves, which no checksum shows.
 */
#ifndef ERA_NEWER_H
#define ERA_NEWER_H

#include "era/orphans.h"

struct era_newer {
	bool found;
	uint32_t fork_era;	 /* the lowest in which an orphan says more */
	uint32_t greatest_era;	 /* that an orphan names or dates to */
	uint64_t nr_data_blocks; /* dated later than the reachable state does */
	/* one later commit than the superblock's is proven, and no more */
	bool cut_short;
	struct era_superblock last; /* that commit's */
	uint64_t nr_unreadable; /* unreferenced blocks that may know of one */
};

/*
 * Compares orphans with md, and with a second state (or NULL) that is known,
 * too; what is lost of them counts as written as late as it can have been, so
 * damage alone is no newer history. Returns 0 or -ENOMEM.
 */
int era_newer_compare(struct era_newer *newer, const struct era_metadata *md,
		      const struct era_metadata *second,
		      const struct era_orphans *orphans);

/*
 * The whole of it for metadata that was just loaded: finishes the scan and
 * compares what is not in reachable. in_use: as era_later_find. A newer history
 * is reported as fatal.
 */
int era_newer_find(struct era_newer *newer, const struct era_metadata *md,
		   struct era_scan *scan, const struct block_set *reachable,
		   const struct block_set *in_use, struct era_report *report);

#endif
