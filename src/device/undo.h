/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An undo file: what every block held before it was first overwritten, saved
 * and flushed before the write that overwrites it.
 */
#ifndef DEVICE_UNDO_H
#define DEVICE_UNDO_H

#include "device/device.h"

struct undo_log {
	struct era_io io;	    /* stands in front of the device's own */
	const struct era_io *below; /* which does the writing */
	struct era_device *device;
	struct era_report *report;
	const char *path;
	int fd;
	uint64_t *saved; /* a bit for each block */
	bool used;	 /* something was overwritten */
	int error;	 /* of the file; then nothing more is written */
};

/*
 * Creates path, which must not exist, and puts the log in front of device's
 * io: from now on nothing is overwritten that is not saved. Failures are
 * reported.
 */
int undo_log_start(struct undo_log *log, struct era_device *device,
		   const char *path, struct era_report *report);

/*
 * Takes the log away again, and its file with it where nothing was overwritten.
 * Returns 0, or what went wrong with the file.
 */
int undo_log_finish(struct undo_log *log);

/*
 * Puts back everything that path holds, block 0 first: from then on the
 * device is in its old state again. A file that is damaged, or that belongs
 * to another device, or to one that was written since, is refused before
 * anything is written; a last record that is incomplete is of a write that
 * never happened.
 */
int undo_apply(const char *path, struct era_device *device,
	       struct era_report *report);

#endif
