/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hands elements from libxml2 to the document. To go on where the lexer has
 * stopped, libxml2 is first told of the elements that are open there, on a
 * line of their own; what it says of those is dropped.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlversion.h>

#include "format/xml_parser.h"

#define MAX_ATTRIBUTES 4
/* of libxml2's, where the lexer has begun: the one after open_elements()' */
#define FIRST_LINE 2

#if LIBXML_VERSION >= 21200
typedef const xmlError *error_pointer;
#else
typedef xmlErrorPtr error_pointer;
#endif

struct parser {
	xmlParserCtxt *ctxt;
	struct xml_document *doc;
	const char *name;
	struct era_report *report;
	int64_t line_offset;	  /* to add to libxml2's */
	int64_t column_offset;	  /* likewise, on the lexer's last line */
	unsigned int skip_starts; /* elements that the lexer has read */
	unsigned int skip_ends;
	const struct element *open; /* NULL: none */
	int error;		    /* the first */
};

struct text {
	const char *p;
	size_t len;
};

struct element {
	const char *name;
	const struct element *parent;
	const char *attributes[MAX_ATTRIBUTES + 1];
	int (*start)(struct parser *parser, const struct text *values);
	int (*end)(struct xml_document *doc);
};

/* --- what goes wrong ------------------------------------------------------ */

static void __attribute__((format(printf, 4, 0)))
fail_at(struct parser *parser, int64_t line, int64_t column, const char *fmt,
	va_list ap)
{
	char text[384];

	if (parser->error)
		return;
	parser->error = -EINVAL;
	vsnprintf(text, sizeof(text), fmt, ap);
	/* libxml2's sentences may have several lines */
	for (char *p = text; *p; p++) {
		if (*p == '\n')
			*p = p[1] ? ' ' : '\0';
	}
	/* libxml2 loses count where it reads on, or changes the encoding */
	if (column < 1)
		column = 1;
	if (line == FIRST_LINE)
		column += parser->column_offset;
	era_report_kind(parser->report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%s: line %" PRId64 ", column %" PRId64 ": %s",
			parser->name, line + parser->line_offset, column, text);
}

static void __attribute__((format(printf, 4, 5)))
fail(struct parser *parser, int64_t line, int64_t column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_at(parser, line, column, fmt, ap);
	va_end(ap);
}

/* Where libxml2 is at the moment. */
static void __attribute__((format(printf, 2, 3)))
fail_here(struct parser *parser, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_at(parser, xmlSAX2GetLineNumber(parser->ctxt),
		xmlSAX2GetColumnNumber(parser->ctxt), fmt, ap);
	va_end(ap);
}

/* Characters from p on: bytes of UTF-8 that go on with one are not counted. */
static int64_t nr_characters(const xmlChar *p, const xmlChar *end)
{
	int64_t nr = 0;

	for (; p < end; p++)
		nr += (*p & 0xc0) != 0x80;
	return nr;
}

/*
 * At the tag being read: libxml2 stands behind its attributes, and no '<'
 * can be in those.
 */
static void __attribute__((format(printf, 2, 3)))
fail_at_tag(struct parser *parser, const char *fmt, ...)
{
	const xmlChar *base = parser->ctxt->input->base;
	const xmlChar *cur = parser->ctxt->input->cur;
	const xmlChar *tag = cur, *line_start;
	int64_t line = xmlSAX2GetLineNumber(parser->ctxt);
	int64_t column = xmlSAX2GetColumnNumber(parser->ctxt);
	int64_t newlines = 0;
	va_list ap;

	while (tag > base && *--tag != '<')
		newlines += *tag == '\n';
	line_start = tag;
	while (line_start > base && line_start[-1] != '\n')
		line_start--;
	if (newlines)
		column = nr_characters(line_start, tag) + 1;
	else
		column -= nr_characters(tag, cur);
	line -= newlines;
	va_start(ap, fmt);
	fail_at(parser, line, column, fmt, ap);
	va_end(ap);
}

/* What the document or the sink said of an element. */
static void check(struct parser *parser, int r)
{
	if (!r || parser->error)
		return;
	if (parser->doc->refusal[0]) {
		fail_at_tag(parser, "%s", parser->doc->refusal);
		return;
	}
	parser->error = r;
}

/*
 * At the end of a callback for content. Not in the one for errors: libxml2
 * 2.9 goes on after some of those with what stopping has freed.
 */
