/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Damaged blocks set right by their own checksum. Much of a block is fixed by
 * the format (its number, sizes, zeroes behind the last entry); with that put
 * back, and at most one bit of the rest flipped or one run of zeroes restored,
 * the checksum is right again where no more than that was damaged, and proves
 * it.
 *
 * Contract: nothing is guessed that the checksum does not confirm. A block
 * damaged otherwise passes for one so damaged with a chance of 2^-32 for each
 * of the forms that are tried; with as many as a block has bits and runs, that
 * is 2^-14.
 */
#ifndef ERA_CORRECT_H
#define ERA_CORRECT_H

#include "era/scan.h"

/*
 * Corrects one block in place. nr_blocks: metadata blocks of the device.
 * Returns whether it is sound now; data is unchanged where it is not.
 */
bool era_correct_block(uint8_t *data, uint64_t block, uint64_t nr_blocks);

/* Where more blocks than this are damaged, it is not rot. */
#define ERA_CORRECT_MAX 1024

/*
 * Tries the blocks of the scan that look like metadata and are not sound, the
 * first ERA_CORRECT_MAX of them; from then on the device reads those that could
 * be corrected so, and the scan knows their roles. Returns 0 or -ENOMEM.
 */
int era_correct(struct era_substitutes *corrected, struct era_scan *scan);

/* The device reads what stands there again. */
void era_correct_release(struct era_substitutes *corrected,
			 struct era_device *device);

#endif
