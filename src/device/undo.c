/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing and applying undo files. A file is a header and records, all
 * little-endian:
 *   header  8 bytes magic, le32 version, le32 crc, le64 nr_blocks
 *   record  le64 block, le32 crc, le32 kind, 4096 bytes
 * where a crc is CRC-32C of all other bytes of the header or record. The kind
 * says whether the block held these bytes before, or was to hold them next:
 * that is recorded of block 0 alone, and tells at the end whether the device
 * is still as it was left.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/path.h"
#include "device/undo.h"

#define HEADER_SIZE 24
#define RECORD_KIND 12
#define RECORD_HEAD 16
#define RECORD_SIZE (RECORD_HEAD + ERA_BLOCK_SIZE)
#define UNDO_VERSION 2

enum record_kind { HELD_BEFORE, HELD_NEXT };

#define SECTOR 512 /* what a device writes whole, or not at all */

static const char magic[8] = "dmeraUND";

static uint32_t header_crc(const uint8_t *header)
{
	return era_crc32c(era_crc32c(UINT32_MAX, header, 12), header + 16, 8);
}

static uint32_t record_crc(const uint8_t *record)
{
	uint32_t crc = era_crc32c(UINT32_MAX, record, 8);

	return era_crc32c(crc, record + 12, RECORD_SIZE - 12);
}

static int write_fully(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A bit for each block of a device; NULL where there is no room for that. */
static uint64_t *new_block_bits(const struct era_device *device)
{
	uint64_t nr = device->nr_blocks / 64 + 1;

	return (size_t)nr != nr ? NULL : calloc((size_t)nr, sizeof(uint64_t));
}

static bool has_bit(const uint64_t *bits, uint64_t block)
{
	return bits[block / 64] >> (block % 64) & 1;
}

static void set_bit(uint64_t *bits, uint64_t block)
{
	bits[block / 64] |= UINT64_C(1) << (block % 64);
}

static int add_record(struct undo_log *log, uint64_t block,
		      enum record_kind kind, uint8_t *record)
{
	put_le64(record, block);
	put_le32(record + RECORD_KIND, kind);
	put_le32(record + 8, record_crc(record));
	return write_fully(log->fd, record, RECORD_SIZE);
}

static int save_block(struct undo_log *log, uint64_t block)
{
	uint8_t record[RECORD_SIZE];
	int r;

	if (has_bit(log->saved, block))
		return 0;
	r = era_device_read_raw(log->device, block, 1, record + RECORD_HEAD);
	if (r && block) /* unreadable: there is nothing to be put back */
		return 0;
	if (r)
		return r;
	r = add_record(log, block, HELD_BEFORE, record);
	if (!r)
		set_bit(log->saved, block);
	return r;
}

static int save_range(struct undo_log *log, off_t offset, size_t len)
{
	uint64_t first = (uint64_t)offset / ERA_BLOCK_SIZE;
	uint64_t end =
		((uint64_t)offset + len + ERA_BLOCK_SIZE - 1) / ERA_BLOCK_SIZE;
	int r = 0;

	for (uint64_t block = first; block < end && !r; block++)
		r = save_block(log, block);
	return r;
}

/* What block 0 is going to hold; all of it is in one write. */
static int save_next(struct undo_log *log, const void *data, off_t offset,
		     size_t len)
{
	uint8_t record[RECORD_SIZE];

	if (offset || len < ERA_BLOCK_SIZE)
		return 0;
	memcpy(record + RECORD_HEAD, data, ERA_BLOCK_SIZE);
	return add_record(log, 0, HELD_NEXT, record);
}

static int flush_log(struct undo_log *log)
{
	return fdatasync(log->fd) ? -errno : 0;
}

static ssize_t undo_readv(const struct era_io *io, int fd,
			  const struct iovec *iov, int nr_iov, off_t offset)
{
	const struct undo_log *log = io->arg;

	return log->below->readv(log->below, fd, iov, nr_iov, offset);
}

static ssize_t undo_write(const struct era_io *io, int fd, const void *data,
			  size_t len, off_t offset)
{
	struct undo_log *log = io->arg;

	if (!log->error)
		log->error = save_range(log, offset, len);
	if (!log->error)
		log->error = save_next(log, data, offset, len);
	if (!log->error)
		log->error = flush_log(log);
	if (log->error) {
		errno = -log->error;
		return -1;
	}
	log->used = true;
	return log->below->write(log->below, fd, data, len, offset);
}

static int undo_sync(const struct era_io *io, int fd)
{
	const struct undo_log *log = io->arg;

	return log->below->sync(log->below, fd);
}

/* Not in a repair in place: nothing there is erased. */
static int undo_discard(const struct era_io *io, int fd, off_t offset,
			off_t len, bool block_device)
{
	(void)io;
	(void)fd;
	(void)offset;
	(void)len;
	(void)block_device;
	errno = EOPNOTSUPP;
	return -1;
}

int undo_log_start(struct undo_log *log, struct era_device *device,
		   const char *path, struct era_report *report)
{
	uint8_t header[HEADER_SIZE] = { 0 };
	int r = 0;

	*log = (struct undo_log){ .io = { undo_readv, undo_write, undo_sync,
					  undo_discard, log },
				  .below = device->io,
				  .device = device,
				  .report = report,
				  .path = path };
	log->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (log->fd < 0) {
		r = -errno;
		era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"cannot create the undo file %s: %s", path,
				strerror(-r));
		return r;
	}
	log->saved = new_block_bits(device);
	if (!log->saved)
		r = -ENOMEM;
	memcpy(header, magic, sizeof(magic));
	put_le32(header + 8, UNDO_VERSION);
	put_le64(header + 16, device->nr_blocks);
	put_le32(header + 12, header_crc(header));
	if (!r)
		r = write_fully(log->fd, header, HEADER_SIZE);
	/* the superblock comes first: without it the rest is of no use */
	if (!r)
		r = save_block(log, 0);
	if (!r && fsync(log->fd))
		r = -errno;
	if (!r)
		r = path_sync_dir(path);
	log->error = r;
	if (r)
		return undo_log_finish(log);
	device->io = &log->io;
	return 0;
}

