/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Salvage where block 0 is the superblock of an earlier commit: the last
 * write of it was lost, or an old one was put back. The later state that a
 * space map proves is the device's own.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "era/beyond.h"
#include "era/later.h"
#include "era/salvage_parts.h"

/*
 * Takes a state that is later than the superblock's, says all that the
 * reachable trees do, and all that the orphans do. idle: as era_later's.
 */
static int take(struct era_salvage *s, const struct era_superblock *sb,
		bool idle)
{
	struct era_superblock dated = *sb;
	struct era_beyond own = { .watched = 0 };
	struct era_newer left = { .found = true };
	int r;

	if (idle)
		dated.geometry.current_era =
			era_salvage_unreached(s, dated.geometry.current_era);
	r = era_metadata_load_state(&s->second, s->device, &dated);

	if (!r)
		r = era_metadata_beyond(&own, &s->second, &s->md,
					s->second.sb.geometry.nr_blocks);
	if (!r && !own.lowest)
		r = era_newer_compare(&left, &s->second, NULL, &s->orphans);
	if (!r && !left.found)
		s->second_is = ERA_SECOND_LATER;
	else
		era_metadata_release(&s->second);
	return r == -EUCLEAN ? 0 : r;
}

/*
 * The last of all states, where the superblock is eras behind, and the commits
 * next to it are gone: what followed on them in the same activation would stand
 * behind it, so the last was opened anew, and stands before it.
 */
static int take_last(struct era_salvage *s, bool anywhere)
{
	size_t last = era_commits_last(&s->commits);
	const struct era_commit *commit;
	struct era_proven state;
	int r;

	if (last == ERA_NO_COMMIT)
		return 0;
	commit = &s->commits.list[last];
	if (!anywhere && commit->index_block >= s->md.sb.space_map.bitmap_root)
		return 0;
	era_proven_take(&state, commit, &s->scan, &s->md.sb.geometry);
	/* what is later is of no earlier era, though idle ones left no trace */
	if (state.sb.geometry.current_era < s->md.sb.geometry.current_era)
		state.sb.geometry.current_era = s->md.sb.geometry.current_era;
	r = take(s, &state.sb, state.digested);
	if (s->second_is == ERA_SECOND_LATER)
		s->cause = ERA_KIND_OLD_SUPERBLOCK;
	return r;
}

int era_salvage_find_later(struct era_salvage *s)
{
	bool newer = s->newer.found;
	struct era_later later;
	int r = era_later_find(&later, &s->md, &s->scan, &s->commits, &s->live);

	if (!r && later.nr)
		s->cause = later.write_lost ? ERA_KIND_LOST_WRITE
			   : later.dropped  ? ERA_KIND_DROPPED_WRITESET
					    : ERA_KIND_OLD_SUPERBLOCK;
	if (r || later.write_lost || later.reused || !later.nr)
		goto out;
	r = take(s, &later.last.sb, later.idle);
out:
	if (!r && later.nr) {
		s->newer.found = true;
		if (!s->newer.fork_era || s->newer.fork_era > later.lowest)
			s->newer.fork_era = later.lowest;
		if (s->newer.greatest_era < later.last.sb.geometry.current_era)
			s->newer.greatest_era =
				later.last.sb.geometry.current_era;
		if (s->newer.nr_data_blocks < later.nr_data_blocks)
			s->newer.nr_data_blocks = later.nr_data_blocks;
	}
	if (!r && s->second_is != ERA_SECOND_LATER && (newer || later.reused))
		r = take_last(s, later.reused);
	return r;
}

int era_salvage_plan_later(struct era_salvage *s)
{
	int r = era_layers_add_metadata(&s->layers, &s->md, ERA_REACHABLE,
					ERA_ASSUMPTION);

	if (!r)
		r = era_salvage_add_second(s);
	/* the origin can have grown or shrunk since */
	s->geometry.nr_blocks = s->second.sb.geometry.nr_blocks;
	if (s->geometry.current_era < s->second.sb.geometry.current_era)
		s->geometry.current_era = s->second.sb.geometry.current_era;
	era_report_kind(s->report, s->cause, ERA_DAMAGED, NULL, ERA_NO_DATA,
			s->cause == ERA_KIND_DROPPED_WRITESET
				? "an open writeset was dropped: the space map "
				  "in block %" PRIu64
				  " proves a state with it, which dates "
				  "%" PRIu64 " blocks later"
				: "the superblock is not that of the last "
				  "commit: the space map in block %" PRIu64
				  " proves a later state, which dates "
				  "%" PRIu64 " blocks later",
			s->second.sb.space_map.bitmap_root,
			s->newer.nr_data_blocks);
	return r;
}
