/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The blocks written since an era: the era array compared and the writesets
 * or-ed, window by window, as bits. Cheaper than folding eras, since all that
 * is asked of a block is yes or no.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "era/fold.h"
#include "era/reader.h"

#define WINDOW_WORDS (ERA_WINDOW_BITSET_BLOCKS * ARRAY_MAX_WORDS)

struct since {
	struct era_metadata *md;
	uint32_t era;
	struct era_range_visitor *sink;
	struct array_window window;
	/* writesets of at least era that are not over yet, in any order */
	const struct era_writeset **rest;
	size_t nr_rest;
	uint64_t words[WINDOW_WORDS];
	/* the range at hand, given when it ends; begin is NO_RANGE for none */
	uint64_t begin;
};

#define NO_RANGE UINT64_MAX

static int read_window(struct since *s, const struct array_map *map,
		       uint32_t first, uint32_t nr)
{
	uint64_t nr_lost = 0;
	int r = array_window_read(&s->window, s->md->device, map, first, nr,
				  s->md->report, &nr_lost);

	return !r && nr_lost ? -EUCLEAN : r;
}

/*
 * Which of 64 eras are at least era, lowest bit first. Loops of fixed length
 * over bytes, so that a compiler makes vector instructions of them; then the
 * lowest bits of eight bytes are gathered by one multiplication, which moves
 * bit 8 k to bit 56 + k.
 */
static uint64_t compare_64(const uint8_t *values, uint32_t era)
{
	uint8_t reached[64];
	uint64_t word = 0;

	for (int k = 0; k < 64; k++)
		reached[k] = get_le32(values + k * 4) >= era;
	for (int k = 0; k < 8; k++)
		word |= (get_le64(reached + k * 8) *
				 UINT64_C(0x0102040810204080) >>
			 56)
			<< (k * 8);
	return word;
}

/* The bits of data blocks from at on, counted from the window's first. */
static void add_bits(struct since *s, uint32_t at, uint64_t bits)
{
	uint32_t shift = at % 64;

	s->words[at / 64] |= bits << shift;
	if (shift && bits >> (64 - shift))
		s->words[at / 64 + 1] |= bits >> (64 - shift);
}

/* eras of at least s->era, as bits from data block first of the window on */
static void compare_eras(struct since *s, uint32_t first, const uint8_t *values,
			 uint32_t nr)
{
	uint8_t rest[64 * 4] = { 0 };
	uint32_t i;

	for (i = 0; i + 64 <= nr; i += 64)
		add_bits(s, first + i, compare_64(values + i * 4, s->era));
	if (i == nr)
		return;
	memcpy(rest, values + i * 4, (nr - i) * 4);
	add_bits(s, first + i,
		 compare_64(rest, s->era) & ~(UINT64_MAX << (nr - i)));
}

static int add_era_array(struct since *s, uint64_t number)
{
	const struct array_map *map = &s->md->eras;
	uint32_t first = (uint32_t)number * ERA_WINDOW_ERA_BLOCKS;
	int r = read_window(s, map, first, ERA_WINDOW_ERA_BLOCKS);

	for (uint32_t i = 0; i < ERA_WINDOW_ERA_BLOCKS && !r; i++)
		if (s->window.values[i])
			compare_eras(s, i * array_max_entries(4),
				     s->window.values[i],
				     array_map_nr_entries(map, first + i));
	return r;
}

static int add_writeset(struct since *s, const struct era_writeset *ws,
			uint64_t number)
{
	uint32_t first = (uint32_t)number * ERA_WINDOW_BITSET_BLOCKS;
	int r = read_window(s, &ws->words, first, ERA_WINDOW_BITSET_BLOCKS);

	for (uint32_t i = 0; i < ERA_WINDOW_BITSET_BLOCKS && !r; i++) {
		uint32_t nr = array_map_nr_entries(&ws->words, first + i);
		uint64_t *words = s->words + i * ARRAY_MAX_WORDS;
		uint64_t word;

		if (!s->window.values[i])
			continue;
		for (uint32_t k = 0; k + 1 < nr; k++)
			words[k] |= get_le64(s->window.values[i] + k * 8);
		word = get_le64(s->window.values[i] + (nr - 1) * 8);
		if (first + i + 1 == array_map_nr_blocks(&ws->words))
			word &= era_last_word_mask(ws->nr_bits);
		words[nr - 1] |= word;
	}
	return r;
}

