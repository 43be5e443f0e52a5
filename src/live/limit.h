/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A call that may never come back, in a process of its own and with a limit
 * of time: who asks a device that is suspended cannot be killed, and must not
 * be us.
 */
#ifndef LIVE_LIMIT_H
#define LIVE_LIMIT_H

#include <signal.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Runs call in a child process, which writes its answer to the stream and
 * returns 0 or a negative errno. Returns that and the answer, to be freed (in
 * either case; NULL where there is none), or
 *   -ETIMEDOUT  where it was not over after so many seconds. The child is
 *               killed, and is gone as soon as the kernel lets go of it;
 *   -ECHILD     where it was killed by somebody else.
 * Signals that end or stop programs do not reach the child, so that no change
 * is left half done. It has none of our descriptors: whoever waits for the end
 * of what we print, or for a lock of ours, does not wait for a child that the
 * kernel holds.
 */
int limit_call(int (*call)(void *arg, FILE *answer), void *arg,
	       unsigned int seconds, char **answer);

/* Keeps the signals that end or stop programs from us; old: those before. */
void limit_hold_signals(sigset_t *old);

/* Standard input, output and errors lead nowhere from here on. */
void limit_leave_streams(void);

/* Milliseconds of the clock that nobody sets. */
unsigned long long limit_now(void);

/* Sleeps that long; a signal may end it early. */
void limit_sleep(unsigned int ms);

#endif
