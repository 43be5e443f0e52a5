/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a metadata space map (dm-space-map-metadata.c,
 * dm-space-map-common.c) and holding it against the pointers that were
 * really found.
 */
#ifndef PDATA_SPACE_MAP_H
#define PDATA_SPACE_MAP_H

#include "pdata/btree.h"

#define SPACE_MAP_ROOT_SIZE 128 /* bytes, in a superblock */

/* struct disk_sm_root */
struct space_map_root {
	uint64_t nr_blocks;
	uint64_t nr_allocated;
	uint64_t bitmap_root; /* the index block */
	uint64_t ref_count_root;
};

void space_map_root_get(struct space_map_root *root, const uint8_t *data);
void space_map_root_put(uint8_t *data, const struct space_map_root *root);

/* Count i of a bitmap block: 0, 1, 2, or 3 for "see the ref-count tree". */
static inline unsigned int bitmap_count(const uint8_t *bitmap, uint32_t i)
{
	unsigned int bits = bitmap[BITMAP_COUNTS + i / 4] >> (2 * (i % 4)) & 3;

	return (bits & 1) << 1 | bits >> 1; /* the low bit comes second */
}

static inline void bitmap_set_count(uint8_t *bitmap, uint32_t i,
				    unsigned int count)
{
	unsigned int bits = (count & 1) << 1 | count >> 1;
	unsigned int shift = 2 * (i % 4);
	uint8_t *byte = &bitmap[BITMAP_COUNTS + i / 4];

	*byte = (uint8_t)((*byte & ~(3u << shift)) | bits << shift);
}

/* How a space map and the pointers that were found disagree. */
struct space_map_verdict {
	bool compared;	 /* all counts were */
	uint64_t nr_low; /* blocks counted too low */
	/* counted too high, or counted though nothing leads there; but for
	 * superblock copies, which a metadata snapshot that failed leaves */
	uint64_t nr_high;
	/* the counts are not those of the superblock's commit, for they do not
	 * add up to what it and the index say, or leave out the index itself */
	bool anothers;
};

/*
 * Counts the blocks of the space map itself into walk->refs, which by then
 * has all others, and then compares every count, nr_allocated and nr_free
 * with the truth. Leaks and wrong totals are non-fatal; a count lower than
 * the truth is fatal, and so is a part that cannot be read.
 * Counts are compared only where compare is true: where the trees are
 * damaged, what is reachable is not known. verdict may be NULL.
 * Returns 0 whatever was found, or -ENOMEM.
 */
int space_map_check(struct walk *walk, const struct space_map_root *root,
		    const struct era_where *parent, bool compare,
		    struct space_map_verdict *verdict);

/* Bitmap blocks that counts for nr_blocks take. */
static inline uint32_t space_map_nr_bitmaps(uint64_t nr_blocks)
{
	return (uint32_t)((nr_blocks + BITMAP_MAX_ENTRIES - 1) /
			  BITMAP_MAX_ENTRIES);
}

#endif
