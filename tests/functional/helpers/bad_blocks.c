/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A failing disk, to be preloaded: of the file with inode BAD_INODE the blocks
 * of 4096 bytes in BAD_BLOCKS ("5 7 19") cannot be read.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_bad(int fd, off_t begin, size_t len)
{
	const char *inode = getenv("BAD_INODE"), *list = getenv("BAD_BLOCKS");
	struct stat st;
	char *end;

	if (!inode || !list || fstat(fd, &st) ||
	    (unsigned long long)st.st_ino != strtoull(inode, NULL, 10))
		return 0;
	for (;; list = end) {
		off_t block = strtoll(list, &end, 10) * 4096;

		if (end == list)
			return 0;
		if (block < begin + (off_t)len && begin < block + 4096)
			return 1;
	}
}

ssize_t preadv64(int fd, const struct iovec *iov, int nr, off64_t offset)
{
	static ssize_t (*real)(int, const struct iovec *, int, off64_t);
	size_t len = 0;

	for (int i = 0; i < nr; i++)
		len += iov[i].iov_len;
	if (is_bad(fd, offset, len)) {
		errno = EIO;
		return -1;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "preadv64");
	return real(fd, iov, nr, offset);
}

/* where off_t has 64 bits anyway */
ssize_t preadv(int fd, const struct iovec *iov, int nr, off_t offset)
{
	return preadv64(fd, iov, nr, offset);
}
