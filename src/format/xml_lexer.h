/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the exact form that the suites write, and stops before the first
 * line that is not of it, so that a parser can go on from there.
 *
 * Contract: the bytes before window->begin have been given to the document,
 * as whole lines; nothing of what follows has. The lexer refuses nothing: what
 * the document refuses is left to the parser, which will name the place.
 */
#ifndef FORMAT_XML_LEXER_H
#define FORMAT_XML_LEXER_H

#include <stdint.h>

#include "format/input_window.h"
#include "format/xml_document.h"

/*
 * Returns 0 where it stopped, with *line the number of the line there (the
 * first is 1), or the negative errno of the input or the sink.
 */
int xml_lex(struct input_window *window, struct xml_document *doc,
	    uint64_t *line);

#endif
