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
	era_raised_fn raised;
	void *arg;
	/* set by era_repair_heed(): from which current era it was raised */
	bool is_raised;
	uint32_t raised_from;
};

/*
 * Heeds what the user says of the geometry where a superblock is there that
 * says it, too: an era that is greater raises the current era, and what differs
 * otherwise is an error. Before all else below. Returns 0, or -EINVAL,
 * reported.
 */
int era_repair_heed(struct era_salvage *salvage, struct era_repair_told *told);

/* What the result consists of, to any sink. */
int era_repair_read(struct era_salvage *salvage, struct era_visitor *sink,
		    const struct era_repair_told *told);

/*
 * Both ways close the salvage, and what they have written must hold up to the
 * check of era_check. Where it does not, nobody may take it for whole: in place
 * block 0 is put back to where it leads to the old state, else it is made
 * invalid. Where block 0 is not what was committed it is another device by now,
 * and is left alone. They return 0, -EUCLEAN, -ESTALE, or what a call says,
 * reported; report, which counts what the check finds, is not NULL.
 */

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

/*
 * Readies a salvage for a repair in place, and finds what that has to do; all
 * anew where the options say logical. A metadata snapshot that was corrected
 * is dropped, with a message, and maps that the repair loads again are freed.
 * Returns 0, -ENOMEM, or -EIO, reported, where it cannot be done: some
 * blocks cannot be read, and the salvage's options do not say reachable_only.
 */
int era_repair_prepare(struct era_salvage *salvage, enum era_repair_need *need);

/*
 * One transaction on salvage->device, which must be open for writing: new
 * blocks only where nothing reachable and no evidence lies, a flush, the
 * superblock, a flush. Refuses with -ENOSPC before the first write where there
 * is too little room.
 */
int era_repair_in_place(struct era_salvage *salvage, enum era_repair_need need,
			const struct era_repair_told *told,
			struct era_report *report);

#endif
