/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the device from end to end, skipping the holes of a file, and sorts
 * its blocks into those that are packed and those that are not.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/endian.h"
#include "format/pack_chunk.h"
#include "format/pack_format.h"
#include "format/pack_write.h"
#include "pdata/block.h"

struct packer {
	struct era_device *device;
	const char *name;
	struct pack_chunks chunks;
	struct pack_stats *stats;
	struct era_report *report;
	bool keep_all;
	bool any_read;
	uint8_t *buf; /* ERA_DEVICE_RUN */
};

static int write_failed(struct packer *packer, int err)
{
	if (err != -EPIPE)
		era_report_kind(packer->report, ERA_KIND_TARGET, ERA_FATAL,
				NULL, ERA_NO_DATA,
				"%s: cannot write at offset %" PRIu64 ": %s",
				packer->name, packer->chunks.offset,
				strerror(-err));
	return err;
}

static int pack_block(struct packer *packer, uint64_t block,
		      const uint8_t *data)
{
	bool known;
	int r;

	if (block_is_zero(data))
		return 0;
	known = pack_is_known(data);
	if (known)
		packer->stats->nr_packed++;
	else
		packer->stats->nr_unknown++;
	if (!known && !packer->keep_all)
		return 0;
	r = pack_chunks_add(&packer->chunks, block, data, !known);
	return r ? write_failed(packer, r) : 0;
}

static int pack_mark(struct packer *packer, uint64_t block)
{
	struct pack_stats *stats = packer->stats;
	uint8_t mark[ERA_BLOCK_SIZE];
	int r;

	/* the superblock is read last, and looked for first */
	if (!stats->nr_unread++ || block < stats->first_unread)
		stats->first_unread = block;
	block_put_unread(mark);
	r = pack_chunks_add(&packer->chunks, block, mark, true);
	return r ? write_failed(packer, r) : 0;
}

/* What does not come at once, block by block. */
static int pack_singly(struct packer *packer, uint64_t block, size_t nr)
{
	int r = 0;

	for (size_t i = 0; i < nr && !r; i++) {
		r = era_device_read(packer->device, block + i, 1, packer->buf);
		if (r == -ENOMEM)
			return era_device_report(packer->device, packer->report,
						 "read", r);
		if (!r)
			packer->any_read = true;
		r = r ? pack_mark(packer, block + i)
		      : pack_block(packer, block + i, packer->buf);
	}
	return r;
}

static int pack_run(struct packer *packer, uint64_t block, size_t nr)
{
	int r = era_device_read(packer->device, block, nr, packer->buf);

	if (r)
		return pack_singly(packer, block, nr);
	packer->any_read = true;
	for (size_t i = 0; i < nr && !r; i++)
		r = pack_block(packer, block + i,
			       packer->buf + i * ERA_BLOCK_SIZE);
	return r;
}

/*
 * The superblock comes last: the format has no mark for the end, and so a pack
 * that was cut off between two chunks is noticed, as it has none.
 */
static int pack_blocks(struct packer *packer)
{
	struct era_device *device = packer->device;
	uint64_t block = era_device_next_data(device, 1);

	while (block < device->nr_blocks) {
		uint64_t left = device->nr_blocks - block;
		size_t nr =
			left < ERA_DEVICE_RUN ? (size_t)left : ERA_DEVICE_RUN;
		int r = pack_run(packer, block, nr);

		if (r)
			return r;
		block = era_device_next_data(device, block + nr);
	}
	return pack_run(packer, 0, 1);
}

/* No disk, rather than a bad one. */
static int check_any_read(struct packer *packer)
{
	if (packer->any_read)
		return 0;
	return era_device_report(packer->device, packer->report, "read", -EIO);
}

static int write_header(struct packer *packer)
{
	uint8_t header[PACK_HEADER_SIZE];
	size_t done = 0;

	put_le64(header, PACK_MAGIC);
	put_le64(header + PACK_HEADER_VERSION, PACK_VERSION);
	put_le64(header + PACK_HEADER_BLOCK_SIZE, ERA_BLOCK_SIZE);
	put_le64(header + PACK_HEADER_NR_BLOCKS, packer->device->nr_blocks);
	while (done < sizeof(header)) {
		ssize_t n = write(packer->chunks.fd, header + done,
				  sizeof(header) - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return write_failed(packer, n ? -errno : -EIO);
		done += (size_t)n;
		packer->chunks.offset += (uint64_t)n;
	}
	return 0;
}

static int pack_all(struct packer *packer)
{
	int r = write_header(packer);

	if (!r)
		r = pack_blocks(packer);
	if (!r)
		r = check_any_read(packer);
	if (!r) {
		r = pack_chunks_finish(&packer->chunks);
		if (r)
			write_failed(packer, r);
	}
	return r;
}

static int check_size(const struct era_device *device,
		      struct era_report *report)
{
	if (device->nr_blocks && device->nr_blocks <= PACK_MAX_BLOCKS)
		return 0;
	era_report_kind(
		report, device->nr_blocks ? ERA_KIND_USAGE : ERA_KIND_NOT_ERA,
		ERA_FATAL, NULL, ERA_NO_DATA,
		device->nr_blocks
			? "%s is larger than 1 TiB: this is no metadata device"
			: "%s is too small to hold metadata",
		device->path);
	return device->nr_blocks ? -EFBIG : -EINVAL;
}

int pack_write(struct era_device *device, int fd, const char *name,
	       bool keep_all, struct pack_stats *stats,
	       struct era_report *report)
{
	struct packer packer = { .device = device,
				 .name = name,
				 .stats = stats,
				 .report = report,
				 .keep_all = keep_all };
	int r = check_size(device, report);

	*stats = (struct pack_stats){ 0 };
	if (r)
		return r;
	packer.buf = malloc((size_t)ERA_DEVICE_RUN * ERA_BLOCK_SIZE);
	r = pack_chunks_init(&packer.chunks, fd, 0);
	if (!packer.buf)
		r = -ENOMEM;
	if (r)
		write_failed(&packer, r);
	else
		r = pack_all(&packer);
	pack_chunks_release(&packer.chunks);
	free(packer.buf);
	return r;
}
