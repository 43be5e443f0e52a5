/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first look of a salvage: what the superblock leads to, as far as it is
 * sound, and what the space map still knows of behind damaged nodes.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "era/accounts.h"
#include "era/salvage_parts.h"
#include "era/stale_names.h"

/* Passes on as damage what a reader reports as fatal. */
struct softened {
	struct era_report report;
	struct era_report *to;
};

static void soften(void *arg, const struct era_problem *problem)
{
	struct softened *s = arg;
	enum era_severity severity = problem->severity == ERA_FATAL
					     ? ERA_DAMAGED
					     : problem->severity;

	era_report_kind(s->to, problem->kind, severity, problem->where,
			problem->data, "%s", problem->text);
}

static void soften_init(struct softened *s, struct era_report *to)
{
	*s = (struct softened){
		.report = { .problem = soften, .hands_on = true }, .to = to
	};
	s->report.arg = s;
}

int era_salvage_read_superblock(struct era_salvage *s,
				struct era_superblock *sb)
{
	struct softened soft;
	int r;

	soften_init(&soft, s->report);
	r = era_superblock_read(sb, s->device, ERA_SUPERBLOCK_LOCATION,
				&soft.report);
	/* roots may lie past the end, counts not past the format's limit */
	if (!r)
		era_superblock_is_cut_off(sb, s->device, ERA_DAMAGED,
					  s->report);
	return r;
}

/* The greatest era of an era-array block; 0 for all else. */
static uint32_t greatest_era(const struct array_map *map, uint32_t index,
			     const uint8_t *values)
{
	uint32_t nr = array_map_nr_entries(map, index), greatest = 0;

	if (map->value_size != 4 || !values)
		return 0;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t era = get_le32(values + i * 4);

		greatest = greatest < era ? era : greatest;
	}
	return greatest;
}

/* What reading arrays through has shown of their blocks. */
struct survey {
	uint64_t nr_lost; /* cannot be read, or no node leads there */
	uint64_t
		nr_damaged; /* a node leads there, but nothing sound is there */
	/* something else stands there, or it is later than the superblock:
	 * they have been used again */
	uint64_t nr_reused;
	/* bitsets with bits past their end, which the kernel leaves zero */
	uint64_t nr_stray;
	uint64_t last_word_mask;    /* given: of a bitset */
	uint32_t current_era;	    /* given: the superblock's */
	uint32_t greatest_digested; /* era in the era array */
};

/* Whether the last word of a bitset, if the window has it, says too much. */
static bool is_stray(const struct array_map *map,
		     const struct array_window *window, uint64_t mask)
{
	uint32_t last = array_map_nr_blocks(map) - 1, nr;

	if (map->value_size != 8 || last < window->first ||
	    last - window->first >= window->nr ||
	    !window->values[last - window->first])
		return false;
	nr = array_map_nr_entries(map, last);
	return get_le64(window->values[last - window->first] + (nr - 1) * 8) &
	       ~mask;
}

static void survey_window(struct era_salvage *s, const struct array_map *map,
			  const struct array_window *window,
			  struct survey *survey)
{
	for (uint32_t i = 0; i < window->nr; i++) {
		uint32_t era =
			greatest_era(map, window->first + i, window->values[i]);

		survey->nr_reused += era > survey->current_era;
		if (survey->greatest_digested < era)
			survey->greatest_digested = era;
	}
	survey->nr_stray += is_stray(map, window, survey->last_word_mask);
	for (size_t i = array_map_find(map, window->first);
	     i < map->nr_slots &&
	     map->slots[i].index - window->first < window->nr;
	     i++) {
		if (window->values[map->slots[i].index - window->first])
			continue;
		if (era_role_is_sound(
			    era_scan_role(&s->scan, map->slots[i].block)))
			survey->nr_reused++;
		else
			survey->nr_damaged++;
	}
}

static int read_through(struct era_salvage *s, const struct array_map *map,
			struct era_report *report, struct survey *survey)
{
	uint32_t nr_blocks = array_map_nr_blocks(map), first = 0;
	struct array_window window;
	int r;

	/* whatever length the map claims, only what is there is read */
	if (!map->nr_slots) {
		survey->nr_lost += nr_blocks;
		return 0;
	}
	r = array_window_init(&window, ERA_DEVICE_RUN);
	for (; first < nr_blocks && !r; first += ERA_DEVICE_RUN) {
		uint32_t next = array_map_next(map, first);

		survey->nr_lost += next - first;
		first = next;
		if (first == nr_blocks)
			break;
		r = array_window_read(&window, s->device, map, first,
				      ERA_DEVICE_RUN, report, &survey->nr_lost);
		if (!r)
			survey_window(s, map, &window, survey);
	}
	array_window_release(&window);
	return r;
}

