/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists that become longer while they are filled. How many bytes a list takes
 * is worked out here and nowhere else, so that no product can overflow.
 *
 * list is the address of the pointer to a list's first entry. Both return 0,
 * or -ENOMEM, and then leave the list and its size as they were.
 */
#ifndef BASE_GROW_H
#define BASE_GROW_H

#include <stddef.h>

/*
 * The list has memory for nr entries at least, and *max is for how many. At
 * least twice as much is taken as before, so that a list that is filled one by
 * one is not copied each time.
 */
#define list_grow(list, nr, max)                                               \
	list_grow_size((list), sizeof(**(list)), (nr), (max))

/* The list has memory for exactly nr entries. Those past the first had are 0.
 */
#define list_resize(list, had, nr)                                             \
	list_resize_size((list), sizeof(**(list)), (had), (nr))

int list_grow_to(void *list, size_t size, size_t nr, size_t *max);
int list_resize_size(void *list, size_t size, size_t had, size_t nr);

static inline int list_grow_size(void *list, size_t size, size_t nr,
				 size_t *max)
{
	return nr <= *max ? 0 : list_grow_to(list, size, nr, max);
}

#endif
