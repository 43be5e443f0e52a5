/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing what was salvaged: to another device, or in place as one
 * transaction of the kernel's own kind.
 */
#ifndef ERA_REPAIR_H
#define ERA_REPAIR_H

#include "era/salvage.h"

/* Told of data blocks that orphans or assumptions dated, as in era_fold. */
struct era_repair_told {
	int (*raised)(void *arg, enum era_class class, uint32_t begin,
		      uint32_t end, uint32_t era);
	void *arg;
};

/*
 * Builds the result on target, which held nothing to be kept. A sound
 * metadata snapshot comes along unless the salvage's options drop it.
 */
int era_repair_to(struct era_salvage *salvage, struct era_device *target,
		  const struct era_repair_told *told,
		  struct era_report *report);

enum era_repair_need {
	ERA_REPAIR_NOTHING, /* sound and clean */
	ERA_REPAIR_ARCHIVE, /* trees are sound: open writeset, space map */
	ERA_REPAIR_REBUILD, /* trees are to be built anew */
};

/* What in-place repair would have to do. */
int era_repair_need(struct era_salvage *salvage, enum era_repair_need *need);

/*
 * One transaction on salvage->device, which must be open for writing: new
 * blocks only where nothing reachable and no evidence lies, a flush, the
 * superblock, a flush. Refuses with -ENOSPC before the first write where there
 * is too little room.
 */
int era_repair_in_place(struct era_salvage *salvage, enum era_repair_need need,
			const struct era_repair_told *told,
			struct era_report *report);

/*
 * What was written must hold up to the check of era_check. Where it does not,
 * nobody may take it for whole: superblock, what block 0 held before, is
 * written back to where it leads to the old state; NULL makes block 0 invalid.
 * Where block 0 is not what was committed it is another device by now, and is
 * left alone. Returns 0, -EUCLEAN, -ESTALE, or what a call says, reported.
 */
int era_repair_verify(struct era_device *device, bool reachable_only,
		      const uint8_t *superblock, struct era_report *report);

#endif
