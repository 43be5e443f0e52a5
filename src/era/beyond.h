/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether one body of evidence says more than another: which data blocks it
 * dates later. Along one history what is newer says all that is older and
 * more, so this is how the two are told apart.
 */
#ifndef ERA_BEYOND_H
#define ERA_BEYOND_H

#include "era/layers.h"

struct era_beyond {
	uint32_t watched; /* given: an era to look out for */
	bool in_watched;  /* some block is dated later, to that era */
	uint32_t
		lowest; /* era that any layer dates a block later to; 0: none */
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
 * The same for loaded metadata; what top has lost says nothing. nr_blocks: the
 * size of the later of the two, for a shrink takes marks away.
 */
int era_metadata_beyond(struct era_beyond *beyond,
			const struct era_metadata *base,
			const struct era_metadata *top, uint32_t nr_blocks);

#endif
