/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One of our tools at a time changes a device: a lock in /run/dm-era, which
 * goes when the last process that has it is gone.
 */
#ifndef LIVE_LOCK_H
#define LIVE_LOCK_H

#include "base/report.h"

/*
 * Takes the lock of a device, waiting a little for one that is just let go.
 * Returns a descriptor to be closed, or a negative errno, reported; -EBUSY
 * where somebody has it.
 */
int live_lock(const char *name, struct era_report *report);

#endif