static void stop_if_failed(struct parser *parser)
{
	if (parser->error)
		xmlStopParser(parser->ctxt);
}

/* libxml2's own sentence for the end of the file is any of several. */
static bool is_early_end(const struct parser *parser, error_pointer error)
{
	return parser->doc->place != XML_AFTER &&
	       (error->code == XML_ERR_DOCUMENT_END ||
		error->code == XML_ERR_TAG_NOT_FINISHED);
}

/* That of tags that do not match names a line, which may not be the file's. */
static void on_error(void *arg, error_pointer error)
{
	struct parser *parser = arg;
	int64_t line = error->line;
	int64_t column = error->int2;

	if (error->level < XML_ERR_ERROR)
		return;
	/* what decodes the bytes does not know where it is */
	if (line <= 0 && parser->ctxt) {
		line = xmlSAX2GetLineNumber(parser->ctxt);
		column = xmlSAX2GetColumnNumber(parser->ctxt);
	}
	if (error->code == XML_ERR_TAG_NAME_MISMATCH && error->str1 &&
	    error->str2)
		fail(parser, line, column, "</%s> where </%s> was expected",
		     error->str2, error->str1);
	else if (is_early_end(parser, error) && parser->open)
		fail(parser, line, column, "the document ends inside <%s>",
		     parser->open->name);
	else if (is_early_end(parser, error))
		fail(parser, line, column,
		     "the document ends before its first element");
	else
		fail(parser, line, column, "%s",
		     error->message ? error->message : "not well-formed");
}

/* --- elements ------------------------------------------------------------- */

static int get_number(struct parser *parser, const char *attribute,
		      const struct text *text, uint32_t *value)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < text->len; i++) {
		char c = text->p[i];

		if (c < '0' || c > '9')
			break;
		v = v * 10 + (uint64_t)(c - '0');
		if (v > UINT32_MAX)
			break;
	}
	if (text->len && i == text->len) {
		*value = (uint32_t)v;
		return 0;
	}
	fail_at_tag(parser, "%s=\"%.*s\" is %s", attribute,
		    text->len > 40 ? 40 : (int)text->len, text->p,
		    v > UINT32_MAX ? "too large" : "no number");
	return -EINVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int get_uuid(struct parser *parser, const struct text *text,
		    uint8_t uuid[16])
{
	memset(uuid, 0, 16);
	for (size_t i = 0; i < text->len; i++) {
		int digit = hex_digit(text->p[i]);

		if (text->len != 32 || digit < 0) {
			fail_at_tag(parser,
				    "uuid is neither empty nor 32 hexadecimal "
				    "digits");
			return -EINVAL;
		}
		uuid[i / 2] = (uint8_t)(uuid[i / 2] << 4 | digit);
	}
	return 0;
}

static int start_superblock(struct parser *parser, const struct text *values)
{
	struct era_geometry g;

	if (get_uuid(parser, &values[0], g.uuid) ||
	    get_number(parser, "block_size", &values[1], &g.data_block_size) ||
	    get_number(parser, "nr_blocks", &values[2], &g.nr_blocks) ||
	    get_number(parser, "current_era", &values[3], &g.current_era))
		return parser->error;
	return xml_document_superblock(parser->doc, &g);
}

static int start_writeset(struct parser *parser, const struct text *values)
{
	uint32_t era, nr_bits;

	if (get_number(parser, "era", &values[0], &era) ||
	    get_number(parser, "nr_bits", &values[1], &nr_bits))
		return parser->error;
	return xml_document_writeset(parser->doc, era, nr_bits);
}

static bool text_is(const struct text *text, const char *string)
{
	return text->len == strlen(string) &&
	       !memcmp(text->p, string, text->len);
}

static int start_bit(struct parser *parser, const struct text *values)
{
	bool value = text_is(&values[1], "true");
	uint32_t block;

	if (get_number(parser, "block", &values[0], &block))
		return parser->error;
	if (!value && !text_is(&values[1], "false")) {
		fail_at_tag(parser, "value is neither \"true\" nor \"false\"");
		return parser->error;
	}
	return xml_document_bit(parser->doc, block, value);
}

static int start_marked(struct parser *parser, const struct text *values)
{
	uint32_t begin, len;

	if (get_number(parser, "block_begin", &values[0], &begin) ||
	    get_number(parser, "len", &values[1], &len))
		return parser->error;
	return xml_document_marked(parser->doc, begin, len);
}

