/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XML in: what is read, what is refused, and with which sentence.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <fnmatch.h>
#include <iconv.h>

#include "xml_trace.h"

TestSuite(xml_reader, .timeout = 60);

#define SUPERBLOCK(nr_blocks)                                                  \
	"<superblock uuid=\"\" block_size=\"128\" nr_blocks=\"" nr_blocks      \
	"\" current_era=\"9\">\n"
#define ERAS_2                                                                 \
	"  <era_array>\n"                                                      \
	"    <era block=\"0\" era=\"7\"/>\n"                                   \
	"    <era block=\"1\" era=\"8\"/>\n"                                   \
	"  </era_array>\n"
#define END "</superblock>\n"
#define BITS_2                                                                 \
	"    <bit block=\"0\" value=\"true\"/>\n"                              \
	"    <bit block=\"1\" value=\"false\"/>\n"

#define NO_UUID "00000000000000000000000000000000"
#define TRACE_2 "superblock " NO_UUID " 128 2 9\n"
#define TRACE_ERAS_2 "eras 0 7 8\nend\n"

static const char plain[] = SUPERBLOCK("2") ERAS_2 END;
static const char plain_calls[] = TRACE_2 TRACE_ERAS_2;

static void read_bytes_as(const void *data, size_t len, const char *calls)
{
	xml_read_fn readers[] = { xml_read, xml_read_libxml2 };

	for (int i = 0; i < 2; i++) {
		struct xml_trace trace = { 0 };

		trace_read(&trace, readers[i], data, len, 0);
		cr_assert_eq(trace.r, 0, "%s", trace.message);
		cr_assert_str_eq(trace.calls, calls);
		cr_assert_eq(trace.nr_problems, 0);
		free(trace.calls);
	}
}

static void read_as(const char *xml, const char *calls)
{
	read_bytes_as(xml, strlen(xml), calls);
}

/* Both ways of reading refuse with a sentence that starts like this (glob). */
static void refuse_bytes(const void *data, size_t len, const char *message)
{
	char pattern[512];
	xml_read_fn readers[] = { xml_read, xml_read_libxml2 };

	for (int i = 0; i < 2; i++) {
		struct xml_trace trace = { 0 };

		trace_read(&trace, readers[i], data, len, 0);
		cr_assert_eq(trace.r, -EINVAL, "%d, expected: %s", trace.r,
			     message);
		snprintf(pattern, sizeof(pattern), "%s*", message);
		cr_assert_eq(fnmatch(pattern, trace.message, 0), 0,
			     "got:      %s\nexpected: %s", trace.message,
			     message);
		cr_assert_eq(trace.nr_problems, 1);
		cr_assert_eq(strstr(trace.calls, "end\n") &&
				     !strstr(trace.calls, "writeset_end\n"),
			     0);
		free(trace.calls);
	}
}

static void refuse(const char *xml, const char *message)
{
	refuse_bytes(xml, strlen(xml), message);
}

/* --- what is read --- */

Test(xml_reader, reads_what_the_suites_write)
{
	read_as(SUPERBLOCK("2") "  <writeset era=\"3\" nr_bits=\"2\">\n" BITS_2
				"  </writeset>\n" ERAS_2 END,
		TRACE_2 "writeset 3 2\nwords 0 1\nwriteset_end\n" TRACE_ERAS_2);
}

Test(xml_reader, reads_marked_runs)
{
	read_as(SUPERBLOCK("2") "  <writeset era=\"3\" nr_bits=\"200\">\n"
				"    <marked block_begin=\"1\" len=\"2\"/>\n"
				"    <marked block_begin=\"3\" len=\"1\"/>\n"
				"    <marked block_begin=\"60\" len=\"140\"/>\n"
				"  </writeset>\n" ERAS_2 END,
		TRACE_2 "writeset 3 200\n"
			"words 0 f00000000000000e ffffffffffffffff "
			"ffffffffffffffff ff\nwriteset_end\n" TRACE_ERAS_2);
}

