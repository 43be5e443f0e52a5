/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compares instead of reading: the next line is known but for the value of a
 * bit or an era, and is compared with what it should be in words of 8 bytes.
 * The zeroes behind the window match nothing, so ends need no checks.
 *
 * What is not in the suites' form is scanned tag by tag, and its shape kept,
 * with which the elements behind it are compared in turn.
 */
#include "config.h"

#include <string.h>

#include "format/decimal.h"
#include "format/xml_lexer.h"
#include "format/xml_number.h"
#include "format/xml_shape.h"
#include "format/xml_tag.h"

#define START_LEN 16 /* of `    <bit block="`, and of `    <era block="` */

/* The start of the next ten lines, without the last digit of the block. */
struct expected {
	char text[START_LEN + DECIMAL_MAX];
	size_t len; /* 16..25 */
	uint64_t words[4];
};

static void expect(struct expected *expected, const char start[START_LEN],
		   uint32_t block)
{
	const char *text = expected->text;
	size_t len = START_LEN;

	memcpy(expected->text, start, START_LEN);
	if (block >= 10)
		len += decimal_put(expected->text + START_LEN, block / 10);
	expected->len = len;
	expected->words[0] = load8(text);
	expected->words[1] = load8(text + 8);
	expected->words[2] = load8(text + len - 16);
	expected->words[3] = load8(text + len - 8);
}

/* The first 16 bytes and the last 16: all of it, as it is 25 at most. */
static inline bool matches(const struct expected *expected, const char *p)
{
	const char *end = p + expected->len;

	return !((load8(p) ^ expected->words[0]) |
		 (load8(p + 8) ^ expected->words[1]) |
		 (load8(end - 16) ^ expected->words[2]) |
		 (load8(end - 8) ^ expected->words[3]));
}

