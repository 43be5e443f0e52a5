/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A metadata device in memory behind struct era_io: it can fail any call, do
 * less than it was asked, be interrupted, forget or change, and keeps a log of
 * all writes and flushes from which the state after a power cut is made.
 */
#ifndef TESTS_FAKE_DEVICE_H
#define TESTS_FAKE_DEVICE_H

#include "device/device.h"

#define NO_CALL UINT64_MAX

enum fake_op { FAKE_READ, FAKE_WRITE, FAKE_SYNC, FAKE_DISCARD, FAKE_NR_OPS };

/* A write that succeeded, or a flush (len 0). */
struct fake_write {
	uint64_t offset;
	size_t len;
	uint8_t *data; /* NULL: zeroes, or a flush */
};

struct fake_device {
	struct era_io io;
	struct era_device device;
	uint8_t *data;

	uint64_t nr_calls[FAKE_NR_OPS];
	/* the call of this number, from 0 on, and all after it fail so */
	uint64_t fail_from[FAKE_NR_OPS];
	/* only the call of this number fails so */
	uint64_t fail_only[FAKE_NR_OPS];
	int error; /* errno of a failure; 0: nothing is done, as at an end */
	uint64_t bad_block; /* reads that touch it fail with EIO */
	bool interrupt;	    /* every second call is, with EINTR */
	size_t most;	    /* bytes done in one call, 0: all */
	bool can_discard;
	uint64_t forget; /* the write of this number is not done after all */
	/* from the read of this number on the device holds this, once */
	const uint8_t *becomes;
	uint64_t becomes_at;

	bool logging;
	struct fake_write *log;
	size_t nr_log, max_log;

	/* the extents of reads, while the array has room */
	struct {
		uint64_t offset;
		size_t len;
	} reads[64];
	size_t nr_reads;
	uint32_t *times_read; /* of each block */
};

/* All zero; fake->device is ready to be used. */
void fake_init(struct fake_device *fake, uint64_t nr_blocks);
void fake_release(struct fake_device *fake);

/* Counts calls from 0 on again, fails none, and forgets the log. */
void fake_reset(struct fake_device *fake);

static inline uint8_t *fake_block(struct fake_device *fake, uint64_t block)
{
	return fake->data + block * ERA_BLOCK_SIZE;
}

/* A report that keeps the last problem's text and counts by severity. */
struct fake_report {
	struct era_report report;
	char text[512]; /* of the last problem */
	char path[512]; /* where that was */
	struct era_data_range data;
	char fatal[512]; /* text of the last that was fatal */
};

void fake_report_init(struct fake_report *report);

#endif
