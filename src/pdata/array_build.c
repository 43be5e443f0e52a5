/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The array block under construction and its way into the index.
 */
#include "config.h"

#include <string.h>

#include "pdata/array.h"
#include "pdata/array_build.h"

void array_build_init(struct array_build *build, struct block_writer *writer,
		      struct block_allocator *allocator, uint32_t value_size)
{
	build->value_size = value_size;
	build->nr = 0;
	build->nr_finished = 0;
	btree_build_init(&build->index, writer, allocator, 8);
}

void array_build_release(struct array_build *build)
{
	btree_build_release(&build->index);
}

static int finish_block(struct array_build *build)
{
	uint64_t block;
	uint8_t *data, value[8];
	int r;

	r = block_allocator_next(build->index.allocator, &block);
	if (!r)
		r = block_writer_next(build->index.writer, block, &data);
	if (r)
		return r;
	put_le32(data + ARRAY_MAX_ENTRIES,
		 array_max_entries(build->value_size));
	put_le32(data + ARRAY_NR_ENTRIES, build->nr);
	put_le32(data + ARRAY_VALUE_SIZE, build->value_size);
	memcpy(data + ARRAY_VALUES, build->values,
	       (size_t)build->nr * build->value_size);
	block_seal(data, BLOCK_ARRAY, block);
	build->nr = 0;
	put_le64(value, block);
	return btree_build_add(&build->index, build->nr_finished++, value);
}

/* Room for up to nr more values in the block at hand, which has some left. */
static size_t room(const struct array_build *build, size_t nr)
{
	size_t left = array_max_entries(build->value_size) - build->nr;

	return nr < left ? nr : left;
}

static int filled(struct array_build *build, size_t nr)
{
	build->nr += (uint32_t)nr;
	return build->nr == array_max_entries(build->value_size)
		       ? finish_block(build)
		       : 0;
}

int array_build_add_eras(struct array_build *build, const uint32_t *eras,
			 size_t nr)
{
	int r = 0;

	while (nr && !r) {
		size_t n = room(build, nr);

		put_le32_array(build->values + (size_t)build->nr * 4, eras, n);
		eras += n;
		nr -= n;
		r = filled(build, n);
	}
	return r;
}

int array_build_add_words(struct array_build *build, const uint64_t *words,
			  size_t nr)
{
	int r = 0;

	while (nr && !r) {
		size_t n = room(build, nr);

		put_le64_array(build->values + (size_t)build->nr * 8, words, n);
		words += n;
		nr -= n;
		r = filled(build, n);
	}
	return r;
}

int array_build_finish(struct array_build *build, uint64_t *root)
{
	int r = build->nr ? finish_block(build) : 0;

	return r ? r : btree_build_finish(&build->index, root);
}

uint64_t array_build_nr_blocks(uint64_t nr_values, uint32_t value_size)
{
	uint64_t nr = array_nr_blocks(nr_values, value_size);

	return nr + btree_build_nr_nodes(nr, 8);
}
