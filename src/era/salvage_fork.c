/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Salvage of a forked history: two instances have written the same device, the
 * superblock is that of the table loaded too early, and what the other one
 * recorded since lies among the orphans.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "era/beyond.h"
#include "era/salvage_parts.h"

/*
 * Whether all that is lost was used again and nothing rotted: then it was
 * older than the fork, and the other instance, whose blocks stand there now,
 * had all of it.
 */
static bool is_reuse_alone(const struct era_salvage *s)
{
	return !s->nr_damaged;
}

/*
 * The other instance's last state, as far as the space map of its last commit
 * proves it: a table is replaced only after its suspend has archived the open
 * writeset, so that state has none, and what all orphans know is in it or in
 * what is reachable. Without such proof some of it may be overwritten.
 */
static int load_other(struct era_salvage *s, const struct era_superblock *sb,
		      bool *whole)
{
	struct era_newer left;
	int r = era_metadata_load_state(&s->second, s->device, sb);

	*whole = false;
	if (!r) {
		r = era_newer_compare(&left, &s->md, &s->second, &s->orphans);
		if (!r && !left.found)
			r = era_salvage_compare_nameless(s, &s->second,
							 &left.found);
		*whole = !r && !left.found;
	}
	if (!*whole)
		era_metadata_release(&s->second);
	return r == -EUCLEAN ? 0 : r;
}

/* Each is a pass over all data blocks; the last commits are the greatest. */
#define MAX_GREATER 16

/* Whether a state says more than the reachable one and the other's do. */
static int says_more(const struct era_salvage *s,
		     const struct era_superblock *sb, bool *more)
{
	struct era_beyond beyond = { .lowest = 0 };
	struct era_layers layers = { .nr = 0 };
	struct era_metadata md;
	int r = era_metadata_load_state(&md, s->device, sb);

	if (!r)
		r = era_layers_add_metadata(&layers, &s->md, ERA_REACHABLE,
					    ERA_REACHABLE);
	if (!r)
		r = era_layers_add_metadata(&layers, &s->second, ERA_REACHABLE,
					    ERA_REACHABLE);
	if (!r)
		r = era_layers_add_metadata(&layers, &md, ERA_ORPHAN,
					    ERA_ORPHAN);
	if (!r)
		r = era_beyond(&beyond, s->device, s->md.sb.geometry.nr_blocks,
			       &layers);
	era_layers_release(&layers);
	era_metadata_release(&md);
	*more = beyond.lowest;
	return r == -EUCLEAN ? 0 : r;
}

/*
 * After a fork either table's states say what its last one does, or less. One
 * that says more came later: the superblock is an old one of a single history.
 */
static int find_more(const struct era_salvage *s,
		     const struct era_proven *states, size_t nr, uint64_t sum,
		     bool *more)
{
	uint64_t below = UINT64_MAX;
	int r = 0;

	*more = false;
	for (int tries = 0; tries < MAX_GREATER && !r && !*more; tries++) {
		const struct era_proven *next = NULL;

		for (size_t i = 0; i < nr; i++)
			if (states[i].sb.writeset_root && states[i].sum > sum &&
			    states[i].sum < below &&
			    (!next || states[i].sum > next->sum))
				next = &states[i];
		if (!next)
			break;
		r = says_more(s, &next->sb, more);
		below = next->sum;
	}
	return r;
}

/* Whether the superblock's commit is this one, or is sure to come from it. */
static bool is_own(const struct era_commits *commits, uint64_t index)
{
	size_t own = commits->superblocks;

	for (size_t nr = 0; own < commits->nr && nr < commits->nr; nr++) {
		const struct era_commit *commit = &commits->list[own];

		if (commit->index_block == index)
			return true;
		own = commit->sure ? commit->before : ERA_NO_COMMIT;
	}
	return false;
}

/* Whether a state can be the other's last one, by what is known of the fork. */
static bool can_be_other(const struct era_salvage *s,
			 const struct era_superblock *sb)
{
	uint64_t index = sb->space_map.bitmap_root;

	return (!s->newer.nr_other || index == s->newer.other_index) &&
	       sb->geometry.current_era >= s->newer.twice &&
	       !is_own(&s->commits, index);
}

