/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of writes of an unpack, apart from the tool so that tests can cut
 * its power.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "era/superblock.h"
#include "tools/unpack_device.h"

int unpack_superblock(struct pack_reader *reader, struct era_device *device,
		      struct era_report *report)
{
	int r;

	if (!reader->has_superblock) {
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "the pack has no superblock, so %s has none: it was "
			   "damaged, or the pack is cut short",
			   device->path);
		return 0;
	}
	r = era_device_write(device, 0, 1, reader->superblock);
	return r ? era_device_report(device, report, "write", r) : 0;
}

static int flush(struct era_device *device, struct era_report *report)
{
	int r = era_device_flush(device);

	return r ? era_device_report(device, report, "flush", r) : 0;
}

static int check_room(const struct pack_reader *reader,
		      const struct era_device *device,
		      struct era_report *report)
{
	if (device->nr_blocks >= reader->nr_blocks)
		return 0;
	era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is too small: it has %" PRIu64
			" metadata blocks, the pack %" PRIu64,
			device->path, device->nr_blocks, reader->nr_blocks);
	return -ENOSPC;
}

int unpack_device(struct pack_reader *reader, struct era_device *device,
		  struct era_report *report)
{
	int r = check_room(reader, device, report);

	if (!r)
		r = pack_reader_run(reader, NULL);
	if (r)
		return r;
	r = era_superblock_invalidate(device);
	if (r)
		return era_device_report(device, report, "write", r);
	r = pack_reader_run(reader, device);
	if (!r)
		r = pack_reader_zero_rest(reader, device);
	if (!r)
		r = flush(device, report);
	if (!r)
		r = unpack_superblock(reader, device, report);
	return r ? r : flush(device, report);
}
