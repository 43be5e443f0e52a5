/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of each metadata block by number: a set (one bit) and a table
 * of reference counts. Both are a few bytes a metadata block, which is all
 * the memory that may grow with a device.
 */
#ifndef PDATA_BLOCK_SET_H
#define PDATA_BLOCK_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_set {
	uint64_t *words;
	uint64_t nr_blocks;
};

int block_set_init(struct block_set *set, uint64_t nr_blocks);
void block_set_release(struct block_set *set);

static inline bool block_set_has(const struct block_set *set, uint64_t block)
{
	return set->words[block / 64] >> (block % 64) & 1;
}

static inline void block_set_add(struct block_set *set, uint64_t block)
{
	set->words[block / 64] |= UINT64_C(1) << (block % 64);
}

static inline void block_set_remove(struct block_set *set, uint64_t block)
{
	set->words[block / 64] &= ~(UINT64_C(1) << (block % 64));
}

/* Adds all of other's blocks; both are of the same size. */
void block_set_merge(struct block_set *set, const struct block_set *other);

uint64_t block_set_count(const struct block_set *set);

/* How many pointers lead to each block, as far as REF_COUNT_MAX. */
#define REF_COUNT_MAX UINT16_MAX

struct ref_counts {
	uint16_t *counts;
	uint64_t nr_blocks;
};

int ref_counts_init(struct ref_counts *refs, uint64_t nr_blocks);
int ref_counts_grow(struct ref_counts *refs, uint64_t nr_blocks);
void ref_counts_release(struct ref_counts *refs);

/* Counts one more pointer; returns how many there were before. */
static inline uint32_t ref_counts_inc(struct ref_counts *refs, uint64_t block)
{
	uint32_t before = refs->counts[block];

	if (before != REF_COUNT_MAX)
		refs->counts[block]++;
	return before;
}

#endif