Test(xml_reader, gives_zero_words_for_a_writeset_that_marks_nothing)
{
	read_as(SUPERBLOCK("2") "  <writeset era=\"3\" nr_bits=\"65\">\n"
				"  </writeset>\n"
				"  <writeset era=\"4\" nr_bits=\"0\"/>\n" ERAS_2
					END,
		TRACE_2 "writeset 3 65\nwords 0 0 0\nwriteset_end\n"
			"writeset 4 0\nwriteset_end\n" TRACE_ERAS_2);
}

Test(xml_reader, takes_the_end_of_file_for_the_last_newline)
{
	read_bytes_as(plain, sizeof(plain) - 2, plain_calls);
}

Test(xml_reader, takes_false_bits_up_to_nr_blocks_and_drops_them)
{
	read_as(SUPERBLOCK("2") "  <writeset era=\"3\" nr_bits=\"1\">\n" BITS_2
				"  </writeset>\n" ERAS_2 END,
		TRACE_2 "writeset 3 1\nwords 0 1\nwriteset_end\n" TRACE_ERAS_2);
}

Test(xml_reader, takes_bits_that_end_at_nr_blocks_below_nr_bits)
{
	read_as(SUPERBLOCK("2") "  <writeset era=\"3\" nr_bits=\"70\">\n" BITS_2
				"  </writeset>\n" ERAS_2 END,
		TRACE_2 "writeset 3 70\nwords 0 1 0\n"
			"writeset_end\n" TRACE_ERAS_2);
}

Test(xml_reader, reads_a_device_of_no_blocks)
{
	read_as(SUPERBLOCK("0") "  <era_array>\n  </era_array>\n" END,
		"superblock " NO_UUID " 128 0 9\nend\n");
	read_as(SUPERBLOCK("0") "<era_array/>" END,
		"superblock " NO_UUID " 128 0 9\nend\n");
}

Test(xml_reader, reads_a_uuid)
{
	const char *calls =
		"superblock 00112233445566778899aabbccddeeff 128 0 9\nend\n";

	read_as("<superblock uuid=\"00112233445566778899aabbccddeeff\" "
		"block_size=\"128\" nr_blocks=\"0\" current_era=\"9\">\n"
		"  <era_array>\n  </era_array>\n" END,
		calls);
	read_as("<superblock uuid=\"00112233445566778899AABBCCDDEEFF\" "
		"block_size=\"128\" nr_blocks=\"0\" current_era=\"9\">\n"
		"  <era_array>\n  </era_array>\n" END,
		calls);
}

Test(xml_reader, reads_any_legal_xml)
{
	read_as("\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\r\n"
		"<!-- dumped <superblock> -->\r\n<?tool data?>\r\n"
		"<superblock current_era='9' nr_blocks='&#50;'\r\n"
		"\tblock_size = \"&#x31;28\" uuid=''\r\n>"
		"<era_array><era era='7' block='0'></era\n>"
		"<!-- --> <![CDATA[ \n]]><era block='1' era='8'\n/>"
		"</era_array></superblock>\r\n<!-- end -->\n",
		plain_calls);
}

Test(xml_reader, reads_utf16)
{
	const char *names[] = { "UTF-16LE", "UTF-16BE" };
	const char *marks[] = { "\xff\xfe", "\xfe\xff" };

	for (int i = 0; i < 2; i++) {
		iconv_t cd = iconv_open(names[i], "UTF-8");
		char in[sizeof(plain)], out[4 * sizeof(plain)];
		char *from = in, *to = out + 2;
		size_t from_left = sizeof(plain) - 1;
		size_t to_left = sizeof(out) - 2;

		memcpy(in, plain, sizeof(plain));
		memcpy(out, marks[i], 2);
		cr_assert_eq(iconv(cd, &from, &from_left, &to, &to_left), 0);
		iconv_close(cd);
		read_bytes_as(out, (size_t)(to - out), plain_calls);
	}
}

Test(xml_reader, reads_a_declared_encoding)
{
	read_as("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n"
		"<!-- \xe9 -->\n" SUPERBLOCK("2") ERAS_2 END,
		plain_calls);
}

