/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the elements of the XML form mean, in which order they may come and
 * what their numbers may be. Whoever reads XML calls this for each element;
 * it collects batches and drives the sink.
 *
 * Contract: a function returns 0, or -EINVAL with a sentence in refusal, and
 * has then changed nothing, or the sink's error with refusal empty. Elements
 * are only given where xml_document_place says that they may stand.
 */
#ifndef FORMAT_XML_DOCUMENT_H
#define FORMAT_XML_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "era/visitor.h"

#define XML_BATCH_WORDS 4096u
#define XML_BATCH_ERAS 16384u

/* The innermost element that is open. */
enum xml_place {
	XML_BEFORE,
	XML_SUPERBLOCK,
	XML_WRITESET,
	XML_ERA_ARRAY,
	XML_AFTER,
};

enum xml_writeset_form {
	XML_FORM_UNKNOWN, /* no element yet */
	XML_FORM_BITS,
	XML_FORM_MARKED,
};

struct xml_document {
	struct era_visitor *sink;
	char refusal[256];
	enum xml_place place;
	struct era_geometry geometry;
	bool any_writeset;
	bool any_era_array;

	/* what was completed, to be said at the end */
	bool unordered;		 /* writesets, by their eras */
	uint32_t nr_sparse;	 /* writesets that name only marked blocks */
	uint64_t nr_absent_bits; /* of those */
	uint32_t nr_absent_eras;

	/* the open writeset, or the last one */
	uint32_t era;
	uint32_t nr_bits;
	enum xml_writeset_form form;
	uint32_t next_bit;   /* the lowest block the next element may name */
	bool any_clear;	     /* a <bit> said that a block is not marked */
	uint64_t nr_absent;  /* blocks before next_bit without a <bit> */
	uint64_t word;	     /* being collected, */
	uint32_t word_index; /* as this one of the writeset */
	uint32_t first_word; /* of the batch */
	size_t nr_words;

	/* the era array */
	uint32_t first_era; /* block of the batch's first entry */
	size_t nr_eras;

	uint64_t words[XML_BATCH_WORDS];
	uint32_t eras[XML_BATCH_ERAS];
};

void xml_document_init(struct xml_document *doc, struct era_visitor *sink);

int xml_document_superblock(struct xml_document *doc,
			    const struct era_geometry *geometry);
int xml_document_superblock_end(struct xml_document *doc);

int xml_document_writeset(struct xml_document *doc, uint32_t era,
			  uint32_t nr_bits);
int xml_document_bit(struct xml_document *doc, uint32_t block, bool value);
int xml_document_marked(struct xml_document *doc, uint32_t begin, uint32_t len);
int xml_document_writeset_end(struct xml_document *doc);

int xml_document_era_array(struct xml_document *doc);
int xml_document_era(struct xml_document *doc, uint32_t block, uint32_t era);
int xml_document_era_run(struct xml_document *doc, uint32_t begin, uint32_t len,
			 uint32_t era);
int xml_document_era_array_end(struct xml_document *doc);

/* All has been read: says what was completed; the sink's end. */
int xml_document_end(struct xml_document *doc, struct era_report *report);

/*
 * Many at once, for a lexer. How many <bit> elements may follow, from
 * next_bit on, before the next call here; at most 64, and 0 if none may.
 */
unsigned int xml_document_bits_wanted(const struct xml_document *doc);

/*
 * n of those, the lowest bit being block next_bit; all are false where
 * next_bit is nr_bits or more.
 */
int xml_document_bits(struct xml_document *doc, uint64_t bits, unsigned int n);

/* Room for the next <era> elements, and the block of the first of them. */
uint32_t *xml_document_era_room(struct xml_document *doc, size_t *nr,
				uint32_t *block);

/* n of them were put there, none above geometry.current_era. */
int xml_document_eras(struct xml_document *doc, size_t n);

#endif
