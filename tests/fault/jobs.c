/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The jobs, as src/tools puts them together.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "era/builder.h"
#include "era/reader.h"
#include "format/pack_write.h"
#include "jobs.h"
#include "tools/unpack_device.h"

static const struct era_repair_told nobody = { .raised = NULL };

int job_in_place(struct fake_device *fake, const struct image *image,
		 enum era_repair_need *need, struct era_report *report)
{
	struct era_device *device = &fake->device;
	struct era_salvage salvage;
	int r = salvage_image(&salvage, device, image, false, report);

	if (r)
		return r;
	r = era_repair_prepare(&salvage, need);
	if (!r)
		return era_repair_in_place(&salvage, *need, &nobody, report);
	era_salvage_close(&salvage);
	return r;
}

int job_repair_to(struct fake_device *source, struct fake_device *target,
		  const struct image *image, struct era_report *report)
{
	struct era_salvage salvage;
	int r = salvage_image(&salvage, &source->device, image, false, report);

	if (r)
		return r;
	return era_repair_to(&salvage, &target->device, &nobody, report);
}

int job_restore(struct fake_device *source, struct fake_device *target,
		struct era_report *report)
{
	struct era_builder builder;
	struct era_metadata md;
	int r = era_metadata_open(&md, &source->device, false, NULL, report);

	if (r)
		return r;
	r = era_builder_init(&builder, &target->device, report);
	if (!r)
		r = era_read(&md, &builder.visitor);
	if (!r)
		r = era_builder_commit(&builder);
	era_builder_release(&builder);
	era_metadata_release(&md);
	return r;
}

int job_unpack(const char *pack, struct fake_device *target,
	       struct era_report *report)
{
	struct pack_reader reader;
	int r = pack_reader_open(&reader, pack, report);

	if (r)
		return r;
	r = unpack_device(&reader, &target->device, report);
	pack_reader_close(&reader);
	return r;
}

void make_pack(const struct image *image, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct fake_device fake;
	struct pack_stats stats;

	fake_init(&fake, image->nr_blocks);
	memcpy(fake.data, image->data, image->nr_blocks * ERA_BLOCK_SIZE);
	if (fd < 0 || pack_write(&fake.device, fd, path, true, &stats, NULL)) {
		printf("cannot make %s\n", path);
		exit(1);
	}
	close(fd);
	fake_release(&fake);
}
