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
 * The greatest of all states, where the superblock is eras behind; ahead: only
 * if its place says that it came later.
 */
static int take_greatest(struct era_salvage *s, bool ahead)
{
	struct era_proven *best = NULL;
	struct era_proven *states;
	uint64_t nr_witnesses;
	size_t nr;
	int r = era_find_proven(&s->scan, &s->md.sb.geometry, &states, &nr,
				&nr_witnesses);

	for (size_t i = 0; i < nr && !r; i++)
		if (!best || states[i].sum > best->sum)
			best = &states[i];
	/* what is later is of no earlier era, though idle ones left no trace */
	if (best && !ahead &&
	    best->sb.geometry.current_era < s->md.sb.geometry.current_era)
		best->sb.geometry.current_era = s->md.sb.geometry.current_era;
	if (!r && best &&
	    (!ahead ||
	     era_later_is_ahead(&s->md.sb, &best->sb, s->scan.nr_blocks)))
		r = take(s, &best->sb, best->digested);
	free(states);
	return r;
}

int era_salvage_find_later(struct era_salvage *s)
{
	struct era_later later = { .nr = 0 };
	int r;

	if (s->newer.found)
		return take_greatest(s, true);
	r = era_later_find(&later, &s->md, &s->orphans, &s->live,
			   s->trees_sound && !s->lost_snapshot ? &s->reachable
							       : NULL);
	if (r || !later.nr)
		return r;
	s->newer.found = true;
	s->newer.fork_era = later.lowest;
	s->newer.greatest_era = later.last.sb.geometry.current_era;
	s->newer.nr_data_blocks = later.nr_data_blocks;
	if (later.reused)
		return take_greatest(s, false);
	return later.write_lost ? 0 : take(s, &later.last.sb, later.idle);
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
	era_report(s->report, ERA_DAMAGED, NULL, ERA_NO_DATA,
		   "the superblock is not that of the last commit: the space "
		   "map in block %" PRIu64
		   " proves a later state, which dates %" PRIu64
		   " blocks later",
		   s->second.sb.space_map.bitmap_root, s->newer.nr_data_blocks);
	return r;
}
