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
	enum era_severity severity = problem->severity == ERA_FATAL ?
					     ERA_DAMAGED :
					     problem->severity;

	era_report(s->to, severity, problem->where, problem->data, "%s",
		   problem->text);
}

static void soften_init(struct softened *s, struct era_report *to)
{
	*s = (struct softened){ .report = { .problem = soften }, .to = to };
	s->report.arg = s;
}

/* Reads every array block of a map; counts those that are lost. */
static int read_through(struct era_salvage *s, const struct array_map *map,
			struct era_report *report, uint64_t *nr_lost)
{
	uint32_t nr_blocks = array_map_nr_blocks(map);
	struct array_window window;
	int r = array_window_init(&window, WINDOW_BLOCKS);

	for (uint32_t first = 0; first < nr_blocks && !r;
	     first += WINDOW_BLOCKS)
		r = array_window_read(&window, s->device, map, first,
				      WINDOW_BLOCKS, report, nr_lost);
	array_window_release(&window);
	return r;
}

static int read_all_through(struct era_salvage *s,
			    const struct era_metadata *md,
			    struct era_report *report, uint64_t *nr_lost)
{
	int r = read_through(s, &md->eras, report, nr_lost);

	for (size_t i = 0; i < md->nr_writesets && !r; i++)
		r = read_through(s, &md->writesets[i].words, report, nr_lost);
	return r;
}

/* The live trees. */
static int load_live(struct era_salvage *s, struct walk *walk,
		     const struct era_superblock *sb)
{
	uint64_t nr_lost = 0;
	int r = era_metadata_load(&s->md, walk, sb, false);

	if (!r)
		r = read_all_through(s, &s->md, walk->report, &nr_lost);
	s->nr_faults = walk->nr_faults + nr_lost;
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
		r = read_all_through(s, &s->snapshot, NULL, &nr_lost);
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
	uint64_t nr_lost = 0;
	int r = era_witness_load(&witness, &s->scan,
				 s->md.sb.space_map.bitmap_root);

	if (r)
		return r == -ENOMEM ? r : 0;
	walk_next_pass(walk);
	/* known to be reached, so that nothing is attached twice */
	block_set_merge(&walk->seen, &s->reachable);
	r = era_witness_attach(&witness, &s->md, walk, &s->orphans,
			       &s->reachable, &s->nr_attached);
	era_witness_release(&witness);
	/* some of what was attached may be damaged itself */
	if (!r && s->nr_attached)
		r = read_all_through(s, &s->md, NULL, &nr_lost);
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
			   "the superblock is lost and nothing else tells the tracking block size: give it with --block-size");
		return -EINVAL;
	}
	if (!g->nr_blocks) {
		era_report(s->report, ERA_FATAL, NULL, ERA_NO_DATA,
			   "the superblock is lost and nothing else tells the number of data blocks: give it with --nr-blocks");
		return -EINVAL;
	}
	return era_geometry_check(g, s->report, NULL) ? -EINVAL : 0;
}

static void report_rebuilt(struct era_salvage *s)
{
	const struct era_rebuilt *rb = &s->rebuilt;

	if (rb->have_copy)
		era_report(s->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "the geometry is that of the superblock copy in block %" PRIu64,
			   rb->copy);
	if (rb->proven)
		era_report(s->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "the superblock was rebuilt from the last of %" PRIu64
			   " committed states that space maps prove (index block %" PRIu64
			   "); its era was %" PRIu32,
			   rb->nr_proven, rb->sb.space_map.bitmap_root,
			   rb->sb.geometry.current_era);
	else
		era_report(s->report, ERA_ASSUMED, NULL,
			   ((struct era_data_range){
				   0, rb->sb.geometry.nr_blocks }),
			   "no space map proves which blocks were in use last: all that is left counts, and bitsets without a name as of era %" PRIu32,
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
	if (!r && !s->rebuilt.proven && !s->options.geometry.nr_blocks)
		r = era_scan_each(&s->scan, ROLE_ERAS, NULL, measure_array, s);
	if (!r)
		r = check_rebuilt(s);
	if (!r)
		report_rebuilt(s);
	*sb = s->rebuilt.sb;
	return r;
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
		      s->rebuilt_superblock && !s->rebuilt.proven ?
			      NULL :
			      &soft.report,
		      NULL);
	if (!r)
		r = load_live(s, &walk, sb);
	damaged = walk.nr_faults;
	if (!r)
		r = load_snapshot(s, &walk);
	if (!r)
		r = load_space_map(s, &walk);
	if (!r)
		r = collect_orphans(s, false);
	if (!r && damaged)
		r = attach(s, &walk);
	if (!r && s->nr_attached)
		r = collect_orphans(s, false);
	walk_release(&walk);
	s->trees_sound = !s->nr_faults;
	return r;
}

