/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A visitor in between that raises the current era, for who knows that it was
 * inferred too low.
 *
 * What was written in the last era, or in the one before, may then have been
 * written as late as the era that it is raised to, and is redated to that: an
 * inferred era is given to the writeset that was open, and the next one to what
 * had to be assumed.
 */
#ifndef ERA_RAISE_H
#define ERA_RAISE_H

#include "era/visitor.h"

struct era_raise {
	struct era_visitor visitor;
	struct era_visitor *sink;
	uint32_t from; /* eras from here on become era */
	uint32_t era;
};

/*
 * From the current era found to a greater one. The visit must come from a fold:
 * two writesets cannot be of one era.
 */
void era_raise_init(struct era_raise *raise, struct era_visitor *sink,
		    uint32_t found, uint32_t era);

/* The first era that is redated where found is raised. */
uint32_t era_raise_first(uint32_t found);

#endif
