/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A metadata device, or a file that holds one: opened exclusively, read in
 * sorted and merged batches, written in long runs with explicit flushes.
 * Knows blocks of 4096 bytes and nothing of what they hold.
 *
 * Contract: every byte that enters or leaves goes through struct era_io, so
 * that a test can stand in, fail any call, or lose what was not flushed.
 */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/report.h"

#define ERA_BLOCK_SIZE 4096u /* bytes of a metadata block */

/* Blocks read or written at a time, 1 MiB: more gains nothing measurable. */
#define ERA_DEVICE_RUN 256u

/*
 * The system calls below a device. Results and errno as of preadv(2),
 * pwrite(2) and fdatasync(2); discard makes a range read as zeroes, or fails
 * with EOPNOTSUPP where only writing zeroes will do.
 */
struct era_io {
	ssize_t (*readv)(const struct era_io *io, int fd,
			 const struct iovec *iov, int nr_iov, off_t offset);
	ssize_t (*write)(const struct era_io *io, int fd, const void *data,
			 size_t len, off_t offset);
	int (*sync)(const struct era_io *io, int fd);
	int (*discard)(const struct era_io *io, int fd, off_t offset, off_t len,
		       bool block_device);
	void *arg; /* for whoever stands in */
};

extern const struct era_io era_io_system; /* the real ones */

enum {
	ERA_DEVICE_WRITE = 1 << 0,
	/* no exclusive open: for a metadata snapshot of a live device */
	ERA_DEVICE_SHARED = 1 << 1,
	/* messages may name --metadata-snapshot as the way out of "in use" */
	ERA_DEVICE_HINT_SNAPSHOT = 1 << 2,
};

/* Blocks that read otherwise than they stand on the device. */
struct era_substitute {
	uint64_t block;
	uint8_t data[ERA_BLOCK_SIZE];
};

struct era_substitutes {
	struct era_substitute *list; /* by ascending block */
	size_t nr, max;
};

struct era_device {
	const struct era_io *io;
	const char *path; /* as given; lives as long as the caller's */
	int fd;
	uint64_t nr_blocks; /* whole metadata blocks */
	bool block_device;
	bool direct; /* read past the page cache, by a descriptor of its own */
	int direct_fd; /* valid where direct */
	bool growable; /* a new file: nr_blocks follows what is written */
	/* opened to write, by its name, and not written to yet */
	bool to_look_again;
	/* told of all that was read or written, in bytes; may be NULL */
	void (*moved)(void *arg, uint64_t n);
	void *moved_arg;
	/* set when a read, write or flush fails, for the message */
	uint64_t error_offset; /* bytes */
	/*
	 * The first failure to read a block that is not a bit in known_bad (a
	 * scanner's, or NULL), or the first that has changed: whoever has
	 * planned for a device that can be read and that nobody else writes
	 * must not go on with another.
	 */
	const uint64_t *known_bad;
	int surprise; /* 0 or a negative errno */
	uint64_t surprise_offset;
	/* what a salvage has set right; NULL: nothing */
	const struct era_substitutes *substitutes;
};

/*
 * Opens path with io (NULL: the system's). A block device is opened with
 * O_EXCL, a file is locked (flock), unless ERA_DEVICE_SHARED. What is on a
 * block device is read, and not what its page cache holds. What fails is
 * reported. Returns 0, -EBUSY where somebody else has it, -EISDIR, -EINVAL
 * for what is neither file nor block device, or what open(2) says. With
 * ERA_DEVICE_WRITE the first write fails with -ESTALE where path leads to
 * something else by then.
 */
int era_device_open(struct era_device *device, const char *path,
		    unsigned int flags, const struct era_io *io,
		    struct era_report *report);

/*
 * The same for what is open as fd, which remains the caller's; name is what
 * messages call it. It is opened anew through /proc, with a claim, a lock and
 * a file position of its own; with ERA_DEVICE_SHARED a duplicate will do where
 * that is not allowed.
 */
int era_device_open_fd(struct era_device *device, int fd, const char *name,
		       unsigned int flags, struct era_report *report);

/* Wraps a file that the caller has just created; it grows as it is written. */
void era_device_init_new(struct era_device *device, const char *path, int fd,
			 const struct era_io *io);

void era_device_close(struct era_device *device);

/*
 * What is read from here on is what the device holds now, not what was read
 * before; does something only where pages stand in between.
 */
void era_device_refresh(const struct era_device *device);

/* The same for others that read the device, who may go by the page cache. */
void era_device_drop_pages(const struct era_device *device);

/* What stands in for a block, or NULL. */
const uint8_t *era_substitute_of(const struct era_substitutes *substitutes,
				 uint64_t block);

/* Reads nr blocks as they stand there. -EIO or so, with error_offset set. */
int era_device_read_raw(struct era_device *device, uint64_t first, size_t nr,
			void *buf);

/* The same, with what stands in for them. */
int era_device_read(struct era_device *device, uint64_t first, size_t nr,
		    void *buf);

/*
 * Reads blocks[i] to buf + i * ERA_BLOCK_SIZE, in any order, sorted and
 * merged into few calls. failed[i] is the errno of a block that cannot be
 * read (its bytes are zero then) and 0 elsewhere; the other blocks are still
 * read. A block past the end fails with ENXIO. Returns 0, -ENOMEM, or the
 * first failure where failed is NULL.
 */
int era_device_read_blocks(struct era_device *device, const uint32_t *blocks,
			   size_t nr, void *buf, uint8_t *failed);

/*
 * The first block from block on that is not wholly in a hole of a sparse
 * file, nr_blocks where only a hole is left; block itself where holes cannot
 * be asked for.
 */
uint64_t era_device_next_data(const struct era_device *device, uint64_t block);

/* Bytes that are not in holes: what reading all of it comes to. */
uint64_t era_device_used(const struct era_device *device);

int era_device_write(struct era_device *device, uint64_t first, size_t nr,
		     const void *buf);

/* Everything written so far is on stable storage when this returns 0. */
int era_device_flush(struct era_device *device);

/* Makes blocks [first, first + nr) read as zeroes. */
int era_device_zero(struct era_device *device, uint64_t first, uint64_t nr);

/* Block is no longer what it was when it was first read: a surprise. */
void era_device_changed(struct era_device *device, uint64_t block);

/* Reports a surprise and returns its errno; 0 where there was none. */
int era_device_check(struct era_device *device, struct era_report *report);

/* Reports a failed read, write or flush with its offset; returns err. */
int era_device_report(struct era_device *device, struct era_report *report,
		      const char *what, int err);

#endif
