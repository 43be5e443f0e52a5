/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The three forms of ranges, and the two of reports.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/ranges.h"
#include "format/report_json.h"
#include "format/printable.h"
#include "format/report_text.h"

TestSuite(ranges, .timeout = 60);
TestSuite(report_text, .timeout = 60);
TestSuite(report_json, .timeout = 60);

static const struct era_geometry geometry = { .data_block_size = 128,
					      .nr_blocks = 2147483647,
					      .current_era = 3 };

/* Blocks 5 and 10..19, and the last one there can be. */
static char *write_ranges(enum range_format format, enum range_unit unit,
			  bool any)
{
	static char text[4096];
	char path[] = "/tmp/era-ranges-XXXXXX";
	struct range_writer writer;
	struct era_range_visitor *sink = &writer.visitor;
	struct output out;
	FILE *f;

	close(mkstemp(path));
	cr_assert_eq(output_open(&out, path, NULL), 0);
	range_writer_init(&writer, &out, format, unit, "dev");
	cr_assert_eq(sink->begin(sink, &geometry), 0);
	if (any) {
		cr_assert_eq(sink->range(sink, 5, 6), 0);
		cr_assert_eq(sink->range(sink, 10, 20), 0);
		cr_assert_eq(sink->range(sink, 2147483646, 2147483647), 0);
	}
	cr_assert_eq(sink->end(sink), 0);
	cr_assert_eq(output_finish(&out), 0);
	f = fopen(path, "r");
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	return text;
}

Test(ranges, xml_has_an_element_a_line)
{
	cr_assert_str_eq(write_ranges(RANGES_XML, UNIT_BLOCKS, true),
			 "<blocks>\n"
			 "  <block block=\"5\"/>\n"
			 "  <range begin=\"10\" end=\"20\"/>\n"
			 "  <block block=\"2147483646\"/>\n"
			 "</blocks>\n");
	cr_assert_str_eq(write_ranges(RANGES_XML, UNIT_BLOCKS, false),
			 "<blocks>\n</blocks>\n");
}

Test(ranges, xml_counts_blocks_whatever_the_unit)
{
	cr_assert(strstr(write_ranges(RANGES_XML, UNIT_BYTES, true),
			 "end=\"20\""));
}

Test(ranges, text_has_begin_and_length)
{
	cr_assert_str_eq(write_ranges(RANGES_TEXT, UNIT_BLOCKS, true),
			 "5 1\n10 10\n2147483646 1\n");
	cr_assert_str_eq(write_ranges(RANGES_TEXT, UNIT_SECTORS, true),
			 "640 128\n1280 1280\n274877906688 128\n");
	cr_assert_str_eq(write_ranges(RANGES_TEXT, UNIT_BYTES, true),
			 "327680 65536\n655360 655360\n"
			 "140737488224256 65536\n");
	cr_assert_str_eq(write_ranges(RANGES_TEXT, UNIT_BYTES, false), "");
}

Test(ranges, json_is_an_object_with_the_unit)
{
	json_t *object = json_loads(write_ranges(RANGES_JSON, UNIT_BYTES, true),
				    0, NULL);
	json_int_t begin, length, block_size, nr_blocks, era;
	const char *unit, *device, *outcome;
	json_t *ranges;

	cr_assert_eq(json_unpack_ex(object, NULL, JSON_STRICT,
				    "{s:s, s:s, s:I, s:I, s:I, s:o, s:s}",
				    "device", &device, "unit", &unit,
				    "block_size", &block_size, "nr_blocks",
				    &nr_blocks, "current_era", &era, "ranges",
				    &ranges, "outcome", &outcome),
		     0);
	cr_assert_str_eq(device, "dev");
	cr_assert_str_eq(outcome, "sound");
	cr_assert_str_eq(unit, "bytes");
	cr_assert_eq(block_size, 128);
	cr_assert_eq(nr_blocks, 2147483647);
	cr_assert_eq(era, 3);
	cr_assert_eq(json_array_size(ranges), 3);
	cr_assert_eq(json_unpack(json_array_get(ranges, 1), "{s:I, s:I !}",
				 "begin", &begin, "length", &length),
		     0);
	cr_assert_eq(begin, 655360);
	cr_assert_eq(length, 655360);
	json_decref(object);
}

Test(ranges, json_of_no_range_is_valid)
{
	json_t *object = json_loads(
		write_ranges(RANGES_JSON, UNIT_BLOCKS, false), 0, NULL);

	cr_assert_not_null(object);
	cr_assert_eq(json_array_size(json_object_get(object, "ranges")), 0);
	json_decref(object);
}

static const struct era_where superblock = { NULL, "superblock", 0 };
static const struct era_where node = { &superblock, "era array node", 12 };
static const struct era_where leaf = { &node, "array block", 15 };

static void report_two(struct era_report *report)
{
	era_report(report, ERA_FATAL, &leaf,
		   (struct era_data_range){ 1018, 2036 },
		   "checksum does not match");
	era_report(report, ERA_NOTE, NULL, (struct era_data_range){ 7, 8 },
		   "%s: hello", "a\xff");
}

