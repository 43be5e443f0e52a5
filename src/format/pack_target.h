/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look at what packing or unpacking is about to overwrite: both directions
 * take two names, and names get swapped.
 */
#ifndef FORMAT_PACK_TARGET_H
#define FORMAT_PACK_TARGET_H

#include <stdbool.h>

#include "base/report.h"

/*
 * 0 when path may be overwritten: it is not what is open as input_fd, and
 * it does not begin with the superblock of any metadata, unless force. Else
 * -EINVAL or -EEXIST, reported. *is_block_device says what is there.
 */
int pack_check_target(const char *path, int input_fd, bool force,
		      bool *is_block_device, struct era_report *report);

#endif
