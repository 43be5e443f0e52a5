/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A load, and the search for a newer history that it contradicts.
 */
#include "config.h"

#include <errno.h>

#include "era/newer.h"
#include "era/whole.h"

/*
 * A commit that was under way, or the last write of the superblock was lost:
 * its state says all that the superblock's does, and is taken in its place.
 */
static int open_last(struct era_metadata *md, struct era_device *device,
		     const struct era_superblock *last,
		     struct era_report *report)
{
	const struct era_superblock live = md->live;
	struct walk walk;
	int r;

	era_metadata_release(md);
	r = walk_init(&walk, device, report, NULL);
	if (!r)
		r = era_metadata_load(md, &walk, last, false);
	if (!r && walk.nr_faults)
		r = -EUCLEAN;
	md->opened = true;
	md->live = live;
	walk_release(&walk);
	return r;
}

int era_metadata_open_whole(struct era_metadata *md, struct era_device *device,
			    struct era_report *report)
{
	struct block_set reachable;
	struct era_newer newer;
	struct era_scan scan;
	int r = era_metadata_open(md, device, false, &reachable, report);

	if (r)
		return r;
	r = era_scan_start(&scan, device);
	if (!r) {
		/* the listing reads the arrays and stops where one is not */
		era_metadata_tell_scan(md, &scan);
		r = era_newer_find(&newer, md, &scan, &reachable, NULL, report);
	}
	era_scan_release(&scan);
	block_set_release(&reachable);
	if (!r && (newer.found || newer.nr_unreadable))
		r = -EUCLEAN;
	if (!r && newer.cut_short)
		r = open_last(md, device, &newer.last, report);
	if (r)
		era_metadata_release(md);
	return r;
}