int era_salvage_count_lost(struct era_salvage *s, const struct array_map *map,
			   uint64_t *nr_lost)
{
	struct survey survey = { .nr_lost = 0 };
	int r = read_through(s, map, NULL, &survey);

	*nr_lost = survey.nr_lost;
	return r;
}

static int read_all_through(struct era_salvage *s,
			    const struct era_metadata *md,
			    struct era_report *report, struct survey *survey)
{
	int r;

	survey->current_era = md->sb.geometry.current_era;
	r = read_through(s, &md->eras, report, survey);
	for (size_t i = 0; i < md->nr_writesets && !r; i++) {
		const struct era_writeset *ws = &md->writesets[i];

		survey->last_word_mask = era_last_word_mask(ws->nr_bits);
		r = read_through(s, &ws->words, report, survey);
	}
	return r;
}

/* How many corrected blocks this pass of the walk has met. */
static uint64_t nr_corrected(const struct era_salvage *s,
			     const struct walk *walk)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < s->corrected.nr; i++)
		nr += block_set_has(&walk->seen, s->corrected.list[i].block);
	return nr;
}

/* What was corrected and is reachable: it still is damaged on the device. */
static void report_corrected(const struct era_salvage *s)
{
	for (size_t i = 0; i < s->corrected.nr; i++) {
		uint64_t block = s->corrected.list[i].block;

		if (block_set_has(&s->reachable, block))
			era_report(s->report, ERA_DAMAGED, NULL, ERA_NO_DATA,
				   "block %" PRIu64
				   " is damaged, but its checksum and its "
				   "format tell what it held",
				   block);
	}
}

/* The live trees. */
static int load_live(struct era_salvage *s, struct walk *walk,
		     const struct era_superblock *sb)
{
	struct survey survey = { .nr_lost = 0 };
	int r = era_metadata_load(&s->md, walk, sb, false);

	if (!r)
		r = read_all_through(s, &s->md, walk->report, &survey);
	s->nr_faults = walk->nr_faults + survey.nr_lost;
	s->nr_damaged = walk->nr_faults - walk->nr_reused + survey.nr_damaged;
	s->nr_reused = walk->nr_reused + survey.nr_reused;
	s->greatest_digested = survey.greatest_digested;
	s->nr_corrected = nr_corrected(s, walk);
	s->stray_bits = survey.nr_stray;
	block_set_merge(&s->live, &walk->seen);
	block_set_merge(&s->reachable, &walk->seen);
	block_set_add(&s->reachable, ERA_SUPERBLOCK_LOCATION);
	return r;
}

static void merge_snapshot(struct era_salvage *s, const struct walk *walk)
{
	for (uint64_t block = 0; block < s->scan.nr_blocks; block++)
		if (block_set_has(&walk->seen, block) &&
		    !block_set_has(&s->reachable, block))
			block_set_add(&s->snapshot_only, block);
	block_set_merge(&s->reachable, &walk->seen);
}

/* The metadata snapshot's, which is kept where all of it is sound. */
static int load_snapshot(struct era_salvage *s, struct walk *walk)
{
	struct era_where where = { NULL, "superblock", 0 };
	struct era_where at = { &where, "metadata snapshot superblock",
				s->md.sb.metadata_snap };
	struct era_superblock copy;
	struct survey survey = { .nr_lost = 0 };
	bool counted = true;
	int r;

	if (!s->md.sb.metadata_snap)
		return 0;
	s->lost_snapshot = true;
	walk_next_pass(walk);
	if (!walk_reference(walk, s->md.sb.metadata_snap, &at, ERA_NO_DATA,
			    &counted))
		return 0;
	if (era_superblock_read(&copy, s->device, s->md.sb.metadata_snap,
				walk->report)) {
		s->unaccounted |= era_role_is_sound(
			era_scan_role(&s->scan, s->md.sb.metadata_snap));
		merge_snapshot(s, walk);
		return 0;
	}
	r = era_metadata_load(&s->snapshot, walk, &copy, true);
	if (!r)
		r = read_all_through(s, &s->snapshot, walk->report, &survey);
	merge_snapshot(s, walk);
	s->has_snapshot =
		!walk->nr_faults && !survey.nr_lost && !survey.nr_reused;
	s->lost_snapshot = !s->has_snapshot;
	s->unaccounted |= walk->nr_reused || survey.nr_reused;
	s->snapshot_corrected = nr_corrected(s, walk) || survey.nr_stray;
	return r;
}

