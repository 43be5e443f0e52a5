/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building a btree from entries in ascending order, as full as it gets,
 * a node or two of each level in memory.
 */
#ifndef PDATA_BTREE_BUILD_H
#define PDATA_BTREE_BUILD_H

#include "device/block_writer.h"
#include "pdata/block_set.h"
#include "pdata/btree.h"

/*
 * Where new blocks come from: those that refs does not count and reserved
 * does not hold, ascending from next. A device of fixed size runs out with
 * -ENOSPC; a growable one does not before the format's limit.
 */
struct block_allocator {
	struct era_device *device;
	struct ref_counts refs;
	const struct block_set *reserved; /* not to be touched, or NULL */
	uint64_t next;
	uint64_t nr_allocated;
};

int block_allocator_init(struct block_allocator *allocator,
			 struct era_device *device,
			 const struct block_set *reserved);
void block_allocator_release(struct block_allocator *allocator);

/* A free block, counted once from now on. */
int block_allocator_next(struct block_allocator *allocator, uint64_t *block);

struct btree_build_level {
	uint32_t nr;
	uint64_t *keys;	 /* room for two nodes */
	uint8_t *values; /* likewise */
};

struct btree_build {
	struct block_writer *writer;
	struct block_allocator *allocator;
	uint32_t value_size;
	unsigned int nr_levels;
	struct btree_build_level levels[BTREE_MAX_DEPTH];
};

void btree_build_init(struct btree_build *build, struct block_writer *writer,
		      struct block_allocator *allocator, uint32_t value_size);
void btree_build_release(struct btree_build *build);

/* Adds an entry; its key is greater than that of the last. */
int btree_build_add(struct btree_build *build, uint64_t key, const void *value);

/* Writes what is left and names the root; an empty tree is one empty leaf. */
int btree_build_finish(struct btree_build *build, uint64_t *root);

/* Nodes of a tree of nr_entries: what a build allocates. */
uint64_t btree_build_nr_nodes(uint64_t nr_entries, uint32_t value_size);

#endif