int era_salvage_find_other(struct era_salvage *s)
{
	struct era_proven *states;
	bool whole = false, more = false;
	size_t nr;
	int r = era_find_proven(&s->commits, &s->scan, &s->md.sb.geometry,
				&states, &nr);

	for (size_t i = 0; i < nr && !r && !whole; i++) {
		if (states[i].sb.writeset_root ||
		    !can_be_other(s, &states[i].sb))
			continue;
		r = load_other(s, &states[i].sb, &whole);
		if (!r && whole)
			r = find_more(s, states, nr, states[i].sum, &more);
	}
	if (whole && !more)
		s->second_is = ERA_SECOND_OTHER;
	else if (whole)
		era_metadata_release(&s->second);
	free(states);
	return r;
}

/* --- blocks that both lead to --------------------------------------------- */

/* What a state uses an array block for: 0 for nothing. */
static uint64_t use_of(const struct array_slot *slot, uint32_t era)
{
	return ((uint64_t)era << 32) + slot->index + 1;
}

static void claim_slots(const struct array_map *map, uint32_t era,
			uint64_t *theirs)
{
	for (size_t i = 0; i < map->nr_slots; i++)
		theirs[map->slots[i].block] = use_of(&map->slots[i], era);
}

/* Drops slots that the other uses for something else; returns how many. */
static size_t drop_reused(struct array_map *map, uint32_t era,
			  const uint64_t *theirs)
{
	size_t nr = map->nr_slots, kept = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t use = theirs[map->slots[i].block];

		if (!use || use == use_of(&map->slots[i], era))
			map->slots[kept++] = map->slots[i];
	}
	map->nr_slots = kept;
	return nr - kept;
}

/* Whether one of the era array's blocks may be the early table's after all. */
static bool is_in_doubt(const struct era_salvage *s, const uint64_t *theirs)
{
	const struct array_map *eras = &s->md.eras;

	for (size_t i = 0; i < eras->nr_slots; i++) {
		uint32_t block = eras->slots[i].block;
		uint64_t use = theirs[block];

		if (use && use != use_of(&eras->slots[i], 0) &&
		    era_scan_role(&s->scan, block) != ROLE_WORDS)
			return true;
	}
	return false;
}

/*
 * Slots of the reachable trees that the other instance uses for something of
 * its own. What is there now is the other's, where the slot is older than the
 * fork. What is later the early table wrote last of all: then it is the other
 * that has lost something, and is not whole. The latest era of a writeset that
 * lost a slot goes to era, UINT32_MAX where there is no telling.
 */
static int drop_all_reused(struct era_salvage *s, uint32_t *era)
{
	uint64_t *theirs =
		calloc((size_t)s->scan.nr_blocks + 1, sizeof(*theirs));

	*era = 0;
	if (!theirs)
		return -ENOMEM;
	claim_slots(&s->second.eras, 0, theirs);
	for (size_t i = 0; i < s->second.nr_writesets; i++)
		claim_slots(&s->second.writesets[i].words,
			    s->second.writesets[i].era, theirs);
	for (size_t i = 0; i < s->md.nr_writesets; i++) {
		struct era_writeset *ws = &s->md.writesets[i];

		if (drop_reused(&ws->words, ws->era, theirs) && *era < ws->era)
			*era = ws->era;
	}
	if (is_in_doubt(s, theirs))
		*era = UINT32_MAX;
	drop_reused(&s->md.eras, 0, theirs);
	free(theirs);
	return 0;
}

/* --- the early table's own eras --------------------------------------------
 */

static uint32_t greatest_value(const struct array_map *map, uint32_t index,
			       const uint8_t *values)
{
	uint32_t nr = array_map_nr_entries(map, index), greatest = 0;

	for (uint32_t i = 0; i < nr && values; i++) {
		uint32_t era = get_le32(values + i * 4);

		greatest = greatest < era ? era : greatest;
	}
	return greatest;
}

/*
 * The greatest era that both have in a block that is the same for both: neither
 * has written it since they parted.
 */
