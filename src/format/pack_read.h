/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pack to a metadata device. Hostile packs cost no more than honest ones:
 * memory is bounded by a bit for each block of the device (32 MiB at the
 * most), work by the pack's own size and by each block being written once.
 */
#ifndef FORMAT_PACK_READ_H
#define FORMAT_PACK_READ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/report.h"
#include "device/device.h"
#include "pdata/block_set.h"

struct pack_reader {
	const char *path;
	int fd;
	uint64_t size;	    /* bytes of the pack */
	uint64_t nr_blocks; /* of the device that was packed */
	struct era_report *report;

	struct era_device *device; /* NULL: look, write nothing */
	pthread_mutex_t lock;	   /* of what follows */
	uint64_t next_chunk;	   /* its offset */
	struct block_set seen;
	bool has_superblock; /* one that is not all zero */
	uint8_t superblock[ERA_BLOCK_SIZE];
	int error;	       /* of the earliest chunk that has one */
	uint64_t error_offset; /* of that chunk */
	uint64_t error_block;
	const char *error_text;
};

/*
 * Opens a pack and reads its header. path must live until it is closed.
 * Returns 0 or a negative errno, reported: -EINVAL for what is no pack.
 */
int pack_reader_open(struct pack_reader *reader, const char *path,
		     struct era_report *report);
void pack_reader_close(struct pack_reader *reader);

/*
 * Reads all of the pack. Block 0 goes to reader->superblock only, for the
 * caller to write when all else is safe; the others are written to device
 * unless that is NULL. Where it may be called again: as often as one likes.
 */
int pack_reader_run(struct pack_reader *reader, struct era_device *device);

/*
 * After pack_reader_run(): makes the blocks that the pack does not hold read
 * as zeroes on device, as far as metadata can reach, block 0 excepted.
 */
int pack_reader_zero_rest(struct pack_reader *reader,
			  struct era_device *device);

#endif