static int start_era_array(struct parser *parser, const struct text *values)
{
	(void)values;
	return xml_document_era_array(parser->doc);
}

static int start_era(struct parser *parser, const struct text *values)
{
	uint32_t block, era;

	if (get_number(parser, "block", &values[0], &block) ||
	    get_number(parser, "era", &values[1], &era))
		return parser->error;
	return xml_document_era(parser->doc, block, era);
}

static int start_eras(struct parser *parser, const struct text *values)
{
	uint32_t begin, len, era;

	if (get_number(parser, "block_begin", &values[0], &begin) ||
	    get_number(parser, "len", &values[1], &len) ||
	    get_number(parser, "era", &values[2], &era))
		return parser->error;
	return xml_document_era_run(parser->doc, begin, len, era);
}

enum { SUPERBLOCK, WRITESET, ERA_ARRAY, BIT, ERA, ERAS, MARKED, NR_ELEMENTS };

static const struct element elements[NR_ELEMENTS] = {
	[SUPERBLOCK] = { "superblock",
			 NULL,
			 { "uuid", "block_size", "nr_blocks", "current_era" },
			 start_superblock,
			 xml_document_superblock_end },
	[WRITESET] = { "writeset",
		       &elements[SUPERBLOCK],
		       { "era", "nr_bits" },
		       start_writeset,
		       xml_document_writeset_end },
	[ERA_ARRAY] = { "era_array",
			&elements[SUPERBLOCK],
			{ NULL },
			start_era_array,
			xml_document_era_array_end },
	[BIT] = { "bit",
		  &elements[WRITESET],
		  { "block", "value" },
		  start_bit,
		  NULL },
	[ERA] = { "era",
		  &elements[ERA_ARRAY],
		  { "block", "era" },
		  start_era,
		  NULL },
	[ERAS] = { "eras",
		   &elements[ERA_ARRAY],
		   { "block_begin", "len", "era" },
		   start_eras,
		   NULL },
	[MARKED] = { "marked",
		     &elements[WRITESET],
		     { "block_begin", "len" },
		     start_marked,
		     NULL },
};

static const struct element *find_element(const char *name)
{
	for (size_t i = 0; i < NR_ELEMENTS; i++) {
		if (!strcmp(elements[i].name, name))
			return &elements[i];
	}
	return NULL;
}

/*
 * Whose XML this is, by an attribute that <superblock> has in no other; or
 * NULL.
 */
static const char *foreign_xml(const struct element *element, const char *name)
{
	static const char *const cache[] = { "nr_cache_blocks", "policy",
					     "hint_width" };
	static const char *const thin[] = { "nr_data_blocks", "transaction",
					    "data_block_size", "time" };

	if (element != &elements[SUPERBLOCK])
		return NULL;
	for (size_t i = 0; i < sizeof(cache) / sizeof(*cache); i++)
		if (!strcmp(name, cache[i]))
			return "this is XML of dm-cache metadata, not of "
			       "dm-era (cache_restore makes metadata of it)";
	for (size_t i = 0; i < sizeof(thin) / sizeof(*thin); i++)
		if (!strcmp(name, thin[i]))
			return "this is XML of dm-thin metadata, not of "
			       "dm-era (thin_restore makes metadata of it)";
	return NULL;
}

static void refuse_attribute(struct parser *parser,
			     const struct element *element, const char *prefix,
			     const char *name)
{
	const char *foreign = prefix ? NULL : foreign_xml(element, name);

	if (foreign)
		fail_at_tag(parser, "%s", foreign);
	else
		fail_at_tag(parser, "<%s> takes no attribute \"%s%s%s\"",
			    element->name, prefix ? prefix : "",
			    prefix ? ":" : "", name);
}

/* libxml2 gives five pointers for each: name, prefix, URI, value, end. */
static int get_attributes(struct parser *parser, const struct element *element,
			  int nr, const xmlChar **given, struct text *values)
{
	int wanted = 0;

	for (int i = 0; i < nr; i++, given += 5) {
		const char *name = (const char *)given[0];
		int a = 0;

		while (element->attributes[a] &&
		       strcmp(element->attributes[a], name))
			a++;
		if (given[1] || !element->attributes[a]) {
			refuse_attribute(parser, element,
					 (const char *)given[1], name);
			return -EINVAL;
		}
		values[a] = (struct text){ (const char *)given[3],
					   (size_t)(given[4] - given[3]) };
	}
	for (; element->attributes[wanted]; wanted++) {
		if (!values[wanted].p) {
			fail_at_tag(parser, "<%s> lacks the attribute \"%s\"",
				    element->name, element->attributes[wanted]);
			return -EINVAL;
		}
	}
	return 0;
}

