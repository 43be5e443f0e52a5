/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each level collects up to two nodes' entries and gives one away when both
 * are full, so that at the end the last two can share what is left and no
 * node but the root is less than half full.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pdata/btree_build.h"

int block_allocator_init(struct block_allocator *allocator,
			 struct era_device *device,
			 const struct block_set *reserved)
{
	uint64_t nr = device->nr_blocks;

	*allocator = (struct block_allocator){ .device = device,
					       .reserved = reserved };
	if (nr > MAX_METADATA_BLOCKS)
		nr = MAX_METADATA_BLOCKS;
	return ref_counts_init(&allocator->refs, nr);
}

void block_allocator_release(struct block_allocator *allocator)
{
	ref_counts_release(&allocator->refs);
}

static int grow(struct block_allocator *allocator)
{
	uint64_t nr = allocator->refs.nr_blocks;
	uint64_t more = nr < 1024 ? 1024 : nr;

	if (!allocator->device->growable || nr >= MAX_METADATA_BLOCKS)
		return -ENOSPC;
	if (more > MAX_METADATA_BLOCKS - nr)
		more = MAX_METADATA_BLOCKS - nr;
	return ref_counts_grow(&allocator->refs, nr + more);
}

int block_allocator_next(struct block_allocator *allocator, uint64_t *block)
{
	int r;

	for (;; allocator->next++) {
		if (allocator->next >= allocator->refs.nr_blocks) {
			r = grow(allocator);
			if (r)
				return r;
		}
		if (!allocator->refs.counts[allocator->next] &&
		    !(allocator->reserved &&
		      block_set_has(allocator->reserved, allocator->next)))
			break;
	}
	*block = allocator->next++;
	allocator->refs.counts[*block] = 1;
	allocator->nr_allocated++;
	return 0;
}

void btree_build_init(struct btree_build *build, struct block_writer *writer,
		      struct block_allocator *allocator, uint32_t value_size)
{
	*build = (struct btree_build){ .writer = writer,
				       .allocator = allocator,
				       .value_size = value_size };
}

void btree_build_release(struct btree_build *build)
{
	for (unsigned int i = 0; i < build->nr_levels; i++) {
		free(build->levels[i].keys);
		free(build->levels[i].values);
	}
	build->nr_levels = 0;
}

static uint32_t level_value_size(const struct btree_build *build,
				 unsigned int depth)
{
	return depth ? 8 : build->value_size;
}

static int add_level(struct btree_build *build)
{
	unsigned int depth = build->nr_levels;
	struct btree_build_level *level = &build->levels[depth];
	uint32_t value_size = level_value_size(build, depth);
	size_t room = 2 * (size_t)node_max_entries(value_size);

	if (depth == BTREE_MAX_DEPTH)
		return -EOVERFLOW;
	level->nr = 0;
	level->keys = malloc(room * sizeof(*level->keys));
	level->values = malloc(room * value_size);
	build->nr_levels++; /* what was got is released with the rest */
	return level->keys && level->values ? 0 : -ENOMEM;
}

static int add_entry(struct btree_build *build, unsigned int depth,
		     uint64_t key, const void *value);

/* Writes the first nr entries of a level as one node, and names it above. */
static int write_node(struct btree_build *build, unsigned int depth,
		      uint32_t nr, uint64_t *block)
{
	struct btree_build_level *level = &build->levels[depth];
	uint32_t value_size = level_value_size(build, depth);
	uint32_t max = node_max_entries(value_size);
	uint8_t *node;
	int r;

	r = block_allocator_next(build->allocator, block);
	if (!r)
		r = block_writer_next(build->writer, *block, &node);
	if (r)
		return r;
	put_le32(node + NODE_FLAGS, depth ? NODE_INTERNAL : NODE_LEAF);
	put_le32(node + NODE_NR_ENTRIES, nr);
	put_le32(node + NODE_MAX_ENTRIES, max);
	put_le32(node + NODE_VALUE_SIZE, value_size);
	put_le64_array(node + NODE_KEYS, level->keys, nr);
	if (nr)
		memcpy(node + NODE_KEYS + (size_t)max * 8, level->values,
		       (size_t)nr * value_size);
	block_seal(node, BLOCK_BTREE_NODE, *block);
	return 0;
}

static int emit_node(struct btree_build *build, unsigned int depth, uint32_t nr)
{
	struct btree_build_level *level = &build->levels[depth];
	uint32_t value_size = level_value_size(build, depth);
	/* NOLINTNEXTLINE(*uninitialized.Assign): nr is at least 1 here */
	uint64_t key = level->keys[0], block;
	uint8_t value[8];
	int r;

	r = write_node(build, depth, nr, &block);
	if (r)
		return r;
	level->nr -= nr;
	memmove(level->keys, level->keys + nr,
		level->nr * sizeof(*level->keys));
	memmove(level->values, level->values + (size_t)nr * value_size,
		(size_t)level->nr * value_size);
	put_le64(value, block);
	return add_entry(build, depth + 1, key, value);
}

static int add_entry(struct btree_build *build, unsigned int depth,
		     uint64_t key, const void *value)
{
	uint32_t value_size = level_value_size(build, depth);
	uint32_t max = node_max_entries(value_size);
	struct btree_build_level *level = &build->levels[depth];
	int r = 0;

	if (depth == build->nr_levels)
		r = add_level(build);
	if (!r && level->nr == 2 * max)
		r = emit_node(build, depth, max);
	if (r)
		return r;
	level->keys[level->nr] = key;
	memcpy(level->values + (size_t)level->nr * value_size, value,
	       value_size);
	level->nr++;
	return 0;
}

int btree_build_add(struct btree_build *build, uint64_t key, const void *value)
{
	return add_entry(build, 0, key, value);
}

int btree_build_finish(struct btree_build *build, uint64_t *root)
{
	int r = build->nr_levels ? 0 : add_level(build);

	/* a level may appear above while the one below is emptied */
	for (unsigned int depth = 0; !r; depth++) {
		struct btree_build_level *level = &build->levels[depth];
		uint32_t max = node_max_entries(level_value_size(build, depth));

		if (depth + 1 == build->nr_levels && level->nr <= max) {
			r = write_node(build, depth, level->nr, root);
			break;
		}
		if (level->nr > max)
			r = emit_node(build, depth, (level->nr + 1) / 2);
		if (!r)
			r = emit_node(build, depth, level->nr);
	}
	btree_build_release(build);
	return r;
}

uint64_t btree_build_nr_nodes(uint64_t nr_entries, uint32_t value_size)
{
	uint64_t nr = nr_entries, total = 0;
	uint32_t max = node_max_entries(value_size);

	do {
		nr = nr ? (nr + max - 1) / max : 1;
		total += nr;
		max = node_max_entries(8);
	} while (nr > 1);
	return total;
}