Test(xml_reader, refuses_bytes_that_cannot_be_decoded)
{
	static const char *const encodings[] = { "UTF-8", "EUC-JP", "UTF-16",
						 "nonsense" };
	static const char *const places[][3] = {
		{ "<!-- \xff\xff -->", SUPERBLOCK("2"), ERAS_2 END },
		{ SUPERBLOCK("2"), "\xff\xff", ERAS_2 END },
		{ SUPERBLOCK("2"), ERAS_2 END, "<!-- \xff\xff -->" },
		{ SUPERBLOCK("2"), ERAS_2 END, "\xff\xff" },
	};

	for (size_t e = 0; e < 4; e++) {
		for (size_t i = 0; i < 4; i++) {
			char xml[2048];

			snprintf(xml, sizeof(xml),
				 "<?xml version=\"1.0\" encoding=\"%s\"?>\n%s%s%s",
				 encodings[e], places[i][0], places[i][1],
				 places[i][2]);
			refuse(xml, "x.xml: line [1-9]*, column ");
		}
	}
}

Test(xml_reader, gives_eras_and_words_in_batches_of_one_kind)
{
	const uint32_t nr = 600000;
	char *xml = NULL;
	size_t len;
	FILE *stream = open_memstream(&xml, &len);

	fprintf(stream,
		"<superblock uuid=\"\" block_size=\"8\" nr_blocks=\"%u\" "
		"current_era=\"4000000000\">\n  <writeset era=\"4000000000\" "
		"nr_bits=\"%u\">\n",
		nr, nr);
	for (uint32_t i = 0; i < nr; i++)
		fprintf(stream, "    <bit block=\"%u\" value=\"%s\"/>\n", i,
			i % 7 ? "false" : "true");
	fprintf(stream, "  </writeset>\n  <era_array>\n");
	for (uint32_t i = 0; i < nr; i++)
		fprintf(stream, "    <era block=\"%u\" era=\"%u\"/>\n", i,
			i * 6151u % 4000000001u);
	fprintf(stream, "  </era_array>\n</superblock>\n");
	fclose(stream);
	cr_assert_null(trace_compare(xml, len, 0));
	free(xml);
}

/* --- what is refused: the elements --- */

Test(xml_reader, refuses_an_empty_file)
{
	refuse("", "x.xml: line 1, column 1: the file is empty");
}

Test(xml_reader, tells_metadata_from_xml)
{
	char block[4096] = { 0 };

	memcpy(block + 32, "\x7b\x07\xc1\x7e", 4);
	refuse_bytes(block, sizeof(block),
		     "x.xml: line 1, column 1: the file holds era metadata, "
		     "not XML");
}

Test(xml_reader, refuses_what_is_no_xml)
{
	refuse("a", "x.xml: line 1, column ");
	refuse("hello world\n", "x.xml: line 1, column ");
	refuse_bytes("\0\0\0\0\0\0", 6, "x.xml: line 1, column ");
	refuse("<superblock", "x.xml: line 1, column ");
	refuse("<!-- x -->\n", "x.xml: line *: the document ends before its "
			       "first element");
	refuse("<", "x.xml: line 1, column ");
}

Test(xml_reader, refuses_another_root)
{
	refuse("<blocks>\n</blocks>\n",
	       "x.xml: line 1, column 1: the document is <blocks>, not "
	       "<superblock>");
	refuse("<era_array/>\n", "x.xml: line 1, column 1: the document is "
				 "<era_array>, not <superblock>");
}

Test(xml_reader, refuses_a_file_cut_short)
{
	for (size_t len = 1; len < sizeof(plain) - 2; len++)
		refuse_bytes(plain, len, "x.xml: line ");
	refuse(SUPERBLOCK("2") ERAS_2,
	       "x.xml: line *: the document ends inside <superblock>");
}

Test(xml_reader, refuses_what_follows_the_document)
{
	refuse(SUPERBLOCK("2") ERAS_2 END "<superblock/>\n",
	       "x.xml: line 7, column 1: ");
	refuse(SUPERBLOCK("2") ERAS_2 END "text\n",
	       "x.xml: line 7, column 1: ");
}

Test(xml_reader, refuses_an_unknown_element)
{
	refuse(SUPERBLOCK("2") ERAS_2 "  <extra/>\n" END,
	       "x.xml: line 6, column 3: unknown element <extra>");
}

