/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a run may cost: memory that is in use at one time, by the sanitizers'
 * hooks, and bytes read and written. Work itself is bounded by what is read
 * and kept; -timeout is for what is neither.
 */
#ifndef TESTS_FUZZ_BUDGET_H
#define TESTS_FUZZ_BUDGET_H

#include "device/device.h"

/* Nothing that the tools do to a small device takes more. */
#define BUDGET_MEMORY (32u << 20)

struct budget {
	uint64_t nr_moved; /* bytes read and written */
};

/* Begins anew; the device, which may be NULL, tells of what it moves. */
void budget_begin(struct budget *budget, struct era_device *device);

/* Aborts where more was moved, or more memory was in use, since the begin. */
void budget_end(const struct budget *budget, uint64_t max_moved,
		size_t max_memory);

#endif