int undo_log_finish(struct undo_log *log)
{
	log->device->io = log->below;
	if (!log->error && fsync(log->fd))
		log->error = -errno;
	close(log->fd);
	free(log->saved);
	log->saved = NULL;
	if (!log->used) /* there is nothing to be undone */
		unlink(log->path);
	if (log->error)
		era_report_kind(log->report, ERA_KIND_TARGET, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"cannot write the undo file %s: %s", log->path,
				strerror(-log->error));
	return log->error;
}

/* As many bytes as there are, which may come in parts. */
static ssize_t read_at(int fd, uint8_t *buf, size_t len, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			pread(fd, buf + done, len - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Whether a record is one that save_block() or save_next() has made. */
static bool is_ours(const uint8_t *record, uint64_t number,
		    const struct era_device *device)
{
	uint64_t block = get_le64(record);
	uint32_t kind = get_le32(record + RECORD_KIND);

	if (get_le32(record + 8) != record_crc(record) ||
	    block >= device->nr_blocks)
		return false;
	if (!number) /* the old superblock: the rest is of no use without */
		return !block && kind == HELD_BEFORE;
	return block ? kind == HELD_BEFORE : kind == HELD_NEXT;
}

/*
 * The next record: 1, 0 at the end, -EBADMSG where it is damaged or none of
 * ours. All of that is asked each time that it is read.
 */
static int read_record(int fd, const struct era_device *device, uint64_t number,
		       uint8_t *record)
{
	off_t at;
	ssize_t n;

	if (number > (INT64_MAX - HEADER_SIZE) / RECORD_SIZE - 1)
		return -EBADMSG;
	at = (off_t)(HEADER_SIZE + number * RECORD_SIZE);
	n = read_at(fd, record, RECORD_SIZE, at);
	if (n < 0)
		return (int)n;
	if (n < (ssize_t)RECORD_SIZE)
		return 0;
	return is_ours(record, number, device) ? 1 : -EBADMSG;
}

static int check_header(int fd, const struct era_device *device)
{
	uint8_t header[HEADER_SIZE];
	ssize_t n = read_at(fd, header, HEADER_SIZE, 0);

	if (n < 0)
		return (int)n;
	if (n < HEADER_SIZE || memcmp(header, magic, sizeof(magic)) ||
	    get_le32(header + 8) != UNDO_VERSION ||
	    get_le32(header + 12) != header_crc(header))
		return -EBADMSG;
	return get_le64(header + 16) == device->nr_blocks ? 0 : -ENXIO;
}

/* Checks all records before anything is written; each block is saved once. */
static int check_records(int fd, const struct era_device *device,
			 uint64_t *saved, uint64_t *nr_records)
{
	uint8_t record[RECORD_SIZE];
	int r;

	for (*nr_records = 0;; ++*nr_records) {
		r = read_record(fd, device, *nr_records, record);
		if (r <= 0)
			return !r && !*nr_records ? -EBADMSG : r;
		if (get_le32(record + RECORD_KIND) != HELD_BEFORE)
			continue;
		if (has_bit(saved, get_le64(record)))
			return -EBADMSG;
		set_bit(saved, get_le64(record));
	}
}

static int check_file(int fd, const struct era_device *device,
		      uint64_t *nr_records)
{
	uint64_t *saved;
	int r = check_header(fd, device);

	if (r)
		return r;
	saved = new_block_bits(device);
	r = saved ? check_records(fd, device, saved, nr_records) : -ENOMEM;
	free(saved);
	return r;
}

/*
 * Whether nobody has written the device since: its block 0 is what it was
 * before or was to be next, or has some sectors of either. Had a kernel gone
 * on from the repaired state, the old one would forget what it has recorded,
 * and not be whole any more. A block that cannot be read nobody went on from.
 */
static int check_unused(int fd, struct era_device *device, uint64_t nr_records)
{
	uint8_t now[ERA_BLOCK_SIZE], record[RECORD_SIZE];
	unsigned int known = 0; /* a bit for each sector */
	int r;

	if (era_device_read_raw(device, 0, 1, now))
		return 0;
	for (uint64_t i = 0; i < nr_records; i++) {
		r = read_record(fd, device, i, record);
		if (r <= 0)
			return r ? r : -EBADMSG;
		for (size_t at = 0; !get_le64(record) && at < ERA_BLOCK_SIZE;
		     at += SECTOR)
			if (!memcmp(now + at, record + RECORD_HEAD + at,
				    SECTOR))
				known |= 1u << at / SECTOR;
	}
	return known == (1u << ERA_BLOCK_SIZE / SECTOR) - 1 ? 0 : -ESTALE;
}

/* Writes back block 0 alone, or all blocks but that. */
static int put_back(int fd, struct era_device *device, uint64_t nr_records,
		    bool superblock)
{
	uint8_t record[RECORD_SIZE];
	int r = 0;

	for (uint64_t i = 0; i < nr_records && !r; i++) {
		r = read_record(fd, device, i, record);
		if (r <= 0)
			return r ? r : -EBADMSG;
		r = 0;
		if (get_le32(record + RECORD_KIND) == HELD_BEFORE &&
		    !get_le64(record) == superblock)
			r = era_device_write(device, get_le64(record), 1,
					     record + RECORD_HEAD);
	}
	return r ? r : era_device_flush(device);
}

/* Nothing is taken from a file that anybody can have put there. */
static int open_undo(const char *path, struct era_report *report)
{
	struct path_end end;
	const char *text = NULL;
	int r = path_find(&end, path), fd = -1;

	if (!r && end.exists && !S_ISREG(end.st.st_mode)) {
		text = "it is no regular file";
		r = -EINVAL;
	}
	if (!r) {
		fd = path_open(&end,
			       O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		r = fd < 0 ? fd : 0;
	}
	if (r == -EPERM)
		text = "it belongs to somebody else, in a directory that all "
		       "may write to";
	if (r)
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "cannot open the undo file %s: %s",
				path, text ? text : strerror(-r));
	path_release(&end);
	return r ? r : fd;
}

static void report_unfit(const char *path, int r, struct era_report *report)
{
	era_report_kind(report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
			ERA_NO_DATA,
			r == -EBADMSG ? "%s is not an undo file, or is damaged"
			: r == -ENXIO ? "%s belongs to a device of another size"
			: r == -ESTALE
				? "%s does not belong to this device, or the "
				  "device was written since: nothing is "
				  "undone"
				: "cannot read the undo file %s",
			path);
}

int undo_apply(const char *path, struct era_device *device,
	       struct era_report *report)
{
	uint64_t nr_records;
	int fd = open_undo(path, report), r;

	if (fd < 0)
		return fd;
	r = check_file(fd, device, &nr_records);
	if (!r)
		r = check_unused(fd, device, nr_records);
	if (r) {
		report_unfit(path, r, report);
	} else {
		/* in this order the old state is whole after the first */
		r = put_back(fd, device, nr_records, true);
		if (!r)
			r = put_back(fd, device, nr_records, false);
		if (r)
			era_device_report(device, report, "write", r);
	}
	close(fd);
	return r;
}
