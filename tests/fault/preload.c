/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded (LD_PRELOAD) under a whole tool: one call to the system fails, or
 * does less than it was asked. Below struct era_io and beside it, so that the
 * files of results, packs and undo records are reached, too.
 *
 *     FAIL_CALL=name   of the call: write, fsync, rename, malloc (or calloc,
 *                      realloc), ...
 *     FAIL_NUMBER=n    the call of this number fails, from 0 on
 *     FAIL_ERRNO=e     so; 0: reads and writes do nothing and return 0;
 *                      -1: they do half
 *     FAIL_FD=fd       is told of it: a byte
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int setting(const char *name)
{
	const char *value = getenv(name);

	return value ? atoi(value) : 0;
}

/* Whether this call is the one; fd: what it is about, or -1. */
static int strikes(const char *name, int fd)
{
	static int count;
	const char *wanted = getenv("FAIL_CALL");

	/* what is said to people is not a result */
	if (!wanted || fd == STDERR_FILENO || strcmp(name, wanted))
		return 0;
	if (__atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST) !=
	    setting("FAIL_NUMBER"))
		return 0;
	syscall(SYS_write, setting("FAIL_FD"), "!", 1);
	return 1;
}

static int fail(void)
{
	errno = setting("FAIL_ERRNO");
	return -1;
}

/* What a read or write of len becomes: the number to pass on, or -1. */
static ssize_t cut(size_t len)
{
	return setting("FAIL_ERRNO") < 0 ? (ssize_t)((len + 1) / 2) : -1;
}

static ssize_t nothing(void)
{
	return setting("FAIL_ERRNO") ? fail() : 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SOME_BYTES(name, ...) /* (fd, buf, len, more...) */                   \
	do {                                                                  \
		if (strikes(call, fd)) {                                      \
			if (cut(len) < 0)                                     \
				return nothing();                             \
			len = (size_t)cut(len);                               \
		}                                                             \
		return REAL(name)(fd, buf, len, ##__VA_ARGS__);               \
	} while (0)

ssize_t read(int fd, void *buf, size_t len)
{
	static const char call[] = "read";

	SOME_BYTES(read);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	static const char call[] = "write";

	SOME_BYTES(write);
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t offset)
{
	static const char call[] = "pread";

	SOME_BYTES(pread64, offset);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	static const char call[] = "pwrite";

	SOME_BYTES(pwrite64, offset);
}

ssize_t preadv64(int fd, const struct iovec *iov, int nr, off64_t offset)
{
	if (!strikes("preadv", fd))
		return REAL(preadv64)(fd, iov, nr, offset);
	if (cut(iov->iov_len) < 0)
		return nothing();
	return pread64(fd, iov->iov_base, (size_t)cut(iov->iov_len), offset);
}

int fsync(int fd)
{
	return strikes("fsync", fd) ? fail() : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return strikes("fdatasync", fd) ? fail() : REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t len)
{
	return strikes("ftruncate", fd) ? fail() : REAL(ftruncate64)(fd, len);
}

#if __SIZEOF_LONG__ == 8
/* the same, and it is for the C library which name is called */
ssize_t pread(int fd, void *buf, size_t len, off_t offset)
	__attribute__((alias("pread64")));
ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
	__attribute__((alias("pwrite64")));
ssize_t preadv(int fd, const struct iovec *iov, int nr, off_t offset)
	__attribute__((alias("preadv64")));
int ftruncate(int fd, off_t len) __attribute__((alias("ftruncate64")));
#endif

#ifdef __GLIBC__
/* what dlsym() would call itself */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *old, size_t size);

static int no_memory(void)
{
	return strikes("malloc", -1) && fail();
}

void *malloc(size_t size)
{
	return no_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return no_memory() ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *old, size_t size)
{
	return no_memory() ? NULL : __libc_realloc(old, size);
}
#endif

int rename(const char *from, const char *to)
{
	return strikes("rename", -1) ? fail() : REAL(rename)(from, to);
}

int close(int fd)
{
	int r = REAL(close)(fd);

	return strikes("close", fd) ? fail() : r;
}
