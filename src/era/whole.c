/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A load, and the search for a newer history that it contradicts.
 */
#include "config.h"

#include <errno.h>

#include "era/accounts.h"
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

/* What the superblock leads to, walked and counted once. */
struct opening {
	struct era_metadata *md;
	struct walk walk;
	struct ref_counts refs;
	struct block_set live;
	struct era_scan scan;
	struct block_set snapshot; /* array blocks of the metadata snapshot */
};

/* The snapshot's arrays are not read, but what stands there has to be one. */
static int note_snapshot(void *arg, const struct era_metadata *md)
{
	struct opening *o = arg;

	for (size_t i = 0; i <= md->nr_writesets; i++) {
		const struct array_map *map =
			i ? &md->writesets[i - 1].words : &md->eras;

		for (size_t k = 0; k < map->nr_slots; k++)
			block_set_add(&o->snapshot, map->slots[k].block);
	}
	return 0;
}

/*
 * Whether one of them has been used again for something else; for after the
 * scan. Rot of a snapshot takes nothing from the live metadata.
 */
static bool snapshot_is_reused(const struct opening *o)
{
	for (uint64_t block = 0; block < o->scan.nr_blocks; block++) {
		enum era_role role = era_scan_role(&o->scan, block);

		if (block_set_has(&o->snapshot, block) &&
		    era_role_is_sound(role) && role != ROLE_ERAS &&
		    role != ROLE_WORDS)
			return true;
	}
	return false;
}

static int opening_init(struct opening *o, struct era_device *device,
			struct era_report *report)
{
	int r = walk_init(&o->walk, device, report, &o->refs);

	if (!r)
		r = ref_counts_init(&o->refs, o->walk.nr_blocks);
	if (!r)
		r = block_set_init(&o->live, o->walk.nr_blocks);
	if (!r)
		r = block_set_init(&o->snapshot, o->walk.nr_blocks);
	if (!r)
		o->refs.counts[ERA_SUPERBLOCK_LOCATION] = 1;
	return r;
}

static void opening_release(struct opening *o)
{
	era_scan_release(&o->scan);
	block_set_release(&o->snapshot);
	block_set_release(&o->live);
	ref_counts_release(&o->refs);
	walk_release(&o->walk);
}

/* The trees, the snapshot's, and the counts of them all. */
static int load(struct opening *o, const struct era_superblock *sb)
{
	struct era_report *report = o->walk.report;
	struct era_accounts accounts;
	int r = era_metadata_load(o->md, &o->walk, sb, false);

	o->md->opened = true;
	o->md->live = *sb;
	if (!r && o->walk.nr_faults)
		r = -EUCLEAN;
	if (r)
		return r;
	block_set_merge(&o->live, &o->walk.seen);
	r = era_accounts_check(&accounts, &o->walk, sb, note_snapshot, o);
	if (r)
		return r;
	if (!accounts.nr_reused && !era_accounts_disagree(&accounts))
		return 0;
	era_report_kind(
		report, ERA_KIND_LOST_WRITE, ERA_FATAL, NULL, ERA_NO_DATA,
		"the space map or the metadata snapshot does not agree with "
		"the trees: a write may be lost; run era_repair");
	return -EUCLEAN;
}

static int look_around(struct opening *o, struct era_newer *newer)
{
	struct era_report *report = o->walk.report;
	int r = era_scan_start(&o->scan, o->walk.device);

	if (r)
		return r;
	/* the listing reads the arrays and stops where one is not */
	era_metadata_tell_scan(o->md, &o->scan);
	r = era_newer_find(newer, o->md, &o->scan, &o->live, report);
	if (!r && snapshot_is_reused(o)) {
		era_report_kind(
			report, ERA_KIND_NEWER_HISTORY, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"the metadata snapshot leads to blocks that are not "
			"its own: a write may be lost; run era_repair");
		r = -EUCLEAN;
	}
	return !r && (newer->found || newer->nr_unreadable) ? -EUCLEAN : r;
}

int era_metadata_open_whole(struct era_metadata *md, struct era_device *device,
			    struct era_report *report)
{
	struct opening o = { .md = md };
	struct era_superblock sb;
	struct era_newer newer = { .found = false };
	int r;

	*md = (struct era_metadata){ .device = device };
	r = era_superblock_read(&sb, device, ERA_SUPERBLOCK_LOCATION, report);
	/* a newer history may have stood in what is cut off */
	if (!r && (era_superblock_is_cut_off(&sb, device, ERA_FATAL, report) ||
		   era_superblock_is_too_long(&sb, report)))
		r = -EUCLEAN;
	if (r)
		return r;
	r = opening_init(&o, device, report);
	if (!r)
		r = load(&o, &sb);
	if (!r)
		r = look_around(&o, &newer);
	opening_release(&o);
	if (!r && newer.cut_short)
		r = open_last(md, device, &newer.last, report);
	if (r)
		era_metadata_release(md);
	return r;
}
