/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that the kernel holds in the device-mapper: they asked a device
 * that is suspended, or wait to resume it, and no signal reaches them.
 */
#ifndef LIVE_BLOCKED_H
#define LIVE_BLOCKED_H

#include <stddef.h>

struct live_blocked {
	int pid;
	char command[64];
	char function[64]; /* of the kernel, where it waits */
};

struct live_blocked_list {
	struct live_blocked *list;
	size_t nr;
};

/*
 * All of them on this host. Only root may look where a process waits: others
 * get an empty list and -EACCES. 0 or a negative errno, not reported.
 */
int live_blocked_find(struct live_blocked_list *found);
void live_blocked_release(struct live_blocked_list *found);

#endif
