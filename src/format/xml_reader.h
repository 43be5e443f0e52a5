/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source of era_restore: reads the XML form of metadata as a stream, in
 * memory that does not grow with it. A lexer for XML that is simple, and above
 * all for the exact form that the suites write, stands before libxml2, which
 * takes over where the lexer stops and is the parser of record.
 */
#ifndef FORMAT_XML_READER_H
#define FORMAT_XML_READER_H

#include <stdbool.h>

#include "era/visitor.h"
#include "format/input.h"

/*
 * Drives sink with what in holds; name is the input's, for messages, which
 * name line and column. Returns 0, -EINVAL for XML that is not well-formed or
 * does not describe metadata, or the negative errno of in or sink.
 */
int xml_read(struct input *in, const char *name, struct era_visitor *sink,
	     struct era_report *report);

/* The same through libxml2 alone; the two are held to the same result. */
int xml_read_libxml2(struct input *in, const char *name,
		     struct era_visitor *sink, struct era_report *report);

#endif
