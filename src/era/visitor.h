/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface through which all metadata moves: a source calls it, a sink is
 * called. src/era has sources and sinks for devices, src/format has those for
 * files, and the two directories meet here and nowhere else.
 *
 * Contract, in order, each part given in ascending batches without gaps:
 *   superblock,
 *   then for each writeset, eras ascending (from XML in any order):
 *     writeset_begin, writeset_words... (all of its words), writeset_end,
 *   then eras... (all nr_blocks entries), then end.
 * A member returns 0 or a negative errno. An errno ends the visit, and the
 * source returns it. A source that fails does not call end.
 */
#ifndef ERA_VISITOR_H
#define ERA_VISITOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

/* What a superblock says of the origin, and nothing of the metadata device. */
struct era_geometry {
	uint8_t uuid[16];
	uint32_t data_block_size; /* sectors of 512 bytes, a multiple of 8 */
	uint32_t nr_blocks;	  /* data blocks, below 2^31 */
	uint32_t current_era;
};

struct era_visitor {
	int (*superblock)(struct era_visitor *visitor,
			  const struct era_geometry *geometry);
	int (*writeset_begin)(struct era_visitor *visitor, uint32_t era,
			      uint32_t nr_bits);
	/*
	 * words[i] holds data blocks (first_word + i) * 64 and up, lowest bit
	 * first, in host order. Bits past nr_bits are 0.
	 */
	int (*writeset_words)(struct era_visitor *visitor, uint32_t first_word,
			      const uint64_t *words, size_t nr);
	int (*writeset_end)(struct era_visitor *visitor);
	/* eras[i]: the era in which data block first_block + i was last
	 * written */
	int (*eras)(struct era_visitor *visitor, uint32_t first_block,
		    const uint32_t *eras, size_t nr);
	int (*end)(struct era_visitor *visitor);
};

/* How many words a bitset of nr_bits has. */
static inline uint32_t era_nr_words(uint32_t nr_bits)
{
	return (uint32_t)(((uint64_t)nr_bits + 63) / 64);
}

/* The bits that count in the last word of a bitset of nr_bits. */
static inline uint64_t era_last_word_mask(uint32_t nr_bits)
{
	return nr_bits % 64 ? ~(UINT64_MAX << (nr_bits % 64)) : UINT64_MAX;
}

/*
 * The sink of era_invalidate: ranges of data blocks, ascending, disjoint, and
 * not adjacent.
 */
struct era_range_visitor {
	int (*begin)(struct era_range_visitor *visitor,
		     const struct era_geometry *geometry);
	int (*range)(struct era_range_visitor *visitor, uint32_t begin,
		     uint32_t end); /* end exclusive */
	int (*end)(struct era_range_visitor *visitor);
};

/* nr_blocks of a device must be below this (era_ctr, dm-era-target.c). */
#define ERA_MAX_NR_BLOCKS (UINT32_C(1) << 31)

/*
 * Returns 0, or -EINVAL, reported, for a data block size that is 0 or no
 * multiple of 8, or for 2^31 data blocks or more.
 */
int era_geometry_check(const struct era_geometry *geometry,
		       struct era_report *report,
		       const struct era_where *where);

#endif
