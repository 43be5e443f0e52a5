/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the form that the suites write, and more slowly all that is simple
 * (xml_tag.h), and stops before the first tag that is not, so that a parser can
 * go on from there.
 *
 * Contract: the bytes before window->begin have been given to the document,
 * as whole tags and comments; nothing of what follows has, and as long as the
 * document has not begun it is all of the input. The lexer refuses nothing:
 * what the document refuses is left to the parser, which will name the place.
 */
#ifndef FORMAT_XML_LEXER_H
#define FORMAT_XML_LEXER_H

#include <stdint.h>

#include "format/input_window.h"
#include "format/xml_document.h"

/* A place in the input. */
struct xml_mark {
	uint64_t line;	 /* the first is 1 */
	uint64_t column; /* characters before it on that line */
};

/*
 * Returns 0 where it stopped, with the place in *mark, or the negative errno
 * of the input or the sink.
 */
int xml_lex(struct input_window *window, struct xml_document *doc,
	    struct xml_mark *mark);

#endif
