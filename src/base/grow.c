/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pointer to a list is copied byte by byte, as its type is not known here.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

#define FIRST 8 /* entries */

static int resize(void *list, size_t size, size_t nr)
{
	size_t bytes;
	void *entries, *larger;

	if (__builtin_mul_overflow(nr ? nr : 1, size, &bytes))
		return -ENOMEM;
	memcpy(&entries, list, sizeof(entries));
	larger = realloc(entries, bytes);
	if (!larger)
		return -ENOMEM;
	memcpy(list, &larger, sizeof(larger));
	return 0;
}

int list_grow_to(void *list, size_t size, size_t nr, size_t *max)
{
	size_t more = *max > SIZE_MAX / 2 ? SIZE_MAX : *max * 2;
	int r;

	more = more > FIRST ? more : FIRST;
	more = more > nr ? more : nr;
	r = resize(list, size, more);
	if (!r)
		*max = more;
	return r;
}

int list_resize_size(void *list, size_t size, size_t had, size_t nr)
{
	char *entries;
	int r = resize(list, size, nr);

	if (r || nr <= had)
		return r;
	memcpy(&entries, list, sizeof(entries));
	memset(entries + had * size, 0, (nr - had) * size);
	return 0;
}
