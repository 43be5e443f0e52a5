/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The superblock's fields, its checks and its durable write.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "era/superblock.h"

#define SB_FLAGS 4
#define SB_UUID 16
#define SB_MAGIC ERA_SUPERBLOCK_MAGIC_AT
#define SB_VERSION 40
#define SB_SPACE_MAP_ROOT 44
#define SB_DATA_BLOCK_SIZE 172
#define SB_METADATA_BLOCK_SIZE 176
#define SB_NR_BLOCKS 180
#define SB_CURRENT_ERA 184
#define SB_WRITESET_NR_BITS 188
#define SB_WRITESET_ROOT 192
#define SB_WRITESET_TREE_ROOT 200
#define SB_ERA_ARRAY_ROOT 208
#define SB_METADATA_SNAP 216

#define METADATA_BLOCK_SECTORS (ERA_BLOCK_SIZE / 512)

/* dm-thin-metadata.c and dm-cache-metadata.c keep theirs at the same place */
#define THIN_SUPERBLOCK_MAGIC UINT64_C(27022010)
#define CACHE_SUPERBLOCK_MAGIC UINT64_C(06142003)

/* In an invalid superblock, past all fields. */
#define NOTE 1024
static const char unfinished[] =
	"dm-era-tools: the writing of this metadata was cut short\n";

void era_superblock_get(struct era_superblock *sb, const uint8_t *data)
{
	*sb = (struct era_superblock){
		.location = get_le64(data + 8),
		.flags = get_le32(data + SB_FLAGS),
		.geometry = {
			.data_block_size = get_le32(data + SB_DATA_BLOCK_SIZE),
			.nr_blocks = get_le32(data + SB_NR_BLOCKS),
			.current_era = get_le32(data + SB_CURRENT_ERA),
		},
		.writeset_nr_bits = get_le32(data + SB_WRITESET_NR_BITS),
		.writeset_root = get_le64(data + SB_WRITESET_ROOT),
		.writeset_tree_root = get_le64(data + SB_WRITESET_TREE_ROOT),
		.era_array_root = get_le64(data + SB_ERA_ARRAY_ROOT),
		.metadata_snap = get_le64(data + SB_METADATA_SNAP),
	};
	memcpy(sb->geometry.uuid, data + SB_UUID, 16);
	space_map_root_get(&sb->space_map, data + SB_SPACE_MAP_ROOT);
}

void era_superblock_put(uint8_t *data, const struct era_superblock *sb)
{
	memset(data, 0, ERA_BLOCK_SIZE);
	put_le32(data + SB_FLAGS, sb->flags);
	memcpy(data + SB_UUID, sb->geometry.uuid, 16);
	put_le64(data + SB_MAGIC, ERA_SUPERBLOCK_MAGIC);
	put_le32(data + SB_VERSION, ERA_SUPERBLOCK_VERSION);
	space_map_root_put(data + SB_SPACE_MAP_ROOT, &sb->space_map);
	put_le32(data + SB_DATA_BLOCK_SIZE, sb->geometry.data_block_size);
	put_le32(data + SB_METADATA_BLOCK_SIZE, METADATA_BLOCK_SECTORS);
	put_le32(data + SB_NR_BLOCKS, sb->geometry.nr_blocks);
	put_le32(data + SB_CURRENT_ERA, sb->geometry.current_era);
	put_le32(data + SB_WRITESET_NR_BITS, sb->writeset_nr_bits);
	put_le64(data + SB_WRITESET_ROOT, sb->writeset_root);
	put_le64(data + SB_WRITESET_TREE_ROOT, sb->writeset_tree_root);
	put_le64(data + SB_ERA_ARRAY_ROOT, sb->era_array_root);
	put_le64(data + SB_METADATA_SNAP, sb->metadata_snap);
	block_seal(data, BLOCK_SUPERBLOCK, sb->location);
}

int era_geometry_check(const struct era_geometry *geometry,
		       struct era_report *report, const struct era_where *where)
{
	if (!geometry->data_block_size || geometry->data_block_size % 8) {
		era_report(report, ERA_FATAL, where, ERA_NO_DATA,
			   "the block size, %" PRIu32
			   " sectors, is not a multiple of 8",
			   geometry->data_block_size);
		return -EINVAL;
	}
	if (geometry->nr_blocks >= ERA_MAX_NR_BLOCKS) {
		era_report(
			report, ERA_FATAL, where, ERA_NO_DATA,
			"%" PRIu32
			" data blocks are more than dm-era can track (%" PRIu32
			")",
			geometry->nr_blocks, ERA_MAX_NR_BLOCKS - 1);
		return -EINVAL;
	}
	return 0;
}

