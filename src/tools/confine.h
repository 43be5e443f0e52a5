/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a tool gives up before it reads what may be hostile, for the case that
 * an error in it, or in a library, is found by somebody else first.
 */
#ifndef TOOLS_CONFINE_H
#define TOOLS_CONFINE_H

#include <stdbool.h>

/*
 * After the command line is read and before any file is: no program can be
 * started, no directory, link, socket, FIFO or device node made, no TCP port
 * reached and no other process signalled. Unless it writes files, none can be
 * opened for writing, made or removed either; what is open stays as it is.
 * Does what the kernel can (Landlock, Linux 5.13 and later), and says nothing
 * where it cannot.
 */
void tool_confine(bool writes_files);

#endif
