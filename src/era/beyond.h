/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether one body of evidence says more than another: which data blocks it
 * dates later. Along one history the newer state says all that the older one
 * does, and more; so this tells which of two is the newer.
 */
#ifndef ERA_BEYOND_H
#define ERA_BEYOND_H

#include "era/layers.h"

struct era_beyond {
	uint32_t watched; /* set by the caller: an era to look out for */
	bool in_watched;  /* some data block is dated later, to that era */
	/* the lowest and the greatest era that a data block is dated later to;
	 * 0: no block is dated later */
	uint32_t lowest;
	uint32_t greatest;
	uint64_t nr_data_blocks; /* dated later */
};

/*
 * Compares the layers of class ERA_ORPHAN with those of class ERA_REACHABLE,
 * over nr_blocks data blocks. Returns 0, -ENOMEM or the errno of a read.
 */
int era_beyond(struct era_beyond *beyond, struct era_device *device,
	       uint32_t nr_blocks, const struct era_layers *layers);

/*
 * The same for loaded metadata: which data blocks top dates later than base.
 * Blocks that top has lost date nothing. nr_blocks: the size of the later of
 * the two, for a shrink of the device takes marks away.
 */
int era_metadata_beyond(struct era_beyond *beyond,
			const struct era_metadata *base,
			const struct era_metadata *top, uint32_t nr_blocks);

#endif
