/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is reachable, what is not, and what must be assumed: from a damaged
 * device to the layers that a fold merges.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "era/reader.h"
#include "era/salvage.h"

#define WINDOW_BLOCKS 256 /* array blocks read at a time */

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

	era_report(s->to, severity, problem->where, problem->data, "%s",
		   problem->text);
}

static void soften_init(struct softened *s, struct era_report *to)
{
	*s = (struct softened){ .report = { .problem = soften }, .to = to };
	s->report.arg = s;
}

/* Whether an era-array block knows of an era that the superblock does not. */
static bool is_from_later(struct era_salvage *s, const struct array_map *map,
			  uint32_t index, const uint8_t *values)
{
	uint32_t nr = array_map_nr_entries(map, index);

	uint32_t greatest = 0;

	if (map->value_size != 4 || !values)
		return false;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t era = get_le32(values + i * 4);

		greatest = greatest < era ? era : greatest;
	}
	if (s->greatest_digested < greatest)
		s->greatest_digested = greatest;
	return greatest > s->md.sb.geometry.current_era;
}

/*
 * Those of the window's blocks that have been used again: they are lost
 * though their checksum is right, or later than the superblock.
 */
static uint64_t count_foreign(struct era_salvage *s,
			      const struct array_map *map,
			      const struct array_window *window)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < window->nr; i++)
		nr += is_from_later(s, map, window->first + i,
				    window->values[i]);
	for (size_t i = array_map_find(map, window->first);
	     i < map->nr_slots &&
	     map->slots[i].index - window->first < window->nr;
	     i++)
		nr += !window->values[map->slots[i].index - window->first] &&
		      era_scan_role(&s->scan, map->slots[i].block) >
			      ROLE_UNKNOWN;
	return nr;
}

/*
 * Reads every array block of a map; counts those that are lost, and those of
 * them that hold something else by now (nr_foreign may be NULL).
 */
static int read_through(struct era_salvage *s, const struct array_map *map,
			struct era_report *report, uint64_t *nr_lost,
			uint64_t *nr_foreign)
{
	uint32_t nr_blocks = array_map_nr_blocks(map);
	struct array_window window;
	int r = array_window_init(&window, WINDOW_BLOCKS);

	for (uint32_t first = 0; first < nr_blocks && !r;
	     first += WINDOW_BLOCKS) {
		r = array_window_read(&window, s->device, map, first,
				      WINDOW_BLOCKS, report, nr_lost);
		if (!r && nr_foreign)
			*nr_foreign += count_foreign(s, map, &window);
	}
	array_window_release(&window);
	return r;
}

static int read_all_through(struct era_salvage *s,
			    const struct era_metadata *md,
			    struct era_report *report, uint64_t *nr_lost,
			    uint64_t *nr_foreign)
{
	int r = read_through(s, &md->eras, report, nr_lost, nr_foreign);

	for (size_t i = 0; i < md->nr_writesets && !r; i++)
		r = read_through(s, &md->writesets[i].words, report, nr_lost,
				 nr_foreign);
	return r;
}

/* The live trees. */
static int load_live(struct era_salvage *s, struct walk *walk,
		     const struct era_superblock *sb)
{
	uint64_t nr_lost = 0, nr_foreign = 0;
	int r = era_metadata_load(&s->md, walk, sb, false);

	if (!r)
		r = read_all_through(s, &s->md, walk->report, &nr_lost,
				     &nr_foreign);
	s->nr_faults = walk->nr_faults + nr_lost;
	s->nr_foreign = walk->nr_foreign + nr_foreign;
	block_set_merge(&s->reachable, &walk->seen);
	block_set_add(&s->reachable, ERA_SUPERBLOCK_LOCATION);
	return r;
}

/* The metadata snapshot's, which is kept where all of it is sound. */
static int load_snapshot(struct era_salvage *s, struct walk *walk)
{
	struct era_where where = { NULL, "superblock", 0 };
	struct era_where at = { &where, "metadata snapshot superblock",
				s->md.sb.metadata_snap };
	struct era_superblock copy;
	uint64_t nr_lost = 0;
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
		block_set_merge(&s->reachable, &walk->seen);
		return 0;
	}
	r = era_metadata_load(&s->snapshot, walk, &copy, true);
	if (!r)
		r = read_all_through(s, &s->snapshot, walk->report, &nr_lost,
				     NULL);
	block_set_merge(&s->reachable, &walk->seen);
	s->has_snapshot = !walk->nr_faults && !nr_lost;
	s->lost_snapshot = !s->has_snapshot;
	return r;
}

