/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the blocks of a scan again, with a cache and a budget. A sweep from
 * commit to commit comes back to the same blocks, so the last ones are kept; on
 * a hostile device it would never end, so its work is limited.
 *
 * Contract: memory is READING_NR_KEPT blocks. Callers add what they do to work;
 * a block that is read from the device adds READING_WORK_BLOCK.
 */
#ifndef HISTORY_READING_H
#define HISTORY_READING_H

#include "era/scan.h"

#define READING_NR_KEPT 256u
#define READING_WORK_BLOCK 8u

struct era_reading {
	const struct era_scan *scan;
	uint8_t *data;
	uint64_t kept[READING_NR_KEPT]; /* one more than the block; 0: none */
	uint64_t work;
	uint64_t budget;
};

/* The budget is a small multiple of what reading the device once costs. */
int era_reading_init(struct era_reading *reading, const struct era_scan *scan);
void era_reading_release(struct era_reading *reading);

/*
 * The contents of a sound block, as era_scan_read() gives them; NULL where the
 * device no longer gives the block. The contents stay until another block is
 * asked for.
 */
const uint8_t *era_reading_get(struct era_reading *reading, uint64_t block);

static inline bool era_reading_is_over(const struct era_reading *reading)
{
	return reading->work > reading->budget;
}

#endif
