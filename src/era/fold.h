/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folding finds for each data block the greatest era that any layer dates it
 * to. It goes over the data blocks window by window.
 *
 * Contract: a window is a whole number of bitset blocks, and so of era-array
 * blocks (509 words of 64 bits are 32 x 1018 eras), so no array block is read
 * twice. Memory is one window and the maps, whatever the device's size.
 */
#ifndef ERA_FOLD_H
#define ERA_FOLD_H

#include "era/layers.h"

/* Data blocks that one bitset block speaks of. */
#define ERA_BITSET_BLOCK_BITS 32576u

/* A window's array blocks: its eras stay in a second-level cache. */
#define ERA_WINDOW_BITSET_BLOCKS 4
#define ERA_WINDOW_ERA_BLOCKS (32 * ERA_WINDOW_BITSET_BLOCKS)
#define ERA_WINDOW (ERA_WINDOW_BITSET_BLOCKS * ERA_BITSET_BLOCK_BITS)

struct era_fold {
	struct era_device *device;
	struct era_report *report; /* gets each array block that is lost */
	uint32_t nr_blocks;	   /* data blocks */
	const struct era_layers *layers;
	bool strict; /* a lost value ends the fold with -EUCLEAN */

	/* Called with the eras of the data blocks [first, first + nr). Windows
	 * ascend and leave no gap. May be NULL. */
	int (*window)(void *arg, uint32_t first, const uint32_t *eras,
		      size_t nr);
	/* called before window() is, for blocks of the same window; or NULL */
	era_raised_fn raised;
	void *arg;
	/* set by the fold: the lowest era in which an orphan dates a data block
	 * later than the reachable layers do; 0: none does */
	uint32_t lowest_raise;
};

/* Returns 0, -EUCLEAN (strict), -ENOMEM, or what a callback returned. */
int era_fold(struct era_fold *fold);

#endif
