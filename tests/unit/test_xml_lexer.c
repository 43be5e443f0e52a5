/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lexer against libxml2, which is the parser of record: whatever is done
 * to a document, both see the same in it. (tests/fuzz looks further.)
 */
#include "config.h"

#include <criterion/criterion.h>

#include "format/xml_lexer.h"
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

/* --- other forms of the same ---------------------------------------------- */

/* How a program may write what a dump writes otherwise. */
struct form {
	const char *name;
	const char *prolog;
	const char *eol;
	const char *indent;
	const char *between; /* attributes */
	const char *equals;
	char quote;
	bool reversed;	      /* attributes */
	const char *empty[2]; /* behind an element that holds nothing; before
			       * its name's end, where that is not NULL */
	const char *comment;  /* behind each third line */
	const char *epilog;
};

static const struct form forms[] = {
	{ "attributes in another order",
	  "",
	  "\n",
	  "    ",
	  " ",
	  "=",
	  '"',
	  true,
	  { "/>", NULL },
	  "",
	  "" },
	{ "single quotes",
	  "",
	  "\n",
	  "  ",
	  " ",
	  "=",
	  '\'',
	  false,
	  { "/>", NULL },
	  "",
	  "" },
	{ "as Python writes it",
	  "<?xml version='1.0' encoding='utf-8'?>\n",
	  "\n",
	  "\t",
	  " ",
	  "=",
	  '"',
	  true,
	  { " />", NULL },
	  "",
	  "" },
	{ "canonical XML",
	  "",
	  "\n",
	  "    ",
	  " ",
	  "=",
	  '"',
	  true,
	  { "></", ">" },
	  "",
	  "" },
	{ "as Windows writes it",
	  "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\" "
	  "standalone=\"yes\"?>\r\n",
	  "\r\n",
	  "  ",
	  " ",
	  "=",
	  '"',
	  false,
	  { "/>", NULL },
	  "",
	  "\r\n" },
	{ "on one line",
	  "<?xml version=\"1.0\"?>",
	  "",
	  "",
	  " ",
	  "=",
	  '"',
	  false,
	  { "/>", NULL },
	  "",
	  "" },
	{ "on one line, in another order",
	  "",
	  "",
	  "",
	  " ",
	  "=",
	  '\'',
	  true,
	  { "/>", NULL },
	  "",
	  "\n\n" },
	{ "an attribute a line",
	  "\n\n",
	  "\n",
	  "",
	  "\n\t",
	  " =\n",
	  '"',
	  true,
	  { "\n/>", NULL },
	  "",
	  "\n  <!-- the end -->\n" },
	{ "comments",
	  "<!-- by hand -->\n<!---->",
	  "\n",
	  " ",
	  "  ",
	  "= ",
	  '"',
	  true,
	  { "/>", NULL },
	  "<!-- - \n > <bit block=\"\"/> &amp; -->",
	  "<!-- no more -->" },
	{ "comments between the usual lines",
	  "",
	  "\n",
	  "    ",
	  " ",
	  "=",
	  '"',
	  false,
	  { "/>", NULL },
	  "    <!-- here -->\n",
	  "" },
};

#define NR_FORMS (sizeof(forms) / sizeof(*forms))

/* One attribute or two, the values of which were as in a dump. */
static void put_attributes(FILE *to, const struct form *form, char *attributes)
{
	char *names[4], *values[4];
	int nr = 0;

	for (char *p = strtok(attributes, " "); p; p = strtok(NULL, " ")) {
		names[nr] = p;
		p = strchr(p, '=');
		*p = '\0';
		values[nr] = p + 2;
		*strchr(values[nr++], '"') = '\0';
	}
	for (int i = 0; i < nr; i++) {
		int k = form->reversed ? nr - 1 - i : i;

		fprintf(to, "%s%s%s%c%s%c", form->between, names[k],
			form->equals, form->quote, values[k], form->quote);
	}
}

