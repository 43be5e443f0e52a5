/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has to be known of a name before something is written under it: where
 * its links lead, who has put it there, and when it is durable.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* The length of path up to and with its last slash: 0 in "name". */
size_t path_dir_len(const char *path);

/*
 * A trap is a file or link of somebody else in a directory such as /tmp, where
 * anybody can put anything: nobody means to write there. The rule is that of
 * the kernel's fs.protected_symlinks and fs.protected_regular, which need not
 * be set.
 */

/* The end of a chain of links: a name in a directory, and what it names. */
struct path_end {
	char *path;	/* of the end, seen from where we are */
	int dir;	/* the directory that it lies in, held open */
	bool exists;	/* else st says nothing */
	bool nameless;	/* a link of the kernel's to what has no name */
	struct stat st; /* of what the name was found to name */
};

/*
 * Follows the links at the end of path by hand. Each is looked at and read as
 * one and the same object, so that nobody can put another in its place in
 * between. Returns 0, -EPERM where a link or the end is a trap, or what
 * following it says; that the end does not exist is no error. To be released
 * where it returns 0.
 */
int path_find(struct path_end *end, const char *path);

/*
 * Opens what was found with flags of open(2), and follows no link. Returns a
 * descriptor, what open(2) says, or -ESTALE where something else has taken the
 * place of what was found.
 */
int path_open(const struct path_end *end, int flags);

void path_release(struct path_end *end);

/* Makes the name itself durable, after what it names. 0 or a negative errno. */
int path_sync_dir(const char *path);

#endif
