/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many threads are worth starting.
 */
#ifndef BASE_PROCESSORS_H
#define BASE_PROCESSORS_H

/* The processors that this process may run on, but no more than most. */
unsigned int processors_usable(unsigned int most);

#endif
