/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plain and the logical source.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "era/fold.h"
#include "era/reader.h"

/* Called for each array block in order, values little-endian. */
typedef int (*array_block_fn)(struct era_visitor *sink,
			      const struct array_map *map, uint32_t index,
			      const uint8_t *values, uint32_t nr);

/* The first nr_blocks array blocks. */
static int read_array(struct era_metadata *md, struct array_window *window,
		      const struct array_map *map, uint32_t nr_blocks,
		      array_block_fn give, struct era_visitor *sink)
{
	uint64_t nr_lost = 0;
	int r = 0;

	for (uint32_t first = 0; first < nr_blocks && !r;
	     first += ERA_DEVICE_RUN) {
		uint32_t nr = nr_blocks - first < ERA_DEVICE_RUN
				      ? nr_blocks - first
				      : ERA_DEVICE_RUN;

		r = array_window_read(window, md->device, map, first, nr,
				      md->report, &nr_lost);
		if (!r && nr_lost)
			r = -EUCLEAN;
		for (uint32_t i = 0; i < nr && !r; i++)
			r = give(sink, map, first + i, window->values[i],
				 array_map_nr_entries(map, first + i));
	}
	return r;
}

static int give_eras(struct era_visitor *sink, const struct array_map *map,
		     uint32_t index, const uint8_t *values, uint32_t nr)
{
	uint32_t eras[ERA_BLOCK_SIZE / sizeof(uint32_t)];

	get_le32_array(eras, values, nr);
	return sink->eras(sink, index * array_max_entries(map->value_size),
			  eras, nr);
}

static int give_words(struct era_visitor *sink, const struct array_map *map,
		      uint32_t index, const uint8_t *values, uint32_t nr)
{
	uint64_t words[ARRAY_MAX_WORDS];

	get_le64_array(words, values, nr);
	return sink->writeset_words(
		sink, index * array_max_entries(map->value_size), words, nr);
}

/* As give_words for the last block, whose last word may have stray bits. */
static int give_masked_words(struct era_visitor *sink,
			     const struct array_map *map, uint32_t index,
			     const uint8_t *values, uint32_t nr,
			     uint32_t nr_bits)
{
	uint64_t words[ARRAY_MAX_WORDS];

	get_le64_array(words, values, nr);
	words[nr - 1] &= era_last_word_mask(nr_bits);
	return sink->writeset_words(
		sink, index * array_max_entries(map->value_size), words, nr);
}

static int read_writeset(struct era_metadata *md, struct array_window *window,
			 const struct era_writeset *ws,
			 struct era_visitor *sink)
{
	uint32_t nr = array_map_nr_blocks(&ws->words);
	uint64_t nr_lost = 0;
	int r;

	r = sink->writeset_begin(sink, ws->era, ws->nr_bits);
	if (!r && nr > 1)
		r = read_array(md, window, &ws->words, nr - 1, give_words,
			       sink);
	if (!r && nr) {
		r = array_window_read(window, md->device, &ws->words, nr - 1, 1,
				      md->report, &nr_lost);
		if (!r && nr_lost)
			r = -EUCLEAN;
		if (!r)
			r = give_masked_words(
				sink, &ws->words, nr - 1, window->values[0],
				array_map_nr_entries(&ws->words, nr - 1),
				ws->nr_bits);
	}
	return r ? r : sink->writeset_end(sink);
}

int era_read(struct era_metadata *md, struct era_visitor *sink)
{
	struct array_window window;
	int r = array_window_init(&window, ERA_DEVICE_RUN);

	if (!r)
		r = sink->superblock(sink, &md->sb.geometry);
	for (size_t i = 0; i < md->nr_writesets && !r; i++)
		r = read_writeset(md, &window, &md->writesets[i], sink);
	if (!r)
		r = read_array(md, &window, &md->eras,
			       array_map_nr_blocks(&md->eras), give_eras, sink);
	array_window_release(&window);
	if (!r)
		r = era_metadata_confirm(md);
	return r ? r : sink->end(sink);
}

static int give_window(void *arg, uint32_t first, const uint32_t *eras,
		       size_t nr)
{
	struct era_visitor *sink = arg;

	return sink->eras(sink, first, eras, nr);
}

int era_read_logical(struct era_metadata *md, struct era_visitor *sink)
{
	struct era_layers layers = { .nr = 0 };
	struct era_fold fold = { .device = md->device,
				 .report = md->report,
				 .nr_blocks = md->sb.geometry.nr_blocks,
				 .layers = &layers,
				 .strict = true,
				 .window = give_window,
				 .arg = sink };
	int r = era_layers_add_metadata(&layers, md, ERA_REACHABLE,
					ERA_ASSUMPTION);

	if (!r)
		r = sink->superblock(sink, &md->sb.geometry);
	if (!r)
		r = era_fold(&fold);
	era_layers_release(&layers);
	if (!r)
		r = era_metadata_confirm(md);
	return r ? r : sink->end(sink);
}
