/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the device or file that metadata is to be written to holds something
 * already: a mistyped name must not cost a file system.
 */
#ifndef TOOLS_OCCUPIED_H
#define TOOLS_OCCUPIED_H

#include "device/device.h"

/*
 * For a device that is open, and exclusively. Refused is what libblkid knows (a
 * file system, LVM, LUKS, RAID, a partition table), where that was built in;
 * metadata of a dm target; and a file in which not all is zero. Returns 0, or
 * -EEXIST, reported with what was found.
 */
int tool_check_occupied(struct era_device *device, struct era_report *report);

#endif