/* --- from what was found to layers ----------------------------------------- */

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
	struct era_layer *layers = NULL, *top;
	size_t nr_top;
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
	*shared = !c.more &&
		  s->newer.fork_era < s->md.sb.geometry.current_era;
	return r;
}

/*
 * A forked history: what is reachable and later than the fork was written by
 * the newer instance, after everything that the orphans know of.
 */
static int redate(struct era_salvage *s)
{
	uint32_t current = s->md.sb.geometry.current_era;
	uint32_t newest = current > s->newer.greatest_era ?
				  current :
				  s->newer.greatest_era;
	bool shared;
	int r;

	if (newest < s->orphans.greatest_era)
		newest = s->orphans.greatest_era;
	newest++;
	r = is_fork_era_shared(s, &shared);
	if (r)
		return r;
	for (size_t i = 0; i < s->nr_layers; i++) {
		s->layers[i].redate_from = s->newer.fork_era + shared;
		s->layers[i].redate_to = newest;
	}
	s->geometry.current_era = newest;
	era_report(s->report, ERA_DAMAGED, NULL, ERA_NO_DATA,
		   "a newer history was found: it reaches era %" PRIu32
		   " and dates %" PRIu64
		   " blocks later; what was written in era %" PRIu32
		   " and later by the table loaded too early counts as written in era %" PRIu32,
		   s->newer.greatest_era, s->newer.nr_data_blocks,
		   s->newer.fork_era + shared, newest);
	return 0;
}

/*
 * The orphans' own holes. Where the newer history is only partly left, a
 * writeset of it that cannot be read marks all of what it could have marked.
 */
static int add_lost_orphans(struct era_salvage *s)
{
	int r = 0;

	for (size_t i = 0; i < s->orphans.nr_writesets && !r; i++) {
		const struct orphan_writeset *ws = &s->orphans.writesets[i];
		struct era_layer layer = { .class = ERA_ASSUMPTION,
					   .era = ws->era,
					   .map = &ws->words,
					   .lost_era = ws->era,
					   .lost_class = ERA_ASSUMPTION,
					   .data = { 0, ws->nr_bits } };

		if (ws->whole || ws->era <= s->md.sb.geometry.current_era)
			continue;
		r = era_layers_add(&s->layers, &s->nr_layers, &layer);
		era_report(s->report, ERA_ASSUMED, NULL,
			   array_map_data(&ws->words, 0,
					  array_map_nr_blocks(&ws->words)),
			   "writeset %" PRIu32
			   " of the newer history is overwritten: what it lacks counts as written in era %" PRIu32,
			   ws->era, ws->era);
	}
	return r;
}

static int add_open_orphans(struct era_salvage *s);

/* Without a superblock: open writesets of other states, or of none. */
static int add_nameless(struct era_salvage *s)
{
	struct era_layer layer = { .class = ERA_ORPHAN,
				   .era = s->geometry.current_era };
	int r = 0;

	if (s->rebuilt.proven)
		return add_open_orphans(s);
	for (size_t i = 0; i < s->orphans.nr_word_versions && !r; i++) {
		layer.map = &s->orphans.word_versions[i];
		r = era_layers_add(&s->layers, &s->nr_layers, &layer);
	}
	return r;
}

/*
 * The writesets that were open in the other proven states. In an unforked
 * history the last state has all that they mark, so this changes nothing.
 */
static int add_open_orphans(struct era_salvage *s)
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

		open->words = (struct array_map){
			.value_size = 8,
			.nr_values = era_nr_words(open->nr_bits),
			.root = open->root,
			.name = "open writeset",
		};
		walk_next_pass(&walk);
		r = array_map_load(&open->words, &walk, &where);
		if (!r)
			r = era_layers_add(&s->layers, &s->nr_layers, &layer);
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
			   "an unknown number of writesets is lost: every data block counts as written in era %" PRIu32,
			   era_metadata_last_archived(md));
	nr_lost = 0;
	if (!read_through(s, &md->eras, NULL, &nr_lost) && nr_lost)
		era_report(s->report, ERA_ASSUMED, NULL, ERA_NO_DATA,
			   "%" PRIu64
			   " blocks of the era array are lost: their data blocks count as written in era %" PRIu32,
			   nr_lost, era_metadata_lost_era(md));
	for (size_t i = 0; i < md->nr_writesets; i++) {
		const struct era_writeset *ws = &md->writesets[i];

		nr_lost = 0;
		if (!ws->partial &&
		    !read_through(s, &ws->words, NULL, &nr_lost) && nr_lost)
			era_report(s->report, ERA_ASSUMED, NULL, ERA_NO_DATA,
				   "%" PRIu64
				   " blocks of writeset %" PRIu32
				   " are lost: their data blocks count as written in that era",
				   nr_lost, ws->era);
	}
}

