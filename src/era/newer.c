/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The comparison of orphans with what is reachable.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "era/beyond.h"
#include "era/later.h"
#include "era/newer.h"
#include "era/stale_names.h"
#include "history/former.h"

/* Writesets of eras that the superblock has never heard of. */
static void compare_names(struct era_newer *newer, uint32_t current,
			  const struct era_orphans *orphans)
{
	for (size_t i = 0; i < orphans->nr_writesets; i++) {
		uint32_t era = orphans->writesets[i].era;

		if (era <= current)
			continue;
		newer->found = true;
		if (!newer->fork_era || era < newer->fork_era)
			newer->fork_era = era;
		if (newer->greatest_era < era)
			newer->greatest_era = era;
	}
}

int era_newer_compare(struct era_newer *newer, const struct era_metadata *md,
		      const struct era_metadata *second,
		      const struct era_orphans *orphans)
{
	uint32_t current = md->sb.geometry.current_era;
	struct era_beyond beyond = { .lowest = 0 };
	struct era_layers layers = { .nr = 0 };
	size_t nr_reachable;
	int r = era_layers_add_metadata(&layers, md, ERA_REACHABLE,
					ERA_REACHABLE);

	if (!r && second) {
		r = era_layers_add_metadata(&layers, second, ERA_REACHABLE,
					    ERA_REACHABLE);
		if (current < second->sb.geometry.current_era)
			current = second->sb.geometry.current_era;
	}
	nr_reachable = layers.nr;
	if (!r)
		r = era_layers_add_orphans(&layers, orphans, ERA_ORPHAN);
	/* as a rule there is no orphan, and the arrays need no second look */
	if (!r && layers.nr != nr_reachable)
		r = era_beyond(&beyond, md->device, md->sb.geometry.nr_blocks,
			       &layers);
	era_layers_release(&layers);
	*newer = (struct era_newer){ .found = beyond.lowest,
				     .fork_era = beyond.lowest,
				     .greatest_era = beyond.greatest,
				     .nr_data_blocks = beyond.nr_data_blocks };
	if (!r)
		compare_names(newer, current, orphans);
	return r;
}

static bool has_other_commits(const struct era_metadata *md,
			      const struct era_scan *scan)
{
	for (uint64_t block = 0; block < scan->nr_blocks; block++)
		if (era_scan_role(scan, block) == ROLE_INDEX &&
		    block != md->sb.space_map.bitmap_root)
			return true;
	return false;
}

void era_newer_find_gap(struct era_newer *newer, const struct era_metadata *md,
			const struct era_scan *scan)
{
	uint32_t last = era_metadata_last_archived(md), next = 0;

	if (md->writesets_lost || !has_other_commits(md, scan))
		return;
	for (size_t i = 0; i < md->nr_writesets && !newer->missing; i++) {
		const struct era_writeset *ws = &md->writesets[i];

		if (ws->open)
			continue;
		if (next && ws->era != next)
			newer->missing = next;
		next = ws->era + 1;
	}
	if (!newer->missing && next && next <= last)
		newer->missing = next;
	newer->found |= newer->missing != 0;
}

/* The writesets of eras that have two, what is lost of them as written. */
static int add_twice(struct era_layers *layers, const struct era_metadata *md,
		     const struct era_orphans *orphans, uint32_t *lowest)
{
	int r = 0;

	*lowest = 0;
	for (size_t i = 0; i < orphans->nr_writesets && !r; i++) {
		const struct orphan_writeset *ws = &orphans->writesets[i];
		struct era_layer layer = { .trust = ERA_ORPHAN,
					   .map = &ws->words,
					   .era = ws->era,
					   .lost_era = ws->era,
					   .lost_class = ERA_ORPHAN,
					   .data = { 0, ws->nr_bits } };

		if (!era_orphans_name_twice(orphans, md, i))
			continue;
		if (!*lowest)
			*lowest = ws->era;
		r = era_layers_add(layers, &layer);
	}
	return r;
}