static bool may_stand_here(struct parser *parser, const char *name,
			   const struct element *element)
{
	if (!element && !parser->open)
		fail_at_tag(parser, "the document is <%s>, not <superblock>",
			    name);
	else if (!element)
		fail_at_tag(parser, "unknown element <%s>", name);
	else if (element->parent == parser->open)
		return true;
	else if (!parser->open)
		fail_at_tag(parser, "the document is <%s>, not <superblock>",
			    name);
	else
		fail_at_tag(parser, "<%s> may not stand in <%s>", name,
			    parser->open->name);
	return false;
}

static void start_element(struct parser *parser, const char *name,
			  int nr_attributes, const xmlChar **attributes)
{
	struct text values[MAX_ATTRIBUTES] = { { NULL, 0 } };
	const struct element *element = find_element(name);

	if (!may_stand_here(parser, name, element) ||
	    get_attributes(parser, element, nr_attributes, attributes, values))
		return;
	parser->open = element;
	check(parser, element->start(parser, values));
}

static void on_start(void *arg, const xmlChar *local_name,
		     const xmlChar *prefix, const xmlChar *uri,
		     int nr_namespaces, const xmlChar **namespaces,
		     int nr_attributes, int nr_defaulted,
		     const xmlChar **attributes)
{
	struct parser *parser = arg;
	const char *name = (const char *)local_name;

	(void)uri;
	(void)namespaces;
	(void)nr_defaulted;
	if (parser->error)
		return;
	if (parser->skip_starts)
		parser->skip_starts--;
	else if (prefix || nr_namespaces)
		fail_at_tag(parser, "<%s> is in a namespace", name);
	else
		start_element(parser, name, nr_attributes, attributes);
	stop_if_failed(parser);
}

static void on_end(void *arg, const xmlChar *local_name, const xmlChar *prefix,
		   const xmlChar *uri)
{
	struct parser *parser = arg;
	const struct element *element = parser->open;

	(void)local_name;
	(void)prefix;
	(void)uri;
	if (parser->error)
		return;
	if (parser->skip_ends) {
		parser->skip_ends--;
		return;
	}
	parser->open = element->parent;
	if (element->end)
		check(parser, element->end(parser->doc));
	stop_if_failed(parser);
}

/*
 * libxml2 stands behind the text; goes back to text[at] where that is sure.
 */
static void refuse_text(struct parser *parser, const xmlChar *text, int at,
			int len)
{
	int64_t line = xmlSAX2GetLineNumber(parser->ctxt);
	int64_t column = xmlSAX2GetColumnNumber(parser->ctxt);
	int64_t chars = nr_characters(text + at, text + len);
	int line_start = at, newlines = 0;

	while (line_start > 0 && text[line_start - 1] != '\n')
		line_start--;
	for (int i = at; i < len; i++)
		newlines += text[i] == '\n';
	if (line_start) {
		line -= newlines;
		column = nr_characters(text + line_start, text + at) + 1;
	} else if (!newlines && column > chars) {
		column -= chars;
	}
	fail(parser, line, column, "text between elements");
}

static void on_text(void *arg, const xmlChar *text, int len)
{
	struct parser *parser = arg;

	for (int i = 0; i < len; i++) {
		if (text[i] > ' ') {
			refuse_text(parser, text, i, len);
			break;
		}
	}
	stop_if_failed(parser);
}

static void on_reference(void *arg, const xmlChar *name)
{
	fail_here(arg, "the entity \"%s\" is refused", (const char *)name);
	stop_if_failed(arg);
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *id,
		       const xmlChar *system_id)
{
	(void)name;
	(void)id;
	(void)system_id;
	fail_here(arg, "a document type declaration (DTD) is refused");
	stop_if_failed(arg);
}

/* --- the stream ----------------------------------------------------------- */

