/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Literals are compared one after the other, each only where the one before
 * matched: so no more is read behind the end of the text than one of them is
 * long, and the zeroes there match none.
 */
#include "config.h"

#include "format/xml_number.h"
#include "format/xml_shape.h"

/* --- literals ------------------------------------------------------------- */

/* text is zero behind len. */
static void literal_finish(struct xml_literal *literal)
{
	unsigned int rest = (literal->len + 7) % 8 + 1;
	char mask[8] = { 0 };

	literal->last = (literal->len + 7) / 8 - !!literal->len;
	memset(mask, 0xff, rest);
	literal->mask = load8(mask);
	for (unsigned int i = 0; i <= literal->last; i++)
		literal->words[i] = load8(literal->text + i * 8);
}

static bool literal_set(struct xml_literal *literal, const char *begin,
			const char *end)
{
	size_t len = (size_t)(end - begin);

	if (!len || len > XML_LITERAL_MAX)
		return false;
	memset(literal->text, 0, sizeof(literal->text));
	memcpy(literal->text, begin, len);
	literal->len = (unsigned int)len;
	literal_finish(literal);
	return true;
}

/* What stands before the last digit of a block. */
static void literal_set_head(struct xml_literal *head,
			     const struct xml_literal *literal, uint32_t block)
{
	memcpy(head->text, literal->text, sizeof(head->text));
	head->len = literal->len;
	if (block >= 10)
		head->len += (unsigned int)decimal_put(head->text + head->len,
						       block / 10);
	literal_finish(head);
}

static inline bool literal_matches(const struct xml_literal *literal,
				   const char *p)
{
	unsigned int last = literal->last;
	uint64_t differs =
		(load8(p + last * 8) ^ literal->words[last]) & literal->mask;

	for (unsigned int i = 0; i < last; i++)
		differs |= load8(p + i * 8) ^ literal->words[i];
	return !differs;
}

static inline bool eat(const struct xml_literal *literal, const char **at)
{
	if (!literal_matches(literal, *at))
		return false;
	*at += literal->len;
	return true;
}

/* Without a branch on which it is, for nobody can predict that. */
static inline bool eat_bool(const char **at, uint32_t *value)
{
	uint64_t what = load8(*at);
	uint64_t ends = load8("\xff\xff\xff\xff\xff\0\0");
	bool is_true = !memcmp(*at, "true", 4);
	bool is_false = (what & ends) == load8("false\0\0");

	*value = is_true;
	*at += 4 + is_false;
	return is_true | is_false;
}

static inline bool eat_value(const struct xml_shape *shape, unsigned int which,
			     const char **at, uint32_t *value)
{
	if (shape->name == XML_NAME_BIT && which)
		return eat_bool(at, value);
	return lex_number(at, value);
}

/* --- shapes --------------------------------------------------------------- */

static bool set_literals(struct xml_shape *shape, const struct xml_tag *tag,
			 const char *begin, const char *end)
{
	for (unsigned int i = 0; i < tag->nr_values; i++) {
		const struct xml_value *value = &tag->values[tag->order[i]];

		if (!literal_set(&shape->literals[i], begin, value->p))
			return false;
		begin = value->p + value->len;
	}
	return literal_set(&shape->literals[tag->nr_values], begin, end);
}

void xml_shape_learn(struct xml_shape *shape, const struct xml_tag *tag,
		     const char *begin, const char *end)
{
	shape->name = tag->name;
	shape->nr_values = tag->nr_values;
	memcpy(shape->order, tag->order, sizeof(shape->order));
	shape->nr_lines = 0;
	for (const char *p = begin; p < end; p++)
		shape->nr_lines += *p == '\n';
	shape->ends_line = end[-1] == '\n';
	/* where lines end in the midst of it, nobody keeps the column */
	shape->is = set_literals(shape, tag, begin, end) &&
		    (shape->ends_line || !shape->nr_lines);
}

bool xml_shape_match(const struct xml_shape *shape, const char **at,
		     uint32_t *values)
{
	const char *p = *at;

	for (unsigned int i = 0; i < shape->nr_values; i++) {
		unsigned int which = shape->order[i];

		if (!eat(&shape->literals[i], &p) ||
		    !eat_value(shape, which, &p, &values[which]))
			return false;
	}
	if (!eat(&shape->literals[shape->nr_values], &p))
		return false;
	*at = p;
	return true;
}

/* The last digit of a block, where its head was eaten. */
static inline bool eat_digit(const char **at, unsigned int digit)
{
	return *(*at)++ == (char)('0' + digit);
}

/* One element; head is the literal before its block, with that but for digit.
 */
static inline bool eat_next(const struct xml_shape *shape, const char **at,
			    const struct xml_literal *head, unsigned int digit,
			    uint32_t *value)
{
	const struct xml_literal *literals = shape->literals;

	if (shape->order[0])
		return eat(&literals[0], at) &&
		       eat_value(shape, 1, at, value) && eat(head, at) &&
		       eat_digit(at, digit) && eat(&literals[2], at);
	return eat(head, at) && eat_digit(at, digit) && eat(&literals[1], at) &&
	       eat_value(shape, 1, at, value) && eat(&literals[2], at);
}

size_t xml_shape_match_run(const struct xml_shape *shape, const char **at,
			   uint32_t block, size_t max, uint32_t limit,
			   uint32_t *values)
{
	const struct xml_literal *before = &shape->literals[!!shape->order[0]];
	unsigned int digit = block % 10;
	struct xml_literal head;
	const char *p = *at;
	size_t n;

	literal_set_head(&head, before, block);
	for (n = 0; n < max; n++) {
		if (!eat_next(shape, &p, &head, digit, &values[n]) ||
		    values[n] > limit)
			break;
		*at = p;
		if (++digit == 10) {
			digit = 0;
			literal_set_head(&head, before,
					 block + (uint32_t)n + 1);
		}
	}
	return n;
}
