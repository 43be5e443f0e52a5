/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Salvage without a superblock: one is rebuilt from the rest of the device, and
 * whatever may speak against it counts.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "era/beyond.h"
#include "era/salvage_parts.h"

/* The number of data blocks, from the longest era array that is left. */
static int measure_array(void *arg, uint64_t block, const uint8_t *data)
{
	struct era_salvage *s = arg;
	uint32_t claim = s->orphans.claims[block];
	uint64_t nr;

	if (!claim || claim == CLAIM_DISPUTED)
		return 0;
	nr = (uint64_t)(claim - 1) * array_max_entries(4) +
	     get_le32(data + ARRAY_NR_ENTRIES);
	if (nr < ERA_MAX_NR_BLOCKS && nr > s->rebuilt.sb.geometry.nr_blocks)
		s->rebuilt.sb.geometry.nr_blocks = (uint32_t)nr;
	return 0;
}

/* Writesets are as long as the device was when their era began. */
static void measure_writesets(struct era_salvage *s)
{
	struct era_geometry *g = &s->rebuilt.sb.geometry;

	for (size_t i = 0; i < s->orphans.nr_writesets; i++)
		if (g->nr_blocks < s->orphans.writesets[i].nr_bits)
			g->nr_blocks = s->orphans.writesets[i].nr_bits;
}

/* What the user says must not contradict what is proven. */
static int check_told(struct era_salvage *s, const char *option, uint32_t told,
		      uint32_t known)
{
	if (!told || told == known)
		return 0;
	era_report_kind(s->report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s %" PRIu32
			" contradicts what is left on %s: it is %" PRIu32,
			option, told, s->device->path, known);
	return -EINVAL;
}

static int check_rebuilt(struct era_salvage *s)
{
	const struct era_geometry *g = &s->rebuilt.sb.geometry;

	if (!s->orphans.nr_writesets && !s->orphans.nr_era_versions) {
		era_report_kind(s->report, ERA_KIND_NOT_ERA, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"nothing of dm-era metadata is left on %s",
				s->device->path);
		return -ENODATA;
	}
	if (!g->data_block_size) {
		era_report_kind(
			s->report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"the superblock is lost and nothing else tells the "
			"tracking block size: give it with --block-size");
		return -EINVAL;
	}
	if (!g->nr_blocks) {
		era_report_kind(
			s->report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"the superblock is lost and nothing else tells the "
			"number of data blocks: give it with --nr-blocks");
		return -EINVAL;
	}
	return era_geometry_check(g, s->report, NULL) ? -EINVAL : 0;
}

static void report_rebuilt(struct era_salvage *s)
{
	const struct era_rebuilt *rb = &s->rebuilt;

	if (rb->have_copy)
		era_report(s->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "the geometry is that of the superblock copy in "
			   "block %" PRIu64,
			   rb->copy);
	if (rb->proven)
		era_report(
			s->report, ERA_NOTE, NULL, ERA_NO_DATA,
			"the superblock was rebuilt from the last of %" PRIu64
			" committed states that space maps prove (index block "
			"%" PRIu64 "); its era was %" PRIu32,
			rb->nr_proven, rb->sb.space_map.bitmap_root,
			rb->sb.geometry.current_era);
	else
		era_report(
			s->report, ERA_ASSUMED, NULL,
			((struct era_data_range){ 0,
						  rb->sb.geometry.nr_blocks }),
			"nothing proves which blocks were in use last: every "
			"data block counts as written in era %" PRIu32,
			rb->sb.geometry.current_era);
}

/*
 * Where no writeset of the proven state names its era, any number of eras
 * without a write can have gone before it.
 */
static void pass_idle_eras(struct era_salvage *s)
{
	struct era_geometry *g = &s->rebuilt.sb.geometry;
	uint32_t era = era_salvage_unreached(s, g->current_era);

	if (!s->rebuilt.proven || !s->rebuilt.era_inferred ||
	    era == g->current_era)
		return;
	era_report(s->report, ERA_NOTE, NULL, ERA_NO_DATA,
		   "eras without a write leave no trace: it goes on as era "
		   "%" PRIu32 ", so that no era that was reported comes again",
		   era);
	g->current_era = era;
}

