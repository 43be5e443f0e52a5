/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Links are followed by hand, so that each can be looked at. What is looked at
 * is open meanwhile (O_PATH): a name alone can lead elsewhere a moment later.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/path.h"

#define MAX_LINKS 40 /* as the kernel's MAXSYMLINKS */

size_t path_dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

/* The directory that path lies in, to be freed. */
static char *parent_of(const char *path)
{
	char *parent;

	if (asprintf(&parent, "%.*s.", (int)path_dir_len(path), path) < 0)
		return NULL;
	return parent;
}

/* Of somebody else, in a directory where anybody can put anything. */
static bool is_trap(const struct stat *dir, const struct stat *st)
{
	return st->st_uid != geteuid() && dir->st_mode & S_ISVTX &&
	       dir->st_uid != st->st_uid;
}

static const char *name_of(const struct path_end *end)
{
	const char *name = end->path + path_dir_len(end->path);

	return *name ? name : "."; /* "directory/" */
}

/*
 * Whether the link that is open as fd leads to something that has no name, as
 * /dev/fd/63 does in `-o >(gzip)`: then the kernel alone can follow it, and
 * nobody but the kernel has made it. Fills in end->st where it is so.
 */
static bool is_nameless(struct path_end *end, int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fs.f_type != PROC_SUPER_MAGIC ||
	    fstatat(end->dir, name_of(end), &st, 0) ||
	    !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) ||
	      S_ISSOCK(st.st_mode)))
		return false;
	end->st = st;
	end->nameless = true;
	return true;
}

/* Where the link that is open as fd, and was found at path, leads. */
static int read_link(int fd, const char *path, char **said)
{
	size_t dir = path_dir_len(path);
	char target[4096];
	ssize_t len = readlinkat(fd, "", target, sizeof(target) - 1);

	if (len < 0)
		return -errno;
	target[len] = '\0';
	if (target[0] == '/')
		dir = 0;
	return asprintf(said, "%.*s%s", (int)dir, path, target) < 0 ? -ENOMEM
								    : 0;
}

static int open_parent(const char *path)
{
	char *parent = parent_of(path);
	int fd;

	if (!parent)
		return -ENOMEM;
	fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (fd < 0)
		return -errno;
	return fd;
}

/*
 * Looks at what end->path names in end->dir. Returns 0 at the end of the
 * chain, 1 where a link leads on to *next.
 */
static int look(struct path_end *end, char **next)
{
	struct stat dir;
	int fd, r = 0;

	fd = openat(end->dir, name_of(end), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	end->exists = fd >= 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(end->dir, &dir) || fstat(fd, &end->st))
		r = -errno;
	else if (is_trap(&dir, &end->st))
		r = -EPERM;
	else if (S_ISLNK(end->st.st_mode) && !is_nameless(end, fd))
		r = read_link(fd, end->path, next);
	close(fd);
	return r ? r : S_ISLNK(end->st.st_mode);
}

int path_find(struct path_end *end, const char *path)
{
	int r = 1;

	*end = (struct path_end){ .path = strdup(path), .dir = -1 };
	if (!end->path)
		return -ENOMEM;
	if (!*path)
		r = -ENOENT;
	for (int i = 0; r == 1 && i < MAX_LINKS; i++) {
		char *next = NULL;

		end->dir = open_parent(end->path);
		r = end->dir < 0 ? end->dir : look(end, &next);
		if (r != 1 || !next)
			break;
		path_release(end);
		end->path = next;
	}
	if (r == 1)
		r = -ELOOP;
	if (r)
		path_release(end);
	return r;
}

int path_open(const struct path_end *end, int flags)
{
	struct stat now;
	int fd;

	if (!end->exists)
		return -ENOENT;
	fd = openat(end->dir, name_of(end),
		    end->nameless ? flags : flags | O_NOFOLLOW);
	if (fd < 0)
		return errno == ELOOP ? -ESTALE : -errno;
	if (!fstat(fd, &now) && now.st_dev == end->st.st_dev &&
	    now.st_ino == end->st.st_ino)
		return fd;
	close(fd);
	return -ESTALE;
}

void path_release(struct path_end *end)
{
	if (end->dir >= 0)
		close(end->dir);
	end->dir = -1;
	free(end->path);
	end->path = NULL;
}

int path_sync_dir(const char *path)
{
	char *parent = parent_of(path);
	int fd, r = 0;

	if (!parent)
		return -ENOMEM;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (fd < 0)
		return 0; /* may be writable and not readable */
	if (fsync(fd) && errno != EINVAL)
		r = -errno;
	close(fd);
	return r;
}
