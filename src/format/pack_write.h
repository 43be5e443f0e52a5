/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A metadata device to a pack: every block that says by its checksum that it
 * is metadata, reachable or not, and on request every other one that is not
 * all zero.
 */
#ifndef FORMAT_PACK_WRITE_H
#define FORMAT_PACK_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/report.h"
#include "device/device.h"

struct pack_stats {
	uint64_t nr_packed;  /* blocks with a good checksum */
	uint64_t nr_unknown; /* neither that nor all zero */
	uint64_t nr_unread;  /* packed as a mark: they cannot be read */
	uint64_t first_unread;
};

/*
 * Writes the pack of device to fd, from its start; name is what messages
 * call it. keep_all packs the unknown blocks too, in a place where the Rust
 * suite does not look. There go, too, marks in place of blocks that cannot be
 * read; where none can, that is an error. Returns 0 or a negative errno,
 * reported (-EPIPE is not).
 */
int pack_write(struct era_device *device, int fd, const char *name,
	       bool keep_all, struct pack_stats *stats,
	       struct era_report *report);

#endif
