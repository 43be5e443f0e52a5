/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers in ascending order, as qsort(3) and bsearch(3) ask for it: less than
 * 0, 0 or more than 0.
 */
#ifndef BASE_COMPARE_H
#define BASE_COMPARE_H

#include <stdint.h>

static inline int compare_numbers(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* Of a list of uint32_t. */
static inline int compare_uint32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return compare_numbers(*x, *y);
}

#endif
