/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lexer against libxml2, which is the parser of record: whatever is done
 * to a document, both see the same in it. (tests/fuzz looks further.)
 */
#include "config.h"

#include <criterion/criterion.h>

#include "xml_trace.h"

TestSuite(xml_lexer, .timeout = 120);

static const char document[] =
	"<superblock uuid=\"\" block_size=\"128\" nr_blocks=\"12\" "
	"current_era=\"123456789\">\n"
	"  <writeset era=\"2\" nr_bits=\"12\">\n"
	"    <bit block=\"0\" value=\"false\"/>\n"
	"    <bit block=\"1\" value=\"true\"/>\n"
	"    <bit block=\"2\" value=\"true\"/>\n"
	"    <bit block=\"3\" value=\"false\"/>\n"
	"    <bit block=\"4\" value=\"false\"/>\n"
	"    <bit block=\"5\" value=\"false\"/>\n"
	"    <bit block=\"6\" value=\"false\"/>\n"
	"    <bit block=\"7\" value=\"true\"/>\n"
	"    <bit block=\"8\" value=\"false\"/>\n"
	"    <bit block=\"9\" value=\"true\"/>\n"
	"    <bit block=\"10\" value=\"true\"/>\n"
	"    <bit block=\"11\" value=\"true\"/>\n"
	"  </writeset>\n"
	"  <writeset era=\"3\" nr_bits=\"70\">\n"
	"    <marked block_begin=\"0\" len=\"2\"/>\n"
	"    <marked block_begin=\"63\" len=\"7\"/>\n"
	"  </writeset>\n"
	"  <writeset era=\"4\" nr_bits=\"12\">\n"
	"  </writeset>\n"
	"  <era_array>\n"
	"    <era block=\"0\" era=\"0\"/>\n"
	"    <era block=\"1\" era=\"12\"/>\n"
	"    <era block=\"2\" era=\"123\"/>\n"
	"    <era block=\"3\" era=\"1234\"/>\n"
	"    <era block=\"4\" era=\"12345\"/>\n"
	"    <era block=\"5\" era=\"123456\"/>\n"
	"    <era block=\"6\" era=\"1234567\"/>\n"
	"    <era block=\"7\" era=\"12345678\"/>\n"
	"    <era block=\"8\" era=\"123456789\"/>\n"
	"    <era block=\"9\" era=\"0\"/>\n"
	"    <era block=\"10\" era=\"0\"/>\n"
	"    <era block=\"11\" era=\"99\"/>\n"
	"  </era_array>\n"
	"</superblock>\n";

#define LEN (sizeof(document) - 1)

static void agree(const char *data, size_t len, size_t piece)
{
	cr_assert_null(trace_compare(data, len, piece));
}

Test(xml_lexer, agrees_on_the_form_it_knows)
{
	struct xml_trace trace = { 0 };

	agree(document, LEN, 0);
	trace_read(&trace, xml_read, document, LEN, 0);
	cr_assert_eq(trace.r, 0, "%s", trace.message);
	free(trace.calls);
}

Test(xml_lexer, agrees_in_whatever_pieces_the_input_comes)
{
	for (size_t piece = 16; piece < 300; piece++)
		agree(document, LEN, piece);
}

Test(xml_lexer, agrees_wherever_the_input_ends)
{
	for (size_t len = 0; len < LEN; len++)
		agree(document, len, 0);
}

Test(xml_lexer, agrees_wherever_a_byte_is_put)
{
	static const char bytes[] = " \n<\"0x";

	for (size_t at = 0; at <= LEN; at++) {
		for (size_t i = 0; bytes[i]; i++) {
			char text[LEN + 1];

			memcpy(text, document, at);
			text[at] = bytes[i];
			memcpy(text + at + 1, document + at, LEN - at);
			agree(text, sizeof(text), 0);
		}
	}
}

Test(xml_lexer, agrees_wherever_a_byte_is_missing)
{
	for (size_t at = 0; at < LEN; at++) {
		char text[LEN];

		memcpy(text, document, at);
		memcpy(text + at, document + at + 1, LEN - at - 1);
		agree(text, LEN - 1, 0);
	}
}

Test(xml_lexer, agrees_wherever_a_digit_is_another)
{
	for (size_t at = 0; at < LEN; at++) {
		char text[LEN];

		if (document[at] < '0' || document[at] > '9')
			continue;
		for (char digit = '0' - 1; digit <= '9' + 1; digit++) {
			memcpy(text, document, LEN);
			text[at] = digit;
			agree(text, LEN, 0);
		}
	}
}

Test(xml_lexer, agrees_wherever_a_line_is_missing_or_twice)
{
	for (const char *line = document; *line;) {
		const char *next = strchr(line, '\n') + 1;
		size_t before = (size_t)(line - document);
		size_t len = (size_t)(next - line);
		char text[2 * LEN];

		memcpy(text, document, before);
		memcpy(text + before, next, LEN - before - len);
		agree(text, LEN - len, 0);
		memcpy(text, document, before + len);
		memcpy(text + before + len, line, LEN - before);
		agree(text, LEN + len, 0);
		line = next;
	}
}
