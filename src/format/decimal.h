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

/* 00 to 99 */
static const char decimal_pairs[] = "00010203040506070809"
				    "10111213141516171819"
				    "20212223242526272829"
				    "30313233343536373839"
				    "40414243444546474849"
				    "50515253545556575859"
				    "60616263646566676869"
				    "70717273747576777879"
				    "80818283848586878889"
				    "90919293949596979899";

/* Writes the digits of v to p (no final NUL); returns how many. */
static inline size_t decimal_put(char *p, uint64_t v)
{
	size_t len = decimal_len(v), at = len;

	for (; v >= 100; v /= 100) {
		at -= 2;
		memcpy(p + at, decimal_pairs + v % 100 * 2, 2);
	}
	if (v >= 10)
		memcpy(p, decimal_pairs + v * 2, 2);
	else
		*p = (char)('0' + v);
	return len;
}

/* The digits before the last two of a number, for those close to it. */
struct decimal_near {
	uint64_t hundreds; /* 0: none */
	size_t len;
	char text[24];
};

/*
 * As decimal_put(), for numbers most of which are close to the one before. All
 * of near->text is copied: there is that much room, and two bytes more.
 */
static inline size_t decimal_put_near(char *p, uint64_t v,
				      struct decimal_near *near)
{
	uint64_t hundreds = v / 100;

	if (!hundreds)
		return decimal_put(p, v);
	if (near->hundreds != hundreds) {
		near->hundreds = hundreds;
		near->len = decimal_put(near->text, hundreds);
	}
	memcpy(p, near->text, sizeof(near->text));
	memcpy(p + near->len, decimal_pairs + (v - hundreds * 100) * 2, 2);
	return near->len + 2;
}

#endif
