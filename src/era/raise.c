/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Passes everything on, with other eras.
 */
#include "config.h"

#include <errno.h>

#include "era/raise.h"

#define BATCH 1024 /* eras handed on at a time */

static int visit_superblock(struct era_visitor *visitor,
			    const struct era_geometry *geometry)
{
	struct era_raise *raise = (struct era_raise *)visitor;
	struct era_geometry raised = *geometry;

	raised.current_era = raise->era;
	return raise->sink->superblock(raise->sink, &raised);
}

static int visit_eras(struct era_visitor *visitor, uint32_t first_block,
		      const uint32_t *eras, size_t nr)
{
	struct era_raise *raise = (struct era_raise *)visitor;
	uint32_t batch[BATCH];
	int r = 0;

	while (nr && !r) {
		size_t n = nr < BATCH ? nr : BATCH;

		for (size_t i = 0; i < n; i++)
			batch[i] = eras[i] < raise->from ? eras[i] : raise->era;
		r = raise->sink->eras(raise->sink, first_block, batch, n);
		first_block += (uint32_t)n;
		eras += n;
		nr -= n;
	}
	return r;
}

static int visit_end(struct era_visitor *visitor)
{
	struct era_raise *raise = (struct era_raise *)visitor;

	return raise->sink->end(raise->sink);
}

/* A fold gives none. */
static int refuse_begin(struct era_visitor *visitor, uint32_t era,
			uint32_t nr_bits)
{
	(void)visitor;
	(void)era;
	(void)nr_bits;
	return -EINVAL;
}

static int refuse_words(struct era_visitor *visitor, uint32_t first_word,
			const uint64_t *words, size_t nr)
{
	(void)visitor;
	(void)first_word;
	(void)words;
	(void)nr;
	return -EINVAL;
}

static int refuse_end(struct era_visitor *visitor)
{
	(void)visitor;
	return -EINVAL;
}

uint32_t era_raise_first(uint32_t found)
{
	return found > 1 ? found - 1 : 1; /* era 0 is none */
}

void era_raise_init(struct era_raise *raise, struct era_visitor *sink,
		    uint32_t found, uint32_t era)
{
	*raise = (struct era_raise){
		.visitor = { visit_superblock, refuse_begin, refuse_words,
			     refuse_end, visit_eras, visit_end },
		.sink = sink,
		.from = era_raise_first(found),
		.era = era,
	};
}
