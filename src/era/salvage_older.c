/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Holes of the reachable state, and the older state that may fill them.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "era/beyond.h"
#include "era/salvage_parts.h"

struct claims {
	const struct era_scan *scan;
	uint8_t *nr; /* leaves that file a block; 2 for more */
};

/* Counts how many btree leaves file each bitset block. */
static int count_claim(void *arg, uint64_t block, const uint8_t *node)
{
	struct claims *claims = arg;

	(void)block;
	for (uint32_t i = 0; i < node_nr_entries(node); i++) {
		uint64_t child = get_le64(node_value(node, i, 8));

		if (child < claims->scan->nr_blocks && claims->nr[child] < 2)
			claims->nr[child]++;
	}
	return 0;
}

/* Whether the live trees use this block in the same place. */
static bool is_in_place(const struct array_map *live, uint32_t index,
			uint32_t block)
{
	size_t at = array_map_find(live, index);

	return at < live->nr_slots && live->slots[at].index == index &&
	       live->slots[at].block == block;
}

static bool is_untouched_writeset(const struct era_salvage *s,
				  const struct era_writeset *ws,
				  const uint8_t *claims)
{
	const struct era_metadata *md = &s->md;
	const struct array_map *live = NULL;

	for (size_t i = 0; i < md->nr_writesets; i++)
		if (md->writesets[i].era == ws->era)
			live = &md->writesets[i].words;
	for (size_t k = 0; k < ws->words.nr_slots; k++) {
		const struct array_slot *slot = &ws->words.slots[k];

		if (claims[slot->block] != 1 &&
		    !(live && is_in_place(live, slot->index, slot->block)))
			return false;
	}
	return true;
}

/*
 * Whether no array block of the older state can have been used again since:
 * the live trees use it in the same place, or one leaf alone files it. Of the
 * era array, whose blocks many leaves share, all leaves must agree.
 */
static int is_untouched(const struct era_salvage *s,
			const struct era_metadata *older, bool *untouched)
{
	uint8_t *claims = calloc(1, (size_t)s->scan.nr_blocks + 1);
	struct claims counted = { &s->scan, claims };
	int r;

	*untouched = true;
	if (!claims)
		return -ENOMEM;
	r = era_scan_each(&s->scan, ROLE_POINTERS, NULL, count_claim, &counted);
	for (size_t i = 0; i < older->nr_writesets && !r; i++)
		if (!is_untouched_writeset(s, &older->writesets[i], claims))
			*untouched = false;
	for (size_t k = 0; k < older->eras.nr_slots; k++) {
		const struct array_slot *slot = &older->eras.slots[k];

		if (s->orphans.claims[slot->block] != slot->index + 1)
			*untouched = false;
	}
	free(claims);
	return r;
}

/*
 * Whether what is left of the live state has all that the older one says
 * outside of the holes; a state of a former life of the device has not.
 */
static int is_dominated(struct era_salvage *s, bool *dominated)
{
	struct era_beyond beyond = { .lowest = 0 };
	int r = era_metadata_beyond(&beyond, &s->md, &s->second,
				    s->md.sb.geometry.nr_blocks);

	*dominated = !beyond.lowest;
	return r;
}

/*
 * Whether the two together say all that the orphans do, and the metadata
 * snapshot: a state that is not of this history, or has lost a write, does not.
 */
static int is_all(struct era_salvage *s, bool *all)
{
	struct era_layers layers = { .nr = 0 };
	struct era_beyond beyond = { .lowest = 0 };
	int r;

	r = era_layers_add_metadata(&layers, &s->md, ERA_REACHABLE,
				    ERA_REACHABLE);
	if (!r) {
		/* its holes are filled: nothing stands for what is lost */
		layers.nr -= s->md.writesets_lost;
		layers.layers[0].lost_era = 0; /* the era array's */
		r = era_layers_add_metadata(&layers, &s->second, ERA_REACHABLE,
					    ERA_REACHABLE);
	}
	if (!r)
		r = era_layers_add_orphans(&layers, &s->orphans, ERA_ORPHAN);
	if (!r)
		r = era_beyond(&beyond, s->device, s->md.sb.geometry.nr_blocks,
			       &layers);
	era_layers_release(&layers);
	*all = !beyond.lowest;
	return r;
}

/*
 * The lowest era from which on all writes are in writesets that are still
 * there, or have holes of their own.
 */
