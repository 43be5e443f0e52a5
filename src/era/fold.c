/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The window that all layers are merged into. A layer waits in a list of the
 * next window in which it has an array block, and what it has lost is a span
 * of data blocks with one era, which goes to a heap: so the work is that of
 * the array blocks and the spans that there are, whatever lengths are claimed.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "era/fold.h"
#include "era/spans.h"

#define NONE UINT32_MAX

/* Where a layer stands. */
struct turn {
	uint32_t next; /* layer in the same list, or NONE */
	uint32_t slot; /* first of its map that was not read yet */
	uint32_t gap;  /* first index that was neither read nor lost yet */
};

/* Layers whose turn it is in a window, in the order that they came in. */
struct list {
	uint32_t first, last;
};

struct folding {
	struct era_fold *fold;
	struct array_window window;
	struct turn *turns; /* of each layer */
	struct list *lists; /* of each window and class */
	uint32_t nr_windows;
	struct era_spans spans[ERA_NR_CLASSES];
	bool constant;	/* eras holds one era, of a quiet window */
	bool tracking;	/* the lowest era that raises anything over before */
	bool can_idle;	/* windows can pass in which nothing is read */
	bool idle;	/* this one does */
	uint64_t first; /* data block */
	uint32_t nr;
	uint32_t eras[ERA_WINDOW];
	uint32_t before[ERA_WINDOW]; /* eras without the class at hand */
	uint64_t words[ARRAY_MAX_WORDS];
};

/* Notes the lowest era in which an orphan says more than before. */
static inline void track(struct folding *f, uint64_t i, uint32_t era)
{
	if (f->tracking && era > f->before[i] &&
	    (!f->fold->lowest_raise || era < f->fold->lowest_raise))
		f->fold->lowest_raise = era;
}

/* The same for a layer that is named for several eras, the greatest era. */
static void track_layer(struct folding *f, uint64_t i,
			const struct era_layer *layer, uint32_t era)
{
	uint32_t low = 0, high = layer->nr_eras;

	if (!f->tracking || era <= f->before[i])
		return;
	/* the lowest of them that says more */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (layer->eras[mid] > f->before[i])
			high = mid;
		else
			low = mid + 1;
	}
	track(f, i, layer->nr_eras ? layer->eras[low] : era);
}

/* Both within the window. */
static void raise_range(struct folding *f, uint64_t begin, uint64_t end,
			uint32_t era)
{
	uint32_t *eras = f->eras;

	begin -= f->first;
	end -= f->first;
	for (uint64_t i = begin; f->tracking && i < end; i++)
		track(f, i, era);
	for (uint64_t i = begin; i < end; i++)
		eras[i] = eras[i] < era ? era : eras[i];
}

/* As raise_range, for the bits of a word; without branches for dense ones. */
static void raise_dense(uint32_t *eras, uint64_t word, uint32_t era)
{
	enum { all = -1 };
	static const uint32_t masks[16][4] = {
		/* of four bits */
		{ 0, 0, 0, 0 },	      { all, 0, 0, 0 },
		{ 0, all, 0, 0 },     { all, all, 0, 0 },
		{ 0, 0, all, 0 },     { all, 0, all, 0 },
		{ 0, all, all, 0 },   { all, all, all, 0 },
		{ 0, 0, 0, all },     { all, 0, 0, all },
		{ 0, all, 0, all },   { all, all, 0, all },
		{ 0, 0, all, all },   { all, 0, all, all },
		{ 0, all, all, all }, { all, all, all, all },
	};

	for (unsigned int i = 0; i < 64; i += 4, word >>= 4) {
		const uint32_t *mask = masks[word & 15];

		for (unsigned int k = 0; k < 4; k++) {
			uint32_t e = era & mask[k];

			eras[i + k] = eras[i + k] < e ? e : eras[i + k];
		}
	}
}

/* The same for few bits. */
static void raise_sparse(uint32_t *eras, uint64_t word, uint32_t era)
{
	for (; word; word &= word - 1) {
		uint32_t *e = &eras[__builtin_ctzll(word)];

		*e = *e < era ? era : *e;
	}
}

