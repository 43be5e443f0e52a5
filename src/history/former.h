/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Blocks from an earlier life of the device, before it was last formatted.
 * Where block 0 is zero the kernel formats the metadata and leaves every other
 * block as it is (metadata_open and create_fresh_metadata, dm-era-target.c).
 */
#ifndef HISTORY_FORMER_H
#define HISTORY_FORMER_H

#include "era/superblock.h"
#include "era/scan.h"

/*
 * Gives blocks of an earlier life ROLE_FORMER, where it can be shown that they
 * are of an earlier life.
 *
 * A format leaves its space-map index in block 1, and the next commit frees
 * that block. Any later activation allocates block 1 first and overwrites it.
 * So as long as the format's index is there, one activation has made all
 * commits since the format, each behind the one before it. Then no commit since
 * the format has written any block behind the last commit's index.
 *
 * scan: finished. Returns 0 or -ENOMEM.
 */
int era_forget_former(struct era_scan *scan, const struct era_superblock *sb);

#endif
