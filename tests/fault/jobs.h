/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tools do to a device, from the first call to the last, on devices
 * in memory: the jobs that power is cut for, and whose calls fail.
 */
#ifndef TESTS_JOBS_H
#define TESTS_JOBS_H

#include "era/repair.h"
#include "images.h"

/* era_repair --in-place */
int job_in_place(struct fake_device *fake, const struct image *image,
		 enum era_repair_need *need, struct era_report *report);

/* era_repair -i -o */
int job_repair_to(struct fake_device *source, struct fake_device *target,
		  const struct image *image, struct era_report *report);

/* era_restore, its XML being read from the source instead */
int job_restore(struct fake_device *source, struct fake_device *target,
		struct era_report *report);

/* era_metadata_unpack */
int job_unpack(const char *pack, struct fake_device *target,
	       struct era_report *report);

/* era_metadata_pack --all of image to a file of this name */
void make_pack(const struct image *image, const char *path);

#endif