/* A superblock from what the rest of the device says. */
int era_salvage_rebuild(struct era_salvage *s, struct era_superblock *sb)
{
	struct block_set nothing;
	int r = block_set_init(&nothing, s->scan.nr_blocks);

	s->rebuilt_superblock = true;
	if (!r)
		r = era_orphans_init(&s->orphans, &s->scan, &nothing,
				     ERA_MAX_NR_BLOCKS - 1, true, NULL);
	block_set_release(&nothing);
	if (!r)
		r = era_commits_load(&s->commits, &s->scan, NULL);
	if (!r)
		r = era_rebuild_superblock(&s->rebuilt, &s->scan, &s->commits,
					   &s->orphans, &s->options.geometry);
	if (!r && !s->rebuilt.proven && !s->options.geometry.nr_blocks) {
		r = era_scan_each(&s->scan, ROLE_ERAS, NULL, measure_array, s);
		measure_writesets(s);
	}
	if (!r && s->rebuilt.proven)
		r = check_told(s, "--nr-blocks", s->options.geometry.nr_blocks,
			       s->rebuilt.sb.geometry.nr_blocks);
	if (!r && s->rebuilt.have_copy)
		r = check_told(s, "--block-size",
			       s->options.geometry.data_block_size,
			       s->rebuilt.sb.geometry.data_block_size);
	if (!r)
		r = check_rebuilt(s);
	if (!r)
		report_rebuilt(s);
	if (!r)
		pass_idle_eras(s);
	*sb = s->rebuilt.sb;
	return r;
}

/* Without a superblock: what the last state may lack. */
static int add_unproven(struct era_salvage *s)
{
	struct era_layer layer = { .map = NULL };
	uint32_t newest = 0;
	int r;

	if (s->rebuilt.proven && !s->newer.found)
		return 0;
	/*
	 * What is damaged besides may have been evidence of any block; and
	 * where nothing is, but no state is proven either, the history is not
	 * as it should be.
	 */
	if (s->newer.found)
		era_report(
			s->report, ERA_ASSUMED, NULL,
			((struct era_data_range){ 0, s->geometry.nr_blocks }),
			"that state may not be the last, for blocks of it were "
			"used again or others know more: every data block "
			"counts as written in era %" PRIu32,
			s->geometry.current_era);
	r = era_salvage_newest_era(s, &newest);
	if (s->geometry.current_era < newest)
		s->geometry.current_era = era_salvage_unreached(s, newest);
	layer.trust = ERA_ASSUMPTION;
	layer.era = s->geometry.current_era;
	return r ? r : era_layers_add(&s->layers, &layer);
}

/* Whether leaves file one of the map's blocks elsewhere: it was used again. */
static bool is_disputed(const struct era_salvage *s,
			const struct array_map *map)
{
	for (size_t i = 0; i < map->nr_slots; i++)
		if (s->orphans.claims[map->slots[i].block] !=
		    map->slots[i].index + 1)
			return true;
	return false;
}

static bool is_any_disputed(const struct era_salvage *s)
{
	bool disputed = is_disputed(s, &s->md.eras);

	for (size_t i = 0; i < s->md.nr_writesets; i++)
		disputed |= is_disputed(s, &s->md.writesets[i].words);
	return disputed;
}

static int compare_state(struct era_salvage *s, const struct era_superblock *sb)
{
	struct era_beyond beyond = { .lowest = 0 };
	struct era_metadata md;
	int r = era_metadata_load_state(&md, s->device, sb);

	if (!r)
		r = era_metadata_beyond(&beyond, &s->md, &md,
					s->md.sb.geometry.nr_blocks);
	s->newer.found = s->newer.found || beyond.lowest;
	era_metadata_release(&md);
	return r == -EUCLEAN ? 0 : r;
}

/* In an unforked history the last state has all that the other ones mark. */
static int compare_states(struct era_salvage *s)
{
	int r = 0;

	for (size_t i = 0; i < s->rebuilt.nr_states && !r && !s->newer.found;
	     i++)
		r = compare_state(s, &s->rebuilt.states[i].sb);
	return r;
}

int era_salvage_doubt_rebuilt(struct era_salvage *s)
{
	int r = era_newer_compare(&s->newer, &s->md, NULL, &s->orphans);

	if (is_any_disputed(s))
		s->newer.found = true;
	/* nor is a state the last if bitsets without a name know more */
	if (!r && !s->newer.found)
		r = era_salvage_compare_nameless(s, NULL, &s->newer.found);
	if (!r && !s->newer.found)
		r = compare_states(s);
	return r;
}

/* What nothing leads to counts as well. */
int era_salvage_plan_rebuilt(struct era_salvage *s)
{
	int r = era_layers_add_orphans(&s->layers, &s->orphans, ERA_ORPHAN);

	return r ? r : add_unproven(s);
}
