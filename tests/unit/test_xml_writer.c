/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XML out, byte by byte, and in again.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/input.h"
#include "format/xml_reader.h"
#include "format/xml_writer.h"

TestSuite(xml_writer, .timeout = 60);

struct written {
	char path[64];
	struct output out;
	struct xml_writer writer;
	struct era_visitor *sink;
};

static void begin(struct written *w, bool compact)
{
	int fd;

	snprintf(w->path, sizeof(w->path), "/tmp/era-xml-XXXXXX");
	fd = mkstemp(w->path);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(output_open(&w->out, w->path, NULL), 0);
	xml_writer_init(&w->writer, &w->out, compact);
	w->sink = &w->writer.visitor;
}

static char *finish(struct written *w)
{
	struct stat st;
	FILE *f;
	char *text;

	cr_assert_eq(output_finish(&w->out), 0);
	f = fopen(w->path, "r");
	cr_assert_not_null(f);
	fstat(fileno(f), &st);
	text = calloc(1, (size_t)st.st_size + 1);
	cr_assert_eq(fread(text, 1, (size_t)st.st_size, f), (size_t)st.st_size);
	fclose(f);
	unlink(w->path);
	return text;
}

Test(xml_writer, writes_the_form_of_the_suites)
{
	const struct era_geometry geometry = { .data_block_size = 128,
					       .nr_blocks = 3,
					       .current_era = 4294967295u };
	const uint32_t eras[] = { 0, 10, 4294967295u };
	const uint64_t words[] = { 5 };
	struct written w;
	char *text;

	begin(&w, false);
	w.sink->superblock(w.sink, &geometry);
	w.sink->writeset_begin(w.sink, 2, 3);
	w.sink->writeset_words(w.sink, 0, words, 1);
	w.sink->writeset_end(w.sink);
	w.sink->eras(w.sink, 0, eras, 3);
	cr_assert_eq(w.sink->end(w.sink), 0);
	text = finish(&w);
	cr_assert_str_eq(
		text,
		"<superblock uuid=\"\" block_size=\"128\" nr_blocks=\"3\" "
		"current_era=\"4294967295\">\n"
		"  <writeset era=\"2\" nr_bits=\"3\">\n"
		"    <bit block=\"0\" value=\"true\"/>\n"
		"    <bit block=\"1\" value=\"false\"/>\n"
		"    <bit block=\"2\" value=\"true\"/>\n"
		"  </writeset>\n"
		"  <era_array>\n"
		"    <era block=\"0\" era=\"0\"/>\n"
		"    <era block=\"1\" era=\"10\"/>\n"
		"    <era block=\"2\" era=\"4294967295\"/>\n"
		"  </era_array>\n"
		"</superblock>\n");
	free(text);
}

Test(xml_writer, writes_a_uuid_and_no_entry)
{
	const struct era_geometry geometry = {
		.uuid = { 0x01, 0xab, [15] = 0xff }, .data_block_size = 8
	};
	struct written w;
	char *text;

	begin(&w, false);
	w.sink->superblock(w.sink, &geometry);
	cr_assert_eq(w.sink->end(w.sink), 0);
	text = finish(&w);
	cr_assert_str_eq(
		text, "<superblock uuid=\"01ab00000000000000000000000000ff\" "
		      "block_size=\"8\" nr_blocks=\"0\" current_era=\"0\">\n"
		      "  <era_array>\n  </era_array>\n</superblock>\n");
	free(text);
}

Test(xml_writer, joins_marked_blocks_across_words_and_batches)
{
	const struct era_geometry geometry = { .data_block_size = 8 };
	const uint64_t first[] = { UINT64_C(0x8000000000000005), UINT64_MAX };
	const uint64_t second[] = { 1, 0, UINT64_C(0xc) };
	struct written w;
	char *text;

	begin(&w, true);
	w.sink->superblock(w.sink, &geometry);
	w.sink->writeset_begin(w.sink, 0, 260);
	w.sink->writeset_words(w.sink, 0, first, 2);
	w.sink->writeset_words(w.sink, 2, second, 3);
	w.sink->writeset_end(w.sink);
	w.sink->writeset_begin(w.sink, 1, 1);
	w.sink->writeset_words(w.sink, 0, second + 1, 1);
	w.sink->writeset_end(w.sink);
	w.sink->end(w.sink);
	text = finish(&w);
	cr_assert_str_eq(strchr(text, '\n') + 1,
			 "  <writeset era=\"0\" nr_bits=\"260\">\n"
			 "    <marked block_begin=\"0\" len=\"1\"/>\n"
			 "    <marked block_begin=\"2\" len=\"1\"/>\n"
			 "    <marked block_begin=\"63\" len=\"66\"/>\n"
			 "    <marked block_begin=\"258\" len=\"2\"/>\n"
			 "  </writeset>\n"
			 "  <writeset era=\"1\" nr_bits=\"1\">\n"
			 "  </writeset>\n"
			 "  <era_array>\n  </era_array>\n</superblock>\n");
	free(text);
}