/* A line of a dump in another form. */
static void put_line(FILE *to, const struct form *form, char *line)
{
	bool empty = strstr(line, "/>");
	char *name, *rest;

	fprintf(to, "%s", line[0] == ' ' ? form->indent : "");
	name = line + strspn(line, " <");
	rest = name + strcspn(name, " >");
	if (*name == '/' || *rest == '>') {
		fprintf(to, "<%.*s%s>%s", (int)strcspn(name, ">"), name,
			form->equals[1] ? " " : "", form->eol);
		return;
	}
	*rest++ = '\0';
	*strpbrk(rest, "/>") = '\0';
	fprintf(to, "<%s", name);
	put_attributes(to, form, rest);
	fprintf(to, "%s", empty ? form->empty[0] : ">");
	if (empty && form->empty[1])
		fprintf(to, "%s%s", name, form->empty[1]);
	fprintf(to, "%s", form->eol);
}

/* To be freed; with a final NUL. */
static char *put_document(const struct form *form, size_t *len)
{
	char *text;
	FILE *to = open_memstream(&text, len);
	int nr = 0;

	fprintf(to, "%s", form->prolog);
	for (const char *p = document; *p; p += strcspn(p, "\n") + 1) {
		char *line = strndup(p, strcspn(p, "\n"));

		put_line(to, form, line);
		free(line);
		if (++nr % 3 == 0)
			fprintf(to, "%s", form->comment);
	}
	fprintf(to, "%s", form->epilog);
	fclose(to);
	return text;
}

/* The lexer alone, without what stands behind it. */
static void read_by_lexer(struct xml_trace *trace, const char *text, size_t len)
{
	struct xml_document *doc = malloc(sizeof(*doc));
	struct era_report report = { .problem = trace_problem, .arg = trace };
	struct input_window window;
	struct input in;
	struct xml_mark mark;

	trace_begin(trace);
	cr_assert_eq(input_open_fd(&in, trace_fd(text, len, 0), "x.xml",
				   &report),
		     0);
	cr_assert_eq(input_window_init(&window, &in), 0);
	xml_document_init(doc, &trace->visitor);
	trace->r = xml_lex(&window, doc, &mark);
	if (!trace->r && doc->place == XML_AFTER && window.eof &&
	    window.begin == window.end)
		trace->r = xml_document_end(doc, &report);
	else
		trace->r = -EAGAIN;
	input_window_release(&window);
	input_close(&in);
	free(doc);
	fclose(trace->stream);
}

Test(xml_lexer, reads_what_programs_write_in_other_forms)
{
	struct xml_trace usual = { 0 };

	trace_read(&usual, xml_read_libxml2, document, LEN, 0);
	for (size_t i = 0; i < NR_FORMS; i++) {
		struct xml_trace trace = { 0 };
		size_t len;
		char *text = put_document(&forms[i], &len);

		agree(text, len, 0);
		read_by_lexer(&trace, text, len);
		cr_assert_eq(trace.r, 0, "%s: %s", forms[i].name, text);
		cr_assert_str_eq(trace.calls, usual.calls, "%s: %s",
				 forms[i].name, text);
		free(trace.calls);
		free(text);
	}
	free(usual.calls);
}

Test(xml_lexer, agrees_on_other_forms_in_whatever_pieces_they_come)
{
	for (size_t i = 0; i < NR_FORMS; i++) {
		size_t len;
		char *text = put_document(&forms[i], &len);

		for (size_t piece = 16; piece < 120; piece += 7)
			agree(text, len, piece);
		free(text);
	}
}

Test(xml_lexer, agrees_wherever_other_forms_end)
{
	for (size_t i = 0; i < NR_FORMS; i++) {
		size_t len;
		char *text = put_document(&forms[i], &len);

		for (size_t at = 0; at < len; at++)
			agree(text, at, 0);
		free(text);
	}
}

