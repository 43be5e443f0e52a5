/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules of the XML form. They are strict: each block is named once and in
 * order, so that a file cut or edited by accident cannot lose a write.
 *
 * What a program generates may be looser, as long as no line can be missing:
 * writesets come in any order (the sink sorts them); where the <bit>s of a
 * writeset are all true, the blocks without one are not marked; an era array
 * that ends early goes on with the current era, for blocks that nothing is said
 * of count as written. What was completed so is said.
 *
 * One more looseness is owed to the Rust suite, which ends the list of bits at
 * nr_blocks even where a writeset's nr_bits is another number (the device was
 * resized): false bits may go on to nr_blocks, and may stop there.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format/xml_document.h"

static int __attribute__((format(printf, 2, 3)))
refuse(struct xml_document *doc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(doc->refusal, sizeof(doc->refusal), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void xml_document_init(struct xml_document *doc, struct era_visitor *sink)
{
	/* not the batches, which are large and need no initial value */
	memset(doc, 0, offsetof(struct xml_document, words));
	doc->sink = sink;
	doc->place = XML_BEFORE;
}

/* Takes the sentence of a check that reports, for us to add the line. */
static void on_geometry_problem(void *arg, const struct era_problem *problem)
{
	struct xml_document *doc = arg;

	refuse(doc, "%s", problem->text);
}

int xml_document_superblock(struct xml_document *doc,
			    const struct era_geometry *geometry)
{
	struct era_report report = { .problem = on_geometry_problem,
				     .arg = doc };
	int r = era_geometry_check(geometry, &report, NULL);

	if (r)
		return doc->refusal[0] ? r : refuse(doc, "bad geometry");
	doc->geometry = *geometry;
	doc->place = XML_SUPERBLOCK;
	return doc->sink->superblock(doc->sink, geometry);
}

int xml_document_superblock_end(struct xml_document *doc)
{
	if (!doc->any_era_array)
		return refuse(doc, "<superblock> has no <era_array>");
	doc->place = XML_AFTER;
	return 0;
}

int xml_document_writeset(struct xml_document *doc, uint32_t era,
			  uint32_t nr_bits)
{
	if (doc->any_era_array)
		return refuse(doc, "<writeset> after <era_array>");
	if (era > doc->geometry.current_era)
		return refuse(doc,
			      "writeset of era %" PRIu32
			      ", above the current era %" PRIu32,
			      era, doc->geometry.current_era);
	if (doc->any_writeset && era == doc->era)
		return refuse(doc, "writeset of era %" PRIu32 " given twice",
			      era);
	if (nr_bits >= ERA_MAX_NR_BLOCKS)
		return refuse(doc, "nr_bits %" PRIu32 " is 2^31 or more",
			      nr_bits);
	doc->unordered |= doc->any_writeset && era < doc->era;
	doc->any_writeset = true;
	doc->era = era;
	doc->nr_bits = nr_bits;
	doc->form = XML_FORM_UNKNOWN;
	doc->next_bit = 0;
	doc->any_clear = false;
	doc->nr_absent = 0;
	doc->word = 0;
	doc->word_index = 0;
	doc->first_word = 0;
	doc->nr_words = 0;
	doc->place = XML_WRITESET;
	return doc->sink->writeset_begin(doc->sink, era, nr_bits);
}

static int flush_words(struct xml_document *doc)
{
	uint32_t first = doc->first_word;
	size_t nr = doc->nr_words;

	if (!nr)
		return 0;
	doc->first_word += (uint32_t)nr;
	doc->nr_words = 0;
	return doc->sink->writeset_words(doc->sink, first, doc->words, nr);
}

/* Puts what is collected away and all zeroes after it, up to this word. */
static int go_to_word(struct xml_document *doc, uint32_t index)
{
	while (doc->word_index < index) {
		doc->words[doc->nr_words++] = doc->word;
		doc->word = 0;
		doc->word_index++;
		if (doc->nr_words == XML_BATCH_WORDS) {
			int r = flush_words(doc);

			if (r)
				return r;
		}
	}
	return 0;
}

/* One past the last block that a <bit> may name, if only as false. */
static uint32_t bits_limit(const struct xml_document *doc)
{
	uint32_t nr_blocks = doc->geometry.nr_blocks;

	return doc->nr_bits > nr_blocks ? doc->nr_bits : nr_blocks;
}

/*
 * Where blocks that are not marked are named, too, one that is not named at all
 * is a line that was lost.
 */
static int refuse_absent(struct xml_document *doc, uint64_t nr_absent)
{
	return refuse(doc,
		      "%" PRIu64 " blocks before this have no <bit>, though "
		      "blocks that are not marked have one",
		      nr_absent);
}

unsigned int xml_document_bits_wanted(const struct xml_document *doc)
{
	uint32_t next = doc->next_bit;
	uint32_t limit = next < doc->nr_bits ? doc->nr_bits : bits_limit(doc);
	uint32_t to_word_end = 64 - next % 64;

	if (doc->form == XML_FORM_MARKED)
		return 0;
	return limit - next < to_word_end ? limit - next : to_word_end;
}

int xml_document_bits(struct xml_document *doc, uint64_t bits, unsigned int n)
{
	uint32_t next = doc->next_bit;
	bool any_clear = ~bits << (64 - n);

	if (any_clear && doc->nr_absent)
		return refuse_absent(doc, doc->nr_absent);
	doc->any_clear |= any_clear;
	doc->form = XML_FORM_BITS;
	doc->next_bit += n;
	if (next >= doc->nr_bits)
		return 0;
	doc->word |= bits << (next % 64);
	/* a word that is full leaves at once */
	return go_to_word(doc, doc->next_bit / 64);
}

/* The block that an element names is none of the next ones. */
static int refuse_block(struct xml_document *doc, uint32_t block, uint32_t next,
			uint32_t limit)
{
	if (block < next)
		return refuse(doc,
			      "block %" PRIu32
			      " given twice or out of order (expected "
			      "%" PRIu32 ")",
			      block, next);
	if (block >= limit)
		return refuse(doc,
			      "block %" PRIu32 " is out of range (there are "
			      "%" PRIu32 ")",
			      block, limit);
	return refuse(doc,
		      "block %" PRIu32 " out of order (expected %" PRIu32 ")",
		      block, next);
}

int xml_document_bit(struct xml_document *doc, uint32_t block, bool value)
{
	if (doc->form == XML_FORM_MARKED)
		return refuse(doc, "<bit> in a writeset of <marked>");
	if (block >= bits_limit(doc) || block < doc->next_bit ||
	    (block > doc->next_bit && doc->any_clear))
		return refuse_block(doc, block, doc->next_bit, bits_limit(doc));
	if (block >= doc->nr_bits && value)
		return refuse_block(doc, block, 0, doc->nr_bits);
	if (block > doc->next_bit) {
		int r;

		if (!value)
			return refuse_absent(doc, doc->nr_absent + block -
							  doc->next_bit);
		r = go_to_word(doc, block / 64);
		if (r)
			return r;
		doc->nr_absent += block - doc->next_bit;
		doc->next_bit = block;
	}
	return xml_document_bits(doc, value, 1);
}

static int mark(struct xml_document *doc, uint32_t begin, uint32_t end)
{
	while (begin < end) {
		uint32_t in_word = 64 - begin % 64;
		uint32_t n = end - begin < in_word ? end - begin : in_word;
		uint64_t ones = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
		int r = go_to_word(doc, begin / 64);

		if (r)
			return r;
		doc->word |= ones << (begin % 64);
		begin += n;
	}
	return 0;
}

int xml_document_marked(struct xml_document *doc, uint32_t begin, uint32_t len)
{
	if (doc->form == XML_FORM_BITS)
		return refuse(doc, "<marked> in a writeset of <bit>");
	if (begin < doc->next_bit || begin >= doc->nr_bits)
		return refuse_block(doc, begin, doc->next_bit, doc->nr_bits);
	if (!len)
		return refuse(doc, "<marked> of no block");
	if (len > doc->nr_bits - begin)
		return refuse_block(doc, doc->nr_bits, 0, doc->nr_bits);
	doc->form = XML_FORM_MARKED;
	doc->next_bit = begin + len;
	return mark(doc, begin, begin + len);
}

int xml_document_writeset_end(struct xml_document *doc)
{
	uint32_t nr_blocks = doc->geometry.nr_blocks;
	uint32_t least = doc->nr_bits < nr_blocks ? doc->nr_bits : nr_blocks;
	int r;

	if (doc->form == XML_FORM_BITS && !doc->any_clear &&
	    doc->next_bit < doc->nr_bits)
		doc->nr_absent += doc->nr_bits - doc->next_bit;
	else if (doc->form == XML_FORM_BITS && doc->next_bit < least)
		return refuse(doc,
			      "writeset of era %" PRIu32 " has %" PRIu32
			      " bits, %" PRIu32 " are missing",
			      doc->era, doc->next_bit, least - doc->next_bit);
	doc->nr_sparse += doc->nr_absent != 0;
	doc->nr_absent_bits += doc->nr_absent;
	doc->place = XML_SUPERBLOCK;
	r = go_to_word(doc, era_nr_words(doc->nr_bits));
	if (!r)
		r = flush_words(doc);
	return r ? r : doc->sink->writeset_end(doc->sink);
}

int xml_document_era_array(struct xml_document *doc)
{
	if (doc->any_era_array)
		return refuse(doc, "a second <era_array>");
	doc->any_era_array = true;
	doc->place = XML_ERA_ARRAY;
	return 0;
}

uint32_t *xml_document_era_room(struct xml_document *doc, size_t *nr,
				uint32_t *block)
{
	uint32_t left;

	*block = doc->first_era + (uint32_t)doc->nr_eras;
	left = doc->geometry.nr_blocks - *block;
	*nr = XML_BATCH_ERAS - doc->nr_eras;
	if (*nr > left)
		*nr = left;
	return doc->eras + doc->nr_eras;
}

static int flush_eras(struct xml_document *doc)
{
	uint32_t first = doc->first_era;
	size_t nr = doc->nr_eras;

	if (!nr)
		return 0;
	doc->first_era += (uint32_t)nr;
	doc->nr_eras = 0;
	return doc->sink->eras(doc->sink, first, doc->eras, nr);
}

int xml_document_eras(struct xml_document *doc, size_t n)
{
	doc->nr_eras += n;
	return doc->nr_eras == XML_BATCH_ERAS ? flush_eras(doc) : 0;
}

int xml_document_era(struct xml_document *doc, uint32_t block, uint32_t era)
{
	uint32_t next;
	size_t nr;
	uint32_t *room = xml_document_era_room(doc, &nr, &next);

	if (!nr || block != next)
		return refuse_block(doc, block, next, doc->geometry.nr_blocks);
	if (era > doc->geometry.current_era)
		return refuse(doc,
			      "block %" PRIu32 " has era %" PRIu32
			      ", above the current era %" PRIu32,
			      block, era, doc->geometry.current_era);
	*room = era;
	return xml_document_eras(doc, 1);
}

static int fill_eras(struct xml_document *doc, uint32_t len, uint32_t era)
{
	int r = 0;

	while (len && !r) {
		uint32_t next;
		size_t nr;
		uint32_t *room = xml_document_era_room(doc, &nr, &next);

		nr = nr < len ? nr : len;
		for (size_t i = 0; i < nr; i++)
			room[i] = era;
		len -= (uint32_t)nr;
		r = xml_document_eras(doc, nr);
	}
	return r;
}

int xml_document_era_run(struct xml_document *doc, uint32_t begin, uint32_t len,
			 uint32_t era)
{
	uint32_t nr_blocks = doc->geometry.nr_blocks;
	uint32_t next = doc->first_era + (uint32_t)doc->nr_eras;

	if (begin != next || begin >= nr_blocks)
		return refuse_block(doc, begin, next, nr_blocks);
	if (!len)
		return refuse(doc, "<eras> of no block");
	if (len > nr_blocks - begin)
		return refuse_block(doc, nr_blocks, 0, nr_blocks);
	if (era > doc->geometry.current_era)
		return refuse(doc,
			      "block %" PRIu32 " has era %" PRIu32
			      ", above the current era %" PRIu32,
			      begin, era, doc->geometry.current_era);
	return fill_eras(doc, len, era);
}

int xml_document_era_array_end(struct xml_document *doc)
{
	uint32_t nr = doc->first_era + (uint32_t)doc->nr_eras;
	int r;

	doc->nr_absent_eras = doc->geometry.nr_blocks - nr;
	r = fill_eras(doc, doc->nr_absent_eras, doc->geometry.current_era);
	if (r)
		return r;
	doc->place = XML_SUPERBLOCK;
	return flush_eras(doc);
}

static void say_what_was_completed(const struct xml_document *doc,
				   struct era_report *report)
{
	uint32_t nr_blocks = doc->geometry.nr_blocks;

	if (doc->unordered)
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "the writesets were put into the order of their "
			   "eras");
	if (doc->nr_sparse)
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "%" PRIu32 " writeset%s only marked blocks: the "
			   "%" PRIu64 " without a <bit> count as not marked",
			   doc->nr_sparse,
			   doc->nr_sparse == 1 ? " names" : "s name",
			   doc->nr_absent_bits);
	if (doc->nr_absent_eras)
		era_report(
			report, ERA_NOTE, NULL,
			((struct era_data_range){
				nr_blocks - doc->nr_absent_eras, nr_blocks }),
			"<era_array> has %" PRIu32 " entries, nr_blocks says "
			"%" PRIu32 ": the blocks without one count as written "
			"in the current era, %" PRIu32,
			nr_blocks - doc->nr_absent_eras, nr_blocks,
			doc->geometry.current_era);
}

int xml_document_end(struct xml_document *doc, struct era_report *report)
{
	say_what_was_completed(doc, report);
	return doc->sink->end(doc->sink);
}
