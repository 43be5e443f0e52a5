/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pack to a device that exists.
 */
#ifndef TOOLS_UNPACK_DEVICE_H
#define TOOLS_UNPACK_DEVICE_H

#include "format/pack_read.h"

/*
 * A device cannot be written beside its name, so the pack is read through
 * once before anything is written. The superblock is invalid until all else
 * is safe; a pack without one leaves it so, as the kernel formats a device
 * whose first block is zero.
 */
int unpack_device(struct pack_reader *reader, struct era_device *device,
		  struct era_report *report);

/* Writes the superblock alone, or notes that the pack has none. */
int unpack_superblock(struct pack_reader *reader, struct era_device *device,
		      struct era_report *report);

#endif
