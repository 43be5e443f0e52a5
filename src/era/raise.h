/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A visitor between a source and a sink that raises the current era. It is for
 * a user who knows that a repair has inferred the current era too low.
 *
 * Data blocks that date to the inferred era, or to the one before, may have
 * been written as late as the era to which it is raised, and are redated to
 * that one: a repair gives the first of the two to the writeset that was open,
 * and the second to what had to be assumed.
 */
#ifndef ERA_RAISE_H
#define ERA_RAISE_H

#include "era/visitor.h"

struct era_raise {
	struct era_visitor visitor;
	struct era_visitor *sink;
	uint32_t from; /* eras from this one on become era */
	uint32_t era;
};

/*
 * Raises the current era from found to a greater one, era. The visit must come
 * from a fold, without writesets: several eras become one, and two writesets
 * cannot be of one era.
 */
void era_raise_init(struct era_raise *raise, struct era_visitor *sink,
		    uint32_t found, uint32_t era);

/* The first era that is redated where the current era found is raised. */
uint32_t era_raise_first(uint32_t found);

#endif
