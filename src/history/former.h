/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an earlier life of the device has left. Where block 0 is zero the kernel
 * formats the metadata and leaves every other block as it lies there
 * (metadata_open and create_fresh_metadata, dm-era-target.c).
 */
#ifndef HISTORY_FORMER_H
#define HISTORY_FORMER_H

#include "era/superblock.h"
#include "era/scan.h"

/*
 * Gives blocks of an earlier life ROLE_FORMER, where it shows that they are.
 *
 * A format leaves its index in block 1, and the next commit frees that block.
 * It is the first that any later activation allocates, and overwrites. So as
 * long as it is there, one activation has made all commits since the format,
 * each behind the one before it; what lies behind the last of them none of
 * them has written.
 *
 * scan: finished. Returns 0 or -ENOMEM.
 */
int era_forget_former(struct era_scan *scan, const struct era_superblock *sb);

#endif
