/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has to be known of a name before something is written under it: where
 * its links lead, who has put it there, and when it is durable.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

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

/*
 * The name at the end of a chain of links, which need not exist, to be freed.
 * Returns 0, -EPERM where a link is a trap, or what following it says.
 */
int path_resolve(const char *path, char **resolved);

/* 0; -EPERM where a link, or the end that st was got from, is a trap. */
int path_check(const char *path, const struct stat *st);

/* Makes the name itself durable, after what it names. 0 or a negative errno. */
int path_sync_dir(const char *path);

#endif
