/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening, sizing, reading, writing and flushing of a metadata device.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compare.h"
#include "base/path.h"
#include "device/device.h"

/* iovecs of one read; the kernel takes 1024 */
#define MAX_IOV 512

/* Blocks that a direct read passes over: they cost less than another seek. */
#define MAX_GAP 16

static ssize_t system_readv(const struct era_io *io, int fd,
			    const struct iovec *iov, int nr_iov, off_t offset)
{
	(void)io;
	return preadv(fd, iov, nr_iov, offset);
}

static ssize_t system_write(const struct era_io *io, int fd, const void *data,
			    size_t len, off_t offset)
{
	(void)io;
	return pwrite(fd, data, len, offset);
}

static int system_sync(const struct era_io *io, int fd)
{
	(void)io;
	return fdatasync(fd);
}

static int system_discard(const struct era_io *io, int fd, off_t offset,
			  off_t len, bool block_device)
{
	uint64_t range[2] = { (uint64_t)offset, (uint64_t)len };

	(void)io;
	if (block_device)
		return ioctl(fd, BLKZEROOUT, range);
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
			 len);
}

const struct era_io era_io_system = {
	.readv = system_readv,
	.write = system_write,
	.sync = system_sync,
	.discard = system_discard,
};

static int open_error(struct era_report *report, const char *path,
		      unsigned int flags, int err)
{
	if (err == EBUSY || err == EWOULDBLOCK) {
		era_report_kind(
			report, ERA_KIND_BUSY, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is in use by another program or by the kernel%s",
			path,
			flags & ERA_DEVICE_HINT_SNAPSHOT
				? " (with --metadata-snapshot a live device "
				  "can be read)"
				: "");
		return -EBUSY;
	}
	if (err == EISDIR) {
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s is a directory", path);
		return -EISDIR;
	}
	era_report_kind(
		report, ERA_KIND_ACCESS, ERA_FATAL, NULL, ERA_NO_DATA,
		"cannot open %s: %s", path,
		err == EPERM && flags & ERA_DEVICE_WRITE
			? "it belongs to somebody else, in a directory that "
			  "all may write to"
		: err == ESTALE && flags & ERA_DEVICE_WRITE
			? "something else was put in its place meanwhile"
			: strerror(err));
	return -err;
}

/* The size in bytes and the kind of what was opened. */
static int measure(struct era_device *device, struct era_report *report)
{
	struct stat st;
	uint64_t size;

	if (fstat(device->fd, &st))
		return open_error(report, device->path, 0, errno);
	if (S_ISDIR(st.st_mode)) {
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s is a directory", device->path);
		return -EISDIR;
	}
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(device->fd, BLKGETSIZE64, &size))
			return open_error(report, device->path, 0, errno);
		device->block_device = true;
	} else if (S_ISREG(st.st_mode)) {
		size = (uint64_t)st.st_size;
	} else {
		era_report_kind(
			report, ERA_KIND_ACCESS, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is neither a block device nor a regular file",
			device->path);
		return -EINVAL;
	}
	device->nr_blocks = size / ERA_BLOCK_SIZE;
	return 0;
}

/*
 * dm targets write below the page cache of the block device that they are
 * given: a page that somebody else's program has brought in, and keeps, is old
 * from then on. So a block device is read past its pages (O_DIRECT). To drop
 * them first is not enough: BLKFLSBUF and POSIX_FADV_DONTNEED pass over a page
 * that is mapped or in use, and the other program can bring it in again.
 *
 * This takes a descriptor of its own, as direct writes would ask for aligned
 * memory from every writer. Written is through the pages, whole ones, and a
 * direct read of them waits until they are on the device. A device that cannot
 * be read so (the kernel then says EINVAL) leaves it at the pages.
 */
