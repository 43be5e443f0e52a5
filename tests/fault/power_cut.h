/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device may hold after a power cut: all that was flushed, and of what
 * was written since any part, in units of 512 bytes.
 */
#ifndef TESTS_POWER_CUT_H
#define TESTS_POWER_CUT_H

#include "images.h"

struct power_cut {
	const struct fake_device *wrote; /* its log */
	const uint8_t *before;		 /* what the device held */
	/* called with each state; at: entries of the log that were issued */
	void (*judge)(void *arg, struct fake_device *state, size_t at);
	void *arg;
	unsigned int samples; /* states to try where there are too many */
	uint64_t nr_states;   /* tried so far */
};

void power_cut_run(struct power_cut *cut);

#endif