/* What a block without our magic may be instead. */
static const char *foreign_fault(const uint8_t *data, uint64_t location)
{
	size_t i = 0;

	switch (get_le64(data + SB_MAGIC)) {
	case THIN_SUPERBLOCK_MAGIC:
		return "this is dm-thin metadata, not dm-era metadata";
	case CACHE_SUPERBLOCK_MAGIC:
		return "this is dm-cache metadata, not dm-era metadata";
	}
	if (block_is_zero(data))
		return location == ERA_SUPERBLOCK_LOCATION
			       ? "there is no metadata, the superblock is all "
				 "zero (the kernel would format it)"
			       : "the block is all zero";
	if (!memcmp(data, "\xef\xbb\xbf", 3)) /* a byte order mark */
		i = 3;
	while (i < ERA_BLOCK_SIZE - 1 && data[i] && strchr(" \t\r\n", data[i]))
		i++;
	if (data[i] == '<')
		return "this is XML, not metadata (era_restore makes metadata "
		       "of it)";
	if (data[0] == 0x1f && data[1] == 0x8b)
		return "this is gzip data, not metadata";
	if (get_le64(data) == PACK_MAGIC)
		return "this is a pack, not metadata (era_metadata_unpack "
		       "makes metadata of it)";
	return NULL;
}

bool era_superblock_has_magic(const uint8_t *data)
{
	return get_le64(data + SB_MAGIC) == ERA_SUPERBLOCK_MAGIC;
}

bool era_superblock_is_unfinished(const uint8_t *data)
{
	return !memcmp(data + NOTE, unfinished, sizeof(unfinished));
}

void era_superblock_restore(uint8_t *data, uint64_t location)
{
	uint32_t csum = get_le32(data);
	struct era_superblock sb;

	era_superblock_get(&sb, data);
	sb.location = location;
	era_superblock_put(data, &sb);
	put_le32(data, csum); /* of what it was: it tells what is damaged */
}

void era_superblock_put_totals(uint8_t *data, uint64_t nr_blocks,
			       uint64_t nr_allocated)
{
	struct space_map_root root;

	space_map_root_get(&root, data + SB_SPACE_MAP_ROOT);
	root.nr_blocks = nr_blocks;
	root.nr_allocated = nr_allocated;
	space_map_root_put(data + SB_SPACE_MAP_ROOT, &root);
}

const char *era_superblock_fault(const uint8_t *data, uint64_t location,
				 char *buf, size_t size)
{
	enum block_fault fault = block_check(data, BLOCK_SUPERBLOCK, location);
	bool magic = era_superblock_has_magic(data);
	const char *text;

	if (fault == BLOCK_BAD_CHECKSUM) {
		text = magic ? NULL : foreign_fault(data, location);
		if (text)
			return text;
		if (era_superblock_is_unfinished(data))
			return "a restore or repair to this device was cut "
			       "short, it holds no usable metadata";
		return magic ? "the superblock's checksum does not match"
			     : "there is no dm-era superblock";
	}
	if (!magic) {
		text = foreign_fault(data, location);
		return text ? text
			    : "the superblock's magic number is not dm-era's";
	}
	if (fault == BLOCK_MISPLACED)
		return "the superblock says it belongs elsewhere";
	if (get_le32(data + SB_VERSION) != ERA_SUPERBLOCK_VERSION) {
		snprintf(buf, size,
			 "metadata version %" PRIu32
			 " is not supported, only version %d is",
			 get_le32(data + SB_VERSION), ERA_SUPERBLOCK_VERSION);
		return buf;
	}
	if (get_le32(data + SB_METADATA_BLOCK_SIZE) != METADATA_BLOCK_SECTORS) {
		snprintf(buf, size,
			 "the metadata block size, %" PRIu32
			 " sectors, is not %d",
			 get_le32(data + SB_METADATA_BLOCK_SIZE),
			 METADATA_BLOCK_SECTORS);
		return buf;
	}
	return NULL;
}

/*
 * Whether there is metadata behind a superblock that is none: then it is lost,
 * and the device is the right one.
 */
static bool holds_metadata(struct era_device *device)
{
	const size_t nr_at_once = 64;
	uint8_t *data = malloc(nr_at_once * ERA_BLOCK_SIZE);
	uint64_t block = era_device_next_data(device, 1);
	bool found = false;

	while (data && !found && block < device->nr_blocks) {
		size_t nr = nr_at_once;

		if (nr > device->nr_blocks - block)
			nr = (size_t)(device->nr_blocks - block);
		if (!era_device_read(device, block, nr, data))
			for (size_t i = 0; i < nr && !found; i++)
				found = block_identify(
						data + i * ERA_BLOCK_SIZE,
						block + i) != BLOCK_UNKNOWN;
		block = era_device_next_data(device, block + nr);
	}
	free(data);
	return found;
}

/* What sort of fault it is that era_superblock_fault() has found. */
static enum era_kind fault_kind(const uint8_t *data, uint64_t location)
{
	bool sealed = block_check(data, BLOCK_SUPERBLOCK, location) !=
		      BLOCK_BAD_CHECKSUM;

