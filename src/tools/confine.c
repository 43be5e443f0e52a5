/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Landlock by its system calls: a set of rights without a rule that gives one
 * of them back denies them everywhere, so that no path needs to be known.
 * Numbers and bits are those of linux/landlock.h, which is older than the
 * kernel as often as not.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/confine.h"

#ifndef SYS_landlock_create_ruleset
#ifdef __alpha__
#define SYS_landlock_create_ruleset 554
#define SYS_landlock_restrict_self 556
#else
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#endif
#define CREATE_RULESET_VERSION 1u

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_REMOVE_DIR (1u << 4)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_CHAR (1u << 6)
#define FS_MAKE_DIR (1u << 7)
#define FS_MAKE_REG (1u << 8)
#define FS_MAKE_SOCK (1u << 9)
#define FS_MAKE_FIFO (1u << 10)
#define FS_MAKE_BLOCK (1u << 11)
#define FS_MAKE_SYM (1u << 12)
#define FS_TRUNCATE (1u << 14) /* from version 3 on */
#define NET_TCP 3u	       /* bind and connect, version 4 */
#define SCOPE_ALL 3u	       /* abstract sockets and signals, version 6 */

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

#ifdef MEASURES_COVERAGE
static const bool writes_counts = true; /* of its own, at exit */
#else
static const bool writes_counts = false;
#endif

void tool_confine(bool writes_files)
{
	struct ruleset rules = {
		.fs = FS_EXECUTE | FS_REMOVE_DIR | FS_MAKE_CHAR | FS_MAKE_DIR |
		      FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_BLOCK | FS_MAKE_SYM,
	};
	size_t size = offsetof(struct ruleset, net);
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       CREATE_RULESET_VERSION);
	long fd;

	if (version < 1)
		return;
	if (!writes_files && !writes_counts) {
		rules.fs |= FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG;
		if (version >= 3)
			rules.fs |= FS_TRUNCATE;
	}
	if (version >= 4) {
		size = offsetof(struct ruleset, scoped);
		rules.net = NET_TCP;
	}
	if (version >= 6) {
		size = sizeof(rules);
		rules.scoped = SCOPE_ALL;
	}
	fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (fd < 0)
		return;
	/* without this the kernel asks for a privilege */
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		syscall(SYS_landlock_restrict_self, (int)fd, 0);
	close((int)fd);
}
