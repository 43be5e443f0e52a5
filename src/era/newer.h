/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether unreferenced blocks know of a newer history than the superblock, by
 * what they say or by the commits that they are of:
 * the mark that a table loaded too early leaves, which no checksum shows.
 */
#ifndef ERA_NEWER_H
#define ERA_NEWER_H

#include "era/orphans.h"
#include "history/commits.h"

struct era_newer {
	bool found;
	uint32_t fork_era;	 /* the lowest in which an orphan says more */
	uint32_t greatest_era;	 /* that an orphan names or dates to */
	uint64_t nr_data_blocks; /* dated later than the reachable state does */
	/* one later commit than the superblock's is proven, and no more */
	bool cut_short;
	struct era_superblock last; /* that commit's */
	/* an era that two writesets are recorded of; 0: none is */
	uint32_t twice;
	/* an era that the writeset tree lacks, between others; 0: none is */
	uint32_t missing;
	/* two tables have gone on from one commit, of this era */
	bool parted;
	uint32_t parting_era;
	/* commits of the one that the superblock is not of, where they say more
	 * than its own or have begun eras that it has not; and the last one's
	 * index block */
	uint64_t nr_other;
	uint64_t other_index;
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
 * Whether the reachable writeset tree is an older one, sound as its blocks may
 * be: every era is archived when the next one begins, and writesets are
 * digested in order (metadata_era_archive and metadata_digest_lookup_writeset,
 * dm-era-target.c), so the kernel's tree is a row of eras without a gap, up to
 * the last archived one. Metadata that was made from XML and in which no kernel
 * has left a commit yet can have any. Then newer->found is set, and
 * newer->missing to an era that is not there.
 */
void era_newer_find_gap(struct era_newer *newer, const struct era_metadata *md,
			const struct era_scan *scan);

/*
 * Whether two tables have recorded the same era: an era is archived once, so
 * in one history it has one bitset (metadata_era_archive, dm-era-target.c).
 * Where md dates all that the two can have marked, what is lost of them
 * included, nothing is missing; else newer->found is set, and newer->twice to
 * the lowest such era. Returns 0, -ENOMEM or the errno of a read.
 */
int era_newer_find_twice(struct era_newer *newer, const struct era_metadata *md,
			 const struct era_orphans *orphans);

/* Whether the commits show two tables: newer->parted, newer->nr_other. */
void era_newer_find_fork(struct era_newer *newer,
			 const struct era_commits *commits);

/*
 * The whole of it for metadata that was just loaded: finishes the scan and
 * compares what is not in reachable. A newer history is reported as fatal.
 */
int era_newer_find(struct era_newer *newer, const struct era_metadata *md,
		   struct era_scan *scan, const struct block_set *reachable,
		   struct era_report *report);

#endif