Test(xml_reader, refuses_elements_nested_wrongly)
{
	refuse(SUPERBLOCK("2") "  <bit block=\"0\" value=\"true\"/>\n",
	       "x.xml: line 2, column 3: <bit> may not stand in <superblock>");
	refuse(SUPERBLOCK("2") "  <era_array>\n    <writeset era=\"1\" "
			       "nr_bits=\"2\"/>\n",
	       "x.xml: line 3, column 5: <writeset> may not stand in "
	       "<era_array>");
	refuse(SUPERBLOCK("2") "  <era_array>\n    <era block=\"0\" "
			       "era=\"1\"><era block=\"1\" era=\"1\"/></era>\n",
	       "x.xml: line 3, column 28: <era> may not stand in <era>");
	refuse(SUPERBLOCK("2") SUPERBLOCK("2"),
	       "x.xml: line 2, column 1: <superblock> may not stand in "
	       "<superblock>");
}

Test(xml_reader, refuses_tags_that_do_not_match)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"2\">\n" BITS_2
			       "  </era_array>\n",
	       "x.xml: line 5, column 15: </era_array> where </writeset> was "
	       "expected");
}

Test(xml_reader, refuses_a_superblock_without_an_era_array)
{
	refuse(SUPERBLOCK("2") END,
	       "x.xml: line 2, column 1: <superblock> has no <era_array>");
}

Test(xml_reader, refuses_a_second_era_array)
{
	refuse(SUPERBLOCK("2") ERAS_2 ERAS_2 END,
	       "x.xml: line 6, column 3: a second <era_array>");
}

Test(xml_reader, refuses_text_between_elements)
{
	refuse(SUPERBLOCK("2") "  text\n" ERAS_2 END,
	       "x.xml: line 2, column 3: text between elements");
	refuse(SUPERBLOCK("2") ERAS_2 "&#48;" END,
	       "x.xml: line 6, column *: text between elements");
	refuse(SUPERBLOCK("2") "<![CDATA[x]]>" ERAS_2 END,
	       "x.xml: line 2, column ");
}

/* --- attributes --- */

Test(xml_reader, refuses_an_unknown_attribute)
{
	refuse("<superblock uuid=\"\" block_size=\"128\" nr_blocks=\"2\" "
	       "current_era=\"9\" version=\"1\">\n" ERAS_2 END,
	       "x.xml: line 1, column 1: <superblock> takes no attribute "
	       "\"version\"");
	refuse(SUPERBLOCK("2") "  <era_array len=\"2\">\n",
	       "x.xml: line 2, column 3: <era_array> takes no attribute \"len\"");
	refuse(SUPERBLOCK("2") "  <era_array xml:space=\"preserve\">\n",
	       "x.xml: line 2, column 3: <era_array> takes no attribute "
	       "\"xml:space\"");
}

Test(xml_reader, refuses_a_missing_attribute)
{
	refuse(SUPERBLOCK("2") "  <writeset\n\tera=\"3\"\n  >\n",
	       "x.xml: line 2, column 3: <writeset> lacks the attribute "
	       "\"nr_bits\"");
	refuse("<superblock block_size=\"128\" nr_blocks=\"2\" "
	       "current_era=\"9\">\n" ERAS_2 END,
	       "x.xml: line 1, column 1: <superblock> lacks the attribute "
	       "\"uuid\"");
}

Test(xml_reader, refuses_a_repeated_attribute)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"3\" era=\"3\" "
			       "nr_bits=\"2\">\n",
	       "x.xml: line 2, column ");
}

Test(xml_reader, refuses_namespaces)
{
	refuse("<superblock xmlns=\"urn:x\" uuid=\"\" block_size=\"128\" "
	       "nr_blocks=\"2\" current_era=\"9\">\n" ERAS_2 END,
	       "x.xml: line 1, column 1: <superblock> is in a namespace");
	refuse("<x:superblock/>\n", "x.xml: line 1, column ");
}

