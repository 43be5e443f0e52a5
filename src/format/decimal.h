/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decimal digits without printf: most of what the text forms hold is numbers.
 */
#ifndef FORMAT_DECIMAL_H
#define FORMAT_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DECIMAL_MAX 20 /* digits of UINT64_MAX */

/* Writes the digits of v to p (no final NUL); returns how many. */
static inline size_t decimal_put(char *p, uint64_t v)
{
	char digits[DECIMAL_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(p, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}

#endif