Test(report_text, prints_a_problem_a_line)
{
	struct report_text text;
	char *lines;
	size_t len;
	FILE *stream = open_memstream(&lines, &len);

	report_text_init(&text, stream, "era_check", false);
	report_two(&text.report);
	fclose(stream);
	cr_assert_str_eq(lines,
			 "era_check: error: superblock 0 -> era array node 12 "
			 "-> array block 15: checksum does not match (data "
			 "blocks 1018..2035)\n"
			 "era_check: note: a\\xff: hello (data block 7)\n");
	cr_assert_eq(text.report.nr[ERA_FATAL], 1);
	free(lines);
}

/* What is printed of a name. */
static void expect_printed(const char *name, const char *printed)
{
	char *text;
	size_t len;
	FILE *stream = open_memstream(&text, &len);

	printable_put(name, stream);
	fclose(stream);
	cr_assert_str_eq(text, printed);
	free(text);
}

Test(report_text, gives_a_terminal_no_commands)
{
	expect_printed("", "");
	expect_printed("plain ~ name", "plain ~ name");
	expect_printed("\x1b]0;title\a\n\t\x7f",
		       "\\x1b]0;title\\x07\\x0a\\x09\\x7f");
	/* C1, as a byte and as a character */
	expect_printed("\x9b"
		       "1m",
		       "\\x9b1m");
	expect_printed("\xc2\x9b"
		       "1m",
		       "\\u009b1m");
}

Test(report_text, leaves_text_in_its_order)
{
	expect_printed("\u00e9\u05d0\u4e2d\U0001f40c", "\u00e9\u05d0\u4e2d"
						       "\U0001f40c");
	expect_printed("a\u202eb\u2066c\u061cd\u2028e",
		       "a\\u202eb\\u2066c\\u061cd\\u2028e");
	expect_printed("\U000e0041", "\\U000e0041");
}

Test(report_text, shows_bytes_that_are_no_text)
{
	expect_printed("a\xff", "a\\xff");
	expect_printed("\xc0\xaf", "\\xc0\\xaf");
	expect_printed("\xe2\x80", "\\xe2\\x80");
	expect_printed("\xed\xa0\x80", "\\xed\\xa0\\x80");
	expect_printed("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
}

Test(report_text, counts_when_quiet)
{
	struct report_text text;
	char *lines;
	size_t len;
	FILE *stream = open_memstream(&lines, &len);

	report_text_init(&text, stream, "era_check", true);
	report_two(&text.report);
	fclose(stream);
	cr_assert_str_eq(lines, "");
	cr_assert_eq(text.report.nr[ERA_FATAL], 1);
	free(lines);
}

Test(report_json, collects_problems)
{
	struct report_json json;
	json_t *object, *expected, *counts;

	cr_assert_eq(report_json_init(&json), 0);
	report_two(&json.report);
	object = report_json_object(&json);
	expected = json_loads(
		"{\"problems\": ["
		"{\"severity\": \"error\", \"kind\": \"damage\", \"message\": "
		"\"checksum does not "
		"match\", \"path\": [{\"role\": \"superblock\", \"block\": 0},"
		"{\"role\": \"era array node\", \"block\": 12},"
		"{\"role\": \"array block\", \"block\": 15}],"
		"\"data_blocks\": {\"begin\": 1018, \"end\": 2036}},"
		"{\"severity\": \"note\", \"kind\": \"note\", \"message\": "
		"\"a?: hello\","
		"\"path\": [], \"data_blocks\": {\"begin\": 7, \"end\": 8}}],"
		"\"problems_omitted\": 0}",
		0, NULL);
	cr_assert_not_null(expected);
	counts = json_incref(json_object_get(object, "counts"));
	cr_assert_eq(json_object_size(counts), ERA_NR_SEVERITIES);
	cr_assert_eq(json_integer_value(json_object_get(counts, "error")), 1);
	cr_assert_eq(json_integer_value(json_object_get(counts, "note")), 1);
	json_decref(counts);
	json_object_del(object, "counts");
	cr_assert(json_equal(object, expected));
	json_decref(expected);
	json_decref(object);
	report_json_release(&json);
}

Test(report_json, keeps_a_bounded_number)
{
	struct report_json json;
	json_t *object;

	cr_assert_eq(report_json_init(&json), 0);
	for (unsigned int i = 0; i < REPORT_JSON_MAX + 5; i++)
		era_report(&json.report, ERA_NON_FATAL, NULL, ERA_NO_DATA,
			   "problem %u", i);
	object = report_json_object(&json);
	cr_assert_eq(json_array_size(json_object_get(object, "problems")),
		     REPORT_JSON_MAX);
	cr_assert_eq(
		json_integer_value(json_object_get(object, "problems_omitted")),
		5);
	json_decref(object);
	report_json_release(&json);
}

/* Digits are kept from one number to the next. */
Test(ranges, numbers_are_those_that_printf_writes)
{
	struct decimal_near near = { 0 };
	uint64_t v = 0;

	for (int i = 0; i < 200000; i++) {
		char text[64], expected[64];

		/* close to the one before, or anywhere */
		v = i % 50 ? v + (uint64_t)(i * 7 % 45)
			   : (UINT64_MAX - (uint64_t)i) >> (i / 50 % 64);
		text[decimal_put_near(text, v, &near)] = '\0';
		snprintf(expected, sizeof(expected), "%llu",
			 (unsigned long long)v);
		cr_assert_str_eq(text, expected);
	}
}