Test(xml_reader, refuses_what_is_no_number)
{
	static const char *const bad[] = { "-1",  "+1",	 " 1",	"1 ",  "",
					   "0x1", "1.0", "1e3", "one", "\t1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char xml[256], message[256];

		snprintf(xml, sizeof(xml),
			 SUPERBLOCK("2") "  <writeset era=\"%s\" "
					 "nr_bits=\"2\">\n",
			 bad[i]);
		snprintf(message, sizeof(message),
			 "x.xml: line 2, column 3: era=\"%s\" is no number",
			 bad[i][0] == '\t' ? " 1" : bad[i]);
		refuse(xml, message);
	}
}

Test(xml_reader, refuses_a_number_too_large)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"4294967296\" "
			       "nr_bits=\"2\">\n",
	       "x.xml: line 2, column 3: era=\"4294967296\" is too large");
	refuse(SUPERBLOCK("2") "  <writeset era=\"18446744073709551617\" "
			       "nr_bits=\"2\">\n",
	       "x.xml: line 2, column 3: era=\"18446744073709551617\" is too "
	       "large");
}

Test(xml_reader, reads_leading_zeroes)
{
	read_as("<superblock uuid=\"\" block_size=\"0128\" "
		"nr_blocks=\"0000000000000000000002\" "
		"current_era=\"09\">\n" ERAS_2 END,
		plain_calls);
}

Test(xml_reader, refuses_a_value_that_is_neither_true_nor_false)
{
	static const char *const bad[] = { "1", "True", "", "true ", "FALSE" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char xml[512];

		snprintf(xml, sizeof(xml),
			 SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"2\">"
					 "\n    <bit block=\"0\" value=\"%s\"/>"
					 "\n",
			 bad[i]);
		refuse(xml, "x.xml: line 3, column 5: value is neither "
			    "\"true\" nor \"false\"");
	}
}

Test(xml_reader, refuses_a_malformed_uuid)
{
	refuse("<superblock uuid=\"1\" block_size=\"128\" nr_blocks=\"2\" "
	       "current_era=\"9\">\n",
	       "x.xml: line 1, column 1: uuid is neither empty nor 32 "
	       "hexadecimal digits");
	refuse("<superblock uuid=\"0123456789abcdef0123456789abcdeg\" "
	       "block_size=\"128\" nr_blocks=\"2\" current_era=\"9\">\n",
	       "x.xml: line 1, column 1: uuid is neither empty nor 32 "
	       "hexadecimal digits");
}

/* --- what the numbers may be --- */

Test(xml_reader, refuses_impossible_geometry)
{
	refuse("<superblock uuid=\"\" block_size=\"0\" nr_blocks=\"2\" "
	       "current_era=\"9\">\n",
	       "x.xml: line 1, column 1: ");
	refuse("<superblock uuid=\"\" block_size=\"12\" nr_blocks=\"2\" "
	       "current_era=\"9\">\n",
	       "x.xml: line 1, column 1: ");
	refuse(SUPERBLOCK("2147483648"), "x.xml: line 1, column 1: ");
}

Test(xml_reader, refuses_a_block_given_twice)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"2\">\n"
			       "    <bit block=\"0\" value=\"true\"/>\n"
			       "    <bit block=\"0\" value=\"true\"/>\n",
	       "x.xml: line 4, column 5: block 0 given twice or out of order "
	       "(expected 1)");
	refuse(SUPERBLOCK("2") "  <era_array>\n"
			       "    <era block=\"0\" era=\"1\"/>\n"
			       "    <era block=\"0\" era=\"1\"/>\n",
	       "x.xml: line 4, column 5: block 0 given twice or out of order "
	       "(expected 1)");
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"9\">\n"
			       "    <marked block_begin=\"3\" len=\"2\"/>\n"
			       "    <marked block_begin=\"4\" len=\"2\"/>\n",
	       "x.xml: line 4, column 5: block 4 given twice or out of order "
	       "(expected 5)");
}

