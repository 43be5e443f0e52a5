/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compares instead of reading: the next line is known but for the value of a
 * bit or an era, and is compared with what it should be in words of 8 bytes.
 * The zeroes behind the window match nothing, so ends need no checks.
 */
#include "config.h"

#include <string.h>

#include "base/endian.h"
#include "format/decimal.h"
#include "format/xml_lexer.h"

/* No line of the known form is longer; bytes. */
#define LONGEST_LINE 256

#define START_LEN 16 /* of `    <bit block="`, and of `    <era block="` */

static inline uint64_t load8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

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

/* Any number below 2^32; moves *at behind it. */
static bool lex_long_number(const char **at, uint32_t *value)
{
	const char *p = *at;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*value = (uint32_t)v;
	if (p == *at)
		return false;
	*at = p;
	return true;
}

/*
 * The same, for numbers of up to 7 digits in one go: each byte becomes its
 * digit, the first that is none tells the length, and what is left is summed
 * in pairs, then fours, then all eight.
 */
static inline bool lex_number(const char **at, uint32_t *value)
{
	uint64_t v = get_le64(*at) ^ UINT64_C(0x3030303030303030);
	uint64_t others = ((v + UINT64_C(0x7676767676767676)) | v) &
			  UINT64_C(0x8080808080808080);
	unsigned int len;

	if (!others)
		return lex_long_number(at, value);
	len = (unsigned int)__builtin_ctzll(others) / 8;
	if (!len)
		return false;
	v <<= 64 - 8 * len;
	v = v * 10 + (v >> 8);
	v = (v & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
	    (v >> 16 & UINT64_C(0x000000ff000000ff)) *
		    UINT64_C(0x0000271000000001);
	*value = (uint32_t)(v >> 32);
	*at += len;
	return true;
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
	const char *at; /* moves over lines that the document took */
	uint64_t line;	/* number of the line there */
};

/*
 * The functions below lex one line, or as many like it as there are. They
 * return 1 where lines were given to the document, 0 where the line is not of
 * their form or is refused, or a negative errno of the sink.
 */
static int took(struct lexer *lexer, const char *end, unsigned int lines, int r)
{
	if (r)
		return lexer->doc->refusal[0] ? 0 : r;
	lexer->at = end;
	lexer->line += lines;
	return 1;
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
		return 0;
	return took(lexer, p, 1, xml_document_superblock(lexer->doc, &g));
}

/* The Rust suite ends there, without a newline. */
static int lex_superblock_end(struct lexer *lexer)
{
	const struct input_window *window = lexer->window;
	const char *p = lexer->at;
	bool at_end;

	if (!LEX_LITERAL(&p, "</superblock>"))
		return 0;
	at_end = window->eof && p == window->end;
	if (!at_end && *p++ != '\n')
		return 0;
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
		return 0;
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
			return 0;
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
		return 0;
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

static int lex_lines(struct lexer *lexer)
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
		return 0;
	}
}

int xml_lex(struct input_window *window, struct xml_document *doc,
	    uint64_t *line)
{
	struct lexer lexer = {
		.window = window, .doc = doc, .at = window->begin, .line = 1
	};
	int r;

	for (;;) {
		r = lex_lines(&lexer);
		window->begin += lexer.at - window->begin;
		if (r < 0)
			break;
		if (r)
			continue;
		/* unknown, unless it is only the first part of a line */
		doc->refusal[0] = '\0';
		if (window->eof || input_window_len(window) >= LONGEST_LINE)
			break;
		r = input_window_fill(window);
		if (r)
			break;
		lexer.at = window->begin;
	}
	*line = lexer.line;
	return r;
}
