/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Formats lines by copying: the lines of ten blocks that differ in the last
 * digit share a head, and what follows that digit comes from a table. Copies
 * are of fixed length, so that a compiler makes them moves, and reach past
 * the end of a line; the next line overwrites what is too much.
 */
#include "config.h"

#include <string.h>

#include "format/decimal.h"
#include "format/xml_writer.h"

#define HEAD_SIZE 32 /* bytes copied of the start of a line */
#define TAIL_SIZE 32 /* bytes copied of its end */
#define LINE_ROOM (HEAD_SIZE + TAIL_SIZE)
/* Lines between two requests for room, a multiple of 10 */
#define LINES_AT_ONCE (OUTPUT_RESERVE_MAX / LINE_ROOM / 10 * 10)

/* `    <bit block="12`: all of the line but the last digit of the block */
struct head {
	char text[HEAD_SIZE];
	size_t len;
};

static void head_set(struct head *head, const char start[16], uint32_t block)
{
	memcpy(head->text, start, 16);
	head->len = 16;
	if (block >= 10)
		head->len += decimal_put(head->text + 16, block / 10);
}

/* What follows the last digit in a <bit> line, by value. */
static const char bit_tails[2][TAIL_SIZE] = {
	"\" value=\"false\"/>\n",
	"\" value=\"true\"/>\n",
};

#define FALSE_TAIL_LEN (sizeof("\" value=\"false\"/>\n") - 1)

static inline char *put_bit(char *p, const struct head *head,
			    unsigned int digit, unsigned int bit)
{
	memcpy(p, head->text, HEAD_SIZE);
	p += head->len;
	*p++ = (char)('0' + digit);
	memcpy(p, bit_tails[bit], TAIL_SIZE);
	return p + FALSE_TAIL_LEN - bit; /* "true" is one shorter */
}

static inline unsigned int get_bit(const uint64_t *words, uint32_t i)
{
	return (unsigned int)(words[i / 64] >> (i % 64) & 1);
}

/* Blocks [block, end), of which words holds those from base on. */
static char *put_bits(char *p, uint32_t block, uint32_t end,
		      const uint64_t *words, uint32_t base)
{
	struct head head;

	while (block < end) {
		unsigned int digit = block % 10;
		uint32_t n =
			end - block < 10 - digit ? end - block : 10 - digit;

		head_set(&head, "    <bit block=\"", block);
		for (uint32_t i = 0; i < n; i++)
			p = put_bit(p, &head, digit + i,
				    get_bit(words, block + i - base));
		block += n;
	}
	return p;
}

static int write_bits(struct xml_writer *writer, uint32_t first_word,
		      const uint64_t *words, size_t nr)
{
	uint64_t base = (uint64_t)first_word * 64;
	uint64_t end = base + (uint64_t)nr * 64;

	if (end > writer->nr_bits)
		end = writer->nr_bits;
	for (uint64_t block = base; block < end; block += LINES_AT_ONCE) {
		uint64_t part = end - block < LINES_AT_ONCE
					? end
					: block + LINES_AT_ONCE;
		char *room = output_reserve(writer->out, OUTPUT_RESERVE_MAX);
		char *p;

		if (!room)
			return writer->out->error;
		p = put_bits(room, (uint32_t)block, (uint32_t)part, words,
			     (uint32_t)base);
		output_advance(writer->out, (size_t)(p - room));
	}
	return 0;
}