static void open_direct(struct era_device *device, const char *path)
{
	uint8_t *block = aligned_alloc(ERA_BLOCK_SIZE, ERA_BLOCK_SIZE);
	struct stat a, b;
	int fd = -1;

	if (block && device->block_device && device->nr_blocks &&
	    device->io == &era_io_system)
		fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
	/* the path may name another device by now */
	if (fd >= 0 && !fstat(device->fd, &a) && !fstat(fd, &b) &&
	    S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev &&
	    (pread(fd, block, ERA_BLOCK_SIZE, 0) >= 0 || errno != EINVAL)) {
		device->direct_fd = fd;
		device->direct = true;
	} else if (fd >= 0) {
		close(fd);
	}
	free(block);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether fd was opened as somebody who wants a block device for himself. */
struct opening {
	int fd; /* or a negative errno */
	bool claims;
};

/*
 * O_EXCL without O_CREAT is defined for block devices only, and there it keeps
 * mounted, mapped and otherwise claimed devices out.
 */
static int claim(struct opening *opening, const struct stat *st, bool exclusive)
{
	opening->claims = exclusive && S_ISBLK(st->st_mode);
	return opening->claims ? O_EXCL : 0;
}

static void open_to_read(struct opening *opening, const char *path, int mode,
			 bool exclusive)
{
	struct stat st;

	if (!stat(path, &st))
		mode |= claim(opening, &st, exclusive);
	opening->fd = open(path, mode | O_RDONLY);
	if (opening->fd < 0)
		opening->fd = -errno;
}

/* Opens nothing but what was looked at. */
static void open_to_write(struct opening *opening, const char *path, int mode,
			  bool exclusive)
{
	struct path_end end;
	int r = path_find(&end, path);

	opening->fd = r;
	if (r)
		return;
	if (end.exists)
		mode |= claim(opening, &end.st, exclusive);
	opening->fd = path_open(&end, mode | O_RDWR);
	path_release(&end);
}

/*
 * Much can happen between an opening and the first write, which is what does
 * harm: so the name has to lead there still, without a trap on the way.
 */
static int look_again(struct era_device *device)
{
	struct path_end end;
	struct stat st;
	bool same;

	if (!device->to_look_again)
		return 0;
	if (path_find(&end, device->path))
		return -ESTALE;
	same = end.exists && !fstat(device->fd, &st) && is_same(&st, &end.st);
	path_release(&end);
	device->to_look_again = !same;
	return same ? 0 : -ESTALE;
}

/* Whether somebody else has the device, or can have it beside us. */
static bool is_in_use(const struct era_device *device, bool claims,
		      unsigned int flags)
{
	int lock = flags & ERA_DEVICE_WRITE ? LOCK_EX : LOCK_SH;

	if (flags & ERA_DEVICE_SHARED)
		return false;
	/* it may have become a block device between stat and open */
	if (device->block_device)
		return !claims;
	return flock(device->fd, LOCK_NB | lock) && errno == EWOULDBLOCK;
}

/* Opens path, which messages call by name. */
static int open_as(struct era_device *device, const char *path,
		   const char *name, unsigned int flags,
		   const struct era_io *io, struct era_report *report)
{
	bool exclusive = !(flags & ERA_DEVICE_SHARED);
	/* O_NONBLOCK: a FIFO is refused below, not waited for */
	int mode = O_CLOEXEC | O_NONBLOCK | O_NOCTTY, r;
	struct opening opening = { .claims = false };

	*device = (struct era_device){ .io = io ? io : &era_io_system,
				       .path = name,
				       .fd = -1 };
	if (flags & ERA_DEVICE_WRITE)
		open_to_write(&opening, path, mode, exclusive);
	else
		open_to_read(&opening, path, mode, exclusive);
	if (opening.fd < 0)
		return open_error(report, name, flags, -opening.fd);
	device->fd = opening.fd;
	r = measure(device, report);
	if (!r && is_in_use(device, opening.claims, flags))
		r = open_error(report, name, flags, EBUSY);
	if (r) {
		era_device_close(device);
		return r;
	}
	open_direct(device, path);
	era_device_refresh(device);
	return 0;
}

int era_device_open(struct era_device *device, const char *path,
		    unsigned int flags, const struct era_io *io,
		    struct era_report *report)
{
	int r = open_as(device, path, path, flags, io, report);

	device->to_look_again = !r && flags & ERA_DEVICE_WRITE;
	return r;
}

/* The descriptor itself, twice where it reads past the page cache. */
static int duplicate(struct era_device *device, int fd)
{
	int mode = fcntl(fd, F_GETFL);

	if (mode < 0)
		return -errno;
	if (mode & O_PATH || (mode & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	device->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (device->fd < 0)
		return -errno;
	if (!(mode & O_DIRECT))
		return 0;
	device->direct_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	device->direct = device->direct_fd >= 0;
	return device->direct ? 0 : -errno;
}

/*
 * The pages that another program has brought in would pass for what the
 * device holds.
 */
static int refuse_pages(const struct era_device *device,
			struct era_report *report)
{
	if (device->direct || !device->block_device)
		return 0;
	era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s cannot be opened anew and is not read past the "
			"page cache: open the block device with O_DIRECT",
			device->path);
	return -EACCES;
}

static int open_duplicate(struct era_device *device, int fd,
			  struct era_report *report)
{
	int r = duplicate(device, fd);

	if (r)
		r = open_error(report, device->path, 0, -r);
	else
		r = measure(device, report);
	if (!r)
		r = refuse_pages(device, report);
	if (r)
		era_device_close(device);
	return r;
}

int era_device_open_fd(struct era_device *device, int fd, const char *name,
		       unsigned int flags, struct era_report *report)
{
	char path[sizeof("/proc/self/fd/") + 11];
	int anew;

	*device = (struct era_device){ .io = &era_io_system,
				       .path = name,
				       .fd = -1 };
	if (fcntl(fd, F_GETFD) < 0)
		return open_error(report, name, flags, errno);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (flags & ERA_DEVICE_SHARED) {
		anew = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (anew < 0)
			return open_duplicate(device, fd, report);
		close(anew);
	}
	return open_as(device, path, name, flags, NULL, report);
}

/*
 * Where pages must do, clean ones are dropped by either call; BLKFLSBUF needs
 * privilege.
 */
void era_device_drop_pages(const struct era_device *device)
{
	if (!device->block_device)
		return;
	ioctl(device->fd, BLKFLSBUF, 0);
	posix_fadvise(device->fd, 0, 0, POSIX_FADV_DONTNEED);
}

void era_device_refresh(const struct era_device *device)
{
	if (!device->direct)
		era_device_drop_pages(device);
}

void era_device_init_new(struct era_device *device, const char *path, int fd,
			 const struct era_io *io)
{
	*device = (struct era_device){ .io = io ? io : &era_io_system,
				       .path = path,
				       .fd = fd,
				       .growable = true };
}

void era_device_close(struct era_device *device)
{
	if (device->direct)
		close(device->direct_fd);
	device->direct = false;
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

static int fail(struct era_device *device, uint64_t offset, int err)
{
	device->error_offset = offset;
	return -err;
}

static void count(struct era_device *device, size_t n)
{
	if (device->moved)
		device->moved(device->moved_arg, n);
}

/* Reads all of iov, which it uses up, from offset on. */
static int read_fully(struct era_device *device, struct iovec *iov, int nr_iov,
		      uint64_t offset)
{
	int fd = device->direct ? device->direct_fd : device->fd;

	while (nr_iov) {
		ssize_t n = device->io->readv(device->io, fd, iov, nr_iov,
					      (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* the end comes early where a device shrinks */
			return fail(device, offset, n ? errno : EIO);
		count(device, (size_t)n);
		offset += (uint64_t)n;
		while (nr_iov && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			nr_iov--;
		}
		if (n) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Remembers that a block cannot be read which could be before. */
static void note_failure(struct era_device *device, uint64_t block, int err)
{
	const uint64_t *bad = device->known_bad;

	if (device->surprise || block >= device->nr_blocks ||
	    (bad && bad[block / 64] >> (block % 64) & 1))
		return;
	device->surprise = err;
	device->surprise_offset = block * ERA_BLOCK_SIZE;
}

static int compare_substitute(const void *key, const void *substitute)
{
	const uint64_t *block = key;
	const struct era_substitute *s = substitute;

	return compare_numbers(*block, s->block);
}

const uint8_t *era_substitute_of(const struct era_substitutes *substitutes,
				 uint64_t block)
{
	const struct era_substitute *s = NULL;

	if (substitutes && substitutes->nr)
		s = bsearch(&block, substitutes->list, substitutes->nr,
			    sizeof(*s), compare_substitute);
	return s ? s->data : NULL;
}

static void substitute(const struct era_device *device, uint64_t block,
		       uint8_t *data)
{
	const uint8_t *instead = era_substitute_of(device->substitutes, block);

	if (instead)
		memcpy(data, instead, ERA_BLOCK_SIZE);
}

static int read_plain(struct era_device *device, uint64_t first, size_t nr,
		      void *buf)
{
	struct iovec iov = { buf, nr * ERA_BLOCK_SIZE };

	return read_fully(device, &iov, 1, first * ERA_BLOCK_SIZE);
}

/* Room that a direct read can go to, for nr blocks but no more than a span. */
static uint8_t *new_span(size_t nr)
{
	return aligned_alloc(ERA_BLOCK_SIZE,
			     (nr < ERA_DEVICE_RUN ? nr : ERA_DEVICE_RUN) *
				     ERA_BLOCK_SIZE);
}

/* A direct read of any length to memory that is aligned anyhow. */
static int read_direct(struct era_device *device, uint64_t first, size_t nr,
		       uint8_t *buf)
{
	uint8_t *span;
	int r = 0;

	if (!nr || (uintptr_t)buf % ERA_BLOCK_SIZE == 0)
		return read_plain(device, first, nr, buf);
	span = new_span(nr);
	if (!span)
		return fail(device, first * ERA_BLOCK_SIZE, ENOMEM);
	while (nr && !r) {
		size_t n = nr < ERA_DEVICE_RUN ? nr : ERA_DEVICE_RUN;

		r = read_plain(device, first, n, span);
		if (!r)
			memcpy(buf, span, n * ERA_BLOCK_SIZE);
		buf += n * ERA_BLOCK_SIZE;
		first += n;
		nr -= n;
	}
	free(span);
	return r;
}

int era_device_read_raw(struct era_device *device, uint64_t first, size_t nr,
			void *buf)
{
	int r;

	if (first > device->nr_blocks || nr > device->nr_blocks - first)
		return fail(device, first * ERA_BLOCK_SIZE, ENXIO);
	if (device->direct)
		r = read_direct(device, first, nr, buf);
	else
		r = read_plain(device, first, nr, buf);
	if (r && nr == 1) /* longer reads are tried again block by block */
		note_failure(device, first, r);
	return r;
}

int era_device_read(struct era_device *device, uint64_t first, size_t nr,
		    void *buf)
{
	int r = era_device_read_raw(device, first, nr, buf);

	for (size_t i = 0; i < nr && !r; i++)
		substitute(device, first + i,
			   (uint8_t *)buf + i * ERA_BLOCK_SIZE);
	return r;
}

/* A request of a batch: which block, and its place in the caller's buffer. */
struct request {
	uint32_t block;
	uint32_t slot;
};

static int compare_requests(const void *a, const void *b)
{
	const struct request *x = a, *y = b;

	return compare_numbers(x->block, y->block)
		       ?: compare_numbers(x->slot, y->slot);
}

/* Reads requests one by one, so that only the bad ones fail. */
static int read_singly(struct era_device *device, const struct request *req,
		       size_t nr, uint8_t *buf, uint8_t *failed)
{
	int first_error = 0;

	for (size_t i = 0; i < nr; i++) {
		uint8_t *to = buf + (size_t)req[i].slot * ERA_BLOCK_SIZE;
		int r = era_device_read(device, req[i].block, 1, to);

		if (!r)
			continue;
		memset(to, 0, ERA_BLOCK_SIZE);
		if (failed)
			failed[req[i].slot] = (uint8_t)-r;
		if (!first_error)
			first_error = r;
	}
	return failed ? 0 : first_error;
}

/*
 * Reads a run of requests with consecutive block numbers in one call, each
 * to its own slot.
 */
static int read_consecutive(struct era_device *device,
			    const struct request *req, size_t nr, uint8_t *buf)
{
	struct iovec iov[MAX_IOV];
	int nr_iov = 0;

	for (size_t i = 0; i < nr; i++) {
		uint8_t *to = buf + (size_t)req[i].slot * ERA_BLOCK_SIZE;
		struct iovec *last = nr_iov ? &iov[nr_iov - 1] : NULL;

		if (last && (uint8_t *)last->iov_base + last->iov_len == to)
			last->iov_len += ERA_BLOCK_SIZE;
		else
			iov[nr_iov++] = (struct iovec){ to, ERA_BLOCK_SIZE };
	}
	return read_fully(device, iov, nr_iov,
			  (uint64_t)req->block * ERA_BLOCK_SIZE);
}

/* Reads all from the first request's block to the last's in one call. */
static int read_span(struct era_device *device, const struct request *req,
		     size_t nr, uint8_t *buf)
{
	uint32_t first = req->block;
	size_t nr_blocks = (size_t)req[nr - 1].block - first + 1;
	uint8_t *span = new_span(nr_blocks);
	int r;

	if (!span)
		return -ENOMEM;
	r = read_plain(device, first, nr_blocks, span);
	for (size_t i = 0; i < nr && !r; i++)
		memcpy(buf + (size_t)req[i].slot * ERA_BLOCK_SIZE,
		       span + (size_t)(req[i].block - first) * ERA_BLOCK_SIZE,
		       ERA_BLOCK_SIZE);
	free(span);
	return r;
}

/* Reads what run_end() found to be one run, or each of it by itself. */
static int read_run(struct era_device *device, const struct request *req,
		    size_t nr, uint8_t *buf, uint8_t *failed)
{
	int r = -ENXIO;

	if (req[nr - 1].block < device->nr_blocks)
		r = device->direct ? read_span(device, req, nr, buf)
				   : read_consecutive(device, req, nr, buf);
	if (r)
		return read_singly(device, req, nr, buf, failed);
	for (size_t i = 0; i < nr; i++)
		substitute(device, req[i].block,
			   buf + (size_t)req[i].slot * ERA_BLOCK_SIZE);
	return 0;
}

static bool is_ascending(const uint32_t *blocks, size_t nr)
{
	for (size_t i = 1; i < nr; i++)
		if (blocks[i] <= blocks[i - 1])
			return false;
	return true;
}

/*
 * The end of the run that begins at request i: of consecutive blocks, or, as
 * nothing reads ahead of a direct read, of near ones.
 */
static size_t run_end(const struct era_device *device,
		      const struct request *req, size_t i, size_t nr)
{
	size_t end = i + 1;

	if (device->direct)
		while (end < nr &&
		       req[end].block - req[end - 1].block <= MAX_GAP &&
		       req[end].block - req[i].block < ERA_DEVICE_RUN)
			end++;
	else
		while (end < nr && end - i < MAX_IOV &&
		       req[end].block == req[end - 1].block + 1)
			end++;
	return end;
}

/*
 * Asks the kernel to read all runs now, so that a device which is not cached
 * sees more than one request at a time. One run alone is left to the kernel's
 * own read-ahead.
 */
static void advise(const struct era_device *device, const struct request *req,
		   size_t nr)
{
	if (device->direct || run_end(device, req, 0, nr) == nr)
		return;
	for (size_t i = 0, end; i < nr; i = end) {
		end = run_end(device, req, i, nr);
		posix_fadvise(device->fd, (off_t)req[i].block * ERA_BLOCK_SIZE,
			      (off_t)(end - i) * ERA_BLOCK_SIZE,
			      POSIX_FADV_WILLNEED);
	}
}

int era_device_read_blocks(struct era_device *device, const uint32_t *blocks,
			   size_t nr, void *buf, uint8_t *failed)
{
	struct request *req = malloc((nr ? nr : 1) * sizeof(*req));
	int r = 0;

	if (!req)
		return -ENOMEM;
	if (failed)
		memset(failed, 0, nr);
	for (size_t i = 0; i < nr; i++)
		req[i] = (struct request){ blocks[i], (uint32_t)i };
	if (!is_ascending(blocks, nr))
		qsort(req, nr, sizeof(*req), compare_requests);
	if (nr)
		advise(device, req, nr);
	for (size_t i = 0, end; i < nr && !r; i = end) {
		end = run_end(device, req, i, nr);
		r = read_run(device, req + i, end - i, buf, failed);
	}
	free(req);
	return r;
}

uint64_t era_device_next_data(const struct era_device *device, uint64_t block)
{
	off_t at;

	/* what stands in for the system has holes of its own, if any */
	if (device->block_device || device->io != &era_io_system)
		return block;
	at = lseek(device->fd, (off_t)(block * ERA_BLOCK_SIZE), SEEK_DATA);
	if (at < 0)
		return errno == ENXIO ? device->nr_blocks : block;
	block = (uint64_t)at / ERA_BLOCK_SIZE;
	return block < device->nr_blocks ? block : device->nr_blocks;
}

uint64_t era_device_used(const struct era_device *device)
{
	uint64_t size = device->nr_blocks * ERA_BLOCK_SIZE, used;
	struct stat st;

	if (device->block_device || fstat(device->fd, &st))
		return size;
	used = (uint64_t)st.st_blocks * 512;
	return used < size ? used : size;
}

int era_device_write(struct era_device *device, uint64_t first, size_t nr,
		     const void *buf)
{
	uint64_t offset = first * ERA_BLOCK_SIZE;
	const char *data = buf;
	size_t left = nr * ERA_BLOCK_SIZE;

	if (device->growable && first + nr > device->nr_blocks)
		device->nr_blocks = first + nr;
	if (first > device->nr_blocks || nr > device->nr_blocks - first)
		return fail(device, offset, ENOSPC);
	if (look_again(device))
		return fail(device, offset, ESTALE);
	while (left) {
		ssize_t n = device->io->write(device->io, device->fd, data,
					      left, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(device, offset, n ? errno : EIO);
		count(device, (size_t)n);
		data += n;
		left -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int era_device_flush(struct era_device *device)
{
	while (device->io->sync(device->io, device->fd))
		if (errno != EINTR)
			return fail(device, 0, errno);
	return 0;
}

int era_device_zero(struct era_device *device, uint64_t first, uint64_t nr)
{
	/* zeroes for where the device cannot make them itself */
	static const uint8_t zeroes[64 * ERA_BLOCK_SIZE];
	int r = 0;

	if (!nr)
		return 0;
	if (look_again(device))
		return fail(device, first * ERA_BLOCK_SIZE, ESTALE);
	if (!device->io->discard(
		    device->io, device->fd, (off_t)(first * ERA_BLOCK_SIZE),
		    (off_t)(nr * ERA_BLOCK_SIZE), device->block_device))
		return 0;
	while (nr && !r) {
		size_t n = nr < 64 ? (size_t)nr : 64;

		r = era_device_write(device, first, n, zeroes);
		first += n;
		nr -= n;
	}
	return r;
}

void era_device_changed(struct era_device *device, uint64_t block)
{
	note_failure(device, block, -ESTALE);
}

int era_device_check(struct era_device *device, struct era_report *report)
{
	if (!device->surprise)
		return 0;
	if (device->surprise == -ESTALE) {
		era_report_kind(
			report, ERA_KIND_CHANGED, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s: changed while it was being read, at offset "
			"%" PRIu64,
			device->path, device->surprise_offset);
		return -EAGAIN;
	}
	device->error_offset = device->surprise_offset;
	return era_device_report(device, report, "read", device->surprise);
}

int era_device_report(struct era_device *device, struct era_report *report,
		      const char *what, int err)
{
	era_report_kind(
		report,
		strcmp(what, "read") ? ERA_KIND_TARGET : ERA_KIND_UNREADABLE,
		ERA_FATAL, NULL, ERA_NO_DATA,
		"%s: cannot %s at offset %" PRIu64 ": %s", device->path, what,
		device->error_offset,
		err == -ESTALE ? "something else was put in its place meanwhile"
			       : strerror(-err));
	return err;
}
