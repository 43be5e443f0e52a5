/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads any legal XML through libxml2's SAX interface. A document type
 * declaration is refused before it is read, so there are no entities to
 * expand and nothing to fetch.
 */
#ifndef FORMAT_XML_PARSER_H
#define FORMAT_XML_PARSER_H

#include <stdint.h>

#include "base/report.h"
#include "format/xml_lexer.h"

/*
 * Reads what is left of the input, where doc stands as the lexer left it, at
 * mark. name is the input's, for messages.
 * Returns 0 once the document has ended, or a negative errno, which for
 * -EINVAL of our own was reported with line and column.
 */
int xml_parse(struct input_window *window, const char *name,
	      struct xml_document *doc, const struct xml_mark *mark,
	      struct era_report *report);

#endif
