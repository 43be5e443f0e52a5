/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Printing what others have written, such as names of files and parts of XML:
 * a terminal takes some bytes for commands, and some characters turn the order
 * of those around them.
 */
#ifndef FORMAT_PRINTABLE_H
#define FORMAT_PRINTABLE_H

#include <stdio.h>

/*
 * Prints s to stream. Control characters (C0, DEL, C1), those that set the
 * direction of text or separate lines, and bytes that are no UTF-8 are printed
 * as \x1b or \u202e.
 */
void printable_put(const char *s, FILE *stream);

#endif
