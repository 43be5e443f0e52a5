/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All blocks of the space map are allocated before the first is written, for
 * it counts itself.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pdata/space_map_build.h"

uint64_t space_map_build_nr_blocks(uint64_t nr_blocks)
{
	return space_map_nr_bitmaps(nr_blocks) + 2; /* index, ref-count leaf */
}

/* The tree of counts above 2. It is never shared, so its own are 1. */
static int build_ref_counts(struct block_allocator *allocator,
			    struct block_writer *writer, uint64_t *root)
{
	struct btree_build build;
	uint64_t nr = allocator->refs.nr_blocks;
	uint8_t value[4];
	int r = 0;

	btree_build_init(&build, writer, allocator, 4);
	for (uint64_t block = 0; block < nr && !r; block++) {
		uint32_t count = allocator->refs.counts[block];

		put_le32(value, count);
		if (count > 2)
			r = btree_build_add(&build, block, value);
	}
	if (!r)
		r = btree_build_finish(&build, root);
	btree_build_release(&build);
	return r;
}

/* Fills one bitmap and its index entry. */
static void fill_bitmap(const struct ref_counts *refs, uint64_t nr_blocks,
			uint32_t i, uint8_t *bitmap, uint8_t *entry)
{
	uint64_t first = (uint64_t)i * BITMAP_MAX_ENTRIES;
	uint32_t nr_free = 0, none_free_before = 0;

	for (uint32_t k = 0; k < BITMAP_MAX_ENTRIES && first + k < nr_blocks;
	     k++) {
		uint32_t count = 0;

		if (first + k < refs->nr_blocks)
			count = refs->counts[first + k];
		if (!count)
			nr_free++;
		else if (!nr_free)
			none_free_before = k + 1;
		bitmap_set_count(bitmap, k, count < 3 ? count : 3);
	}
	put_le32(entry + INDEX_ENTRY_NR_FREE, nr_free);
	put_le32(entry + INDEX_ENTRY_NONE_FREE_BEFORE, none_free_before);
}

static int write_bitmaps(const struct ref_counts *refs,
			 struct block_writer *writer, uint64_t nr_blocks,
			 const uint64_t *blocks, uint8_t *index)
{
	uint32_t nr = space_map_nr_bitmaps(nr_blocks);
	uint8_t *bitmap;

	for (uint32_t i = 0; i < nr; i++) {
		uint8_t *entry = index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE;
		int r = block_writer_next(writer, blocks[i], &bitmap);

		if (r)
			return r;
		put_le64(entry + INDEX_ENTRY_BLOCK, blocks[i]);
		fill_bitmap(refs, nr_blocks, i, bitmap, entry);
		block_seal(bitmap, BLOCK_BITMAP, blocks[i]);
	}
	return 0;
}

static uint64_t nr_counted(const struct ref_counts *refs)
{
	uint64_t nr = 0;

	for (uint64_t block = 0; block < refs->nr_blocks; block++)
		nr += !!refs->counts[block];
	return nr;
}

int space_map_build(struct block_allocator *allocator,
		    struct block_writer *writer, uint64_t nr_blocks,
		    struct space_map_root *root)
{
	uint8_t index[ERA_BLOCK_SIZE] = { 0 }, *room;
	uint64_t blocks[INDEX_MAX_ENTRIES];
	int r;

	*root = (struct space_map_root){ .nr_blocks = nr_blocks,
					 .bitmap_root = root->bitmap_root };
	r = build_ref_counts(allocator, writer, &root->ref_count_root);
	for (uint32_t i = 0; !r && i < space_map_nr_bitmaps(nr_blocks); i++)
		r = block_allocator_next(allocator, &blocks[i]);
	if (!r && !root->bitmap_root)
		r = block_allocator_next(allocator, &root->bitmap_root);
	if (!r)
		r = write_bitmaps(&allocator->refs, writer, nr_blocks, blocks,
				  index);
	if (!r)
		r = block_writer_next(writer, root->bitmap_root, &room);
	if (r)
		return r;
	memcpy(room, index, ERA_BLOCK_SIZE);
	block_seal(room, BLOCK_INDEX, root->bitmap_root);
	root->nr_allocated = nr_counted(&allocator->refs);
	return 0;
}