Test(xml_lexer, agrees_wherever_a_byte_of_other_forms_is_another)
{
	static const char bytes[] = " \n\r<>\"'0x-=/\x80&";

	for (size_t i = 0; i < NR_FORMS; i++) {
		size_t len;
		char *text = put_document(&forms[i], &len);

		for (size_t at = 0; at < len; at++) {
			char was = text[at];

			/* a third of them for each place */
			for (size_t k = at % 3; k < sizeof(bytes) - 1; k += 3) {
				text[at] = bytes[k];
				agree(text, len, 0);
			}
			text[at] = was;
		}
		free(text);
	}
}

Test(xml_lexer, agrees_wherever_a_byte_of_other_forms_is_missing)
{
	for (size_t i = 0; i < NR_FORMS; i++) {
		size_t len;
		char *text = put_document(&forms[i], &len);

		for (size_t at = 0; at < len; at++) {
			char *less = malloc(len);

			memcpy(less, text, at);
			memcpy(less + at, text + at + 1, len - at - 1);
			agree(less, len - 1, 0);
			free(less);
		}
		free(text);
	}
}

/* One element of what `document` is a list of, and what is done to it. */
static const struct {
	const char *was, *is;
	bool simple; /* the lexer knows what to make of it */
} edits[] = {
	{ "  <era_array>", "  <era_array\t>", true },
	{ "</era_array>", "</era_array\n>", true },
	{ "<writeset era=\"4\" nr_bits=\"12\">\n  </writeset>",
	  "<writeset nr_bits='12' era='4'/>", true },
	{ "block=\"7\" value=\"true\"", "value='true' block=\"00007\"", true },
	{ "<era block=\"9\" era=\"0\"/>",
	  "<eras len='1' era='0'\n"
	  " block_begin='9'></eras>",
	  true },
	{ "uuid=\"\"", "uuid='0123456789abcdefABCDEF0123456789'", true },
	{ "<bit block=\"8\"", "<bit\r\nblock=\"8\"", true },
	/* not well-formed, or not simple, or refused */
	{ "block=\"7\" value", "block=\"7\"value", false },
	{ "block=\"7\" value", "block=\"7\" block=\"7\" value", false },
	{ "block=\"7\" value", "value=\"true\" value", false },
	{ "block=\"7\" value=\"true\"", "value=\"tru\" block=\"7\"", false },
	{ "block=\"7\" value=\"true\"", "value=\"trues\" block=\"7\"", false },
	{ "block=\"7\" value=\"true\"", "value='true\" block=\"7\"", false },
	{ "block=\"7\" value=\"true\"", "block=\"&#55;\" value=\"true\"",
	  false },
	{ "era=\"12345678\"", "era='123456790'", false },
	{ "era=\"12345678\"", "era='4294967296'", false },
	{ "era=\"12345678\"", "era=''", false },
	{ "era=\"12345678\"", "era='-1'", false },
	{ "era=\"12345678\"", "era='0.5'", false },
	{ "    <era block=\"8\"", "    <!-- a -- b --><era block=\"8\"",
	  false },
	{ "    <era block=\"8\"", "    <!-- a ---><era block=\"8\"", false },
	{ "    <era block=\"8\"", "    <!--> --><era block=\"8\"", true },
	{ "    <era block=\"8\"", "    <!-- \x01 --><era block=\"8\"", false },
	{ "    <era block=\"8\"", "    <!-- \xc3\xa4 --><era block=\"8\"",
	  false },
	{ "    <era block=\"8\"", "    <!-- \xc3 --><era block=\"8\"", false },
	{ "    <era block=\"8\"", "    \r<era block=\"8\"", false },
	{ "    <era block=\"8\"", "    <?php ?><era block=\"8\"", false },
	{ "    <era block=\"8\"", "    x<era block=\"8\"", false },
	{ "    <era block=\"8\"", "    <![CDATA[ ]]><era block=\"8\"", false },
	{ "    <era block=\"8\"", "    <xml:era block=\"8\"", false },
	{ "    <era block=\"8\"", "    < era block=\"8\"", false },
	{ "    <era block=\"8\"", "    <era xmlns='x' block=\"8\"", false },
	{ "    <era block=\"8\"", "    <Era block=\"8\"", false },
	{ "    <era block=\"8\"", "    <era_ block=\"8\"", false },
	{ "</era_array>", "</ era_array>", false },
	{ "</era_array>", "</era_array/>", false },
	{ "</era_array>", "</eras>", false },
	{ "<superblock ", "<?xml version='1.1'?><superblock ", false },
	{ "<superblock ", "<?xml version='1.0' encoding='latin1'?><superblock ",
	  false },
	{ "<superblock ", "<?xml version='1.0'encoding='UTF-8'?><superblock ",
	  false },
	{ "<superblock ", " <?xml version='1.0'?><superblock ", false },
	{ "<superblock ", "<!-- --><?xml version='1.0'?><superblock ", false },
	{ "<superblock ",
	  "<?xml version='1.0' standalone='maybe'?><superblock ", false },
	{ "<superblock ", "<?xml standalone='yes' version='1.0'?><superblock ",
	  false },
	{ "<superblock ", "<!DOCTYPE superblock><superblock ", false },
	{ "</superblock>\n", "</superblock>\n<!-- x", false },
	{ "</superblock>\n", "</superblock>\n<superblock/>", false },
	{ "</superblock>\n", "</superblock>\n&amp;", false },
	{ "</superblock>\n", "</superblock>\n\xef\xbb\xbf", false },
};