/* The same where it is looked at what is raised. */
static void track_word(struct folding *f, uint64_t at, uint64_t word,
		       const struct era_layer *layer, uint32_t era)
{
	for (; word; word &= word - 1) {
		uint64_t block = at + (uint64_t)__builtin_ctzll(word);

		track_layer(f, block, layer, era);
		if (f->eras[block] < era)
			f->eras[block] = era;
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

/* Of a fixed number, so that a compiler makes vector instructions of it. */
static inline void raise_64(uint32_t *eras, const uint8_t *values)
{
	for (unsigned int i = 0; i < 64; i++) {
		uint32_t era = get_le32(values + i * 4);

		eras[i] = eras[i] < era ? era : eras[i];
	}
}

/* As merge_eras, for the layer that says no more than its array. */
static void merge_plain_eras(struct folding *f, uint64_t first,
			     const uint8_t *values, uint32_t nr)
{
	uint32_t *eras = f->eras + (first - f->first);
	uint32_t i;

	for (i = 0; i + 64 <= nr; i += 64)
		raise_64(eras + i, values + i * 4);
	for (; i < nr; i++) {
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
		if (word == UINT64_MAX && !layer->nr_eras) {
			raise_range(f, at, at + 64, era);
			continue;
		}
		if (f->tracking)
			track_word(f, at - f->first, word, layer, era);
		else if (__builtin_popcountll(word) > 8)
			raise_dense(f->eras + (at - f->first), word, era);
		else
			raise_sparse(f->eras + (at - f->first), word, era);
	}
}

static bool layer_is_plain(const struct era_layer *layer)
{
	return layer->data.begin == layer->data.end && !layer->redate_to;
}

/* Data blocks of an array block of the map. */
static uint64_t data_per_block(const struct array_map *map)
{
	return (uint64_t)array_max_entries(map->value_size) *
	       array_map_data_per_value(map);
}

static uint32_t blocks_per_window(const struct array_map *map)
{
	return map->value_size == 8 ? ERA_WINDOW_BITSET_BLOCKS
				    : ERA_WINDOW_ERA_BLOCKS;
}

/* What the layer speaks of, in all windows. */
static struct era_data_range whole_data(const struct folding *f,
					const struct era_layer *layer)
{
	struct era_data_range data = layer->data;

	if (data.begin == data.end)
		data = (struct era_data_range){ 0, f->fold->nr_blocks };
	if (data.end > f->fold->nr_blocks)
		data.end = f->fold->nr_blocks;
	return data;
}

/* Array blocks [begin, end) of the layer's map are lost. */
static int lose(struct folding *f, const struct era_layer *layer,
		uint64_t begin, uint64_t end)
{
	struct era_data_range data = whole_data(f, layer);
	uint64_t per = data_per_block(layer->map);

	if (begin >= end)
		return 0;
	if (f->fold->strict)
		return -EUCLEAN;
	if (data.begin < begin * per)
		data.begin = begin * per;
	if (data.end > end * per)
		data.end = end * per;
	if (!layer->lost_era || data.begin >= data.end)
		return 0;
	return era_spans_add(&f->spans[layer->lost_class], data.begin, data.end,
			     redated(layer, layer->lost_era));
}

/* Array block index of the layer's map, which was read. */
static void merge_block(struct folding *f, const struct era_layer *layer,
			uint32_t index, const uint8_t *values)
{
	uint32_t nr = array_map_nr_entries(layer->map, index);
	uint64_t first = index * data_per_block(layer->map);

	if (layer->map->value_size == 8)
		merge_words(f, layer, first, values, nr);
	else if (layer_is_plain(layer) && !f->tracking &&
		 first + nr <= f->first + f->nr)
		merge_plain_eras(f, first, values, nr);
	else
		merge_eras(f, layer, first, values, nr);
}

/* Puts a layer into the list of a window that is still to come. */
static void line_up(struct folding *f, uint32_t number, uint64_t window)
{
	enum era_class trust = f->fold->layers->layers[number].trust;
	struct list *list;

	if (window >= f->nr_windows)
		return;
	list = &f->lists[window * ERA_NR_CLASSES + trust];
	f->turns[number].next = NONE;
	if (list->first == NONE)
		list->first = number;
	else
		f->turns[list->last].next = number;
	list->last = number;
}

/* Where a layer is asked first. */
static void line_up_first(struct folding *f, uint32_t number)
{
	const struct era_layer *layer = &f->fold->layers->layers[number];
	const struct array_map *map = layer->map;
	uint64_t window = 0;

	if (!map)
		window = whole_data(f, layer).begin / ERA_WINDOW;
	else if (!layer->lost_era && !f->fold->strict && map->nr_slots)
		window = map->slots[0].index / blocks_per_window(map);
	else if (!layer->lost_era && !f->fold->strict)
		return;
	line_up(f, number, window);
}

/* The slots that the layer has in this window, and the gaps around them. */
static int merge_layer(struct folding *f, uint32_t number)
{
	const struct era_layer *layer = &f->fold->layers->layers[number];
	const struct array_map *map = layer->map;
	struct turn *turn = &f->turns[number];
	uint32_t nr_blocks, per, first;
	uint64_t nr_lost = 0;
	int r;

	if (!map) {
		struct era_data_range data = whole_data(f, layer);

		return era_spans_add(&f->spans[layer->trust], data.begin,
				     data.end, redated(layer, layer->era));
	}
	nr_blocks = array_map_nr_blocks(map);
	per = blocks_per_window(map);
	first = (uint32_t)(f->first / ERA_WINDOW) * per;
	r = f->idle ? 0
		    : array_window_read(&f->window, f->fold->device, map, first,
					per, f->fold->report, &nr_lost);
	for (; !r && turn->slot < map->nr_slots; turn->slot++) {
		uint32_t index = map->slots[turn->slot].index;

		if (index - first >= per)
			break;
		r = lose(f, layer, turn->gap, index);
		if (f->idle)
			; /* nothing was read */
		else if (!r && f->window.values[index - first])
			merge_block(f, layer, index,
				    f->window.values[index - first]);
		else if (!r)
			r = lose(f, layer, index, (uint64_t)index + 1);
		turn->gap = index + 1;
	}
	if (r)
		return r;
	if (turn->slot == map->nr_slots) /* the last gap, and then no more */
		return lose(f, layer, turn->gap, nr_blocks);
	r = lose(f, layer, turn->gap, map->slots[turn->slot].index);
	turn->gap = map->slots[turn->slot].index;
	line_up(f, number, turn->gap / per);
	return r;
}

static int raise_span(void *arg, uint64_t begin, uint64_t end, uint32_t era)
{
	raise_range(arg, begin, end, era);
	return 0;
}

static int merge_class(struct folding *f, enum era_class trust)
{
	size_t window = (size_t)(f->first / ERA_WINDOW);
	uint32_t number = f->lists[window * ERA_NR_CLASSES + trust].first;
	int r = 0;

	while (number != NONE && !r) {
		/* the layer goes to another list */
		uint32_t next = f->turns[number].next;

		r = merge_layer(f, number);
		number = next;
	}
	return r ? r
		 : era_spans_sweep(&f->spans[trust], f->first, f->first + f->nr,
				   raise_span, f);
}

/* Tells which data blocks the class has raised, in runs of one era. */
static int tell_raised(struct folding *f, enum era_class trust)
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
		r = fold->raised(fold->arg, trust, (uint32_t)(f->first + i),
				 (uint32_t)(f->first + end), f->eras[i]);
	}
	return r;
}

