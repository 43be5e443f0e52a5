/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A metadata snapshot that does not outlive us: a process of its own takes it,
 * waits, and drops it when it is told to, or when we are gone, whatever way we
 * went.
 */
#ifndef LIVE_SNAPSHOT_H
#define LIVE_SNAPSHOT_H

#include <sys/types.h>

#include "base/report.h"

struct live_snapshot {
	const char *name; /* of the device; lives as long as the caller's */
	pid_t holder;
	int fd; /* to and from the holder */
	unsigned int seconds;
};

/*
 * Takes the snapshot of a device that was just seen to hold none. Returns 0
 * or a negative errno, reported.
 */
int live_snapshot_take(struct live_snapshot *snapshot, const char *name,
		       unsigned int seconds, struct era_report *report);

/* Drops it and waits until that is done; 0 or a negative errno, reported. */
int live_snapshot_drop(struct live_snapshot *snapshot,
		       struct era_report *report);

#endif
