/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sorting all blocks by kind and by what they hold.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "era/scan.h"
#include "era/superblock.h"

static bool node_is_sound(const uint8_t *node)
{
	uint32_t nr = node_nr_entries(node);

	if (btree_node_fault(node))
		return false;
	for (uint32_t i = 1; i < nr; i++)
		if (node_key(node, i) <= node_key(node, i - 1))
			return false;
	return true;
}

static enum era_role node_role(const uint8_t *node)
{
	if (!node_is_sound(node))
		return ROLE_UNKNOWN;
	if (!node_is_leaf(node))
		return ROLE_INTERNAL;
	switch (get_le32(node + NODE_VALUE_SIZE)) {
	case 4:
		return ROLE_COUNTS;
	case 8:
		return ROLE_POINTERS;
	case ERA_WRITESET_VALUE_SIZE:
		return ROLE_WRITESETS;
	}
	return ROLE_UNKNOWN;
}

static enum era_role array_role(const uint8_t *data)
{
	uint32_t value_size = get_le32(data + ARRAY_VALUE_SIZE);

	if ((value_size != 4 && value_size != 8) ||
	    get_le32(data + ARRAY_MAX_ENTRIES) !=
		    array_max_entries(value_size) ||
	    get_le32(data + ARRAY_NR_ENTRIES) > array_max_entries(value_size))
		return ROLE_UNKNOWN;
	return value_size == 4 ? ROLE_ERAS : ROLE_WORDS;
}

enum era_role era_role_of(const uint8_t *data, uint64_t block)
{
	if (block_is_zero(data))
		return ROLE_ZERO;
	/*
	 * A checksum is worth computing only where the block number is in
	 * one of its two places, or for block 0, whose number proves nothing.
	 */
	if (get_le64(data + 8) != block && get_le64(data + 16) != block)
		return ROLE_UNKNOWN;
	switch (block_identify(data, block)) {
	case BLOCK_UNKNOWN:
		break;
	case BLOCK_SUPERBLOCK:
		return ROLE_SUPERBLOCK;
	case BLOCK_BTREE_NODE:
		return node_role(data);
	case BLOCK_ARRAY:
		return array_role(data);
	case BLOCK_INDEX:
		return ROLE_INDEX;
	case BLOCK_BITMAP:
		return ROLE_BITMAP;
	}
	return ROLE_UNKNOWN;
}

/* Reads [first, first + nr), block by block where they do not come at once. */
static void read_chunk(struct era_device *device, uint64_t first, size_t nr,
		       uint8_t *buf, bool *failed)
{
	memset(failed, 0, nr * sizeof(*failed));
	if (!era_device_read(device, first, nr, buf))
		return;
	for (size_t i = 0; i < nr; i++)
		failed[i] = era_device_read(device, first + i, 1,
					    buf + i * ERA_BLOCK_SIZE);
}

int era_scan_start(struct era_scan *scan, struct era_device *device)
{
	*scan = (struct era_scan){ .device = device,
				   .nr_blocks = device->nr_blocks,
				   .known_before = device->known_bad,
				   .surprise_before = device->surprise };
	if (scan->nr_blocks > MAX_METADATA_BLOCKS)
		scan->nr_blocks = MAX_METADATA_BLOCKS;
	scan->roles = malloc((size_t)scan->nr_blocks + 1);
	if (!scan->roles)
		return -ENOMEM;
	memset(scan->roles, ROLE_UNREAD, (size_t)scan->nr_blocks);
	return block_set_init(&scan->unreadable, scan->nr_blocks);
}

/* From first on, the first block to be read; those in holes are settled. */
static uint64_t next_unread(struct era_scan *scan, uint64_t first)
{
	uint64_t data;

	while (first < scan->nr_blocks && scan->roles[first] != ROLE_UNREAD)
		first++;
	if (first >= scan->nr_blocks)
		return first;
	data = era_device_next_data(scan->device, first);
	if (data > scan->nr_blocks)
		data = scan->nr_blocks;
	for (uint64_t block = first; block < data; block++)
		if (scan->roles[block] == ROLE_UNREAD)
			scan->roles[block] = ROLE_ZERO;
	return data;
}

static void scan_chunk(struct era_scan *scan, uint64_t first, size_t nr,
		       uint8_t *buf)
{
	bool failed[ERA_DEVICE_RUN];

	read_chunk(scan->device, first, nr, buf, failed);
	for (size_t i = 0; i < nr; i++) {
		const uint8_t *data = buf + i * ERA_BLOCK_SIZE;

		/* whoever made this copy could not read it either */
		failed[i] = failed[i] || block_is_unread(data);
		scan->roles[first + i] =
			(uint8_t)(failed[i] ? ROLE_UNREADABLE
					    : era_role_of(data, first + i));
		if (!failed[i])
			continue;
		block_set_add(&scan->unreadable, first + i);
		scan->nr_unreadable++;
	}
}

int era_scan_finish(struct era_scan *scan)
{
	uint8_t *buf = malloc(ERA_DEVICE_RUN * ERA_BLOCK_SIZE);
	uint64_t first = 0;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		size_t nr = 0;

		first = next_unread(scan, first);
		if (first >= scan->nr_blocks)
			break;
		/* the first may have been told, where a hole ended there */
		while (nr < ERA_DEVICE_RUN && first + nr < scan->nr_blocks &&
		       scan->roles[first + nr] == ROLE_UNREAD)
			nr++;
		scan_chunk(scan, first, nr, buf);
		first += nr;
	}
	free(buf);
	/* what failed in the scan is known from now on */
	scan->device->surprise = scan->surprise_before;
	scan->device->known_bad = scan->unreadable.words;
	return 0;
}

int era_scan_init(struct era_scan *scan, struct era_device *device)
{
	int r = era_scan_start(scan, device);

	if (!r)
		r = era_scan_finish(scan);
	if (r)
		era_scan_release(scan);
	return r;
}

void era_scan_release(struct era_scan *scan)
{
	if (scan->device)
		scan->device->known_bad = scan->known_before;
	block_set_release(&scan->unreadable);
	free(scan->roles);
	*scan = (struct era_scan){ .device = NULL };
}

int era_scan_read(const struct era_scan *scan, uint64_t block, void *data)
{
	int r = era_device_read(scan->device, block, 1, data);

	if (!r && era_role_of(data, block) != era_scan_role(scan, block)) {
		era_device_changed(scan->device, block);
		r = -ESTALE;
	}
	return r;
}

int era_scan_each(const struct era_scan *scan, enum era_role role,
		  const struct block_set *skip,
		  int (*fn)(void *arg, uint64_t block, const uint8_t *data),
		  void *arg)
{
	uint8_t data[ERA_BLOCK_SIZE];
	int r = 0;

	for (uint64_t block = 0; block < scan->nr_blocks && !r; block++) {
		if (scan->roles[block] != role)
			continue;
		if (skip && block_set_has(skip, block))
			continue;
		/* it was readable a moment ago; if not now, it is lost */
		if (!era_scan_read(scan, block, data))
			r = fn(arg, block, data);
	}
	return r;
}
