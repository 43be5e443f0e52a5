/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks libblkid, and looks for what that does not know.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_LIBBLKID
#include <blkid.h>
#endif

#include "base/endian.h"
#include "era/superblock.h"
#include "format/pack_encode.h"
#include "tools/occupied.h"

#ifdef HAVE_LIBBLKID
/* What libblkid's words for a use mean to a reader. */
static const char *usage_name(const char *usage)
{
	if (!strcmp(usage, "filesystem"))
		return "a file system";
	if (!strcmp(usage, "raid"))
		return "a member of LVM or RAID";
	if (!strcmp(usage, "crypto"))
		return "an encrypted volume";
	return "data";
}

static bool name_found(blkid_probe probe, char *what, size_t size)
{
	const char *type, *usage;

	if (!blkid_probe_lookup_value(probe, "TYPE", &type, NULL)) {
		if (blkid_probe_lookup_value(probe, "USAGE", &usage, NULL))
			usage = "";
		snprintf(what, size, "%s (%s)", usage_name(usage), type);
		return true;
	}
	if (!blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL)) {
		snprintf(what, size, "a partition table (%s)", type);
		return true;
	}
	return false;
}

static bool is_known_to_blkid(int fd, char *what, size_t size)
{
	blkid_probe probe = blkid_new_probe();
	bool known = false;
	int r;

	if (!probe)
		return false;
	if (!blkid_probe_set_device(probe, fd, 0, 0)) {
		blkid_probe_enable_superblocks(probe, 1);
		blkid_probe_set_superblocks_flags(
			probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
		blkid_probe_enable_partitions(probe, 1);
		r = blkid_do_safeprobe(probe);
		if (r == 0) {
			known = name_found(probe, what, size);
		} else if (r == -2) {
			snprintf(what, size, "signatures of several kinds");
			known = true;
		}
	}
	blkid_free_probe(probe);
	return known;
}
#else
static bool is_known_to_blkid(int fd, char *what, size_t size)
{
	(void)fd;
	(void)what;
	(void)size;
	return false;
}
#endif

/* Damaged metadata is worth no less. */
static bool holds_metadata(struct era_device *device)
{
	uint8_t block[ERA_BLOCK_SIZE];

	return device->nr_blocks &&
	       !era_device_read_raw(device, ERA_SUPERBLOCK_LOCATION, 1,
				    block) &&
	       (pack_is_known(block) ||
		get_le32(block + ERA_SUPERBLOCK_MAGIC_AT) ==
			ERA_SUPERBLOCK_MAGIC);
}

static bool are_zero(const uint8_t *blocks, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!block_is_zero(blocks + i * ERA_BLOCK_SIZE))
			return false;
	return true;
}

/* Holes are not read, and of what is there no more than it takes. */
static int find_data(struct era_device *device, bool *found)
{
	uint8_t *buf = malloc(ERA_DEVICE_RUN * ERA_BLOCK_SIZE);
	uint64_t block = 0;
	int r = buf ? 0 : -ENOMEM;

	*found = false;
	while (!r && !*found) {
		size_t nr = ERA_DEVICE_RUN;

		block = era_device_next_data(device, block);
		if (block >= device->nr_blocks)
			break;
		if (nr > device->nr_blocks - block)
			nr = (size_t)(device->nr_blocks - block);
		/* what cannot be read is something */
		*found = era_device_read_raw(device, block, nr, buf) ||
			 !are_zero(buf, nr);
		block += nr;
	}
	free(buf);
	return r;
}

int tool_check_occupied(struct era_device *device, struct era_report *report)
{
	char what[128] = "";
	bool found = false;
	int r = 0;

	era_device_drop_pages(device); /* libblkid reads through them */
	if (holds_metadata(device))
		snprintf(what, sizeof(what), "metadata");
	else if (!is_known_to_blkid(device->fd, what, sizeof(what)) &&
		 !device->block_device)
		r = find_data(device, &found);
	if (r)
		return r;
	if (found)
		era_report_kind(
			report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is a file that is not empty (--force overwrites "
			"it)",
			device->path);
	else if (what[0])
		era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"%s holds %s (--force overwrites it)",
				device->path, what);
	return found || what[0] ? -EEXIST : 0;
}