/*
 * A writeset can be much shorter than the device, and there can be as many as
 * it has metadata blocks: those that are over are not asked again.
 */
static int add_writesets(struct since *s, uint64_t number)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < s->nr_rest && !r; i++) {
		const struct era_writeset *ws = s->rest[i];

		r = add_writeset(s, ws, number);
		if ((number + 1) * ERA_WINDOW_BITSET_BLOCKS <
		    array_map_nr_blocks(&ws->words))
			s->rest[kept++] = ws;
	}
	s->nr_rest = kept;
	return r;
}

static int end_range(struct since *s, uint64_t end)
{
	uint64_t begin = s->begin;

	s->begin = NO_RANGE;
	return s->sink->range(s->sink, (uint32_t)begin, (uint32_t)end);
}

/* The runs of set bits among nr bits, the first being data block first. */
static int give_ranges(struct since *s, uint64_t first, uint32_t nr)
{
	uint32_t nr_words = era_nr_words(nr);
	int r = 0;

	if (nr % 64)
		s->words[nr_words - 1] &= ~(UINT64_MAX << (nr % 64));
	for (uint32_t i = 0; i < nr_words && !r; i++) {
		uint64_t at = first + i * UINT64_C(64), word = s->words[i];
		unsigned int bit = 0;

		if (word == (s->begin == NO_RANGE ? 0 : UINT64_MAX))
			continue;
		/* flip between looking for a set and for a clear bit */
		while (bit < 64 && !r) {
			uint64_t rest =
				(s->begin == NO_RANGE ? word : ~word) >> bit;

			if (!rest)
				break;
			bit += (unsigned int)__builtin_ctzll(rest);
			if (s->begin == NO_RANGE)
				s->begin = at + bit;
			else
				r = end_range(s, at + bit);
		}
	}
	return r;
}

static int since_window(struct since *s, uint64_t number)
{
	uint32_t nr_blocks = s->md->sb.geometry.nr_blocks;
	uint64_t first = number * ERA_WINDOW;
	uint32_t nr = nr_blocks - first < ERA_WINDOW
			      ? (uint32_t)(nr_blocks - first)
			      : ERA_WINDOW;
	int r;

	memset(s->words, 0, sizeof(s->words));
	r = add_era_array(s, number);
	if (!r)
		r = add_writesets(s, number);
	return r ? r : give_ranges(s, first, nr);
}

static int take_writesets(struct since *s)
{
	s->rest = calloc(s->md->nr_writesets + 1, sizeof(*s->rest));
	if (!s->rest)
		return -ENOMEM;
	for (size_t i = 0; i < s->md->nr_writesets; i++)
		if (s->md->writesets[i].era >= s->era)
			s->rest[s->nr_rest++] = &s->md->writesets[i];
	return 0;
}

int era_read_since(struct era_metadata *md, uint32_t era,
		   struct era_range_visitor *sink)
{
	uint32_t nr_blocks = md->sb.geometry.nr_blocks;
	struct since *s;
	int r = era_metadata_check_era(md, era);

	if (r)
		return r;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->md = md;
	s->era = era;
	s->sink = sink;
	s->begin = NO_RANGE;
	s->nr_rest = 0;
	r = array_window_init(&s->window, ERA_WINDOW_ERA_BLOCKS);
	if (take_writesets(s))
		r = -ENOMEM;
	if (!r)
		r = sink->begin(sink, &md->sb.geometry);
	for (uint64_t i = 0; !r && i * ERA_WINDOW < nr_blocks; i++)
		r = since_window(s, i);
	if (!r && s->begin != NO_RANGE)
		r = end_range(s, nr_blocks);
	array_window_release(&s->window);
	free(s->rest);
	free(s);
	if (!r)
		r = era_metadata_confirm(md);
	return r ? r : sink->end(sink);
}
