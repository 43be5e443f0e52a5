/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sink that writes metadata to a device: array blocks and btree nodes as
 * the visit goes on, the space map and the superblock at the commit.
 *
 * Contract: until the commit returns 0, nobody takes what was built for whole.
 * On another device the old superblock is made invalid first. In place the old
 * state stays whole, for no block that it uses is overwritten.
 */
#ifndef ERA_BUILDER_H
#define ERA_BUILDER_H

#include "era/superblock.h"
#include "era/writeset_list.h"
#include "pdata/array_build.h"
#include "pdata/space_map_build.h"

struct era_builder {
	struct era_visitor visitor;

	struct era_device *device;
	struct era_report *report;
	struct block_allocator allocator;
	struct block_writer writer;
	struct btree_build writeset_tree;
	struct writeset_list writesets; /* to be put into the writeset tree */
	struct array_build array; /* the bitset or era array being built */
	uint64_t nr_needed;	  /* metadata blocks, as far as is known */
	uint32_t era;		  /* of the writeset being built */
	uint32_t nr_bits;
	uint64_t index; /* block of the space map's index; 0: the last block */
	bool in_place;
	bool in_eras;	   /* array is the era array */
	bool has_snapshot; /* the first visit was the snapshot's */

	struct era_superblock sb;	/* the new superblock */
	struct era_superblock snapshot; /* its copy, where one is built */
};

/*
 * For a device that holds nothing to be kept. The new metadata takes its blocks
 * from block 1 on.
 */
int era_builder_init(struct era_builder *builder, struct era_device *device,
		     struct era_report *report);

/*
 * For a transaction within existing metadata. No block of reserved is written.
 * Before the visit the caller counts the blocks that stay in use, in
 * builder->allocator.refs.
 */
int era_builder_init_in_place(struct era_builder *builder,
			      struct era_device *device,
			      const struct block_set *reserved,
			      struct era_report *report);

/*
 * Gives the space map's index the first block of the transaction. A commit of
 * the kernel ends with its index, so this transaction cannot be taken for the
 * one that came next after a commit of the kernel.
 */
int era_builder_place_index(struct era_builder *builder);

void era_builder_release(struct era_builder *builder);

/*
 * Called after one visit: what this visit brought becomes the metadata
 * snapshot, and the next visit brings the live metadata.
 */
int era_builder_take_snapshot(struct era_builder *builder);

/*
 * Writes the space map and, last and between flushes, the superblock.
 * builder->sb can be adjusted before. Reports what fails.
 */
int era_builder_commit(struct era_builder *builder);

/* Reports err, which an allocation or a write returned; returns err. */
int era_builder_report(struct era_builder *builder, int err);

#endif
