/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The visits of the public API: sinks that hand on to the caller's functions.
 */
#include "config.h"

#include <errno.h>

#include "dmera/handle.h"
#include "dmera/visibility.h"
#include "era/reader.h"

struct range_sink {
	struct era_range_visitor visitor;
	dmera_range_fn range;
	void *arg;
};

static int ranges_begin(struct era_range_visitor *visitor,
			const struct era_geometry *geometry)
{
	(void)visitor;
	(void)geometry;
	return 0;
}

static int ranges_range(struct era_range_visitor *visitor, uint32_t begin,
			uint32_t end)
{
	struct range_sink *sink = (struct range_sink *)visitor;

	return sink->range(sink->arg, begin, end);
}

static int ranges_end(struct era_range_visitor *visitor)
{
	(void)visitor;
	return 0;
}

PUBLIC int dmera_written_since(struct dmera *handle, uint32_t era,
			       dmera_range_fn range, void *arg)
{
	struct range_sink sink = {
		.visitor = { ranges_begin, ranges_range, ranges_end },
		.range = range,
		.arg = arg,
	};
	struct era_metadata md;
	struct call call;
	int r;

	if (!handle || !range)
		return -EINVAL;
	call_init(&call, handle);
	r = call_load_whole(&call, &md);
	if (r)
		return call_error(&call, r);
	r = era_read_since(&md, era, &sink.visitor);
	era_metadata_release(&md);
	return call_error(&call, r);
}

struct dump_sink {
	struct era_visitor visitor;
	const struct dmera_visitor *to;
	void *arg;
	struct dmera_superblock superblock;
};

static int dump_superblock(struct era_visitor *visitor,
			   const struct era_geometry *geometry)
{
	struct dump_sink *sink = (struct dump_sink *)visitor;

	(void)geometry;
	return sink->to->superblock
		       ? sink->to->superblock(sink->arg, &sink->superblock)
		       : 0;
}

static int dump_writeset_begin(struct era_visitor *visitor, uint32_t era,
			       uint32_t nr_bits)
{
	struct dump_sink *sink = (struct dump_sink *)visitor;

	return sink->to->writeset_begin
		       ? sink->to->writeset_begin(sink->arg, era, nr_bits)
		       : 0;
}

static int dump_writeset_words(struct era_visitor *visitor, uint32_t first_word,
			       const uint64_t *words, size_t nr)
{
	struct dump_sink *sink = (struct dump_sink *)visitor;

	return sink->to->writeset_words
		       ? sink->to->writeset_words(sink->arg, first_word, words,
						  nr)
		       : 0;
}

static int dump_writeset_end(struct era_visitor *visitor)
{
	struct dump_sink *sink = (struct dump_sink *)visitor;

	return sink->to->writeset_end ? sink->to->writeset_end(sink->arg) : 0;
}

static int dump_eras(struct era_visitor *visitor, uint32_t first_block,
		     const uint32_t *eras, size_t nr)
{
	struct dump_sink *sink = (struct dump_sink *)visitor;

	return sink->to->eras ? sink->to->eras(sink->arg, first_block, eras, nr)
			      : 0;
}

static int dump_end(struct era_visitor *visitor)
{
	struct dump_sink *sink = (struct dump_sink *)visitor;

	return sink->to->end ? sink->to->end(sink->arg) : 0;
}

PUBLIC int dmera_dump(struct dmera *handle, unsigned int flags,
		      const struct dmera_visitor *visitor, void *arg)
{
	struct dump_sink sink = {
		.visitor = { dump_superblock, dump_writeset_begin,
			     dump_writeset_words, dump_writeset_end, dump_eras,
			     dump_end },
		.to = visitor,
		.arg = arg,
	};
	struct era_metadata md;
	struct call call;
	int r;

	if (!handle || !visitor || flags & ~DMERA_DUMP_LOGICAL)
		return -EINVAL;
	call_init(&call, handle);
	if (flags & DMERA_DUMP_LOGICAL)
		r = call_load_whole(&call, &md);
	else
		r = call_load(&call, &md);
	if (r)
		return call_error(&call, r);
	/* of the same read as all that follows, so that it fits */
	call_superblock(&sink.superblock, &md.sb, &md.live,
			call_is_snapshot(&call));
	if (flags & DMERA_DUMP_LOGICAL)
		r = era_read_logical(&md, &sink.visitor);
	else
		r = era_read(&md, &sink.visitor);
	era_metadata_release(&md);
	return call_error(&call, r);
}
