/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Digits to numbers, and bytes compared by eight, for text of which more than
 * 8 readable bytes follow and whose end matches no digit.
 */
#ifndef FORMAT_XML_NUMBER_H
#define FORMAT_XML_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/endian.h"

static inline uint64_t load8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Any number below 2^32; moves *at behind it. */
static inline bool lex_long_number(const char **at, uint32_t *value)
{
	const char *p = *at;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*value = (uint32_t)v;
	if (p == *at)
		return false;
	*at = p;
	return true;
}

/*
 * The same, for numbers of up to 7 digits in one go: each byte becomes its
 * digit, the first that is none tells the length, and what is left is summed
 * in pairs, then fours, then all eight.
 */
static inline bool lex_number(const char **at, uint32_t *value)
{
	uint64_t v = get_le64(*at) ^ UINT64_C(0x3030303030303030);
	uint64_t others = ((v + UINT64_C(0x7676767676767676)) | v) &
			  UINT64_C(0x8080808080808080);
	unsigned int len;

	if (!others)
		return lex_long_number(at, value);
	len = (unsigned int)__builtin_ctzll(others) / 8;
	if (!len)
		return false;
	v <<= 64 - 8 * len;
	v = v * 10 + (v >> 8);
	v = (v & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
	    (v >> 16 & UINT64_C(0x000000ff000000ff)) *
		    UINT64_C(0x0000271000000001);
	*value = (uint32_t)(v >> 32);
	*at += len;
	return true;
}

#endif
