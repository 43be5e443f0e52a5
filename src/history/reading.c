/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each block has one place among those that are kept: blocks of one commit
 * stand side by side, so that they do not take each other's.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "history/reading.h"

/* Times that the device may be read; a sound one takes two. */
#define BUDGET_PASSES 24u
/* What the smallest device may cost. */
#define BUDGET_LEAST 65536u

int era_reading_init(struct era_reading *reading, const struct era_scan *scan)
{
	*reading = (struct era_reading){ .scan = scan };
	reading->budget = READING_WORK_BLOCK * BUDGET_PASSES * scan->nr_blocks +
			  BUDGET_LEAST;
	reading->data = malloc((size_t)READING_NR_KEPT * ERA_BLOCK_SIZE);
	return reading->data ? 0 : -ENOMEM;
}

void era_reading_release(struct era_reading *reading)
{
	free(reading->data);
	reading->data = NULL;
}

const uint8_t *era_reading_get(struct era_reading *reading, uint64_t block)
{
	size_t place = (size_t)(block % READING_NR_KEPT);
	uint8_t *data = reading->data + place * ERA_BLOCK_SIZE;

	reading->work++;
	if (reading->kept[place] == block + 1)
		return data;
	reading->work += READING_WORK_BLOCK;
	reading->kept[place] = 0;
	if (era_scan_role(reading->scan, block) <= ROLE_UNKNOWN ||
	    era_scan_read(reading->scan, block, data))
		return NULL;
	reading->kept[place] = block + 1;
	return data;
}