static int write_run(struct xml_writer *writer)
{
	char *room, *p;

	if (writer->run_begin == writer->run_end)
		return 0;
	room = output_reserve(writer->out, 2 * LINE_ROOM);
	if (!room)
		return writer->out->error;
	p = stpcpy(room, "    <marked block_begin=\"");
	p += decimal_put(p, writer->run_begin);
	p = stpcpy(p, "\" len=\"");
	p += decimal_put(p, writer->run_end - writer->run_begin);
	p = stpcpy(p, "\"/>\n");
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

/* Adds the marked blocks [begin, end), not below any added before. */
static int add_run(struct xml_writer *writer, uint32_t begin, uint32_t end)
{
	int r;

	if (begin == writer->run_end && writer->run_begin != writer->run_end) {
		writer->run_end = end;
		return 0;
	}
	r = write_run(writer);
	writer->run_begin = begin;
	writer->run_end = end;
	return r;
}

static int write_runs(struct xml_writer *writer, uint32_t first_word,
		      const uint64_t *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t base = (uint32_t)(first_word + i) * 64;
		uint64_t left = words[i];

		while (left) {
			int begin = __builtin_ctzll(left);
			uint64_t zeroes = ~(left >> begin);
			int len = zeroes ? __builtin_ctzll(zeroes) : 64;
			int r;

			if (len > 64 - begin)
				len = 64 - begin;
			r = add_run(writer, base + (uint32_t)begin,
				    base + (uint32_t)(begin + len));
			if (r)
				return r;
			if (begin + len >= 64)
				break;
			left &= UINT64_MAX << (begin + len);
		}
	}
	return 0;
}

static int on_words(struct era_visitor *visitor, uint32_t first_word,
		    const uint64_t *words, size_t nr)
{
	struct xml_writer *writer = (struct xml_writer *)visitor;

	if (writer->compact)
		return write_runs(writer, first_word, words, nr);
	return write_bits(writer, first_word, words, nr);
}

static size_t put_uuid(char *p, const uint8_t uuid[16])
{
	static const uint8_t none[16];
	static const char hex[] = "0123456789abcdef";

	if (!memcmp(uuid, none, sizeof(none)))
		return 0;
	for (int i = 0; i < 16; i++) {
		*p++ = hex[uuid[i] >> 4];
		*p++ = hex[uuid[i] & 15];
	}
	return 32;
}