static uint32_t lowest_present(const struct era_metadata *md)
{
	if (md->sb.writeset_root && (md->writesets_lost || !md->nr_writesets))
		return md->sb.geometry.current_era;
	if (md->writesets_lost || !md->nr_writesets)
		return md->sb.geometry.current_era + 1;
	return md->writesets[0].era;
}

/* Of the states that are late enough for what is lost, the last; or NULL. */
static const struct era_proven *pick_older(const struct era_salvage *s,
					   const struct era_proven *states,
					   size_t nr)
{
	const struct era_proven *best = NULL;

	for (size_t i = 0; i < nr; i++) {
		const struct era_superblock *sb = &states[i].sb;
		uint32_t next = sb->geometry.current_era + !sb->writeset_root;

		if (next >= lowest_present(&s->md) &&
		    sb->geometry.nr_blocks == s->md.sb.geometry.nr_blocks &&
		    (!best || states[i].sum > best->sum))
			best = &states[i];
	}
	return best;
}

static int load_older(struct era_salvage *s, const struct era_superblock *sb,
		      bool *fills)
{
	int r = era_metadata_load_state(&s->second, s->device, sb);

	*fills = false;
	if (!r)
		r = is_untouched(s, &s->second, fills);
	if (!r && *fills)
		r = is_dominated(s, fills);
	if (!r && *fills)
		r = is_all(s, fills);
	if (!*fills)
		era_metadata_release(&s->second);
	return r == -EUCLEAN ? 0 : r;
}

/*
 * An older state that a space map proves has every write before it; what was
 * written since is in the writesets of its open era and of later ones. Where
 * all of those are still there, the two together miss nothing, and holes of
 * the era array and of the writeset tree are filled exactly.
 */
static int find_older(struct era_salvage *s)
{
	const struct era_proven *best;
	struct era_proven *states;
	uint64_t nr_lost;
	bool fills = false;
	size_t nr;
	int r = era_salvage_count_lost(s, &s->md.eras, &nr_lost);

	if (r || (!nr_lost && !s->md.writesets_lost) ||
	    s->options.reachable_only)
		return r;
	r = era_find_proven(&s->commits, &s->scan, &s->md.sb.geometry, &states,
			    &nr);
	best = r ? NULL : pick_older(s, states, nr);
	if (best)
		r = load_older(s, &best->sb, &fills);
	free(states);
	if (!fills)
		return r;
	s->second_is = ERA_SECOND_OLDER;
	s->md.writesets_lost = false;
	era_report(s->report, ERA_NOTE, NULL, ERA_NO_DATA,
		   "what is lost of the era array and of the writeset tree is "
		   "filled from an older state that the space map in block "
		   "%" PRIu64 " proves",
		   s->second.sb.space_map.bitmap_root);
	return r;
}

static void report_holes(struct era_salvage *s)
{
	const struct era_metadata *md = &s->md;
	uint64_t nr_lost;

	if (md->writesets_lost)
		era_report(s->report, ERA_ASSUMED, NULL,
			   ((struct era_data_range){
				   0, md->sb.geometry.nr_blocks }),
			   "an unknown number of writesets is lost: every data "
			   "block counts as written in era %" PRIu32,
			   era_metadata_last_archived(md));
	if (s->second_is != ERA_SECOND_OLDER &&
	    !era_salvage_count_lost(s, &md->eras, &nr_lost) && nr_lost)
		era_report(s->report, ERA_ASSUMED, NULL, ERA_NO_DATA,
			   "%" PRIu64
			   " blocks of the era array are lost: their data "
			   "blocks count as written in era %" PRIu32,
			   nr_lost, era_metadata_lost_era(md));
	for (size_t i = 0; i < md->nr_writesets; i++) {
		const struct era_writeset *ws = &md->writesets[i];

		if (!ws->partial &&
		    !era_salvage_count_lost(s, &ws->words, &nr_lost) && nr_lost)
			era_report(s->report, ERA_ASSUMED, NULL, ERA_NO_DATA,
				   "%" PRIu64 " blocks of writeset %" PRIu32
				   " are lost: their data blocks count as "
				   "written in that era",
				   nr_lost, ws->era);
	}
}

int era_salvage_plan_holes(struct era_salvage *s)
{
	int r = find_older(s);

	if (!r)
		report_holes(s);
	if (!r)
		r = era_layers_add_metadata(&s->layers, &s->md, ERA_REACHABLE,
					    ERA_ASSUMPTION);
	if (r || s->second_is != ERA_SECOND_OLDER)
		return r;
	s->layers.layers[0].lost_era = 0; /* the era array's */
	return era_salvage_add_second(s);
}