static inline uint64_t load2(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * A <bit> line from the block's last digit on: that digit, `" value=`,
 * `"false"/` or `"true"/>`, and `>` LF where it ends. Without branches on the
 * value, which nobody can predict. Returns the end, or NULL.
 */
static inline const char *match_value(const char *p, unsigned int digit,
				      uint64_t *bit)
{
	uint64_t what = load8(p + 9);
	bool is_true = what == load8("\"true\"/>");
	bool is_false = what == load8("\"false\"/");
	const char *end = p + 18 + is_false;

	*bit = is_true;
	if (((uint64_t)(unsigned char)p[0] ^ ('0' + digit)) |
	    (load8(p + 1) ^ load8("\" value=")) |
	    (load2(end - 2) ^ load2(">\n")) | !(is_true | is_false))
		return NULL;
	return end;
}

/*
 * Up to max <bit> lines for the blocks from block on, the first in the lowest
 * of bits. Returns how many, and moves *at behind them.
 */
static unsigned int lex_bits(const char **at, uint32_t block, unsigned int max,
			     uint64_t *bits)
{
	const char *p = *at;
	struct expected expected;
	unsigned int n, digit = block % 10;
	uint64_t bit;

	*bits = 0;
	expect(&expected, "    <bit block=\"", block);
	for (n = 0; n < max && matches(&expected, p); n++) {
		p = match_value(p + expected.len, digit, &bit);
		if (!p)
			break;
		*bits |= bit << n;
		*at = p;
		if (++digit == 10) {
			digit = 0;
			expect(&expected, "    <bit block=\"", block + n + 1);
		}
	}
	return n;
}

static inline bool lex_string(const char **at, const char *string, size_t len)
{
	if (memcmp(*at, string, len))
		return false;
	*at += len;
	return true;
}

#define LEX_LITERAL(at, literal) lex_string(at, literal, sizeof(literal) - 1)

/* Up to max <era> lines as above, into eras, none above limit. */
static size_t lex_eras(const char **at, uint32_t block, size_t max,
		       uint32_t limit, uint32_t *eras)
{
	const char *p = *at;
	const char *end = p;
	struct expected expected;
	unsigned int digit = block % 10;
	size_t n;

	expect(&expected, "    <era block=\"", block);
	for (n = 0; n < max && matches(&expected, p); n++) {
		p += expected.len;
		if (*p++ != (char)('0' + digit) ||
		    !LEX_LITERAL(&p, "\" era=\"") ||
		    !lex_number(&p, &eras[n]) || !LEX_LITERAL(&p, "\"/>\n") ||
		    eras[n] > limit)
			break;
		end = p;
		if (++digit == 10) {
			digit = 0;
			expect(&expected, "    <era block=\"",
			       block + (uint32_t)n + 1);
		}
	}
	*at = end;
	return n;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Empty or 32 digits, as we write it. */
static bool lex_uuid(const char **at, uint8_t uuid[16])
{
	const char *p = *at;

	memset(uuid, 0, 16);
	if (*p == '"')
		return true;
	for (int i = 0; i < 16; i++, p += 2) {
		int high = hex_value(p[0]);
		int low = high < 0 ? -1 : hex_value(p[1]);

		if (low < 0)
			return false;
		uuid[i] = (uint8_t)(high << 4 | low);
	}
	*at = p;
	return true;
}

struct lexer {
	struct input_window *window;
	struct xml_document *doc;
	const char *at; /* moves over what the document took */
	struct xml_mark mark;
	struct xml_shape shape; /* of the last element that was scanned */
};

/*
 * The functions below lex one line, or as many like it as there are; then
 * those that take any form one tag, or as many. They return one of these, or a
 * negative errno of the sink.
 */
enum {
	LEX_NO,	  /* of another form */
	LEX_TOOK, /* the document has it */
	LEX_STOP, /* refused, or not simple: for the parser */
	LEX_MORE, /* it may be only the first part */
};

static int took(struct lexer *lexer, const char *end, unsigned int lines, int r)
{
	if (r)
		return lexer->doc->refusal[0] ? LEX_STOP : r;
	lexer->at = end;
	lexer->mark.line += lines;
	lexer->mark.column = 0;
	return LEX_TOOK;
}

static int lex_superblock(struct lexer *lexer)
{
	const char *p = lexer->at;
	struct era_geometry g;

	if (!LEX_LITERAL(&p, "<superblock uuid=\"") || !lex_uuid(&p, g.uuid) ||
	    !LEX_LITERAL(&p, "\" block_size=\"") ||
	    !lex_number(&p, &g.data_block_size) ||
	    !LEX_LITERAL(&p, "\" nr_blocks=\"") ||
	    !lex_number(&p, &g.nr_blocks) ||
	    !LEX_LITERAL(&p, "\" current_era=\"") ||
	    !lex_number(&p, &g.current_era) || !LEX_LITERAL(&p, "\">\n"))
		return LEX_NO;
	return took(lexer, p, 1, xml_document_superblock(lexer->doc, &g));
}

/* The Rust suite ends there, without a newline. */
static int lex_superblock_end(struct lexer *lexer)
{
	const struct input_window *window = lexer->window;
	const char *p = lexer->at;
	bool at_end;

	if (!LEX_LITERAL(&p, "</superblock>"))
		return LEX_NO;
	at_end = window->eof && p == window->end;
	if (!at_end && *p++ != '\n')
		return LEX_NO;
	return took(lexer, p, !at_end, xml_document_superblock_end(lexer->doc));
}

static int lex_in_superblock(struct lexer *lexer)
{
	const char *p = lexer->at;
	uint32_t era, nr_bits;

	if (LEX_LITERAL(&p, "  <era_array>\n"))
		return took(lexer, p, 1, xml_document_era_array(lexer->doc));
	if (!LEX_LITERAL(&p, "  <writeset era=\"") || !lex_number(&p, &era) ||
	    !LEX_LITERAL(&p, "\" nr_bits=\"") || !lex_number(&p, &nr_bits) ||
	    !LEX_LITERAL(&p, "\">\n"))
		return lex_superblock_end(lexer);
	return took(lexer, p, 1,
		    xml_document_writeset(lexer->doc, era, nr_bits));
}

static int lex_marked(struct lexer *lexer)
{
	const char *p = lexer->at;
	uint32_t begin, len;

	if (!LEX_LITERAL(&p, "    <marked block_begin=\"") ||
	    !lex_number(&p, &begin) || !LEX_LITERAL(&p, "\" len=\"") ||
	    !lex_number(&p, &len) || !LEX_LITERAL(&p, "\"/>\n"))
		return LEX_NO;
	return took(lexer, p, 1, xml_document_marked(lexer->doc, begin, len));
}

/* A <bit> that is none of the next ones, which only a true one may be. */
static int lex_true_bit(struct lexer *lexer)
{
	const char *p = lexer->at;
	uint32_t block;

	if (!LEX_LITERAL(&p, "    <bit block=\"") || !lex_number(&p, &block) ||
	    !LEX_LITERAL(&p, "\" value=\"true\"/>\n"))
		return lex_marked(lexer);
	return took(lexer, p, 1, xml_document_bit(lexer->doc, block, true));
}

static int lex_in_writeset(struct lexer *lexer)
{
	struct xml_document *doc = lexer->doc;
	const char *p = lexer->at;
	unsigned int n, wanted = xml_document_bits_wanted(doc);
	uint64_t bits;

	n = wanted ? lex_bits(&p, doc->next_bit, wanted, &bits) : 0;
	if (n) {
		/* to be refused: written, and out of range */
		if (bits && doc->next_bit >= doc->nr_bits)
			return LEX_STOP;
		return took(lexer, p, n, xml_document_bits(doc, bits, n));
	}
	if (LEX_LITERAL(&p, "  </writeset>\n"))
		return took(lexer, p, 1, xml_document_writeset_end(doc));
	return lex_true_bit(lexer);
}

static int lex_era_run(struct lexer *lexer)
{
	const char *p = lexer->at;
	uint32_t begin, len, era;

	if (!LEX_LITERAL(&p, "    <eras block_begin=\"") ||
	    !lex_number(&p, &begin) || !LEX_LITERAL(&p, "\" len=\"") ||
	    !lex_number(&p, &len) || !LEX_LITERAL(&p, "\" era=\"") ||
	    !lex_number(&p, &era) || !LEX_LITERAL(&p, "\"/>\n"))
		return LEX_NO;
	return took(lexer, p, 1,
		    xml_document_era_run(lexer->doc, begin, len, era));
}

static int lex_in_era_array(struct lexer *lexer)
{
	struct xml_document *doc = lexer->doc;
	const char *p = lexer->at;
	uint32_t block;
	size_t n, nr;
	uint32_t *room = xml_document_era_room(doc, &nr, &block);

	n = lex_eras(&p, block, nr, doc->geometry.current_era, room);
	if (n)
		return took(lexer, p, (unsigned int)n,
			    xml_document_eras(doc, n));
	if (LEX_LITERAL(&p, "  </era_array>\n"))
		return took(lexer, p, 1, xml_document_era_array_end(doc));
	return lex_era_run(lexer);
}

static int lex_known(struct lexer *lexer)
{
	switch (lexer->doc->place) {
	case XML_BEFORE:
		return lex_superblock(lexer);
	case XML_SUPERBLOCK:
		return lex_in_superblock(lexer);
	case XML_WRITESET:
		return lex_in_writeset(lexer);
	case XML_ERA_ARRAY:
		return lex_in_era_array(lexer);
	case XML_AFTER:
	default:
		return LEX_NO;
	}
}

/* --- any form ------------------------------------------------------------- */

/* As took(), of what can begin or end in the midst of a line. */
static int took_bytes(struct lexer *lexer, const char *end, int r)
{
	struct xml_mark mark = lexer->mark;

	for (const char *p = lexer->at; p < end; p++) {
		/* that of a byte order mark are no characters */
		mark.column += (unsigned char)*p < 0x80;
		if (*p != '\n')
			continue;
		mark.line++;
		mark.column = 0;
	}
	r = took(lexer, end, 0, r);
	if (r == LEX_TOOK)
		lexer->mark = mark;
	return r;
}

/* As took(), of n elements of the shape. */
static int took_shape(struct lexer *lexer, const char *end, size_t n, int r)
{
	const struct xml_shape *shape = &lexer->shape;
	uint64_t column =
		shape->ends_line
			? 0
			: lexer->mark.column + (uint64_t)(end - lexer->at);

	r = took(lexer, end, (unsigned int)n * shape->nr_lines, r);
	if (r == LEX_TOOK)
		lexer->mark.column = column;
	return r;
}

/* The next <bit> elements, without a gap. */
static int shape_bits(struct lexer *lexer)
{
	struct xml_document *doc = lexer->doc;
	uint32_t values[64];
	const char *p = lexer->at;
	unsigned int wanted = xml_document_bits_wanted(doc);
	uint64_t bits = 0;
	size_t n;

	if (!wanted)
		return LEX_NO;
	n = xml_shape_match_run(&lexer->shape, &p, doc->next_bit, wanted, 1,
				values);
	if (!n)
		return LEX_NO;
	for (size_t i = 0; i < n; i++)
		bits |= (uint64_t)values[i] << i;
	if (bits && doc->next_bit >= doc->nr_bits)
		return LEX_STOP;
	return took_shape(lexer, p, n,
			  xml_document_bits(doc, bits, (unsigned int)n));
}

static int shape_eras(struct lexer *lexer)
{
	struct xml_document *doc = lexer->doc;
	const char *p = lexer->at;
	uint32_t block;
	size_t n, nr;
	uint32_t *room = xml_document_era_room(doc, &nr, &block);

	n = xml_shape_match_run(&lexer->shape, &p, block, nr,
				doc->geometry.current_era, room);
	return n ? took_shape(lexer, p, n, xml_document_eras(doc, n)) : LEX_NO;
}

/* The values of an element without content. */
static int give_leaf(struct xml_document *doc, enum xml_name name,
		     const uint32_t *values)
{
	switch (name) {
	case XML_NAME_BIT:
		return xml_document_bit(doc, values[0], values[1]);
	case XML_NAME_MARKED:
		return xml_document_marked(doc, values[0], values[1]);
	case XML_NAME_ERA:
		return xml_document_era(doc, values[0], values[1]);
	case XML_NAME_ERAS:
	default:
		return xml_document_era_run(doc, values[0], values[1],
					    values[2]);
	}
}

static bool leaf_may_stand(const struct xml_document *doc, enum xml_name name)
{
	if (name == XML_NAME_BIT || name == XML_NAME_MARKED)
		return doc->place == XML_WRITESET;
	return doc->place == XML_ERA_ARRAY;
}

/* Elements of the shape of the one before. */
static int lex_shape(struct lexer *lexer)
{
	const struct xml_shape *shape = &lexer->shape;
	uint32_t values[XML_TAG_MAX_VALUES] = { 0 };
	const char *p = lexer->at;
	int r = LEX_NO;

	if (!shape->is || !leaf_may_stand(lexer->doc, shape->name))
		return LEX_NO;
	if (shape->name == XML_NAME_BIT)
		r = shape_bits(lexer);
	else if (shape->name == XML_NAME_ERA)
		r = shape_eras(lexer);
	if (r != LEX_NO || !xml_shape_match(shape, &p, values))
		return r;
	return took_shape(lexer, p, 1,
			  give_leaf(lexer->doc, shape->name, values));
}

static int take_leaf(struct lexer *lexer, const struct xml_tag *tag,
		     const char *end)
{
	uint32_t values[XML_TAG_MAX_VALUES] = { 0 };
	bool fits = leaf_may_stand(lexer->doc, tag->name);
	const char *begin = lexer->at;
	int r;

	for (unsigned int i = 0; i < tag->nr_values && fits; i++)
		fits = i && tag->name == XML_NAME_BIT
			       ? xml_value_bool(&tag->values[i], &values[i])
			       : xml_value_number(&tag->values[i], &values[i]);
	if (!fits)
		return LEX_STOP;
	r = took_bytes(lexer, end, give_leaf(lexer->doc, tag->name, values));
	if (r == LEX_TOOK)
		xml_shape_learn(&lexer->shape, tag, begin, end);
	return r;
}

static int take_superblock(struct lexer *lexer, const struct xml_tag *tag,
			   const char *end)
{
	struct xml_document *doc = lexer->doc;
	struct era_geometry g;

	if (tag->kind == XML_TAG_END && doc->place == XML_SUPERBLOCK)
		return took_bytes(lexer, end, xml_document_superblock_end(doc));
	if (tag->kind != XML_TAG_START || doc->place != XML_BEFORE ||
	    !xml_value_uuid(&tag->values[0], g.uuid) ||
	    !xml_value_number(&tag->values[1], &g.data_block_size) ||
	    !xml_value_number(&tag->values[2], &g.nr_blocks) ||
	    !xml_value_number(&tag->values[3], &g.current_era))
		return LEX_STOP;
	return took_bytes(lexer, end, xml_document_superblock(doc, &g));
}

/* One that holds nothing is never refused at its end. */
static int take_writeset(struct lexer *lexer, const struct xml_tag *tag,
			 const char *end)
{
	struct xml_document *doc = lexer->doc;
	uint32_t era, nr_bits;
	int r;

	if (tag->kind == XML_TAG_END && doc->place == XML_WRITESET)
		return took_bytes(lexer, end, xml_document_writeset_end(doc));
	if (tag->kind == XML_TAG_END || doc->place != XML_SUPERBLOCK ||
	    !xml_value_number(&tag->values[0], &era) ||
	    !xml_value_number(&tag->values[1], &nr_bits))
		return LEX_STOP;
	r = xml_document_writeset(doc, era, nr_bits);
	if (!r && tag->kind == XML_TAG_EMPTY)
		r = xml_document_writeset_end(doc);
	return took_bytes(lexer, end, r);
}

static int take_era_array(struct lexer *lexer, const struct xml_tag *tag,
			  const char *end)
{
	struct xml_document *doc = lexer->doc;
	int r;

	if (tag->kind == XML_TAG_END && doc->place == XML_ERA_ARRAY)
		return took_bytes(lexer, end, xml_document_era_array_end(doc));
	if (tag->kind == XML_TAG_END || doc->place != XML_SUPERBLOCK)
		return LEX_STOP;
	r = xml_document_era_array(doc);
	if (!r && tag->kind == XML_TAG_EMPTY)
		r = xml_document_era_array_end(doc);
	return took_bytes(lexer, end, r);
}

static int take_tag(struct lexer *lexer, const struct xml_tag *tag,
		    const char *end)
{
	switch (tag->name) {
	case XML_NAME_SUPERBLOCK:
		return take_superblock(lexer, tag, end);
	case XML_NAME_WRITESET:
		return take_writeset(lexer, tag, end);
	case XML_NAME_ERA_ARRAY:
		return take_era_array(lexer, tag, end);
	case XML_NAME_BIT:
	case XML_NAME_ERA:
	case XML_NAME_ERAS:
	case XML_NAME_MARKED:
	default:
		return tag->kind == XML_TAG_EMPTY ? take_leaf(lexer, tag, end)
						  : LEX_STOP;
	}
}

static int lex_comment(struct lexer *lexer, struct xml_cursor cursor)
{
	enum xml_scan_result result = xml_scan_comment(&cursor);

	if (result == XML_SCAN_OK)
		return took_bytes(lexer, cursor.at, 0);
	return result == XML_SCAN_MORE && !cursor.eof ? LEX_MORE : LEX_NO;
}

/*
 * What stands before the first tag goes with it: from there on nobody can tell
 * libxml2 the encoding.
 */
static int lex_tag(struct lexer *lexer, struct xml_cursor cursor)
{
	enum xml_scan_result result = XML_SCAN_OK;
	struct xml_tag tag;

	if (lexer->doc->place == XML_BEFORE)
		result = xml_scan_prolog(&cursor);
	if (result == XML_SCAN_OK)
		result = xml_scan_tag(&cursor, &tag);
	if (result == XML_SCAN_OK)
		return take_tag(lexer, &tag, cursor.at);
	return result == XML_SCAN_MORE ? LEX_MORE : LEX_STOP;
}

static int lex_end(struct lexer *lexer, struct xml_cursor cursor)
{
	enum xml_scan_result result = xml_scan_end(&cursor);

	if (result == XML_SCAN_OK)
		return took_bytes(lexer, cursor.at, 0);
	return result == XML_SCAN_MORE ? LEX_MORE : LEX_STOP;
}

/* One tag, comment or end of the document. */
static int lex_any(struct lexer *lexer)
{
	const struct input_window *window = lexer->window;
	struct xml_cursor cursor = { lexer->at, window->end, window->eof };
	int r = LEX_NO;

	if (lexer->doc->place != XML_BEFORE)
		r = lex_comment(lexer, cursor);
	if (r != LEX_NO)
		return r;
	return lexer->doc->place == XML_AFTER ? lex_end(lexer, cursor)
					      : lex_tag(lexer, cursor);
}

static int lex_next(struct lexer *lexer)
{
	int r = lex_known(lexer);

	if (r == LEX_NO)
		r = lex_shape(lexer);
	return r == LEX_NO ? lex_any(lexer) : r;
}

int xml_lex(struct input_window *window, struct xml_document *doc,
	    struct xml_mark *mark)
{
	struct lexer lexer = { .window = window,
			       .doc = doc,
			       .at = window->begin,
			       .mark = { .line = 1 } };
	int r;

	for (;;) {
		r = lex_next(&lexer);
		window->begin += lexer.at - window->begin;
		if (r < 0)
			break;
		if (doc->place == XML_AFTER && window->eof &&
		    window->begin == window->end)
			break;
		if (r == LEX_TOOK)
			continue;
		doc->refusal[0] = '\0';
		if (r != LEX_MORE || window->eof ||
		    input_window_len(window) == INPUT_WINDOW_SIZE)
			break;
		r = input_window_fill(window);
		if (r)
			break;
		lexer.at = window->begin;
	}
	*mark = lexer.mark;
	return r < 0 ? r : 0;
}
