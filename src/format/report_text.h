/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints problems as they are found, one a line:
 *   era_check: error: superblock 0 -> array block 15: ... (data blocks 1..2)
 */
#ifndef FORMAT_REPORT_TEXT_H
#define FORMAT_REPORT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/report.h"

struct report_text {
	struct era_report report; /* give this to what may find problems */
	FILE *stream;
	const char *prefix; /* the program's name */
	bool quiet;	    /* count, print nothing */
};

void report_text_init(struct report_text *text, FILE *stream,
		      const char *prefix, bool quiet);

#endif
