/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rounding to two digits or more, in whole numbers.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "format/human_size.h"

char *human_size(char buf[HUMAN_SIZE_MAX], uint64_t bytes)
{
	static const char letters[] = "BKMGTPE";
	unsigned int shift = 0, at = 0;
	uint64_t whole, tenths;

	/* 1023.95 and up would be printed as 1024 */
	while (shift < 60 && bytes >> shift >= 1024) {
		shift += 10;
		at++;
	}
	whole = bytes >> shift;
	tenths = shift ? ((bytes >> (shift - 10) & 1023) * 10 + 512) / 1024 : 0;
	whole += tenths / 10;
	tenths %= 10;
	if (whole == 1024 && shift < 60) {
		whole = 1;
		at++;
	}
	if (tenths && whole < 100)
		snprintf(buf, HUMAN_SIZE_MAX, "%" PRIu64 ".%" PRIu64 "%c",
			 whole, tenths, letters[at]);
	else
		snprintf(buf, HUMAN_SIZE_MAX, "%" PRIu64 "%c",
			 whole + (whole >= 100 && tenths >= 5), letters[at]);
	return buf;
}