/* The space map's own blocks, and whether its counts are what was met. */
static int load_space_map(struct era_salvage *s, struct walk *walk)
{
	const struct space_map_root *root = &s->md.sb.space_map;
	struct era_where where = { NULL, "superblock", 0 };
	struct space_map_root covered = *root;
	struct era_accounts accounts = { .nr_faults = 0 };
	int r;

	if (covered.nr_blocks > walk->nr_blocks)
		covered.nr_blocks = walk->nr_blocks;
	walk_next_pass(walk);
	r = space_map_check(walk, &covered, &where,
			    !s->nr_faults && !s->lost_snapshot &&
				    !s->rebuilt_superblock,
			    &accounts.space_map);
	s->unaccounted |= era_accounts_disagree(&accounts);
	s->rest_corrected =
		nr_corrected(s, walk) ||
		era_substitute_of(&s->corrected, ERA_SUPERBLOCK_LOCATION);
	block_set_merge(&s->reachable, &walk->seen);
	return r;
}

int era_salvage_collect_orphans(struct era_salvage *s, bool disputed,
				bool reachable)
{
	const struct era_overwritten overwritten = {
		.by = &s->under_way,
		.md = &s->md,
	};
	struct block_set live;
	int r = block_set_init(&live, s->scan.nr_blocks);

	era_orphans_release(&s->orphans);
	if (!r) {
		if (!reachable)
			block_set_merge(&live, &s->reachable);
		for (uint64_t i = 0; i < live.nr_blocks; i++)
			if (block_set_has(&s->snapshot_only, i))
				block_set_remove(&live, i);
		r = era_orphans_init(&s->orphans, &s->scan, &live,
				     s->md.sb.geometry.nr_blocks, disputed,
				     &overwritten);
	}
	block_set_release(&live);
	return r;
}

/* What was found again can name any era, as what was led to can. */
static int survey_attached(struct era_salvage *s)
{
	struct survey survey = { .nr_lost = 0 };
	int r = read_through(s, &s->md.eras, NULL, &survey);

	s->greatest_digested = survey.greatest_digested;
	return r;
}

/* What the space map still knows of and damaged nodes no longer lead to. */
static int attach(struct era_salvage *s, struct walk *walk)
{
	struct era_witness witness;
	int r = era_witness_load(&witness, &s->scan,
				 s->md.sb.space_map.bitmap_root);

	if (r == -EUCLEAN)
		r = era_witness_find(&witness, &s->scan, &s->md.sb.space_map,
				     &s->reachable);
	if (r)
		return r == -ENOMEM ? r : 0;
	walk_next_pass(walk);
	/* known to be reached, so that nothing is attached twice */
	block_set_merge(&walk->seen, &s->reachable);
	/* digestion is in order: what is in the tree is not of an older era */
	r = era_witness_attach(&witness, &s->md, walk, &s->orphans,
			       s->md.eras.nr_slots ? s->greatest_digested
						   : UINT32_MAX,
			       &s->reachable, &s->nr_attached);
	era_witness_release(&witness);
	return r;
}

int era_salvage_load(struct era_salvage *s, const struct era_superblock *sb)
{
	struct ref_counts refs;
	struct softened soft;
	struct walk walk;
	bool damaged;
	int r;

	soften_init(&soft, s->report);
	r = ref_counts_init(&refs, s->scan.nr_blocks);
	if (r)
		return r;
	refs.counts[ERA_SUPERBLOCK_LOCATION] = 1;
	/* without roots there is nothing to walk, and nothing to report */
	r = walk_init(&walk, s->device,
		      s->rebuilt_superblock && !s->rebuilt.proven
			      ? NULL
			      : &soft.report,
		      &refs);
	if (!r)
		r = load_live(s, &walk, sb);
	damaged = walk.nr_faults;
	if (!r)
		r = load_snapshot(s, &walk);
	if (!r)
		r = load_space_map(s, &walk);
	/* what is attached is no pointer that was found */
	walk.refs = NULL;
	ref_counts_release(&refs);
	if (!r)
		r = era_salvage_collect_orphans(s, !era_salvage_has_roots(s),
						false);
	if (!r && damaged)
		r = attach(s, &walk);
	if (!r && s->nr_attached)
		r = era_salvage_collect_orphans(s, false, false);
	if (!r && s->nr_attached)
		r = survey_attached(s);
	walk_release(&walk);
	report_corrected(s);
	/* damage has been told; what goes wrong from now on is an error */
	s->md.report = s->report;
	s->snapshot.report = s->report;
	s->trees_sound = !s->nr_faults && !s->nr_corrected;
	return r;
}
