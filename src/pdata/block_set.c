/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of block sets and reference counts.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/grow.h"
#include "pdata/block_set.h"

int block_set_init(struct block_set *set, uint64_t nr_blocks)
{
	set->nr_blocks = nr_blocks;
	set->words = calloc((size_t)(nr_blocks / 64 + 1), sizeof(uint64_t));
	return set->words ? 0 : -ENOMEM;
}

void block_set_release(struct block_set *set)
{
	free(set->words);
	set->words = NULL;
}

void block_set_merge(struct block_set *set, const struct block_set *other)
{
	for (uint64_t i = 0; i < set->nr_blocks / 64 + 1; i++)
		set->words[i] |= other->words[i];
}

uint64_t block_set_count(const struct block_set *set)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < set->nr_blocks / 64 + 1; i++)
		n += (uint64_t)__builtin_popcountll(set->words[i]);
	return n;
}

int ref_counts_init(struct ref_counts *refs, uint64_t nr_blocks)
{
	refs->nr_blocks = nr_blocks;
	refs->counts = calloc((size_t)nr_blocks + 1, sizeof(*refs->counts));
	return refs->counts ? 0 : -ENOMEM;
}

int ref_counts_grow(struct ref_counts *refs, uint64_t nr_blocks)
{
	if (list_resize(&refs->counts, (size_t)refs->nr_blocks + 1,
			(size_t)nr_blocks + 1))
		return -ENOMEM;
	refs->nr_blocks = nr_blocks;
	return 0;
}

void ref_counts_release(struct ref_counts *refs)
{
	free(refs->counts);
	refs->counts = NULL;
}
