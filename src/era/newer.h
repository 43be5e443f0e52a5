/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether orphans know of a newer history than the superblock, by what they
 * date or by the commits that they belong to. A table that was loaded too early
 * leaves such orphans; no checksum shows it.
 *
 * md, below, is the metadata that the superblock leads to.
 */
#ifndef ERA_NEWER_H
#define ERA_NEWER_H

#include "era/orphans.h"
#include "history/commits.h"

struct era_newer {
	bool found;
	uint32_t fork_era;     /* the lowest era in which an orphan says more */
	uint32_t greatest_era; /* that an orphan names or dates to */
	uint64_t nr_data_blocks; /* that orphans date later than md does */
	/* exactly one later commit than the superblock's is proven; last is its
	 * superblock */
	bool cut_short;
	struct era_superblock last;
	/* an era for which two writesets are recorded; 0: none */
	uint32_t twice;
	/* an era that the writeset tree lacks between others; 0: none */
	uint32_t missing;
	/* two tables have gone on from one commit, which is of parting_era */
	bool parted;
	uint32_t parting_era;
	/* How many commits of the other table there are, if they say more than
	 * the superblock's, or have begun eras that the superblock's table has
	 * not; and the index block of the last of them. */
	uint64_t nr_other;
	uint64_t other_index;
	/* unreferenced blocks that cannot be read and may hold orphans */
	uint64_t nr_unreadable;
};

/*
 * Compares orphans with md, and with a second state that is known as well (or
 * NULL). A hole of md or of the second state counts as written as late as can
 * be, so that damage alone is no newer history. Returns 0 or -ENOMEM.
 */
int era_newer_compare(struct era_newer *newer, const struct era_metadata *md,
		      const struct era_metadata *second,
		      const struct era_orphans *orphans);

/*
 * Whether the reachable writeset tree is an older one, though its blocks may be
 * sound. Every era is archived when the next one begins, and writesets are
 * digested in order (metadata_era_archive and metadata_digest_lookup_writeset,
 * dm-era-target.c). So the eras of the kernel's tree have no gap and end with
 * the last archived one. Where an era is missing, newer->found is set and
 * newer->missing is that era. Metadata that was made from XML, and in which no
 * kernel has left a commit yet, can have any eras and is not looked at.
 */
void era_newer_find_gap(struct era_newer *newer, const struct era_metadata *md,
			const struct era_scan *scan);

/*
 * Whether two tables have recorded the same era. In one history an era is
 * archived once and so has one bitset (metadata_era_archive, dm-era-target.c).
 * Where an era has two, and md does not date all data blocks that the two can
 * have marked, lost parts included, newer->found is set and newer->twice is the
 * lowest such era. Returns 0, -ENOMEM or the errno of a read.
 */
int era_newer_find_twice(struct era_newer *newer, const struct era_metadata *md,
			 const struct era_orphans *orphans);

/* Whether the commits show two tables: newer->parted, newer->nr_other. */
void era_newer_find_fork(struct era_newer *newer,
			 const struct era_commits *commits);

/*
 * All of the above for metadata that was just loaded: finishes the scan and
 * compares all blocks that are not in reachable. Reports a newer history as
 * fatal. Returns 0 or -ENOMEM.
 */
int era_newer_find(struct era_newer *newer, const struct era_metadata *md,
		   struct era_scan *scan, const struct block_set *reachable,
		   struct era_report *report);

#endif
