/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks at the target and changes nothing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/device.h"
#include "format/pack_encode.h"
#include "format/pack_target.h"

static bool is_same(const struct stat *target, int fd)
{
	struct stat input;

	if (fstat(fd, &input))
		return false;
	if (S_ISBLK(target->st_mode) && S_ISBLK(input.st_mode))
		return target->st_rdev == input.st_rdev;
	return target->st_dev == input.st_dev && target->st_ino == input.st_ino;
}

static bool holds_metadata(const char *path)
{
	uint8_t block[ERA_BLOCK_SIZE];
	bool known;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return false;
	known = pread(fd, block, sizeof(block), 0) == (ssize_t)sizeof(block) &&
		pack_is_known(block);
	close(fd);
	return known;
}

int pack_check_target(const char *path, int input_fd, bool force,
		      bool *is_block_device, struct era_report *report)
{
	struct stat st;

	*is_block_device = false;
	if (stat(path, &st))
		return 0; /* nothing there, or opening it will say why */
	*is_block_device = S_ISBLK(st.st_mode);
	if (is_same(&st, input_fd)) {
		era_report_kind(report, ERA_KIND_USAGE, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s is both input and output",
				path);
		return -EINVAL;
	}
	if (force || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) ||
	    !holds_metadata(path))
		return 0;
	era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s holds metadata (--force overwrites it)", path);
	return -EEXIST;
}
