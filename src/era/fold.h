/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folding: for each data block the greatest era that any layer dates it to,
 * window by window over the data blocks, each layer's blocks read once.
 *
 * Contract: a window is a whole number of bitset blocks, and so of era-array
 * blocks (509 words of 64 bits are 32 x 1018 eras), so no array block is read
 * twice. Memory is one window and the maps, whatever the device's size.
 */
#ifndef ERA_FOLD_H
#define ERA_FOLD_H

#include "era/metadata.h"

/* Data blocks that one bitset block speaks of. */
#define ERA_BITSET_BLOCK_BITS 32576u

/* How sure a layer is; later classes are folded over the earlier. */
enum era_class {
	ERA_REACHABLE,	/* what the superblock leads to */
	ERA_ORPHAN,	/* intact, but nothing reachable leads there */
	ERA_ASSUMPTION, /* stands for what is lost */
};

#define ERA_NR_CLASSES 3

/* One piece of evidence. */
struct era_layer {
	enum era_class class;
	/* era array or bitset by its value size; NULL: data dates to era */
	const struct array_map *map;
	uint32_t era; /* that a set bit dates a data block to */
	/* what a lost value of the map dates to, and as which class */
	uint32_t lost_era;
	enum era_class lost_class;
	/* dates from this one on count as redate_to, where that is not 0:
	 * they were given after a fork and are later than they say */
	uint32_t redate_from;
	uint32_t redate_to;
	/* what the layer speaks of, cut to the device; used with and without
	 * a map. Empty: all. */
	struct era_data_range data;
};

struct era_fold {
	struct era_device *device;
	struct era_report *report; /* told of each array block lost */
	uint32_t nr_blocks;	   /* data blocks */
	const struct era_layer *layers;
	size_t nr_layers;
	bool strict; /* a lost value ends the fold with -EUCLEAN */

	/* eras of data blocks [first, first + nr), ascending, no gaps */
	int (*window)(void *arg, uint32_t first, const uint32_t *eras,
		      size_t nr);
	/*
	 * A class raised data blocks [begin, end) to era; called window by
	 * window, before the window is given out. May be NULL.
	 */
	int (*raised)(void *arg, enum era_class class, uint32_t begin,
		      uint32_t end, uint32_t era);
	void *arg;
	/* set by the fold: the lowest era in which an orphan dates a data
	 * block later than what is reachable; 0 where none does */
	uint32_t lowest_raise;
};

/* Returns 0, -EUCLEAN (strict), -ENOMEM, or what a callback returned. */
int era_fold(struct era_fold *fold);

/*
 * The layers of loaded metadata: the era array and every writeset, the open
 * one included. What is lost dates to the latest era it could have been
 * written in, as lost_class. Allocated; free() them.
 */
int era_metadata_layers(const struct era_metadata *md,
			enum era_class lost_class, struct era_layer **layers,
			size_t *nr);

/*
 * The latest era that a lost entry of the era array can hold: digestion is in
 * order, so that is the lowest era still in the tree, else the last archived.
 */
uint32_t era_metadata_lost_era(const struct era_metadata *md);

/* Appends one layer; *layers is reallocated. */
int era_layers_add(struct era_layer **layers, size_t *nr,
		   const struct era_layer *layer);

#endif