	if (location != ERA_SUPERBLOCK_LOCATION)
		return ERA_KIND_DAMAGE;
	if (!era_superblock_has_magic(data))
		return ERA_KIND_NOT_ERA;
	if (!sealed)
		return era_superblock_is_unfinished(data) ? ERA_KIND_UNFINISHED
							  : ERA_KIND_DAMAGE;
	return get_le32(data + SB_VERSION) != ERA_SUPERBLOCK_VERSION
		       ? ERA_KIND_VERSION
		       : ERA_KIND_DAMAGE;
}

static void report_fault(const uint8_t *data, struct era_device *device,
			 const struct era_where *where, const char *fault,
			 struct era_report *report)
{
	enum era_kind kind = fault_kind(data, where->block);
	bool lost =
		report && kind == ERA_KIND_NOT_ERA && holds_metadata(device);

	era_report_kind(report, lost ? ERA_KIND_DAMAGE : kind, ERA_FATAL, where,
			ERA_NO_DATA,
			lost ? "%s; but other blocks here are metadata: the "
			       "superblock is lost"
			     : "%s",
			fault);
}

/* What is shorter than a block may still be known for something else. */
static int report_too_small(struct era_device *device,
			    struct era_report *report)
{
	uint8_t data[ERA_BLOCK_SIZE] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	ssize_t n = device->io->readv(device->io, device->fd, &iov, 1, 0);
	const char *text =
		n > 0 && !block_is_zero(data)
			? foreign_fault(data, ERA_SUPERBLOCK_LOCATION)
			: NULL;

	era_report_kind(report, ERA_KIND_NOT_ERA, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s: %s", device->path,
			text ? text : "too small to hold metadata");
	return -EUCLEAN;
}

int era_superblock_read(struct era_superblock *sb, struct era_device *device,
			uint64_t location, struct era_report *report)
{
	uint8_t data[ERA_BLOCK_SIZE];
	struct era_where where = { NULL,
				   location == ERA_SUPERBLOCK_LOCATION
					   ? "superblock"
					   : "metadata snapshot superblock",
				   location };
	char buf[128];
	const char *fault;
	int r;

	if (!device->nr_blocks && !location)
		return report_too_small(device, report);
	r = era_device_read(device, location, 1, data);
	if (r) {
		era_report_kind(report, ERA_KIND_UNREADABLE, ERA_FATAL, &where,
				ERA_NO_DATA, "the block cannot be read: %s",
				strerror(-r));
		return r;
	}
	fault = era_superblock_fault(data, location, buf, sizeof(buf));
	if (fault) {
		report_fault(data, device, &where, fault, report);
		return -EUCLEAN;
	}
	era_superblock_get(sb, data);
	return era_geometry_check(&sb->geometry, report, &where) ? -EUCLEAN : 0;
}

bool era_superblock_is_cut_off(const struct era_superblock *sb,
			       const struct era_device *device,
			       enum era_severity severity,
			       struct era_report *report)
{
	struct era_where where = { NULL, "superblock", sb->location };

	if (sb->space_map.nr_blocks <= device->nr_blocks)
		return false;
	era_report_kind(report, ERA_KIND_CUT_OFF, severity, &where, ERA_NO_DATA,
			"the device has %" PRIu64
			" metadata blocks, its space map counts %" PRIu64,
			device->nr_blocks, sb->space_map.nr_blocks);
	return true;
}

bool era_superblock_is_too_long(const struct era_superblock *sb,
				struct era_report *report)
{
	struct era_where where = { NULL, "superblock", sb->location };

	if (sb->space_map.nr_blocks <= MAX_METADATA_BLOCKS)
		return false;
	era_report(report, ERA_FATAL, &where, ERA_NO_DATA,
		   "the space map counts %" PRIu64
		   " metadata blocks, more than its format can (%u)",
		   sb->space_map.nr_blocks, MAX_METADATA_BLOCKS);
	return true;
}

int era_superblock_invalidate(struct era_device *device)
{
	uint8_t data[ERA_BLOCK_SIZE] = { 0 };
	int r;

	put_le64(data + SB_MAGIC, ERA_SUPERBLOCK_MAGIC);
	put_le32(data + SB_VERSION, ERA_SUPERBLOCK_VERSION);
	memcpy(data + NOTE, unfinished, sizeof(unfinished));
	block_seal(data, BLOCK_SUPERBLOCK, ERA_SUPERBLOCK_LOCATION);
	put_le32(data, ~get_le32(data)); /* never the right checksum */
	r = era_device_write(device, ERA_SUPERBLOCK_LOCATION, 1, data);
	return r ? r : era_device_flush(device);
}

int era_superblock_commit(struct era_device *device,
			  const struct era_superblock *sb)
{
	uint8_t data[ERA_BLOCK_SIZE];
	int r = era_device_flush(device);

	era_superblock_put(data, sb);
	if (!r)
		r = era_device_write(device, sb->location, 1, data);
	return r ? r : era_device_flush(device);
}
