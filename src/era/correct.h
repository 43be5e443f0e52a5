/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Correction of damaged blocks, which their own checksum confirms. The format
 * fixes much of a block: its number, sizes, the zeroes behind the last entry.
 * The correction puts these back, and tries for the rest to flip one bit or to
 * zero one run of words. Where no more than that was damaged, the checksum is
 * right again and proves the result.
 *
 * Contract: the checksum confirms every correction. For each form that is
 * tried, a block that was damaged otherwise passes with a chance of 2^-32.
 * There are as many forms as a block has bits and runs, so the chance is 2^-14
 * in all.
 */
#ifndef ERA_CORRECT_H
#define ERA_CORRECT_H

#include "era/scan.h"

/*
 * Corrects one block in place. nr_blocks: metadata blocks of the device.
 * Returns whether it is sound now; data is unchanged where it is not.
 */
bool era_correct_block(uint8_t *data, uint64_t block, uint64_t nr_blocks);

/* Where more blocks than this are damaged, rot is not the cause. */
#define ERA_CORRECT_MAX 1024

/*
 * Tries to correct the blocks of the scan that look like metadata and are not
 * sound, the first ERA_CORRECT_MAX of them. From then on reads of the device
 * give the corrected contents, and the scan has the roles of these blocks.
 * Returns 0 or -ENOMEM.
 */
int era_correct(struct era_substitutes *corrected, struct era_scan *scan);

/* Reads of the device give its own contents again. */
void era_correct_release(struct era_substitutes *corrected,
			 struct era_device *device);

#endif
