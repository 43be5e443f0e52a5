/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many data blocks were last written in each era, counted in one pass of a
 * fold. The number of lines bounds the memory, whatever the device: where there
 * are more eras than lines, neighbouring eras share a line.
 */
#ifndef ERA_SUMMARY_H
#define ERA_SUMMARY_H

#include "era/metadata.h"

/* Where the writes of an era are recorded. */
enum {
	ERA_STATE_DIGESTED = 1 << 0, /* in the era array */
	ERA_STATE_ARCHIVED = 1 << 1, /* in a writeset of the tree */
	ERA_STATE_OPEN = 1 << 2,     /* in the superblock's writeset */
};

struct era_summary_line {
	uint32_t first, last; /* eras; the same unless eras share lines */
	unsigned int states;  /* a single one unless eras share lines */
	uint64_t nr_blocks;   /* last written in these eras */
	uint64_t nr_since;    /* last written in these eras or later */
};

struct era_summary {
	struct era_summary_line *lines; /* ascending; cover all data blocks */
	size_t nr_lines;
	unsigned int shift; /* 2^shift eras share a line */
};

/*
 * Makes lines for the eras that a data block was last written in, for the eras
 * that have a writeset, and for era 0 (never written) where a data block is in
 * it. max_lines: a bound, at least 16. Returns 0, -EUCLEAN (reported) or
 * -ENOMEM. The caller releases summary in either case.
 */
int era_summary_make(struct era_summary *summary, struct era_metadata *md,
		     size_t max_lines);
void era_summary_release(struct era_summary *summary);

/* Number of data blocks written in era or later; exact where no eras share a
 * line. */
uint64_t era_summary_since(const struct era_summary *summary, uint32_t era);

#endif