static int greatest_shared(const struct era_salvage *s, uint32_t *greatest)
{
	const struct array_map *ours = &s->md.eras, *theirs = &s->second.eras;
	struct array_window window;
	int r = array_window_init(&window, 1);

	for (size_t i = 0; i < ours->nr_slots && !r; i++) {
		uint32_t index = ours->slots[i].index, era;
		size_t at = array_map_find(theirs, index);
		uint64_t nr_lost = 0;

		if (at == theirs->nr_slots ||
		    theirs->slots[at].index != index ||
		    theirs->slots[at].block != ours->slots[i].block)
			continue;
		r = array_window_read(&window, s->device, ours, index, 1, NULL,
				      &nr_lost);
		if (r)
			break;
		era = greatest_value(ours, index, window.values[0]);
		if (*greatest < era)
			*greatest = era;
	}
	array_window_release(&window);
	return r;
}

/* The commit that begins the superblock's branch, as far as it is sure. */
static const struct era_commit *first_of_branch(const struct era_salvage *s)
{
	const struct era_commits *commits = &s->commits;
	size_t i = commits->superblocks;

	if (i == ERA_NO_COMMIT || commits->list[i].proof != ERA_PROVEN)
		return NULL;
	for (size_t nr = 0; commits->list[i].sure && nr < commits->nr; nr++)
		i = commits->list[i].before;
	return &commits->list[i];
}

/*
 * The era from which on the reachable marks are the early table's own, or an
 * earlier one. An activation archives the open writeset and begins the next
 * era. Where the commit from which both went on is gone, the early table has
 * allocated what was free from block 0 on, and its first commit is the first
 * on the device; else, what both share was written before.
 */
static int find_own_eras(const struct era_salvage *s, uint32_t *from)
{
	const struct era_commit *first = first_of_branch(s);
	int r;

	*from = 0;
	if (s->newer.parted) {
		*from = s->newer.parting_era + 1;
		return 0;
	}
	if (first && first == s->commits.list && first->edge == ERA_EDGE_NONE &&
	    !s->newer.nr_other) {
		*from = first->era;
		return 0;
	}
	r = greatest_shared(s, from);
	++*from;
	return r;
}

/*
 * A forked history: what is reachable and later than the fork was written by
 * the newer instance, after everything that the other one knows of. An era up
 * to the other's last can have been saved by a backup from either, so what the
 * newer one marked in these counts as of the last of them; later ones are its
 * own. The first nr_reachable layers are the reachable ones.
 */
static int redate(struct era_salvage *s, size_t nr_reachable)
{
	uint32_t last = s->second.sb.geometry.current_era, from;
	int r = find_own_eras(s, &from);

	if (r)
		return r;
	if (last < s->newer.greatest_era)
		last = s->newer.greatest_era;
	for (size_t i = 0; i < nr_reachable; i++) {
		s->layers.layers[i].redate_from = from;
		s->layers.layers[i].redate_to = last;
	}
	era_report_kind(
		s->report, ERA_KIND_NEWER_HISTORY, ERA_DAMAGED, NULL,
		ERA_NO_DATA,
		"a table was loaded too early; what the other one recorded "
		"is whole: it reaches era %" PRIu32 " and dates %" PRIu64
		" blocks later",
		last, s->newer.nr_data_blocks);
	if (from < last)
		era_report(s->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "either table gave out the eras up to %" PRIu32
			   ": what the early one recorded from era %" PRIu32
			   " on counts as written in era %" PRIu32 " or later",
			   last, from, last);
	return 0;
}

/* Why the reachable trees are not the last word. */
static enum era_kind cause_of(const struct era_salvage *s)
{
	if (s->newer.missing)
		return ERA_KIND_LOST_WRITE;
	if (s->cause != ERA_KIND_NOTE)
		return s->cause;
	return s->newer.found || s->nr_reused ? ERA_KIND_NEWER_HISTORY
					      : ERA_KIND_DAMAGE;
}

