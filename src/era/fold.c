/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The window that all layers are merged into.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "era/fold.h"

/* bitset blocks of a window: its eras stay in a second-level cache */
#define WINDOW_BITSET_BLOCKS 4
#define WINDOW (WINDOW_BITSET_BLOCKS * ERA_BITSET_BLOCK_BITS)
#define WINDOW_ERA_BLOCKS (32 * WINDOW_BITSET_BLOCKS)

struct folding {
	struct era_fold *fold;
	struct array_window window;
	bool tracking;	/* the lowest era that raises anything over before */
	uint64_t first; /* data block */
	uint32_t nr;
	uint32_t eras[WINDOW];
	uint32_t before[WINDOW]; /* eras without the class at hand */
	uint64_t words[ARRAY_MAX_WORDS];
};

/* Notes the lowest era in which an orphan says more than before. */
static inline void track(struct folding *f, uint64_t i, uint32_t era)
{
	if (f->tracking && era > f->before[i] &&
	    (!f->fold->lowest_raise || era < f->fold->lowest_raise))
		f->fold->lowest_raise = era;
}

static void raise_range(struct folding *f, uint64_t begin, uint64_t end,
			uint32_t era)
{
	uint64_t stop = f->first + f->nr;

	if (begin < f->first)
		begin = f->first;
	if (end > stop)
		end = stop;
	for (uint64_t i = begin - f->first; i + f->first < end; i++) {
		track(f, i, era);
		if (f->eras[i] < era)
			f->eras[i] = era;
	}
}

static uint32_t redated(const struct era_layer *layer, uint32_t era)
{
	return era >= layer->redate_from && era < layer->redate_to
		       ? layer->redate_to
		       : era;
}

/* What the layer's map speaks of within the window. */
static struct era_data_range layer_data(const struct folding *f,
					const struct era_layer *layer)
{
	struct era_data_range data = layer->data;

	if (data.begin == data.end)
		data = (struct era_data_range){ 0, f->fold->nr_blocks };
	if (data.begin < f->first)
		data.begin = f->first;
	if (data.end > f->first + f->nr)
		data.end = f->first + f->nr;
	if (data.begin > data.end)
		data.begin = data.end;
	return data;
}

static void merge_eras(struct folding *f, const struct era_layer *layer,
		       uint64_t first, const uint8_t *values, uint32_t nr)
{
	struct era_data_range data = layer_data(f, layer);
	uint32_t *eras = f->eras;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t block = first + i;
		uint32_t era = redated(layer, get_le32(values + i * 4));

		if (block < data.begin || block >= data.end)
			continue;
		track(f, block - f->first, era);
		if (eras[block - f->first] < era)
			eras[block - f->first] = era;
	}
}

/* As merge_eras, for the layer that says no more than its array. */
static void merge_plain_eras(struct folding *f, uint64_t first,
			     const uint8_t *values, uint32_t nr)
{
	uint32_t *eras = f->eras + (first - f->first);

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t era = get_le32(values + i * 4);

		eras[i] = eras[i] < era ? era : eras[i];
	}
}

static void merge_words(struct folding *f, const struct era_layer *layer,
			uint64_t first, const uint8_t *values, uint32_t nr)
{
	struct era_data_range data = layer_data(f, layer);
	uint32_t era = redated(layer, layer->era);

	get_le64_array(f->words, values, nr);
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t word = f->words[i], at = first + i * UINT64_C(64);

		if (!word || at >= data.end || at + 64 <= data.begin)
			continue;
		if (at < data.begin)
			word &= UINT64_MAX << (data.begin - at);
		if (data.end - at < 64)
			word &= ~(UINT64_MAX << (data.end - at));
		if (word == UINT64_MAX) {
			raise_range(f, at, at + 64, era);
			continue;
		}
		for (; word; word &= word - 1) {
			uint64_t block =
				at + (uint64_t)__builtin_ctzll(word) - f->first;

			track(f, block, era);
			if (f->eras[block] < era)
				f->eras[block] = era;
		}
	}
}

static bool layer_is_plain(const struct era_layer *layer)
{
	return layer->data.begin == layer->data.end && !layer->redate_to;
}

