/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scans the simple part of XML for the lexer: tags of the elements that era
 * metadata is made of, with their attributes in any order, either quote and
 * white space wherever XML allows it; comments, a byte order mark and an XML
 * declaration. What is not simple (entities, processing instructions, CDATA,
 * namespaces, other encodings, anything that is not ASCII) is left alone.
 *
 * Contract: nothing here refuses. A scan ends with XML_SCAN_NO wherever
 * libxml2 might see something else in the bytes than the scan does.
 */
#ifndef FORMAT_XML_TAG_H
#define FORMAT_XML_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XML_TAG_MAX_VALUES 4u

enum xml_scan_result {
	XML_SCAN_NO,   /* not simple, or no such thing */
	XML_SCAN_OK,   /* the cursor is behind it */
	XML_SCAN_MORE, /* what there is ends too early to tell */
};

enum xml_name {
	XML_NAME_SUPERBLOCK,
	XML_NAME_WRITESET,
	XML_NAME_ERA_ARRAY,
	XML_NAME_BIT,
	XML_NAME_ERA,
	XML_NAME_ERAS,
	XML_NAME_MARKED,
};

#define XML_NR_NAMES (XML_NAME_MARKED + 1)

/* The bytes at hand; a NUL stands at end, and some more behind it. */
struct xml_cursor {
	const char *at;
	const char *end;
	bool eof; /* nothing comes behind end */
};

enum xml_tag_kind {
	XML_TAG_START,
	XML_TAG_EMPTY, /* `<bit .../>`, or `<bit ...></bit>` */
	XML_TAG_END,
};

struct xml_value {
	const char *p;
	size_t len;
};

struct xml_tag {
	enum xml_name name;
	enum xml_tag_kind kind;
	unsigned int nr_values;
	/* all that the element takes, in the order that its name has them in:
	 * as in a dump */
	struct xml_value values[XML_TAG_MAX_VALUES];
	/* which of them comes first in the tag, which second... */
	uint8_t order[XML_TAG_MAX_VALUES];
};

/*
 * A tag, with the white space before it and that behind it up to the end of
 * its line.
 */
enum xml_scan_result xml_scan_tag(struct xml_cursor *cursor,
				  struct xml_tag *tag);

/* A comment, likewise. */
enum xml_scan_result xml_scan_comment(struct xml_cursor *cursor);

/*
 * What may stand before the first tag: a byte order mark, a declaration of
 * version 1.0 and UTF-8, comments. Also where there is none of it.
 */
enum xml_scan_result xml_scan_prolog(struct xml_cursor *cursor);

/* White space up to the end of the document, and that end. */
enum xml_scan_result xml_scan_end(struct xml_cursor *cursor);

/* False where it is no number below 2^32. */
bool xml_value_number(const struct xml_value *value, uint32_t *number);

/* "true" or "false". */
bool xml_value_bool(const struct xml_value *value, uint32_t *number);

/* Empty, or 32 digits. */
bool xml_value_uuid(const struct xml_value *value, uint8_t uuid[16]);

#endif
