/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks by flock(2).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live/dm.h"
#include "live/limit.h"
#include "live/lock.h"

#define LOCK_DIR "/run/dm-era"
#define NAME_BYTES 200 /* of a file's name; longer ones share a lock */
#define WAIT_MS 5000
#define POLL_MS 50

static int try_until(int fd, unsigned long long deadline)
{
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (limit_now() >= deadline)
			return -EBUSY;
		limit_sleep(POLL_MS);
	}
	return 0;
}

/* One for a device, whether its name is typed or is the kernel's, as \x20. */
static void lock_path(char *path, size_t size, const char *name)
{
	size_t n = (size_t)snprintf(path, size, LOCK_DIR "/lock.");

	for (; *name && n + 5 < size; name++) {
		unsigned char c = (unsigned char)*name;

		if (live_is_plain(c) || c == '\\')
			path[n++] = *name;
		else
			n += (size_t)sprintf(path + n, "\\x%02x", c);
	}
	path[n] = '\0';
}

int live_lock(const char *name, struct era_report *report)
{
	char path[sizeof(LOCK_DIR) + NAME_BYTES];
	int fd, r;

	mkdir(LOCK_DIR, 0755);
	lock_path(path, sizeof(path), name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : try_until(fd, limit_now() + WAIT_MS);
	if (!r)
		return fd;
	if (r == -EBUSY)
		era_report_kind(report, ERA_KIND_BUSY, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"%s: another of the era tools is at work on it",
				name);
	else
		era_report_kind(report, era_kind_of_error(r), ERA_FATAL, NULL,
				ERA_NO_DATA, "cannot lock %s: %s", path,
				strerror(-r));
	if (fd >= 0)
		close(fd);
	return r;
}
