/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sink that holds a source to the contract of era/visitor.h and folds what
 * it is given, in the plainest way: the last era of each data block.
 */
#ifndef TESTS_FUZZ_DATES_H
#define TESTS_FUZZ_DATES_H

#include "../unit/fake_device.h"
#include "era/reader.h"

struct dates {
	struct era_visitor visitor;
	struct era_geometry geometry;
	uint32_t *eras;
	uint32_t nr; /* data blocks */

	/* where in the visit */
	bool in_writeset, in_eras, ended;
	uint32_t era, nr_bits; /* of the writeset at hand, or the last */
	bool any_writeset;
	uint32_t next; /* word or data block */
};

void dates_init(struct dates *dates);
void dates_release(struct dates *dates);

/* What reads the device: era_read, folded here; false where it refuses. */
bool dates_read(struct dates *dates, struct era_device *device, bool snapshot);

/* Whether era_check finds nothing that is fatal. */
bool is_sound(struct era_device *device, unsigned int flags);

/* Aborts where era_check finds anything, and prints it. */
void must_be_clean(struct era_device *device, unsigned int flags);

/* Aborts, and says first what does not hold. */
#define must(condition)                                                        \
	do {                                                                   \
		if (!(condition))                                              \
			broken(#condition, __FILE__, __LINE__);                \
	} while (0)

void broken(const char *what, const char *file, int line)
	__attribute__((noreturn));

#endif