static int create_context(struct parser *parser, const char *data, size_t len)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_doctype,
		.reference = on_reference,
		.characters = on_text,
		.ignorableWhitespace = on_text,
		.cdataBlock = on_text,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.serror = on_error,
	};

	/* four bytes, by which libxml2 tells encodings apart */
	parser->ctxt =
		xmlCreatePushParserCtxt(&sax, parser, data, (int)len, NULL);
	if (!parser->ctxt)
		return -ENOMEM;
	xmlCtxtUseOptions(parser->ctxt, XML_PARSE_NONET);
	return 0;
}

static void parse(struct parser *parser, const char *data, size_t len,
		  bool last)
{
	int r = xmlParseChunk(parser->ctxt, data, (int)len, last);

	/* in case it gives up without a word; r may also be a warning's */
	if (!parser->error && (r < 0 || !parser->ctxt->wellFormed))
		fail_here(parser, "not well-formed (libxml2's error %d)", r);
}

/* Tells libxml2 what is open where the lexer has stopped, on a line. */
static int open_elements(struct parser *parser, const struct xml_mark *mark)
{
	static const struct {
		const char *text;
		unsigned int nr_starts;
		unsigned int nr_ends;
		const struct element *open;
	} prefixes[] = {
		[XML_SUPERBLOCK] = { "<superblock>\n", 1, 0,
				     &elements[SUPERBLOCK] },
		[XML_WRITESET] = { "<superblock><writeset>\n", 2, 0,
				   &elements[WRITESET] },
		[XML_ERA_ARRAY] = { "<superblock><era_array>\n", 2, 0,
				    &elements[ERA_ARRAY] },
		[XML_AFTER] = { "<superblock/>\n", 1, 1, NULL },
	};
	enum xml_place place = parser->doc->place;
	const char *text = prefixes[place].text;
	int r = create_context(parser, text, 4);

	if (r)
		return r;
	parser->line_offset = (int64_t)mark->line - FIRST_LINE;
	parser->column_offset = (int64_t)mark->column;
	parser->skip_starts = prefixes[place].nr_starts;
	parser->skip_ends = prefixes[place].nr_ends;
	parser->open = prefixes[place].open;
	/* NOLINTNEXTLINE(*NonNullParamChecker): the lexer has begun */
	parse(parser, text + 4, strlen(text + 4), false);
	return 0;
}

/* The document begins here, so its first bytes tell the encoding. */
static int open_document(struct parser *parser, struct input_window *window)
{
	size_t len;
	int r = 0;

	while (!r && !window->eof && input_window_len(window) < 4)
		r = input_window_fill(window);
	if (r)
		return r;
	len = input_window_len(window) < 4 ? input_window_len(window) : 4;
	r = create_context(parser, window->begin, len);
	window->begin += len;
	return r;
}

static int parse_window(struct parser *parser, struct input_window *window)
{
	while (!parser->error) {
		int r;

		parse(parser, window->begin, input_window_len(window), false);
		window->begin = window->end;
		if (window->eof || parser->error)
			break;
		r = input_window_fill(window);
		if (r)
			return r;
	}
	if (!parser->error)
		parse(parser, NULL, 0, true);
	return parser->error;
}

static int read_all(struct parser *parser, struct input_window *window,
		    const struct xml_mark *mark)
{
	int r;

	if (parser->doc->place == XML_BEFORE)
		r = open_document(parser, window);
	else
		r = open_elements(parser, mark);
	if (!r)
		r = parse_window(parser, window);
	/* libxml2 would have said so, unless there is a bug there or here */
	if (!r && parser->doc->place != XML_AFTER) {
		fail_here(parser, "the document ends too early");
		r = parser->error;
	}
	if (parser->ctxt)
		xmlFreeParserCtxt(parser->ctxt);
	return r;
}

int xml_parse(struct input_window *window, const char *name,
	      struct xml_document *doc, const struct xml_mark *mark,
	      struct era_report *report)
{
	struct parser parser = { .doc = doc, .name = name, .report = report };
	xmlStructuredErrorFunc old_handler = xmlStructuredError;
	void *old_arg = xmlStructuredErrorContext;
	int r;

	/* what decodes the bytes knows no parser, only this thread's handler */
	xmlSetStructuredErrorFunc(&parser, (xmlStructuredErrorFunc)on_error);
	r = read_all(&parser, window, mark);
	xmlSetStructuredErrorFunc(old_arg, old_handler);
	return r;
}
