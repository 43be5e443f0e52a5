/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Proves that metadata is sound: doc/design.md, "What era_check proves".
 */
#ifndef ERA_CHECK_H
#define ERA_CHECK_H

#include "era/metadata.h"

enum {
	ERA_CHECK_SUPERBLOCK_ONLY = 1 << 0,
	/* do not look for a newer history among orphans */
	ERA_CHECK_REACHABLE_ONLY = 1 << 1,
};

/*
 * Reports all problems, not only the first. Returns 0 where the check could be
 * carried out, whatever it found (report->nr tells), or -ENOMEM.
 */
int era_check(struct era_device *device, unsigned int flags,
	      struct era_report *report);

#endif