/* The other's history is not wholly left: every block may be in what is not. */
static int assume_all(struct era_salvage *s, uint32_t newest)
{
	struct era_layer layer = { .trust = ERA_ASSUMPTION, .era = newest };
	enum era_kind cause = cause_of(s);

	era_report_kind(
		s->report, cause, ERA_ASSUMED, NULL,
		((struct era_data_range){ 0, s->geometry.nr_blocks }),
		s->newer.missing
			? "the writeset tree is an older one, for a write "
			  "of it was lost: every data block counts as "
			  "written in era %" PRIu32
		: cause == ERA_KIND_LOST_WRITE
			? "a write to the trees was lost, and of what it held "
			  "an unknown part is overwritten: every data block "
			  "counts as written in era %" PRIu32
		: cause == ERA_KIND_OLD_SUPERBLOCK
			? "the superblock is not that of the last commit, and "
			  "of what followed an unknown part is overwritten: "
			  "every data block counts as written in era %" PRIu32
		: cause == ERA_KIND_DROPPED_WRITESET
			? "an open writeset was dropped, and an unknown part "
			  "of it is overwritten: every data block counts as "
			  "written in era %" PRIu32
		: cause == ERA_KIND_NEWER_HISTORY
			? "a table was loaded too early, and of what the "
			  "other one recorded an unknown part is "
			  "overwritten: every data block counts as written "
			  "in era %" PRIu32
			: "the space map does not agree with the trees: a "
			  "write was lost, or a table was loaded too early: "
			  "every data block counts as written in era "
			  "%" PRIu32,
		newest);
	return era_layers_add(&s->layers, &layer);
}

/* Sorts out what both lead to; whether the other is whole all the same. */
static int settle_reused(struct era_salvage *s, bool *whole)
{
	struct era_beyond own = { .lowest = 0 };
	uint32_t from = s->newer.fork_era, era;
	int r = drop_all_reused(s, &era);

	/* the other has all that was marked before the fork */
	if (!r)
		r = era_metadata_beyond(&own, &s->second, &s->md,
					s->md.sb.geometry.nr_blocks);
	if (r)
		return r;
	if (own.lowest && (own.lowest < from || !from))
		from = own.lowest;
	*whole = !era || (from && era < from);
	if (*whole)
		return 0;
	s->second_is = ERA_SECOND_NONE;
	era_metadata_release(&s->second);
	return 0;
}

/*
 * The origin can have grown since the reachable state. What is too large costs
 * nothing: the kernel shrinks it to its table (metadata_resize,
 * dm-era-target.c).
 */
static void grow(struct era_salvage *s, bool whole)
{
	uint32_t *nr_blocks = &s->geometry.nr_blocks;

	if (whole && *nr_blocks < s->second.sb.geometry.nr_blocks)
		*nr_blocks = s->second.sb.geometry.nr_blocks;
	for (size_t i = 0; i < s->orphans.nr_writesets; i++) {
		const struct orphan_writeset *ws = &s->orphans.writesets[i];

		if (ws->era > s->md.sb.geometry.current_era &&
		    *nr_blocks < ws->nr_bits)
			*nr_blocks = ws->nr_bits;
	}
}

int era_salvage_plan_fork(struct era_salvage *s)
{
	bool whole = s->second_is == ERA_SECOND_OTHER;
	uint32_t newest;
	size_t nr_reachable;
	int r = 0;

	if (whole)
		r = settle_reused(s, &whole);
	if (!r)
		r = era_salvage_collect_orphans(s, true, !whole);
	if (!r)
		grow(s, whole);
	if (whole && is_reuse_alone(s))
		s->md.writesets_lost = false;
	if (!r)
		r = era_layers_add_metadata(&s->layers, &s->md, ERA_REACHABLE,
					    ERA_ASSUMPTION);
	nr_reachable = s->layers.nr;
	for (size_t i = 0; whole && is_reuse_alone(s) && i < nr_reachable; i++)
		s->layers.layers[i].lost_era = 0;
	if (!r && whole)
		r = era_salvage_add_second(s);
	if (!r)
		r = era_layers_add_orphans(&s->layers, &s->orphans, ERA_ORPHAN);
	if (!r)
		r = era_salvage_newest_era(s, &newest);
	if (r)
		return r;
	/* of what is overwritten nobody knows how many eras it took */
	if (!whole)
		newest = era_salvage_unreached(s, newest);
	s->geometry.current_era = newest;
	return whole ? redate(s, nr_reachable) : assume_all(s, newest);
}
