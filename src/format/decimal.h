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

/* How many digits v has. */
static inline size_t decimal_len(uint64_t v)
{
	size_t len = 1;

	for (; v >= 10000; v /= 10000)
		len += 4;
	return len + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* Writes the digits of v to p (no final NUL); returns how many. */
static inline size_t decimal_put(char *p, uint64_t v)
{
	static const char pairs[] = "00010203040506070809"
				    "10111213141516171819"
				    "20212223242526272829"
				    "30313233343536373839"
				    "40414243444546474849"
				    "50515253545556575859"
				    "60616263646566676869"
				    "70717273747576777879"
				    "80818283848586878889"
				    "90919293949596979899";
	size_t len = decimal_len(v), at = len;

	for (; v >= 100; v /= 100) {
		at -= 2;
		memcpy(p + at, pairs + v % 100 * 2, 2);
	}
	if (v >= 10)
		memcpy(p, pairs + v * 2, 2);
	else
		*p = (char)('0' + v);
	return len;
}

#endif
