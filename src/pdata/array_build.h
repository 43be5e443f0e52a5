/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building an array from values in order: array blocks as they fill, the
 * btree over them on the way.
 */
#ifndef PDATA_ARRAY_BUILD_H
#define PDATA_ARRAY_BUILD_H

#include "pdata/btree_build.h"

struct array_build {
	struct btree_build index;
	uint32_t value_size;
	uint32_t nr;	      /* values in the block at hand */
	uint64_t nr_finished; /* array blocks written */
	uint8_t values[ERA_BLOCK_SIZE - ARRAY_VALUES]; /* little-endian */
};

void array_build_init(struct array_build *build, struct block_writer *writer,
		      struct block_allocator *allocator, uint32_t value_size);
void array_build_release(struct array_build *build);

/* Appends values in host order; value_size must be 4 or 8, as the name says. */
int array_build_add_eras(struct array_build *build, const uint32_t *eras,
			 size_t nr);
int array_build_add_words(struct array_build *build, const uint64_t *words,
			  size_t nr);

int array_build_finish(struct array_build *build, uint64_t *root);

/* Blocks that an array of nr_values takes, btree and all. */
uint64_t array_build_nr_blocks(uint64_t nr_values, uint32_t value_size);

#endif