/*
 * Whether all that is asked is what the later classes raise: then in a window
 * that has nothing of them it does not matter over what.
 */
static bool asks_for_raises(const struct era_fold *fold)
{
	if (fold->window || fold->strict || fold->report)
		return false;
	for (size_t i = 0; i < fold->layers->nr; i++)
		if (fold->layers->layers[i].trust == ERA_REACHABLE &&
		    fold->layers->layers[i].lost_class != ERA_REACHABLE)
			return false;
	return true;
}

static bool is_idle(struct folding *f)
{
	size_t window = (size_t)(f->first / ERA_WINDOW);
	uint32_t era;

	if (!f->can_idle)
		return false;
	for (size_t i = ERA_ORPHAN; i < ERA_NR_CLASSES; i++)
		if (f->lists[window * ERA_NR_CLASSES + i].first != NONE ||
		    !era_spans_is_one(&f->spans[i], f->first, f->first + f->nr,
				      &era) ||
		    era)
			return false;
	return true;
}

static int fold_window(struct folding *f)
{
	const struct era_fold *fold = f->fold;
	int r = 0;

	f->constant = false;
	f->idle = is_idle(f);
	memset(f->eras, 0, f->nr * sizeof(*f->eras));
	if (f->idle)
		return merge_class(f, ERA_REACHABLE);
	for (int trust = 0; trust < ERA_NR_CLASSES && !r; trust++) {
		bool tell = fold->raised && trust != ERA_REACHABLE;

		f->tracking = tell && trust == ERA_ORPHAN;
		if (tell)
			memcpy(f->before, f->eras, f->nr * sizeof(*f->eras));
		r = merge_class(f, (enum era_class)trust);
		if (!r && tell)
			r = tell_raised(f, (enum era_class)trust);
	}
	if (!r && fold->window)
		r = fold->window(fold->arg, (uint32_t)f->first, f->eras, f->nr);
	return r;
}

