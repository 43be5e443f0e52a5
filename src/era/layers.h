/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layers: the pieces of evidence that a fold merges, each of them a map of
 * array blocks or a range of data blocks, with how sure it is.
 *
 * Contract: a layer borrows its map; what it was made of must outlive it.
 */
#ifndef ERA_LAYERS_H
#define ERA_LAYERS_H

#include "era/metadata.h"

/* How sure a layer is; later classes are folded over the earlier. */
enum era_class {
	ERA_REACHABLE,	/* what the superblock leads to */
	ERA_ORPHAN,	/* intact, but nothing reachable leads there */
	ERA_ASSUMPTION, /* stands for what is lost */
};

#define ERA_NR_CLASSES 3

/* Told that layers of a class date data blocks [begin, end) later: to era. */
typedef int (*era_raised_fn)(void *arg, enum era_class trust, uint32_t begin,
			     uint32_t end, uint32_t era);

/* One piece of evidence. */
struct era_layer {
	enum era_class trust;
	/* era array or bitset by its value size; NULL: data dates to era */
	const struct array_map *map;
	uint32_t era; /* that a set bit dates a data block to */
	/*
	 * Where a bitset is named for several eras: all of them, ascending,
	 * with the greatest in era. It dates to each of them. Borrowed.
	 */
	const uint32_t *eras;
	uint32_t nr_eras; /* 0: era alone */
	/*
	 * What a lost value of the map dates to, and as which class: its own
	 * or a later one.
	 */
	uint32_t lost_era;
	enum era_class lost_class;
	/* dates from this one on count as redate_to at least: they were given
	 * after a fork and can be later than they say */
	uint32_t redate_from;
	uint32_t redate_to;
	/* what the layer speaks of, cut to the device; used with and without
	 * a map. Empty: all. */
	struct era_data_range data;
};

/* All zero: none. */
struct era_layers {
	struct era_layer *layers;
	size_t nr;
};

/* Appends one layer; 0 or -ENOMEM. */
int era_layers_add(struct era_layers *layers, const struct era_layer *layer);

/*
 * Appends the layers of loaded metadata, of class trust: the era array and
 * every writeset, the open one included. What is lost dates to the latest era
 * it could have been written in, as lost_class. 0 or -ENOMEM.
 */
int era_layers_add_metadata(struct era_layers *layers,
			    const struct era_metadata *md, enum era_class trust,
			    enum era_class lost_class);

void era_layers_release(struct era_layers *layers);

/*
 * The latest era that a lost entry of the era array can hold: digestion is in
 * order, so that is the lowest era still in the tree, else the last archived.
 */
uint32_t era_metadata_lost_era(const struct era_metadata *md);

#endif
