/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command of the user's, in a shell.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "base/report.h"

/*
 * Runs it to its end, with nothing to read and what it prints on stderr, at
 * most so many seconds. Then it and all that it started are told to end, and
 * some seconds later made to, as they are should we be killed. Returns 0 where
 * it exits with 0, else a negative errno, reported.
 */
int command_run(const char *command, unsigned int seconds,
		struct era_report *report);

#endif
