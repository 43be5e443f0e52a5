/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Links are followed by hand, so that each can be looked at.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/*
 * Whether what st says is at path belongs to somebody else, in a directory
 * where anybody can put anything.
 */
static bool is_trap(const char *path, const struct stat *st)
{
	struct stat dir;
	char *parent;
	bool known;

	if (st->st_uid == geteuid())
		return false;
	parent = parent_of(path);
	known = parent && !stat(parent, &dir);
	free(parent);
	return !known || (dir.st_mode & S_ISVTX && dir.st_uid != st->st_uid);
}

/* What the link at path says, seen from where we are. */
static int read_link(const char *path, char **said)
{
	size_t dir = path_dir_len(path);
	char target[4096];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	if (len < 0)
		return -errno;
	target[len] = '\0';
	if (target[0] == '/')
		dir = 0;
	return asprintf(said, "%.*s%s", (int)dir, path, target) < 0 ? -ENOMEM
								    : 0;
}

int path_resolve(const char *path, char **resolved)
{
	char *at = strdup(path);
	int r = at ? 0 : -ENOMEM;

	for (int i = 0; at && !r && i < MAX_LINKS; i++) {
		struct stat st;
		char *next = NULL;

		if (lstat(at, &st) || !S_ISLNK(st.st_mode)) {
			*resolved = at;
			return 0;
		}
		r = is_trap(at, &st) ? -EPERM : read_link(at, &next);
		if (!r) {
			free(at);
			at = next;
		}
	}
	free(at);
	return r ? r : -ELOOP;
}

int path_check(const char *path, const struct stat *st)
{
	char *resolved;
	int r = path_resolve(path, &resolved);

	if (r)
		return r;
	r = is_trap(resolved, st) ? -EPERM : 0;
	free(resolved);
	return r;
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