static int plan_orphans(struct era_salvage *s)
{
	size_t first = s->nr_layers;
	int r = era_orphans_layers(&s->orphans, &s->layers, &s->nr_layers);

	/* what no version of the era array is left of, without a superblock */
	for (size_t i = first; i < s->nr_layers && !r; i++) {
		if (s->layers[i].map != s->orphans.era_versions ||
		    !s->rebuilt_superblock || s->rebuilt.proven)
			continue;
		s->layers[i].lost_era = s->geometry.current_era;
		s->layers[i].lost_class = ERA_ASSUMPTION;
	}
	if (!r && s->rebuilt_superblock)
		r = add_nameless(s);
	else if (!r)
		r = add_lost_orphans(s);
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

static int plan(struct era_salvage *s)
{
	int r = 0;

	s->geometry = s->md.sb.geometry;
	if (has_roots(s))
		r = era_newer_compare(&s->newer, &s->md, &s->orphans);
	if (!r && s->newer.found)
		r = collect_orphans(s, true);
	s->exact = s->trees_sound && has_roots(s) && !s->newer.found &&
		   !s->rebuilt_superblock;
	if (r || s->exact)
		return r;
	if (has_roots(s)) {
		report_holes(s);
		r = era_metadata_layers(&s->md, ERA_ASSUMPTION, &s->layers,
					&s->nr_layers);
	}
	if (!r && s->newer.found && !s->rebuilt_superblock)
		r = redate(s);
	if (!r && (s->newer.found || s->rebuilt_superblock))
		r = plan_orphans(s);
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

int era_salvage_open(struct era_salvage *s, struct era_device *device,
		     const struct era_salvage_options *options,
		     struct era_report *report)
{
	struct era_superblock sb;
	int r;

	*s = (struct era_salvage){ .device = device,
				   .report = report,
				   .options = *options };
	r = era_scan_init(&s->scan, device);
	if (!r)
		r = block_set_init(&s->reachable, s->scan.nr_blocks);
	if (!r && read_superblock(s, &sb))
		r = rebuild(s, &sb);
	if (!r)
		r = load(s, &sb);
	if (!r)
		r = plan(s);
	if (r)
		era_salvage_close(s);
	return r;
}

void era_salvage_close(struct era_salvage *s)
{
	era_metadata_release(&s->md);
	era_metadata_release(&s->snapshot);
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
		return s->options.logical ? era_read_logical(&s->md, sink) :
					    era_read(&s->md, sink);
	r = sink->superblock(sink, &s->geometry);
	if (!r)
		r = era_fold(&fold);
	return r ? r : sink->end(sink);
}

int era_salvage_read(struct era_salvage *s, struct era_visitor *sink)
{
	return era_salvage_read_tell(s, sink, NULL, NULL);
}

static int add_evidence_leaf(void *arg, uint64_t block, const uint8_t *node)
{
	struct block_set *blocks = arg;

	(void)node;
	block_set_add(blocks, block);
	return 0;
}

int era_salvage_evidence(const struct era_salvage *s, struct block_set *blocks)
{
	int r = 0;

	block_set_merge(blocks, &s->reachable);
	if (s->exact)
		return 0;
	for (size_t i = 0; i < s->nr_layers; i++) {
		const struct array_map *map = s->layers[i].map;

		if (!map)
			continue;
		for (size_t k = 0; k < map->nr_slots; k++)
			block_set_add(blocks, map->slots[k].block);
	}
	/* the leaves that say what these blocks are, and the space maps that
	 * prove what the superblock was, are evidence, too */
	if (s->newer.found || s->rebuilt_superblock) {
		r = era_scan_each(&s->scan, ROLE_WRITESETS, NULL,
				  add_evidence_leaf, blocks);
		if (!r)
			r = era_scan_each(&s->scan, ROLE_POINTERS, NULL,
					  add_evidence_leaf, blocks);
	}
	return r;
}
