/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes what was salvaged: to another device, or in place, as one transaction
 * of the kernel's own kind.
 */
#ifndef ERA_REPAIR_H
#define ERA_REPAIR_H

#include "era/salvage.h"

/* Gets the data blocks that orphans or assumptions dated, as in era_fold. */
struct era_repair_told {
	era_raised_fn raised;
	void *arg;
	/* set by era_repair_heed() where it raised the current era: which era
	 * was the current one before */
	bool is_raised;
	uint32_t raised_from;
};

/*
 * Compares the geometry that the user gave with that of a superblock that is
 * there. An era that is greater raises the current era; any other difference is
 * an error. To be called before the other functions here. Returns 0, or
 * -EINVAL, reported.
 */
int era_repair_heed(struct era_salvage *salvage, struct era_repair_told *told);

/* Drives any sink with the result of the repair. */
int era_repair_read(struct era_salvage *salvage, struct era_visitor *sink,
		    const struct era_repair_told *told);

/*
 * era_repair_to() and era_repair_in_place() close the salvage, and check what
 * they have written as era_check does. If the check fails, nobody may take the
 * result for whole: in place the old block 0 is put back, which leads to the
 * old state; on another device block 0 is made invalid. If block 0 is not what
 * was committed, the device is another one by now and is left alone.
 * Both return 0, -EUCLEAN, -ESTALE, or the errno of a call, reported. report
 * counts what the check finds and is not NULL.
 */

/*
 * Builds the result on target, which held nothing to be kept. The result has
 * the metadata snapshot where that is sound, unless the salvage's options drop
 * it.
 */
int era_repair_to(struct era_salvage *salvage, struct era_device *target,
		  const struct era_repair_told *told,
		  struct era_report *report);

enum era_repair_need {
	ERA_REPAIR_NOTHING, /* the metadata is sound and clean */
	/* the trees are sound and stay; the open writeset is to be archived,
	 * and the space map to be written anew */
	ERA_REPAIR_ARCHIVE,
	ERA_REPAIR_REBUILD, /* the trees are to be built anew */
};

/*
 * Prepares a salvage for a repair in place, and finds what the repair has to do
 * (ERA_REPAIR_REBUILD where the options say logical). A metadata snapshot that
 * was corrected is dropped, with a message. Maps that the repair loads again
 * are freed. Returns 0; -ENOMEM; or -EIO, reported, where some blocks cannot be
 * read and the salvage's options do not say reachable_only.
 */
int era_repair_prepare(struct era_salvage *salvage, enum era_repair_need *need);

/*
 * Makes one transaction on salvage->device, which must be open for writing:
 * new blocks, a flush, the superblock, a flush. New blocks overwrite neither
 * what is reachable nor any evidence. Returns -ENOSPC, before the first write,
 * where too few blocks are free.
 */
int era_repair_in_place(struct era_salvage *salvage, enum era_repair_need need,
			const struct era_repair_told *told,
			struct era_report *report);

#endif