/* Merges what the window of array blocks has; assume: what it has not. */
static void merge_window(struct folding *f, const struct era_layer *layer,
			 bool assume)
{
	const struct array_map *map = layer->map;
	uint32_t per = array_max_entries(map->value_size) *
		       array_map_data_per_value(map);

	for (uint32_t i = 0; i < f->window.nr; i++) {
		uint32_t index = f->window.first + i;
		uint32_t nr = array_map_nr_entries(map, index);
		const uint8_t *values = f->window.values[i];
		uint64_t first = (uint64_t)index * per;

		if (assume) {
			struct era_data_range data = layer_data(f, layer);
			uint64_t end =
				first + nr * array_map_data_per_value(map);

			if (values || !nr)
				continue;
			if (data.begin < first)
				data.begin = first;
			if (data.end > end)
				data.end = end;
			raise_range(f, data.begin, data.end,
				    redated(layer, layer->lost_era));
		} else if (!values) {
			continue;
		} else if (map->value_size == 8) {
			merge_words(f, layer, first, values, nr);
		} else if (layer_is_plain(layer) && !f->tracking) {
			merge_plain_eras(f, first, values, nr);
		} else {
			merge_eras(f, layer, first, values, nr);
		}
	}
}

static int merge_layer(struct folding *f, const struct era_layer *layer,
		       bool assume)
{
	uint32_t nr, first;
	uint64_t nr_lost = 0;
	int r;

	if (!layer->map) {
		struct era_data_range data = layer_data(f, layer);

		raise_range(f, data.begin, data.end,
			    redated(layer, layer->era));
		return 0;
	}
	nr = layer->map->value_size == 8 ? WINDOW_BITSET_BLOCKS
					 : WINDOW_ERA_BLOCKS;
	first = (uint32_t)(f->first / WINDOW) * nr;
	/* what is lost was reported when it was read for its values */
	r = array_window_read(&f->window, f->fold->device, layer->map, first,
			      nr, assume ? NULL : f->fold->report, &nr_lost);
	if (r)
		return r;
	if (nr_lost && f->fold->strict)
		return -EUCLEAN;
	merge_window(f, layer, assume);
	return 0;
}

static int merge_class(struct folding *f, enum era_class class)
{
	const struct era_fold *fold = f->fold;
	int r = 0;

	for (size_t i = 0; i < fold->layers.nr && !r; i++) {
		const struct era_layer *layer = &fold->layers.layers[i];

		if (layer->class == class)
			r = merge_layer(f, layer, false);
		if (!r && layer->map && layer->lost_era &&
		    layer->lost_class == class)
			r = merge_layer(f, layer, true);
	}
	return r;
}

/* Tells which data blocks the class has raised, in runs of one era. */
static int tell_raised(struct folding *f, enum era_class class)
{
	const struct era_fold *fold = f->fold;
	int r = 0;

	for (uint32_t i = 0, end; i < f->nr && !r; i = end) {
		end = i + 1;
		if (f->eras[i] == f->before[i])
			continue;
		while (end < f->nr && f->eras[end] != f->before[end] &&
		       f->eras[end] == f->eras[i])
			end++;
		r = fold->raised(fold->arg, class, (uint32_t)(f->first + i),
				 (uint32_t)(f->first + end), f->eras[i]);
	}
	return r;
}

static int fold_window(struct folding *f)
{
	const struct era_fold *fold = f->fold;
	int r = 0;

	memset(f->eras, 0, f->nr * sizeof(*f->eras));
	for (int class = 0; class < ERA_NR_CLASSES && !r; class ++) {
		bool tell = fold->raised && class != ERA_REACHABLE;

		f->tracking = tell && class == ERA_ORPHAN;
		if (tell)
			memcpy(f->before, f->eras, f->nr * sizeof(*f->eras));
		r = merge_class(f, (enum era_class) class);
		if (!r && tell)
			r = tell_raised(f, (enum era_class) class);
	}
	if (!r && fold->window)
		r = fold->window(fold->arg, (uint32_t)f->first, f->eras, f->nr);
	return r;
}

int era_fold(struct era_fold *fold)
{
	struct folding *f = malloc(sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->fold = fold;
	fold->lowest_raise = 0;
	r = array_window_init(&f->window, WINDOW_ERA_BLOCKS);
	for (f->first = 0; !r && f->first < fold->nr_blocks;
	     f->first += WINDOW) {
		f->nr = fold->nr_blocks - f->first < WINDOW
				? (uint32_t)(fold->nr_blocks - f->first)
				: WINDOW;
		r = fold_window(f);
	}
	array_window_release(&f->window);
	free(f);
	return r;
}