int era_newer_find_twice(struct era_newer *newer, const struct era_metadata *md,
			 const struct era_orphans *orphans)
{
	struct era_beyond beyond = { .lowest = 0 };
	struct era_layers layers = { .nr = 0 };
	uint32_t lowest = 0;
	int r = era_layers_add_metadata(&layers, md, ERA_REACHABLE,
					ERA_REACHABLE);

	if (!r)
		r = add_twice(&layers, md, orphans, &lowest);
	if (!r && lowest)
		r = era_beyond(&beyond, md->device, md->sb.geometry.nr_blocks,
			       &layers);
	era_layers_release(&layers);
	if (r || !beyond.lowest)
		return r;
	newer->twice = lowest;
	newer->found = true;
	if (!newer->fork_era || lowest < newer->fork_era)
		newer->fork_era = lowest;
	if (newer->greatest_era < orphans->greatest_era)
		newer->greatest_era = orphans->greatest_era;
	return 0;
}

/*
 * Either table has begun the era after the one in which they parted. Where it
 * is not known which that was, their eras have crossed.
 */
static bool is_beyond(const struct era_commits *commits,
		      const struct era_fork *fork)
{
	const struct era_commit *own = &commits->list[commits->superblocks];
	const struct era_commit *other = &commits->list[fork->other];

	return fork->parting == ERA_NO_COMMIT || other->sum > own->sum ||
	       (!other->inferred &&
		other->era > commits->list[fork->parting].era + 1);
}

void era_newer_find_fork(struct era_newer *newer,
			 const struct era_commits *commits)
{
	struct era_fork fork = era_commits_fork(commits);
	const struct era_commit *other;

	if (!fork.nr)
		return;
	newer->parted = fork.parting != ERA_NO_COMMIT;
	if (newer->parted)
		newer->parting_era = commits->list[fork.parting].era;
	if (!is_beyond(commits, &fork))
		return;
	other = &commits->list[fork.other];
	newer->found = true;
	newer->nr_other = fork.nr;
	newer->other_index = other->index_block;
	if (newer->greatest_era < other->era)
		newer->greatest_era = other->era;
	if (!newer->fork_era)
		newer->fork_era = newer->parting_era;
}

static uint64_t count_unreadable(const struct era_scan *scan,
				 const struct block_set *reachable)
{
	uint64_t nr = 0;

	for (uint64_t block = 0; block < scan->nr_blocks; block++)
		nr += block_set_has(&scan->unreadable, block) &&
		      !block_set_has(reachable, block);
	return nr;
}

/*
 * Later commits than the superblock's. A single one can be what was under way
 * when the power went: then nothing that was promised is lost with it.
 */
static int find_later(struct era_newer *newer, const struct era_metadata *md,
		      const struct era_orphans *orphans,
		      const struct era_commits *commits,
		      const struct block_set *reachable,
		      struct era_report *report)
{
	struct era_later later;
	int r = era_later_find(&later, md, orphans->scan, commits, reachable);

	if (r || !later.nr)
		return r;
	if (later.nr == 1 && !later.write_lost && !later.dropped &&
	    !later.reused) {
		newer->cut_short = true;
		newer->last = later.last.sb;
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "a commit after the superblock's was under way, or "
			   "the last write of the superblock is lost");
		return 0;
	}
	newer->found = true;
	newer->fork_era = later.lowest;
	era_report_kind(
		report,
		later.write_lost ? ERA_KIND_LOST_WRITE
		: later.dropped	 ? ERA_KIND_DROPPED_WRITESET
				 : ERA_KIND_OLD_SUPERBLOCK,
		ERA_FATAL, NULL, ERA_NO_DATA,
		"%s, which the space map in block %" PRIu64
		" proves, dates %" PRIu64 " blocks written since era %" PRIu32
		" later; run era_repair",
		later.write_lost
			? "a write to the trees was lost: an earlier commit"
		: later.dropped
			? "an open writeset was dropped: a bitset that "
			  "nothing leads to"
			: "the superblock is not that of the last commit: a "
			  "later one",
		later.last.sb.space_map.bitmap_root, later.nr_data_blocks,
		later.lowest);
	return 0;
}

static void report_other(const struct era_newer *newer,
			 struct era_report *report)
{
	if (newer->parted)
		era_report_kind(
			report, ERA_KIND_NEWER_HISTORY, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"two tables have gone on from era %" PRIu32 ": %" PRIu64
			" commits up to the one in block %" PRIu64
			" are not in the current history: one was loaded "
			"before the suspend of the other; run era_repair",
			newer->parting_era, newer->nr_other,
			newer->other_index);
	else
		era_report_kind(
			report, ERA_KIND_NEWER_HISTORY, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"two tables have begun the same eras: %" PRIu64
			" commits up to the one in block %" PRIu64
			" are not in the current history: one was loaded "
			"before the suspend of the other; run era_repair",
			newer->nr_other, newer->other_index);
}