/* What printf makes of the same: the fast way must not differ. */
static char *with_printf(const uint64_t *words, const uint32_t *eras,
			 uint32_t first, uint32_t n)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fprintf(f,
		"<superblock uuid=\"\" block_size=\"8\" nr_blocks=\"%" PRIu32
		"\" current_era=\"9\">\n  <writeset era=\"1\" "
		"nr_bits=\"%" PRIu32 "\">\n",
		first + n, first + n);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "    <bit block=\"%" PRIu32 "\" value=\"%s\"/>\n",
			first + i,
			words[i / 64] >> (i % 64) & 1 ? "true" : "false");
	fprintf(f, "  </writeset>\n  <era_array>\n");
	for (uint32_t i = 0; i < n; i++)
		fprintf(f,
			"    <era block=\"%" PRIu32 "\" era=\"%" PRIu32
			"\"/>\n",
			first + i, eras[i]);
	fprintf(f, "  </era_array>\n</superblock>\n");
	fclose(f);
	return text;
}

static void compare_with_printf(uint32_t first, uint32_t n)
{
	const struct era_geometry geometry = { .data_block_size = 8,
					       .nr_blocks = first + n,
					       .current_era = 9 };
	uint64_t *words = calloc(n / 64 + 1, sizeof(*words));
	uint32_t *eras = calloc(n, sizeof(*eras));
	char *text, *expected;
	struct written w;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t random = i * 2654435761u;

		eras[i] = random >> (random & 31);
		words[i / 64] |= (uint64_t)(random >> 30 & 1) << (i % 64);
	}
	begin(&w, false);
	w.sink->superblock(w.sink, &geometry);
	w.sink->writeset_begin(w.sink, 1, first + n);
	w.sink->writeset_words(w.sink, first / 64, words, era_nr_words(n));
	w.sink->writeset_end(w.sink);
	w.sink->eras(w.sink, first, eras, n);
	w.sink->end(w.sink);
	text = finish(&w);
	expected = with_printf(words, eras, first, n);
	cr_assert_eq(strcmp(text, expected), 0);
	free(expected);
	free(text);
	free(words);
	free(eras);
}

Test(xml_writer, formats_numbers_as_printf_does)
{
	compare_with_printf(0, 130000);
	compare_with_printf(999936, 1000);
	compare_with_printf(99999936, 1000);
	compare_with_printf(999999936, 1000);
	compare_with_printf(2147482624, 1023);
}

static void round_trip(bool compact)
{
	char *expected, *text;
	struct input in;
	struct written w, again;
	const struct era_geometry geometry = { .data_block_size = 8,
					       .nr_blocks = 300,
					       .current_era = 9 };
	uint64_t words[5] = { UINT64_MAX, 0, 0x8000000000000001, 0x10, 0xff };
	uint32_t eras[300];

	for (uint32_t i = 0; i < 300; i++)
		eras[i] = i % 10;
	begin(&w, compact);
	w.sink->superblock(w.sink, &geometry);
	w.sink->writeset_begin(w.sink, 1, 300);
	w.sink->writeset_words(w.sink, 0, words, 5);
	w.sink->writeset_end(w.sink);
	w.sink->eras(w.sink, 0, eras, 300);
	w.sink->end(w.sink);
	cr_assert_eq(output_finish(&w.out), 0);

	cr_assert_eq(input_open(&in, w.path, NULL), 0);
	begin(&again, compact);
	cr_assert_eq(xml_read(&in, w.path, again.sink, NULL), 0);
	input_close(&in);
	text = finish(&again);
	cr_assert_eq(output_open(&w.out, "/dev/null", NULL), 0);
	expected = finish(&w);
	cr_assert_str_eq(text, expected);
	free(expected);
	free(text);
}

Test(xml_writer, writes_what_the_reader_reads)
{
	round_trip(false);
	round_trip(true);
}