Test(xml_reader, refuses_a_block_left_out)
{
	refuse(SUPERBLOCK("3") "  <writeset era=\"1\" nr_bits=\"3\">\n"
			       "    <bit block=\"0\" value=\"false\"/>\n"
			       "    <bit block=\"2\" value=\"true\"/>\n",
	       "x.xml: line 4, column 5: block 2 out of order (expected 1)");
	refuse(SUPERBLOCK("3") "  <writeset era=\"1\" nr_bits=\"3\">\n"
			       "    <bit block=\"1\" value=\"true\"/>\n"
			       "    <bit block=\"2\" value=\"false\"/>\n",
	       "x.xml: line 4, column 5: 1 blocks before this have no <bit>, "
	       "though blocks that are not marked have one");
	refuse(SUPERBLOCK("3") "  <era_array>\n"
			       "    <era block=\"1\" era=\"1\"/>\n",
	       "x.xml: line 3, column 5: block 1 out of order (expected 0)");
}

Test(xml_reader, refuses_a_block_out_of_range)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"2\">\n" BITS_2
			       "    <bit block=\"2\" value=\"false\"/>\n",
	       "x.xml: line 5, column 5: block 2 is out of range (there are "
	       "2)");
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"1\">\n"
			       "    <bit block=\"0\" value=\"false\"/>\n"
			       "    <bit block=\"1\" value=\"true\"/>\n",
	       "x.xml: line 4, column 5: block 1 is out of range (there are "
	       "1)");
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"9\">\n"
			       "    <marked block_begin=\"8\" len=\"2\"/>\n",
	       "x.xml: line 3, column 5: block 9 is out of range (there are "
	       "9)");
	refuse(SUPERBLOCK("1") "  <era_array>\n"
			       "    <era block=\"0\" era=\"1\"/>\n"
			       "    <era block=\"1\" era=\"1\"/>\n",
	       "x.xml: line 4, column 5: block 1 is out of range (there are "
	       "1)");
}

Test(xml_reader, refuses_an_empty_run)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"9\">\n"
			       "    <marked block_begin=\"8\" len=\"0\"/>\n",
	       "x.xml: line 3, column 5: <marked> of no block");
}

Test(xml_reader, refuses_two_forms_in_one_writeset)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"9\">\n"
			       "    <marked block_begin=\"0\" len=\"1\"/>\n"
			       "    <bit block=\"1\" value=\"true\"/>\n",
	       "x.xml: line 4, column 5: <bit> in a writeset of <marked>");
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"9\">\n"
			       "    <bit block=\"0\" value=\"true\"/>\n"
			       "    <marked block_begin=\"1\" len=\"1\"/>\n",
	       "x.xml: line 4, column 5: <marked> in a writeset of <bit>");
}

Test(xml_reader, refuses_too_few_bits)
{
	refuse(SUPERBLOCK("4") "  <writeset era=\"1\" nr_bits=\"5\">\n" BITS_2
			       "  </writeset>\n",
	       "x.xml: line 5, column 3: writeset of era 1 has 2 bits, 2 are "
	       "missing");
}

Test(xml_reader, refuses_an_era_above_current_era)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"10\" nr_bits=\"2\">\n",
	       "x.xml: line 2, column 3: writeset of era 10, above the "
	       "current era 9");
	refuse(SUPERBLOCK("2") "  <era_array>\n"
			       "    <era block=\"0\" era=\"10\"/>\n",
	       "x.xml: line 3, column 5: block 0 has era 10, above the "
	       "current era 9");
}

Test(xml_reader, refuses_a_writeset_twice_or_out_of_place)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"3\" nr_bits=\"2\"/>\n"
			       "  <writeset era=\"3\" nr_bits=\"2\"/>\n",
	       "x.xml: line 3, column 3: writeset of era 3 given twice");
	refuse(SUPERBLOCK("2") ERAS_2 "  <writeset era=\"3\" nr_bits=\"2\"/>\n",
	       "x.xml: line 6, column 3: <writeset> after <era_array>");
}

Test(xml_reader, refuses_too_many_bits_in_a_writeset)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"3\" nr_bits=\"2147483648\">"
			       "\n",
	       "x.xml: line 2, column 3: nr_bits 2147483648 is 2^31 or more");
}

