/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layers are the pieces of evidence that a fold merges. A layer is a map of
 * array blocks, or a range of data blocks, and has a class: how sure it is.
 *
 * Contract: a layer borrows its map. Its owner must outlive the layer.
 */
#ifndef ERA_LAYERS_H
#define ERA_LAYERS_H

#include "era/metadata.h"

/* How sure a layer is. Classes are folded in this order. */
enum era_class {
	ERA_REACHABLE,	/* what the superblock leads to */
	ERA_ORPHAN,	/* sound, but nothing reachable leads there */
	ERA_ASSUMPTION, /* stands for what is lost */
};

#define ERA_NR_CLASSES 3

/* Called where layers of a class date data blocks [begin, end) later: to era.
 */
typedef int (*era_raised_fn)(void *arg, enum era_class trust, uint32_t begin,
			     uint32_t end, uint32_t era);

/* One piece of evidence. */
struct era_layer {
	enum era_class trust;
	/* An era array or a bitset, by the size of its values. NULL: all data
	 * blocks of the layer date to era. */
	const struct array_map *map;
	uint32_t era; /* that a set bit dates a data block to */
	/*
	 * All eras that leaves name a bitset for, ascending, where they are
	 * several; era is the greatest of them. The bitset dates its data
	 * blocks to each. Borrowed.
	 */
	const uint32_t *eras;
	uint32_t nr_eras; /* 0: only era */
	/*
	 * The era that a lost value of the map dates to, and the class of that:
	 * trust, or a later one.
	 */
	uint32_t lost_era;
	enum era_class lost_class;
	/* Dates from redate_from on count as redate_to at least: the early
	 * instance gave them after a fork, and they can be later than they say.
	 */
	uint32_t redate_from;
	uint32_t redate_to;
	/* The data blocks that the layer speaks of, cut to the device, with a
	 * map and without. Empty: all data blocks. */
	struct era_data_range data;
};

/* All zero: no layers. */
struct era_layers {
	struct era_layer *layers;
	size_t nr, max;
};

/* Appends one layer; 0 or -ENOMEM. */
int era_layers_add(struct era_layers *layers, const struct era_layer *layer);

/*
 * Appends the layers of loaded metadata, of class trust: the era array and
 * every writeset, the open one included. A lost block dates its data blocks to
 * the latest era that it can have named, as class lost_class.
 * Returns 0 or -ENOMEM.
 */
int era_layers_add_metadata(struct era_layers *layers,
			    const struct era_metadata *md, enum era_class trust,
			    enum era_class lost_class);

void era_layers_release(struct era_layers *layers);

/*
 * The latest era that a lost entry of the era array can hold. Writesets are
 * digested in order, so this is the lowest era that is still in the writeset
 * tree; where the tree is empty, the last archived era.
 */
uint32_t era_metadata_lost_era(const struct era_metadata *md);

#endif
