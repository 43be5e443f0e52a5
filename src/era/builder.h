/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sink that writes metadata to a device: array blocks and btree nodes as
 * the visit goes on, the space map and the superblock at the commit.
 *
 * Contract: before the commit returns 0 nothing on the device is taken for
 * whole. On another device the old superblock is made invalid first; in place
 * the old state stays whole, for nothing it uses is overwritten.
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
	struct writeset_list writesets; /* whose tree is to be built */
	struct array_build array;	/* the bitset, or the eras, at hand */
	uint64_t nr_needed;		/* blocks, as far as is known */
	uint32_t era;			/* of the writeset at hand */
	uint32_t nr_bits;
	uint64_t index; /* of the space map; 0: it comes last */
	bool in_place;
	bool in_eras;	   /* array is the era array */
	bool has_snapshot; /* the first visit was the snapshot's */

	struct era_superblock sb;	/* as it will be */
	struct era_superblock snapshot; /* its copy, where one is built */
};

/*
 * For a device that holds nothing to be kept. Metadata will fill it from
 * block 1 on.
 */
int era_builder_init(struct era_builder *builder, struct era_device *device,
		     struct era_report *report);

/*
 * For a transaction within existing metadata: blocks in reserved are left
 * alone; those that stay in use are counted in builder->allocator.refs by
 * the caller before the visit.
 */
int era_builder_init_in_place(struct era_builder *builder,
			      struct era_device *device,
			      const struct block_set *reserved,
			      struct era_report *report);

/*
 * Gives the space map's index the first block of the transaction. The kernel's
 * commits end with theirs, so that this one cannot be taken for the next after
 * one of them.
 */
int era_builder_place_index(struct era_builder *builder);

void era_builder_release(struct era_builder *builder);

/*
 * After one visit: what it brought becomes the metadata snapshot, and the
 * next visit brings the live metadata.
 */
int era_builder_take_snapshot(struct era_builder *builder);

/*
 * Writes the space map and, last and between flushes, the superblock.
 * builder->sb can be adjusted before. Reports what fails.
 */
int era_builder_commit(struct era_builder *builder);

/* Reports err, what an allocation or a write returned; returns err. */
int era_builder_report(struct era_builder *builder, int err);

#endif