static char *edit(size_t i, size_t *len)
{
	const char *at = strstr(document, edits[i].was);
	char *text;
	FILE *to = open_memstream(&text, len);

	fprintf(to, "%.*s%s%s", (int)(at - document), document, edits[i].is,
		at + strlen(edits[i].was));
	fclose(to);
	return text;
}

Test(xml_lexer, takes_what_is_simple_and_leaves_the_rest)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		struct xml_trace trace = { 0 };
		size_t len;
		char *text = edit(i, &len);

		agree(text, len, 0);
		read_by_lexer(&trace, text, len);
		cr_assert_eq(trace.r, edits[i].simple ? 0 : -EAGAIN, "%s",
			     edits[i].is);
		free(trace.calls);
		free(text);
	}
}

/* Where a mistake in the midst of a line stands does not depend on who read
 * the rest of it. */
Test(xml_lexer, names_the_same_place_as_libxml2)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		struct xml_trace lexer = { 0 }, libxml2 = { 0 };
		size_t len;
		char *text = edit(i, &len);

		for (size_t k = 0; k < 2; k++) {
			trace_read(&lexer, xml_read, text, len, 0);
			trace_read(&libxml2, xml_read_libxml2, text, len, 0);
			cr_assert_str_eq(lexer.message, libxml2.message);
			free(lexer.calls);
			free(libxml2.calls);
			/* once more on one line */
			for (size_t at = 0; at < len; at++)
				text[at] = text[at] == '\n' ? ' ' : text[at];
		}
		free(text);
	}
}

/* More than a window of it, which goes to libxml2 in the midst. */
Test(xml_lexer, agrees_on_a_comment_and_blanks_without_end)
{
	size_t large = INPUT_WINDOW_SIZE + 100,
	       before = (size_t)(strstr(document, "  <era_array>") - document);
	char *text = malloc(LEN + large);

	memcpy(text, document, before);
	memset(text + before, ' ', large);
	memcpy(text + before + large, document + before, LEN - before);
	agree(text, LEN + large, 0);
	memcpy(text + before, "<!--", 4);
	memcpy(text + before + large - 3, "-->", 3);
	agree(text, LEN + large, 0);
	text[before + large - 1] = '-';
	agree(text, LEN + large, 0);
	free(text);
}
