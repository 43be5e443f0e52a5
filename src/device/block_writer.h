/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Collects finished blocks and writes neighbours in one call: metadata is
 * built a block at a time and should reach the device in long runs.
 */
#ifndef DEVICE_BLOCK_WRITER_H
#define DEVICE_BLOCK_WRITER_H

#include "device/device.h"

struct block_writer {
	struct era_device *device;
	uint8_t *buf;
	uint64_t first; /* block of buf's first */
	size_t nr;	/* blocks in buf */
};

int block_writer_init(struct block_writer *writer, struct era_device *device);
void block_writer_release(struct block_writer *writer);

/*
 * Gives zeroed room for one block, to be complete before the next call here.
 * May write what was collected before. Returns 0 or what the write says.
 */
int block_writer_next(struct block_writer *writer, uint64_t block,
		      uint8_t **room);

/* Writes what is still collected; does not flush the device. */
int block_writer_finish(struct block_writer *writer);

#endif