static int start(struct folding *f)
{
	const struct era_fold *fold = f->fold;
	size_t nr_lists;
	int r = array_window_init(&f->window, ERA_WINDOW_ERA_BLOCKS);

	f->nr_windows =
		(uint32_t)(((uint64_t)fold->nr_blocks + ERA_WINDOW - 1) /
			   ERA_WINDOW);
	nr_lists = (size_t)f->nr_windows * ERA_NR_CLASSES;
	f->turns = calloc(fold->layers->nr + 1, sizeof(*f->turns));
	f->lists = calloc(nr_lists + 1, sizeof(*f->lists));
	if (r || !f->turns || !f->lists || fold->layers->nr >= NONE)
		return -ENOMEM;
	for (size_t i = 0; i < nr_lists; i++)
		f->lists[i].first = NONE;
	for (size_t i = 0; i < fold->layers->nr; i++)
		line_up_first(f, (uint32_t)i);
	return 0;
}

static void finish(struct folding *f)
{
	for (size_t i = 0; i < ERA_NR_CLASSES; i++)
		era_spans_release(&f->spans[i]);
	array_window_release(&f->window);
	free(f->turns);
	free(f->lists);
	free(f);
}

/*
 * Whether no layer has an array block in this window, and each class one era
 * for all of it. A superblock can claim as many data blocks as a device of
 * gigabytes has.
 */
static bool is_quiet(struct folding *f, uint32_t *eras)
{
	size_t window = (size_t)(f->first / ERA_WINDOW);

	for (size_t i = 0; i < ERA_NR_CLASSES; i++)
		if (f->lists[window * ERA_NR_CLASSES + i].first != NONE ||
		    !era_spans_is_one(&f->spans[i], f->first, f->first + f->nr,
				      &eras[i]))
			return false;
	return true;
}

/* As fold_window, where that holds. */
static int fold_quiet(struct folding *f, const uint32_t *eras)
{
	struct era_fold *fold = f->fold;
	uint32_t era = eras[ERA_REACHABLE];
	int r = 0;

	for (int trust = ERA_ORPHAN; trust < ERA_NR_CLASSES && !r; trust++) {
		if (eras[trust] <= era)
			continue;
		era = eras[trust];
		if (!fold->raised)
			continue;
		if (trust == ERA_ORPHAN &&
		    (!fold->lowest_raise || era < fold->lowest_raise))
			fold->lowest_raise = era;
		r = fold->raised(fold->arg, (enum era_class)trust,
				 (uint32_t)f->first,
				 (uint32_t)(f->first + f->nr), era);
	}
	if (r || !fold->window)
		return r;
	if (!f->constant || f->eras[0] != era)
		for (uint32_t i = 0; i < ERA_WINDOW; i++)
			f->eras[i] = era;
	f->constant = true;
	return fold->window(fold->arg, (uint32_t)f->first, f->eras, f->nr);
}

int era_fold(struct era_fold *fold)
{
	struct folding *f = malloc(sizeof(*f));
	uint32_t one[ERA_NR_CLASSES]; /* era of each class */
	int r;

	if (!f)
		return -ENOMEM;
	f->fold = fold;
	f->constant = false;
	f->tracking = false;
	f->can_idle = asks_for_raises(fold);
	memset(f->spans, 0, sizeof(f->spans));
	fold->lowest_raise = 0;
	r = start(f);
	for (f->first = 0; !r && f->first < fold->nr_blocks;
	     f->first += ERA_WINDOW) {
		f->nr = fold->nr_blocks - f->first < ERA_WINDOW
				? (uint32_t)(fold->nr_blocks - f->first)
				: ERA_WINDOW;
		r = is_quiet(f, one) ? fold_quiet(f, one) : fold_window(f);
	}
	finish(f);
	return r;
}