static int on_superblock(struct era_visitor *visitor,
			 const struct era_geometry *geometry)
{
	struct xml_writer *writer = (struct xml_writer *)visitor;
	char *room = output_reserve(writer->out, 512);
	char *p;

	if (!room)
		return writer->out->error;
	p = stpcpy(room, "<superblock uuid=\"");
	p += put_uuid(p, geometry->uuid);
	p = stpcpy(p, "\" block_size=\"");
	p += decimal_put(p, geometry->data_block_size);
	p = stpcpy(p, "\" nr_blocks=\"");
	p += decimal_put(p, geometry->nr_blocks);
	p = stpcpy(p, "\" current_era=\"");
	p += decimal_put(p, geometry->current_era);
	p = stpcpy(p, "\">\n");
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static int on_writeset_begin(struct era_visitor *visitor, uint32_t era,
			     uint32_t nr_bits)
{
	struct xml_writer *writer = (struct xml_writer *)visitor;
	char *room = output_reserve(writer->out, 512);
	char *p;

	if (!room)
		return writer->out->error;
	writer->nr_bits = nr_bits;
	writer->run_begin = writer->run_end = 0;
	p = stpcpy(room, "  <writeset era=\"");
	p += decimal_put(p, era);
	p = stpcpy(p, "\" nr_bits=\"");
	p += decimal_put(p, nr_bits);
	p = stpcpy(p, "\">\n");
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static int on_writeset_end(struct era_visitor *visitor)
{
	struct xml_writer *writer = (struct xml_writer *)visitor;
	int r = write_run(writer);

	if (r)
		return r;
	return output_puts(writer->out, "  </writeset>\n");
}

static void set_tail(struct xml_era_tail *tail, uint32_t era)
{
	char *p = stpcpy(tail->text, "\" era=\"");

	p += decimal_put(p, era);
	p = stpcpy(p, "\"/>\n");
	tail->era = era;
	tail->len = (uint32_t)(p - tail->text);
}

static inline char *put_era(struct xml_writer *writer, char *p,
			    const struct head *head, unsigned int digit,
			    uint32_t era)
{
	struct xml_era_tail *tail = &writer->tails[era % XML_WRITER_CACHE];

	if (tail->era != era || !tail->len)
		set_tail(tail, era);
	memcpy(p, head->text, HEAD_SIZE);
	p += head->len;
	*p++ = (char)('0' + digit);
	memcpy(p, tail->text, TAIL_SIZE);
	return p + tail->len;
}

static char *put_eras(struct xml_writer *writer, char *p, uint32_t block,
		      const uint32_t *eras, size_t nr)
{
	struct head head;

	while (nr) {
		unsigned int digit = block % 10;
		unsigned int n = 10 - digit;

		if (n > nr)
			n = (unsigned int)nr;
		head_set(&head, "    <era block=\"", block);
		for (unsigned int i = 0; i < n; i++)
			p = put_era(writer, p, &head, digit + i, eras[i]);
		block += n;
		eras += n;
		nr -= n;
	}
	return p;
}

static int begin_era_array(struct xml_writer *writer)
{
	if (writer->in_era_array)
		return 0;
	writer->in_era_array = true;
	writer->run_begin = writer->run_end = 0;
	return output_puts(writer->out, "  <era_array>\n");
}

static int write_era_run(struct xml_writer *writer)
{
	uint32_t len = writer->run_end - writer->run_begin;
	char *room, *p;

	if (!len)
		return 0;
	room = output_reserve(writer->out, 2 * LINE_ROOM);
	if (!room)
		return writer->out->error;
	if (len == 1) { /* the shorter one */
		p = put_eras(writer, room, writer->run_begin, &writer->run_era,
			     1);
	} else {
		p = stpcpy(room, "    <eras block_begin=\"");
		p += decimal_put(p, writer->run_begin);
		p = stpcpy(p, "\" len=\"");
		p += decimal_put(p, len);
		p = stpcpy(p, "\" era=\"");
		p += decimal_put(p, writer->run_era);
		p = stpcpy(p, "\"/>\n");
	}
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static int write_era_runs(struct xml_writer *writer, uint32_t first_block,
			  const uint32_t *eras, size_t nr)
{
	int r = 0;

	for (size_t i = 0; i < nr && !r; i++) {
		uint32_t block = first_block + (uint32_t)i;

		if (writer->run_end != writer->run_begin &&
		    eras[i] != writer->run_era) {
			r = write_era_run(writer);
			writer->run_begin = block;
		}
		writer->run_era = eras[i];
		writer->run_end = block + 1;
	}
	return r;
}

static int on_eras(struct era_visitor *visitor, uint32_t first_block,
		   const uint32_t *eras, size_t nr)
{
	struct xml_writer *writer = (struct xml_writer *)visitor;
	int r = begin_era_array(writer);

	if (!r && writer->compact)
		return write_era_runs(writer, first_block, eras, nr);
	for (size_t i = 0; !r && i < nr; i += LINES_AT_ONCE) {
		size_t n = nr - i < LINES_AT_ONCE ? nr - i : LINES_AT_ONCE;
		char *room = output_reserve(writer->out, OUTPUT_RESERVE_MAX);
		char *p;

		if (!room)
			return writer->out->error;
		p = put_eras(writer, room, first_block + (uint32_t)i, eras + i,
			     n);
		output_advance(writer->out, (size_t)(p - room));
	}
	return r;
}

static int on_end(struct era_visitor *visitor)
{
	struct xml_writer *writer = (struct xml_writer *)visitor;
	int r = begin_era_array(writer); /* of no entry */

	if (!r && writer->compact)
		r = write_era_run(writer);
	if (r)
		return r;
	return output_puts(writer->out, "  </era_array>\n</superblock>\n");
}

void xml_writer_init(struct xml_writer *writer, struct output *out,
		     bool compact)
{
	*writer = (struct xml_writer){
		.visitor = { .superblock = on_superblock,
			     .writeset_begin = on_writeset_begin,
			     .writeset_words = on_words,
			     .writeset_end = on_writeset_end,
			     .eras = on_eras,
			     .end = on_end },
		.out = out,
		.compact = compact,
	};
}