/* The space map's own blocks; whether its counts are right is not asked. */
static int load_space_map(struct era_salvage *s, struct walk *walk)
{
	const struct space_map_root *root = &s->md.sb.space_map;
	struct era_where where = { NULL, "superblock", 0 };
	struct space_map_root covered = *root;
	int r;

	if (covered.nr_blocks > walk->nr_blocks)
		covered.nr_blocks = walk->nr_blocks;
	walk_next_pass(walk);
	r = space_map_check(walk, &covered, &where, false);
	s->space_map_sound = !walk->nr_faults;
	block_set_merge(&s->reachable, &walk->seen);
	return r;
}

static int collect_orphans(struct era_salvage *s, bool disputed)
{
	era_orphans_release(&s->orphans);
	return era_orphans_init(&s->orphans, &s->scan, &s->reachable,
				s->md.sb.geometry.nr_blocks, disputed);
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
	era_report(s->report, ERA_FATAL, NULL, ERA_NO_DATA,
		   "%s %" PRIu32
		   " contradicts what is left on %s: it is %" PRIu32,
		   option, told, s->device->path, known);
	return -EINVAL;
}

static int check_rebuilt(struct era_salvage *s)
{
	const struct era_geometry *g = &s->rebuilt.sb.geometry;

	if (!s->orphans.nr_writesets && !s->orphans.nr_era_versions) {
		era_report(s->report, ERA_FATAL, NULL, ERA_NO_DATA,
			   "nothing of dm-era metadata is left on %s",
			   s->device->path);
		return -ENODATA;
	}
	if (!g->data_block_size) {
		era_report(s->report, ERA_FATAL, NULL, ERA_NO_DATA,
			   "the superblock is lost and nothing else tells the "
			   "tracking block size: give it with --block-size");
		return -EINVAL;
	}
	if (!g->nr_blocks) {
		era_report(s->report, ERA_FATAL, NULL, ERA_NO_DATA,
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

/* A superblock from what the rest of the device says. */
static int rebuild(struct era_salvage *s, struct era_superblock *sb)
{
	struct block_set nothing;
	int r = block_set_init(&nothing, s->scan.nr_blocks);

	s->rebuilt_superblock = true;
	if (!r)
		r = era_orphans_init(&s->orphans, &s->scan, &nothing,
				     ERA_MAX_NR_BLOCKS - 1, true);
	block_set_release(&nothing);
	if (!r)
		r = era_rebuild_superblock(&s->rebuilt, &s->scan, &s->orphans,
					   &s->options.geometry);
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
	*sb = s->rebuilt.sb;
	return r;
}

/*
 * Without roots everything is an orphan; nothing of what is reachable was
 * lost, for nothing is reachable.
 */
static bool has_roots(const struct era_salvage *s)
{
	return !s->rebuilt_superblock || s->rebuilt.proven;
}

static int load(struct era_salvage *s, const struct era_superblock *sb)
{
	struct softened soft;
	struct walk walk;
	bool damaged;
	int r;

	soften_init(&soft, s->report);
	/* without roots there is nothing to walk, and nothing to report */
	r = walk_init(&walk, s->device,
		      s->rebuilt_superblock && !s->rebuilt.proven
			      ? NULL
			      : &soft.report,
		      NULL);
	if (!r)
		r = load_live(s, &walk, sb);
	damaged = walk.nr_faults;
	if (!r)
		r = load_snapshot(s, &walk);
	if (!r)
		r = load_space_map(s, &walk);
	if (!r)
		r = collect_orphans(s, !has_roots(s));
	if (!r && damaged)
		r = attach(s, &walk);
	if (!r && s->nr_attached)
		r = collect_orphans(s, false);
	walk_release(&walk);
	/* damage has been told; what goes wrong from now on is an error */
	s->md.report = s->report;
	s->snapshot.report = s->report;
	s->trees_sound = !s->nr_faults;
	return r;
}

/* --- from what was found to layers -----------------------------------------
 */

struct comparing {
	uint32_t era;
	bool more;
};

static int note_more(void *arg, enum era_class class, uint32_t begin,
		     uint32_t end, uint32_t era)
{
	struct comparing *c = arg;

	(void)begin;
	(void)end;
	if (class == ERA_ORPHAN && era == c->era)
		c->more = true;
	return 0;
}

static int ignore_window(void *arg, uint32_t first, const uint32_t *eras,
			 size_t nr)
{
	(void)arg;
	(void)first;
	(void)eras;
	(void)nr;
	return 0;
}

/*
 * The lowest era in which top dates a block later than base does, 0 where it
 * does in none. What base has lost counts as late as it can be; what top has
 * lost says something only with lost.
 */
static int lowest_beyond(struct era_salvage *s, const struct era_metadata *base,
			 const struct era_metadata *top, bool lost,
			 uint32_t *lowest)
{
	struct comparing c = { .era = 0 };
	struct era_fold fold = { .device = s->device,
				 .nr_blocks = s->md.sb.geometry.nr_blocks,
				 .window = ignore_window,
				 .raised = note_more,
				 .arg = &c };
	struct era_layer *layers = NULL, *more = NULL;
	size_t nr_more = 0;
	int r = era_metadata_layers(base, ERA_REACHABLE, &layers,
				    &fold.nr_layers);

	if (!r)
		r = era_metadata_layers(top, ERA_ASSUMPTION, &more, &nr_more);
	for (size_t i = 0; i < nr_more && !r; i++) {
		if (!more[i].map && !lost)
			continue;
		more[i].class = ERA_ORPHAN;
		r = era_layers_add(&layers, &fold.nr_layers, &more[i]);
	}
	fold.layers = layers;
	if (!r)
		r = era_fold(&fold);
	*lowest = fold.lowest_raise;
	free(layers);
	free(more);
	return r;
}

/*
 * Whether the reachable state's marks of the fork's era are older than the
 * fork: the newer instance began with a copy of what the older one had marked
 * in that era by then, and the older one went on, so all of them are among
 * the orphans' marks. Where one is not, or where the era is still the current
 * one, they are the newer instance's own.
 */
static int is_fork_era_shared(struct era_salvage *s, bool *shared)
{
	struct comparing c = { .era = s->newer.fork_era };
	struct era_fold fold = { .device = s->device,
				 .nr_blocks = s->md.sb.geometry.nr_blocks,
				 .window = ignore_window,
				 .raised = note_more,
				 .arg = &c };
	struct era_layer *layers = NULL, *top = NULL;
	size_t nr_top = 0;
	int r = era_orphans_layers(&s->orphans, &layers, &fold.nr_layers);

	for (size_t i = 0; i < fold.nr_layers; i++)
		layers[i].class = ERA_REACHABLE;
	if (!r)
		r = era_metadata_layers(&s->md, ERA_ASSUMPTION, &top, &nr_top);
	for (size_t i = 0; i < nr_top && !r; i++) {
		top[i].class = ERA_ORPHAN;
		r = era_layers_add(&layers, &fold.nr_layers, &top[i]);
	}
	fold.layers = layers;
	if (!r)
		r = era_fold(&fold);
	free(layers);
	free(top);
	*shared = !c.more && s->newer.fork_era < s->md.sb.geometry.current_era;
	return r;
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
	struct walk walk;
	int r = walk_init(&walk, s->device, NULL, NULL);

	*whole = false;
	if (!r)
		r = era_metadata_load(&s->other, &walk, sb, false);
	if (!r && !walk.nr_faults) {
		r = era_newer_compare(&left, &s->md, &s->other, &s->orphans);
		*whole = !r && !left.found;
	}
	walk_release(&walk);
	if (!*whole)
		era_metadata_release(&s->other);
	return r;
}

static int find_other(struct era_salvage *s)
{
	struct era_proven *states;
	uint64_t nr_witnesses;
	size_t nr;
	int r = era_find_proven(&s->scan, &s->md.sb.geometry, &states, &nr,
				&nr_witnesses);

	for (size_t i = 0; i < nr && !r && !s->other_is_whole; i++)
		if (!states[i].sb.writeset_root)
			r = load_other(s, &states[i].sb, &s->other_is_whole);
	free(states);
	return r;
}

/*
 * A slot of the reachable trees that the other instance has used again for
 * something of its own: what is there now is the other's.
 */
static void drop_reused(struct array_map *map, const uint32_t *owner,
			uint32_t tag)
{
	size_t kept = 0;

	for (size_t i = 0; i < map->nr_slots; i++) {
		uint32_t mine = tag + map->slots[i].index + 1;
		uint32_t theirs = owner[map->slots[i].block];

		if (!theirs || theirs == mine)
			map->slots[kept++] = map->slots[i];
	}
	map->nr_slots = kept;
}

#define BITSET_TAG UINT32_C(0x80000000)

static void claim_slots(const struct array_map *map, uint32_t *owner,
			uint32_t tag)
{
	for (size_t i = 0; i < map->nr_slots; i++)
		owner[map->slots[i].block] = tag + map->slots[i].index + 1;
}

static int drop_all_reused(struct era_salvage *s)
{
	uint32_t *owner = calloc((size_t)s->scan.nr_blocks + 1, sizeof(*owner));

	if (!owner)
		return -ENOMEM;
	claim_slots(&s->other.eras, owner, 0);
	for (size_t i = 0; i < s->other.nr_writesets; i++)
		claim_slots(&s->other.writesets[i].words, owner, BITSET_TAG);
	drop_reused(&s->md.eras, owner, 0);
	for (size_t i = 0; i < s->md.nr_writesets; i++)
		drop_reused(&s->md.writesets[i].words, owner, BITSET_TAG);
	free(owner);
	return 0;
}

/*
 * The lowest era in which the reachable trees date a block later than the
 * other instance does, 0 where they do in none. The other has all that was
 * marked before the fork, so this is the early table's own, even where the
 * other one was idle for an era or two after the fork.
 */
static int lowest_own_era(struct era_salvage *s, uint32_t *era)
{
	return lowest_beyond(s, &s->other, &s->md, false, era);
}

static int note_greatest(void *arg, uint32_t first, const uint32_t *eras,
			 size_t nr)
{
	uint32_t *greatest = arg;

	(void)first;
	for (size_t i = 0; i < nr; i++)
		*greatest = *greatest < eras[i] ? eras[i] : *greatest;
	return 0;
}

/*
 * The era that what was written after the fork counts as, and the device's
 * new current one: later than all that either instance has seen.
 */
static int newest_era(const struct era_salvage *s, uint32_t *newest)
{
	uint32_t greatest = s->options.geometry.current_era;
	struct era_fold fold = { .device = s->device,
				 .nr_blocks = s->geometry.nr_blocks,
				 .layers = s->layers,
				 .nr_layers = s->nr_layers,
				 .window = note_greatest,
				 .arg = &greatest };
	int r;

	if (greatest < s->md.sb.geometry.current_era)
		greatest = s->md.sb.geometry.current_era;
	if (greatest < s->orphans.greatest_era)
		greatest = s->orphans.greatest_era;
	if (s->other_is_whole && greatest < s->other.sb.geometry.current_era)
		greatest = s->other.sb.geometry.current_era;
	for (size_t i = 0; i < s->md.nr_writesets; i++)
		if (greatest < s->md.writesets[i].era)
			greatest = s->md.writesets[i].era;
	r = era_fold(&fold);
	*newest = greatest < UINT32_MAX ? greatest + 1 : greatest;
	return r;
}

/*
 * A forked history: what is reachable and later than the fork was written by
 * the newer instance, after everything that the orphans know of. The first
 * nr_reachable layers are the reachable ones.
 */
static int redate(struct era_salvage *s, size_t nr_reachable, uint32_t newest)
{
	bool shared = false;
	uint32_t from, own;
	int r = is_fork_era_shared(s, &shared);

	if (!r)
		r = lowest_own_era(s, &own);
	if (r)
		return r;
	from = s->newer.fork_era + shared;
	if (own && own < from)
		from = own;
	for (size_t i = 0; i < nr_reachable; i++) {
		s->layers[i].redate_from = from;
		s->layers[i].redate_to = newest;
		/* what was used again held no more than the other has */
		if (s->nr_faults == s->nr_foreign)
			s->layers[i].lost_era = 0;
	}
	era_report(
		s->report, ERA_DAMAGED, NULL, ERA_NO_DATA,
		"a table was loaded too early; what the other one recorded is "
		"whole: it reaches era %" PRIu32 " and dates %" PRIu64
		" blocks later; what the early one recorded, from era %" PRIu32
		" on, counts as written in era %" PRIu32,
		s->other.sb.geometry.current_era, s->newer.nr_data_blocks, from,
		newest);
	return 0;
}

/* The other's history is not wholly left: every block may be in what is not. */
static int assume_all(struct era_salvage *s, uint32_t newest)
{
	struct era_layer layer = { .class = ERA_ASSUMPTION, .era = newest };

	era_report(s->report, ERA_ASSUMED, NULL,
		   ((struct era_data_range){ 0, s->geometry.nr_blocks }),
		   "a table was loaded too early, and of what the other one "
		   "recorded an unknown part is overwritten: every data block "
		   "counts as written in era %" PRIu32,
		   newest);
	return era_layers_add(&s->layers, &s->nr_layers, &layer);
}

/* What the other's last state says, orphan or not. */
static int add_other(struct era_salvage *s)
{
	struct era_layer *more;
	size_t nr_more;
	int r = era_metadata_layers(&s->other, ERA_ASSUMPTION, &more, &nr_more);

	for (size_t i = 0; i < nr_more && !r; i++) {
		more[i].class = ERA_ORPHAN;
		r = era_layers_add(&s->layers, &s->nr_layers, &more[i]);
	}
	free(more);
	return r;
}

static int plan_fork(struct era_salvage *s)
{
	size_t nr_reachable;
	uint32_t newest;
	int r = collect_orphans(s, true);

	if (!r && s->other_is_whole)
		r = drop_all_reused(s);
	if (!r)
		r = era_metadata_layers(&s->md, ERA_ASSUMPTION, &s->layers,
					&s->nr_layers);
	nr_reachable = s->nr_layers;
	if (!r && s->other_is_whole)
		r = add_other(s);
	if (!r)
		r = era_orphans_layers(&s->orphans, &s->layers, &s->nr_layers);
	if (!r)
		r = newest_era(s, &newest);
	if (r)
		return r;
	s->geometry.current_era = newest;
	return s->other_is_whole ? redate(s, nr_reachable, newest)
				 : assume_all(s, newest);
}

static int add_open_orphans(struct era_salvage *s, struct era_layer **layers,
			    size_t *nr);

/* Without a superblock: what the last state may lack. */
static int add_unproven(struct era_salvage *s)
{
	struct era_layer layer = { .map = NULL };
	uint32_t newest = 0;
	int r;

	if (s->rebuilt.proven && !s->newer.found)
		return add_open_orphans(s, &s->layers, &s->nr_layers);
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
	r = newest_era(s, &newest);
	if (s->geometry.current_era < newest)
		s->geometry.current_era = newest;
	layer.class = ERA_ASSUMPTION;
	layer.era = s->geometry.current_era;
	return r ? r : era_layers_add(&s->layers, &s->nr_layers, &layer);
}

/*
 * The writesets that were open in the other proven states. In an unforked
 * history the last state has all that they mark, so this changes nothing.
 */
static int add_open_orphans(struct era_salvage *s, struct era_layer **layers,
			    size_t *nr)
{
	struct walk walk;
	int r = walk_init(&walk, s->device, NULL, NULL);

	for (size_t i = 0; i < s->rebuilt.nr_open && !r; i++) {
		struct orphan_writeset *open = &s->rebuilt.open[i];
		struct era_where where = { NULL, "bitset", open->root };
		struct era_layer layer = { .class = ERA_ORPHAN,
					   .era = open->era,
					   .map = &open->words,
					   .data = { 0, open->nr_bits } };

		array_map_release(&open->words);
		open->words = (struct array_map){
			.value_size = 8,
			.nr_values = era_nr_words(open->nr_bits),
			.root = open->root,
			.name = "open writeset",
		};
		walk_next_pass(&walk);
		r = array_map_load(&open->words, &walk, &where);
		if (!r)
			r = era_layers_add(layers, nr, &layer);
	}
	walk_release(&walk);
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
	nr_lost = 0;
	if (!s->older_fills &&
	    !read_through(s, &md->eras, NULL, &nr_lost, NULL) && nr_lost)
		era_report(s->report, ERA_ASSUMED, NULL, ERA_NO_DATA,
			   "%" PRIu64
			   " blocks of the era array are lost: their data "
			   "blocks count as written in era %" PRIu32,
			   nr_lost, era_metadata_lost_era(md));
	for (size_t i = 0; i < md->nr_writesets; i++) {
		const struct era_writeset *ws = &md->writesets[i];

		nr_lost = 0;
		if (!ws->partial &&
		    !read_through(s, &ws->words, NULL, &nr_lost, NULL) &&
		    nr_lost)
			era_report(s->report, ERA_ASSUMED, NULL, ERA_NO_DATA,
				   "%" PRIu64 " blocks of writeset %" PRIu32
				   " are lost: their data blocks count as "
				   "written in that era",
				   nr_lost, ws->era);
	}
}

/* --- holes that an older state fills ----------------------------------------
 */

/* Counts how many btree leaves file each bitset block. */
static int count_claim(void *arg, uint64_t block, const uint8_t *node)
{
	uint8_t *claims = ((void **)arg)[0];
	const struct era_scan *scan = ((void **)arg)[1];

	(void)block;
	for (uint32_t i = 0; i < node_nr_entries(node); i++) {
		uint64_t child = get_le64(node_value(node, i, 8));

		if (child < scan->nr_blocks && claims[child] < 2)
			claims[child]++;
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
	void *arg[2] = { claims, (void *)(uintptr_t)&s->scan };
	int r;

	*untouched = true;
	if (!claims)
		return -ENOMEM;
	r = era_scan_each(&s->scan, ROLE_POINTERS, NULL, count_claim, arg);
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
	uint32_t lowest;
	int r = lowest_beyond(s, &s->md, &s->other, true, &lowest);

	*dominated = !lowest;
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

/*
 * An older state that a space map proves has every write before it; what was
 * written since is in the writesets of its open era and of later ones. Where
 * all of those are still there, the two together miss nothing, and holes of
 * the era array and of the writeset tree are filled exactly.
 */
static int fill_from_older(struct era_salvage *s)
{
	const struct era_proven *best = NULL;
	struct era_proven *states;
	uint64_t nr_witnesses, nr_lost = 0;
	struct walk walk;
	size_t nr;
	int r = read_through(s, &s->md.eras, NULL, &nr_lost, NULL);

	if (r || (!nr_lost && !s->md.writesets_lost) ||
	    s->options.reachable_only)
		return r;
	r = era_find_proven(&s->scan, &s->md.sb.geometry, &states, &nr,
			    &nr_witnesses);
	for (size_t i = 0; i < nr && !r; i++) {
		const struct era_superblock *sb = &states[i].sb;
		uint32_t next = sb->geometry.current_era + !sb->writeset_root;

		if (next >= lowest_present(&s->md) &&
		    sb->geometry.nr_blocks == s->md.sb.geometry.nr_blocks &&
		    (!best || states[i].sum > best->sum))
			best = &states[i];
	}
	if (!r && best) {
		r = walk_init(&walk, s->device, NULL, NULL);
		if (!r)
			r = era_metadata_load(&s->other, &walk, &best->sb,
					      false);
		if (!r && !walk.nr_faults)
			r = is_untouched(s, &s->other, &s->older_fills);
		if (!r && s->older_fills)
			r = is_dominated(s, &s->older_fills);
		walk_release(&walk);
	}
	if (!s->older_fills)
		era_metadata_release(&s->other);
	else
		era_report(s->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "what is lost of the era array and of the writeset "
			   "tree is filled from an older state that the space "
			   "map in block %" PRIu64 " proves",
			   s->other.sb.space_map.bitmap_root);
	if (s->older_fills)
		s->md.writesets_lost = false;
	free(states);
	return r;
}

/* Without a superblock, what nothing leads to counts as well. */
static int plan_rebuilt(struct era_salvage *s)
{
	int r = era_orphans_layers(&s->orphans, &s->layers, &s->nr_layers);

	return r ? r : add_unproven(s);
}

/*
 * A state that a space map proves is not the last where bitsets without a name
 * mark blocks that it has never heard of.
 */
static int compare_nameless(struct era_salvage *s)
{
	struct era_fold fold = { .device = s->device,
				 .nr_blocks = s->md.sb.geometry.nr_blocks,
				 .window = ignore_window,
				 .raised = note_more,
				 .arg = &(struct comparing){ .era = 1 } };
	struct era_layer layer = { .class = ERA_ORPHAN, .era = 1 };
	struct era_layer *layers = NULL;
	int r = era_metadata_layers(&s->md, ERA_REACHABLE, &layers,
				    &fold.nr_layers);

	for (size_t i = 0; i < s->orphans.nr_word_versions && !r; i++) {
		layer.map = &s->orphans.word_versions[i];
		r = era_layers_add(&layers, &fold.nr_layers, &layer);
	}
	if (!r)
		r = add_open_orphans(s, &layers, &fold.nr_layers);
	fold.layers = layers;
	if (!r)
		r = era_fold(&fold);
	free(layers);
	s->newer.found = s->newer.found || fold.lowest_raise;
	return r;
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

static int compare(struct era_salvage *s)
{
	int r;

	if (!has_roots(s))
		return 0;
	if (s->options.reachable_only && !s->rebuilt_superblock)
		return 0;
	r = era_newer_compare(&s->newer, &s->md, NULL, &s->orphans);
	if (s->rebuilt_superblock && is_any_disputed(s))
		s->newer.found = true;
	if (s->rebuilt_superblock)
		return r || s->newer.found ? r : compare_nameless(s);
	/* rot makes no sound block of another kind */
	s->forked = s->newer.found || s->nr_foreign;
	/*
	 * A lost write leaves a sound older block, too. What is newer has to
	 * be seen before it can be shown to be whole.
	 */
	return !r && s->newer.found ? find_other(s) : r;
}

static int plan(struct era_salvage *s)
{
	int r = compare(s);

	s->geometry = s->md.sb.geometry;
	s->exact = s->trees_sound && !s->rebuilt_superblock && !s->forked;
	if (r || s->exact)
		return r;
	if (s->forked)
		return plan_fork(s);
	if (has_roots(s)) {
		r = fill_from_older(s);
		if (!r)
			report_holes(s);
		if (!r)
			r = era_metadata_layers(&s->md, ERA_ASSUMPTION,
						&s->layers, &s->nr_layers);
	}
	if (!r && s->older_fills) {
		s->layers[0].lost_era = 0; /* the era array's */
		r = add_other(s);
	}
	if (!r && s->rebuilt_superblock)
		r = plan_rebuilt(s);
	return r;
}

static int read_superblock(struct era_salvage *s, struct era_superblock *sb)
{
	struct softened soft;
	int r;

	soften_init(&soft, s->report);
	r = era_superblock_read(sb, s->device, ERA_SUPERBLOCK_LOCATION,
				&soft.report);
	/* roots may lie past the end, counts not past the format's limit */
	if (!r && sb->space_map.nr_blocks > s->device->nr_blocks)
		era_report(s->report, ERA_DAMAGED, NULL, ERA_NO_DATA,
			   "the device has %" PRIu64
			   " metadata blocks, its space map counts %" PRIu64,
			   s->device->nr_blocks, sb->space_map.nr_blocks);
	return r;
}

/*
 * What is reachable and cannot be read is a hole like any other. But where
 * nothing leads there may lie a newer history, and every write of it.
 */
static int check_readable(struct era_salvage *s)
{
	uint64_t nr = 0, first = 0;

	if (!s->scan.nr_unreadable || s->options.reachable_only)
		return 0;
	for (uint64_t block = s->scan.nr_blocks; block--;) {
		if (!block_set_has(&s->scan.unreadable, block) ||
		    block_set_has(&s->reachable, block))
			continue;
		first = block;
		nr++;
	}
	if (!nr)
		return 0;
	era_report(s->report, ERA_FATAL, NULL, ERA_NO_DATA,
		   "%" PRIu64
		   " unreferenced blocks cannot be read (the first is %" PRIu64
		   "): a newer history may lie there; copy the device, or use "
		   "--reachable-only",
		   nr, first);
	return -EIO;
}

int era_salvage_open(struct era_salvage *s, struct era_device *device,
		     const struct era_salvage_options *options,
		     struct era_report *report)
{
	struct era_superblock sb;
	int r;

	*s = (struct era_salvage){ .device = device,
				   .report = report,
				   .options = *options };
	device->surprise = 0; /* of an attempt before this one */
	r = era_scan_init(&s->scan, device);
	if (!r)
		r = block_set_init(&s->reachable, s->scan.nr_blocks);
	if (!r && read_superblock(s, &sb))
		r = rebuild(s, &sb);
	if (!r)
		r = load(s, &sb);
	if (!r)
		r = check_readable(s);
	if (!r)
		r = plan(s);
	if (!r)
		r = era_device_check(device, report);
	if (r)
		era_salvage_close(s);
	return r;
}

void era_salvage_close(struct era_salvage *s)
{
	era_metadata_release(&s->md);
	era_metadata_release(&s->snapshot);
	era_metadata_release(&s->other);
	era_orphans_release(&s->orphans);
	era_rebuilt_release(&s->rebuilt);
	block_set_release(&s->reachable);
	era_scan_release(&s->scan);
	free(s->layers);
	s->layers = NULL;
}

static int give_window(void *arg, uint32_t first, const uint32_t *eras,
		       size_t nr)
{
	struct era_visitor *sink = arg;

	return sink->eras(sink, first, eras, nr);
}

/* The window goes to the sink, what was raised to the caller. */
struct telling {
	struct era_visitor *sink;
	int (*raised)(void *arg, enum era_class class, uint32_t begin,
		      uint32_t end, uint32_t era);
	void *arg;
};

static int tell_window(void *arg, uint32_t first, const uint32_t *eras,
		       size_t nr)
{
	struct telling *t = arg;

	return give_window(t->sink, first, eras, nr);
}

static int tell_raised(void *arg, enum era_class class, uint32_t begin,
		       uint32_t end, uint32_t era)
{
	struct telling *t = arg;

	return t->raised ? t->raised(t->arg, class, begin, end, era) : 0;
}

int era_salvage_read_tell(struct era_salvage *s, struct era_visitor *sink,
			  int (*raised)(void *arg, enum era_class class,
					uint32_t begin, uint32_t end,
					uint32_t era),
			  void *arg)
{
	struct telling telling = { sink, raised, arg };
	struct era_fold fold = { .device = s->device,
				 .nr_blocks = s->geometry.nr_blocks,
				 .layers = s->layers,
				 .nr_layers = s->nr_layers,
				 .window = tell_window,
				 .raised = tell_raised,
				 .arg = &telling };
	int r;

	if (s->exact)
		return s->options.logical ? era_read_logical(&s->md, sink)
					  : era_read(&s->md, sink);
	r = sink->superblock(sink, &s->geometry);
	if (!r)
		r = era_fold(&fold);
	/* what can no longer be read was planned to be there */
	if (!r)
		r = era_device_check(s->device, s->report);
	return r ? r : sink->end(sink);
}

int era_salvage_read(struct era_salvage *s, struct era_visitor *sink)
{
	return era_salvage_read_tell(s, sink, NULL, NULL);
}

/* Adds the blocks of a proven state and of the space map that proves it. */
static int add_proven(const struct era_salvage *s,
		      const struct era_superblock *sb, struct block_set *blocks)
{
	struct era_where where = { NULL, "superblock", 0 };
	struct era_metadata md = { .nr_writesets = 0 };
	struct walk walk;
	int r = walk_init(&walk, s->device, NULL, NULL);

	if (!r)
		r = era_metadata_load(&md, &walk, sb, false);
	if (!r)
		block_set_merge(blocks, &walk.seen);
	if (!r) {
		walk_next_pass(&walk);
		r = space_map_check(&walk, &sb->space_map, &where, false);
	}
	if (!r)
		block_set_merge(blocks, &walk.seen);
	era_metadata_release(&md);
	walk_release(&walk);
	return r;
}

static int add_evidence_leaf(void *arg, uint64_t block, const uint8_t *node)
{
	struct block_set *blocks = arg;

	(void)node;
	block_set_add(blocks, block);
	return 0;
}

/* All blocks with meaning: without a superblock any of them may be needed. */
static int add_all_evidence(const struct era_salvage *s,
			    struct block_set *blocks)
{
	int r = 0;

	for (size_t i = 0; i < s->nr_layers; i++) {
		const struct array_map *map = s->layers[i].map;

		for (size_t k = 0; map && k < map->nr_slots; k++)
			block_set_add(blocks, map->slots[k].block);
	}
	r = era_scan_each(&s->scan, ROLE_WRITESETS, NULL, add_evidence_leaf,
			  blocks);
	if (!r)
		r = era_scan_each(&s->scan, ROLE_POINTERS, NULL,
				  add_evidence_leaf, blocks);
	return r;
}

int era_salvage_evidence(const struct era_salvage *s, struct block_set *blocks)
{
	block_set_merge(blocks, &s->reachable);
	if (s->rebuilt_superblock && !s->rebuilt.proven)
		return add_all_evidence(s, blocks);
	if (s->rebuilt_superblock)
		return add_proven(s, &s->rebuilt.sb, blocks);
	if (s->other_is_whole || s->older_fills)
		return add_proven(s, &s->other.sb, blocks);
	/* orphans alone tell of the fork: the next repair must see them, too */
	if (s->forked && !s->nr_foreign)
		return add_all_evidence(s, blocks);
	return 0;
}
