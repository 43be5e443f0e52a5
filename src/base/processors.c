/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks the kernel: a process may have been confined to some of them.
 */
#include "config.h"

#include <sched.h>

#include "base/processors.h"

unsigned int processors_usable(unsigned int most)
{
	unsigned int nr = 1;
	cpu_set_t set;

	if (!sched_getaffinity(0, sizeof(set), &set))
		nr = (unsigned int)CPU_COUNT(&set);
	return nr < most ? nr : most;
}
