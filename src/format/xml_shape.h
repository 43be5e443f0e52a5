/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shape of an element that was scanned: its bytes but for the values. The
 * next one looks the same as a rule, and is compared with it instead of being
 * scanned.
 *
 * Contract: what matches is what the scan would have found, as digits for
 * digits, and `true` for `false`, change nothing about how bytes are read.
 */
#ifndef FORMAT_XML_SHAPE_H
#define FORMAT_XML_SHAPE_H

#include "format/decimal.h"
#include "format/xml_tag.h"

/* Bytes of a literal; with a number behind it, it fits the words. */
#define XML_LITERAL_MAX 48u
#define XML_LITERAL_WORDS ((XML_LITERAL_MAX + 16) / 8)

/* Bytes to compare with, by eight. */
struct xml_literal {
	uint64_t words[XML_LITERAL_WORDS];
	uint64_t mask;	   /* of the last word that counts */
	unsigned int last; /* which that is */
	unsigned int len;  /* 1 at least */
	char text[XML_LITERAL_WORDS * 8];
};

/* All zero: none. */
struct xml_shape {
	bool is;
	enum xml_name name;
	unsigned int nr_values;
	uint8_t order[XML_TAG_MAX_VALUES]; /* as in the tag */
	/* before each value, and behind the last one */
	struct xml_literal literals[XML_TAG_MAX_VALUES + 1];
	unsigned int nr_lines; /* that it ends */
	bool ends_line;
};

/* Takes the shape of an empty element, all of which lies in [begin, end). */
void xml_shape_learn(struct xml_shape *shape, const struct xml_tag *tag,
		     const char *begin, const char *end);

/*
 * Whether an element of this shape lies at *at: its values, those of <bit> as
 * 0 and 1, by the order of its name. Moves *at behind it.
 */
bool xml_shape_match(const struct xml_shape *shape, const char **at,
		     uint32_t *values);

/*
 * How many such elements of two values follow, at most max, the first value
 * being block, and one more in each: the second ones, none above limit.
 */
size_t xml_shape_match_run(const struct xml_shape *shape, const char **at,
			   uint32_t block, size_t max, uint32_t limit,
			   uint32_t *values);

#endif
