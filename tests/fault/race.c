/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded (LD_PRELOAD) under a whole tool: somebody else, who is as quick as
 * can be, plants something under a name right before the tool looks at it or
 * opens it. No timing: the tool itself makes the moment. A process of its own
 * does it, which is not confined as the tool is.
 *
 *     RACE_NAME=name   the last part of the paths that are watched
 *     RACE_DIR=dir     where that name is planted
 *     RACE_AT=n        before the call of this number that names it, from 0 on,
 *     RACE_PLANT=path  this is moved there;
 *     RACE_AT2, RACE_PLANT2   and then this
 *     RACE_FD=fd       is told of each such call: a byte
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void plant(const char *at, const char *what, int count)
{
	const char *number = getenv(at), *from = getenv(what);
	char to[4096];

	if (!number || !from || atoi(number) != count)
		return;
	snprintf(to, sizeof(to), "%s/%s", getenv("RACE_DIR"),
		 getenv("RACE_NAME"));
	syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int ask[2] = { -1, -1 }, answer[2] = { -1, -1 };

/* Plants when it is asked to, until the tool ends. */
static void serve(void)
{
	int count;

	close(ask[1]);
	close(answer[0]);
	while (read(ask[0], &count, sizeof(count)) == sizeof(count)) {
		plant("RACE_AT", "RACE_PLANT", count);
		plant("RACE_AT2", "RACE_PLANT2", count);
		if (write(answer[1], &count, sizeof(count)) < 0)
			break;
	}
	_exit(0);
}

__attribute__((constructor)) static void start(void)
{
	if (!getenv("RACE_NAME") || pipe2(ask, O_CLOEXEC) ||
	    pipe2(answer, O_CLOEXEC))
		return;
	if (!fork())
		serve();
	close(ask[0]);
	close(answer[1]);
}

/* path is about to be looked at, or opened */
static void look(const char *path)
{
	static int count;
	const char *name = getenv("RACE_NAME"), *last = strrchr(path, '/');
	int done;

	last = last ? last + 1 : path;
	if (!name || strcmp(last, name))
		return;
	if (write(ask[1], &count, sizeof(count)) != sizeof(count) ||
	    read(answer[0], &done, sizeof(done)) != sizeof(done))
		abort();
	count++;
	syscall(SYS_write, atoi(getenv("RACE_FD")), "!", 1);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int stat64(const char *path, struct stat64 *st)
{
	look(path);
	return REAL(stat64)(path, st);
}

int lstat64(const char *path, struct stat64 *st)
{
	look(path);
	return REAL(lstat64)(path, st);
}

int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	look(path);
	return REAL(fstatat64)(dir, path, st, flags);
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
	look(path);
	return REAL(readlink)(path, buf, size);
}

int faccessat(int dir, const char *path, int mode, int flags)
{
	look(path);
	return REAL(faccessat)(dir, path, mode, flags);
}

int rename(const char *from, const char *to)
{
	look(to);
	return REAL(rename)(from, to);
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(ap, int) : 0;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	look(path);
	return REAL(open64)(path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	look(path);
	return REAL(openat64)(dir, path, flags, mode);
}

#ifdef __GLIBC__
/* what a fortified program calls (_FORTIFY_SOURCE) where no file is made */
int __open64_2(const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

int __open64_2(const char *path, int flags)
{
	return open64(path, flags);
}

int __openat64_2(int dir, const char *path, int flags)
{
	return openat64(dir, path, flags);
}
#endif

#if __SIZEOF_LONG__ == 8
/* the same, and it is for the C library which name is called */
int stat(const char *path, struct stat *st) __attribute__((alias("stat64")));
int lstat(const char *path, struct stat *st) __attribute__((alias("lstat64")));
int fstatat(int dir, const char *path, struct stat *st, int flags)
	__attribute__((alias("fstatat64")));
int open(const char *path, int flags, ...) __attribute__((alias("open64")));
int openat(int dir, const char *path, int flags, ...)
	__attribute__((alias("openat64")));
#ifdef __GLIBC__
int __open_2(const char *path, int flags) __attribute__((alias("__open64_2")));
int __openat_2(int dir, const char *path, int flags)
	__attribute__((alias("__openat64_2")));
#endif
#endif