static void report_newer(const struct era_newer *newer,
			 struct era_report *report)
{
	if (newer->missing)
		era_report_kind(report, ERA_KIND_LOST_WRITE, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"the writeset tree lacks era %" PRIu32
				", and has others: a write of it was lost; run "
				"era_repair",
				newer->missing);
	else if (newer->nr_other && !newer->nr_data_blocks)
		report_other(newer, report);
	else if (newer->twice && !newer->nr_data_blocks)
		era_report_kind(
			report, ERA_KIND_NEWER_HISTORY, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"two tables have recorded era %" PRIu32
			": one was loaded before the suspend of the other; "
			"run era_repair",
			newer->twice);
	else
		era_report_kind(
			report, ERA_KIND_NEWER_HISTORY, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"a newer history reaches era %" PRIu32 "; %" PRIu64
			" blocks written since era %" PRIu32
			" are not in the current one: the table was loaded "
			"before the suspend; run era_repair",
			newer->greatest_era, newer->nr_data_blocks,
			newer->fork_era);
	if (!newer->missing)
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "where the kernel has formatted this metadata over "
			   "older one, that may be what it left: then "
			   "era_repair --reachable-only -o is right");
}

static int judge_commits(struct era_commits *commits,
			 struct era_under_way *under_way,
			 const struct era_metadata *md,
			 const struct era_scan *scan)
{
	int r = era_commits_load(commits, scan, &md->sb);

	return r ? r : era_under_way_find(under_way, scan, commits);
}

/*
 * Commits are judged by what their blocks hold. Of the arrays that the scan was
 * only told of each block is read where a commit is dated by it; where one is
 * not what was told, which is a surprise, all of them are read first.
 */
static int load_commits(struct era_commits *commits,
			struct era_under_way *under_way,
			const struct era_metadata *md, struct era_scan *scan)
{
	bool known = !scan->told || scan->device->surprise;
	int r = known ? era_metadata_read_told(md, scan) : 0;

	if (!r)
		r = judge_commits(commits, under_way, md, scan);
	if (r || known || !scan->device->surprise)
		return r;
	era_under_way_release(under_way);
	era_commits_release(commits);
	r = era_metadata_read_told(md, scan);
	return r ? r : judge_commits(commits, under_way, md, scan);
}

int era_newer_find(struct era_newer *newer, const struct era_metadata *md,
		   struct era_scan *scan, const struct block_set *reachable,
		   struct era_report *report)
{
	struct era_orphans orphans = { .nr_writesets = 0 };
	struct era_commits commits = { .superblocks = ERA_NO_COMMIT };
	struct era_under_way under_way = { .found = false };
	struct era_overwritten overwritten = { .by = &under_way, .md = md };
	int r = era_scan_finish(scan);

	if (!r)
		r = era_forget_former(scan, &md->sb);
	if (!r && has_other_commits(md, scan))
		r = load_commits(&commits, &under_way, md, scan);
	if (!r)
		r = era_orphans_init(&orphans, scan, reachable,
				     md->sb.geometry.nr_blocks, false,
				     &overwritten);
	if (!r)
		r = era_newer_compare(newer, md, NULL, &orphans);
	if (!r)
		r = era_newer_find_twice(newer, md, &orphans);
	if (!r)
		era_newer_find_gap(newer, md, scan);
	if (!r)
		era_newer_find_fork(newer, &commits);
	if (!r && newer->found)
		report_newer(newer, report);
	else if (!r)
		r = find_later(newer, md, &orphans, &commits, reachable,
			       report);
	era_under_way_release(&under_way);
	era_commits_release(&commits);
	era_orphans_release(&orphans);
	/* what could be read once and then not was never compared */
	if (!r)
		r = era_device_check(scan->device, report);
	if (!r && scan->nr_unreadable)
		newer->nr_unreadable = count_unreadable(scan, reachable);
	if (!r && newer->nr_unreadable)
		era_report_kind(
			report, ERA_KIND_UNREADABLE, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%" PRIu64
			" unreferenced blocks cannot be read: whether a "
			"newer history lies there is not known",
			newer->nr_unreadable);
	return r;
}