Test(xml_reader, refuses_a_run_of_eras_that_does_not_fit)
{
	refuse(SUPERBLOCK("9") "  <era_array>\n"
			       "    <eras block_begin=\"1\" len=\"2\" era=\"1\"/>\n",
	       "x.xml: line 3, column 5: block 1 out of order (expected 0)");
	refuse(SUPERBLOCK("9") "  <era_array>\n"
			       "    <eras block_begin=\"0\" len=\"0\" era=\"1\"/>\n",
	       "x.xml: line 3, column 5: <eras> of no block");
	refuse(SUPERBLOCK("9") "  <era_array>\n"
			       "    <eras block_begin=\"0\" len=\"10\" era=\"1\"/>\n",
	       "x.xml: line 3, column 5: block 9 is out of range (there are "
	       "9)");
	refuse(SUPERBLOCK("9") "  <era_array>\n"
			       "    <eras block_begin=\"0\" len=\"9\" era=\"10\"/>\n",
	       "x.xml: line 3, column 5: block 0 has era 10, above the "
	       "current era 9");
}

/* --- attacks --- */

Test(xml_reader, refuses_a_document_type_declaration_unread)
{
	refuse("<!DOCTYPE superblock>\n" SUPERBLOCK("2") ERAS_2 END,
	       "x.xml: line 1, column ");
	refuse("<!DOCTYPE superblock SYSTEM \"file:///etc/passwd\">\n",
	       "x.xml: line 1, column ");
	refuse("<?xml version=\"1.0\"?>\n<!DOCTYPE s [\n"
	       "<!ENTITY a \"aaaaaaaaaa\">\n<!ENTITY b \"&a;&a;&a;&a;\">\n"
	       "]>\n<s>&b;</s>\n",
	       "x.xml: line 2, column ");
}

Test(xml_reader, says_that_a_document_type_declaration_is_refused)
{
	const char xml[] = "<!DOCTYPE superblock>\n" SUPERBLOCK("2");
	struct xml_trace trace = { 0 };

	trace_read(&trace, xml_read, xml, sizeof(xml) - 1, 0);
	cr_assert(strstr(trace.message, "(DTD) is refused"));
	free(trace.calls);
}

Test(xml_reader, refuses_an_undefined_entity)
{
	refuse(SUPERBLOCK("2") "&e;" ERAS_2 END, "x.xml: line 2, column ");
	refuse(SUPERBLOCK("&e;") ERAS_2 END, "x.xml: line 1, column ");
}

static char *repeat(const char *start, const char *part, size_t times)
{
	char *text, *p;

	text = malloc(strlen(start) + strlen(part) * times + 1);
	p = stpcpy(text, start);
	while (times--)
		p = stpcpy(p, part);
	return text;
}

Test(xml_reader, refuses_deep_nesting)
{
	char *xml = repeat("", "<superblock>", 100000);

	refuse(xml, "x.xml: line 1, column 1: ");
	free(xml);
}

Test(xml_reader, refuses_giant_attributes)
{
	char *xml = repeat("<superblock uuid=\"", "0123456789", 2000000);

	refuse(xml, "x.xml: line 1, column ");
	free(xml);
}

/* --- the way through --- */

Test(xml_reader, names_the_line_after_the_lexer_has_stopped)
{
	refuse(SUPERBLOCK("2") "  <writeset era=\"1\" nr_bits=\"2\">\n" BITS_2
			       "  </writeset>\n" ERAS_2
			       "  <!-- a\n comment -->\n <x/>\n" END,
	       "x.xml: line 12, column 2: unknown element <x>");
}

Test(xml_reader, stops_with_the_error_of_the_sink)
{
	const char xml[] = SUPERBLOCK("2") "  <writeset era=\"1\" "
					   "nr_bits=\"2\">\n" BITS_2
					   "  </writeset>\n" ERAS_2 END;
	xml_read_fn readers[] = { xml_read, xml_read_libxml2 };

	for (int i = 0; i < 2; i++) {
		struct xml_trace trace = { .fail_words = -ENOSPC };

		trace_read(&trace, readers[i], xml, sizeof(xml) - 1, 0);
		cr_assert_eq(trace.r, -ENOSPC);
		cr_assert_eq(trace.nr_problems, 0);
		cr_assert_null(strstr(trace.calls, "writeset_end"));
		free(trace.calls);
	}
}
