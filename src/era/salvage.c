/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is reachable, what is not, and what must be assumed: from a damaged
 * device to the layers that a fold merges, and the source that drives a sink
 * with the result. The parts are in salvage_*.c.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "era/beyond.h"
#include "era/fold.h"
#include "era/reader.h"
#include "era/salvage_parts.h"
#include "history/former.h"

bool era_salvage_has_roots(const struct era_salvage *s)
{
	return !s->rebuilt_superblock || s->rebuilt.proven;
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

/* One a second, with nothing written in any of them, for eleven days. */
#define IDLE_ERAS 1000000

uint32_t era_salvage_unreached(const struct era_salvage *s, uint32_t era)
{
	uint32_t named = s->options.geometry.current_era;

	if (named)
		return era < named ? named : era;
	return era < UINT32_MAX - IDLE_ERAS ? era + IDLE_ERAS : UINT32_MAX;
}

int era_salvage_newest_era(const struct era_salvage *s, uint32_t *newest)
{
	uint32_t greatest = s->options.geometry.current_era;
	struct era_fold fold = { .device = s->device,
				 .nr_blocks = s->geometry.nr_blocks,
				 .layers = &s->layers,
				 .window = note_greatest,
				 .arg = &greatest };
	int r;

	if (greatest < s->md.sb.geometry.current_era)
		greatest = s->md.sb.geometry.current_era;
	if (greatest < s->orphans.greatest_era)
		greatest = s->orphans.greatest_era;
	if (greatest < s->second.sb.geometry.current_era)
		greatest = s->second.sb.geometry.current_era;
	for (size_t i = 0; i < s->md.nr_writesets; i++)
		if (greatest < s->md.writesets[i].era)
			greatest = s->md.writesets[i].era;
	r = era_fold(&fold);
	*newest = greatest < UINT32_MAX ? greatest + 1 : greatest;
	return r;
}

int era_salvage_compare_nameless(struct era_salvage *s,
				 const struct era_metadata *second, bool *found)
{
	struct era_layer layer = { .trust = ERA_ORPHAN, .era = 1 };
	struct era_layers layers = { .nr = 0 };
	struct era_beyond beyond = { .lowest = 0 };
	int r = era_layers_add_metadata(&layers, &s->md, ERA_REACHABLE,
					ERA_REACHABLE);

	if (!r && second)
		r = era_layers_add_metadata(&layers, second, ERA_REACHABLE,
					    ERA_REACHABLE);
	for (size_t i = 0; i < s->orphans.nr_word_versions && !r; i++) {
		layer.map = &s->orphans.word_versions[i];
		r = era_layers_add(&layers, &layer);
	}
	if (!r)
		r = era_beyond(&beyond, s->device, s->md.sb.geometry.nr_blocks,
			       &layers);
	era_layers_release(&layers);
	*found = beyond.lowest;
	return r;
}

int era_salvage_add_second(struct era_salvage *s)
{
	return era_layers_add_metadata(&s->layers, &s->second, ERA_ORPHAN,
				       ERA_ASSUMPTION);
}

static int compare(struct era_salvage *s)
{
	bool known;
	int r = 0;

	if (!era_salvage_has_roots(s))
		return 0;
	if (s->rebuilt_superblock)
		return era_salvage_doubt_rebuilt(s);
	if (s->options.reachable_only)
		return 0;
	/* what the trees lead to has been used again: it may be the other's */
	if (s->nr_reused)
		r = era_salvage_collect_orphans(s, false, true);
	if (!r)
		r = era_newer_compare(&s->newer, &s->md, NULL, &s->orphans);
	if (!r)
		era_newer_find_fork(&s->newer, &s->commits);
	known = s->newer.found;
	/* a sign of which no state can be shown to have all */
	if (!r)
		r = era_newer_find_twice(&s->newer, &s->md, &s->orphans);
	if (!r && !s->nr_reused && !s->newer.nr_other && !s->newer.twice)
		r = era_salvage_find_later(s);
	if (r || s->second_is == ERA_SECOND_LATER)
		return r;
	/*
	 * A lost write leaves a sound older block, too. What is newer has to
	 * be seen before it can be shown to be whole.
	 */
	if (s->newer.found && (known || !s->newer.twice))
		r = era_salvage_find_other(s);
	if (!r)
		era_newer_find_gap(&s->newer, &s->md, &s->scan);
	s->unaccounted |= s->newer.missing != 0;
	/* rot makes no sound block of another kind */
	s->forked = s->newer.found || s->nr_reused || s->unaccounted;
	return r;
}

/*
 * No date may be above the current era, though a reachable block that was used
 * again, and is not to be taken for a newer history, can name any.
 */
static void raise_current_era(struct era_salvage *s)
{
	uint32_t greatest = s->greatest_digested;

	for (size_t i = 0; i < s->md.nr_writesets; i++)
		if (greatest < s->md.writesets[i].era)
			greatest = s->md.writesets[i].era;
	if (greatest <= s->geometry.current_era)
		return;
	era_report(s->report, ERA_DAMAGED, NULL, ERA_NO_DATA,
		   "the trees name era %" PRIu32 ", the current one is %" PRIu32
		   ": it is raised",
		   greatest, s->geometry.current_era);
	s->geometry.current_era = greatest;
}

static int plan(struct era_salvage *s)
{
	int r = compare(s);

	s->geometry = s->md.sb.geometry;
	s->exact = s->trees_sound && !s->rebuilt_superblock &&
		   !s->newer.found && !s->forked && !s->nr_reused;
	if (s->exact) /* they say nothing, and the check wants their memory */
		era_orphans_release(&s->orphans);
	if (r || s->exact)
		return r;
	if (s->second_is == ERA_SECOND_LATER)
		return era_salvage_plan_later(s);
	if (s->forked)
		return era_salvage_plan_fork(s);
	raise_current_era(s);
	if (era_salvage_has_roots(s))
		r = era_salvage_plan_holes(s);
	if (!r && s->rebuilt_superblock)
		r = era_salvage_plan_rebuilt(s);
	return r;
}

/*
 * What is reachable and cannot be read is a hole like any other. But where
 * nothing leads there may lie a newer history, and every write of it.
 */
static int check_readable(struct era_salvage *s)
{
	uint64_t nr = 0, first = 0;

	if (!s->scan.nr_unreadable)
		return 0;
	for (uint64_t block = s->scan.nr_blocks; block--;) {
		if (!block_set_has(&s->scan.unreadable, block) ||
		    block_set_has(&s->reachable, block))
			continue;
		first = block;
		nr++;
	}
	s->passed_over = nr && s->options.reachable_only;
	if (!nr || s->passed_over)
		return 0;
	era_report_kind(
		s->report, ERA_KIND_UNREADABLE, ERA_FATAL, NULL, ERA_NO_DATA,
		"%" PRIu64
		" unreferenced blocks cannot be read (the first is %" PRIu64
		"): a newer history may lie there; copy the device, or use "
		"--reachable-only",
		nr, first);
	return -EIO;
}

/* The same of what lies past the end of a copy that was cut short. */
static int check_length(struct era_salvage *s)
{
	if (s->md.sb.space_map.nr_blocks <= s->device->nr_blocks)
		return 0;
	s->passed_over |= s->options.reachable_only;
	if (s->passed_over)
		return 0;
	era_report_kind(
		s->report, ERA_KIND_CUT_OFF, ERA_FATAL, NULL, ERA_NO_DATA,
		"a newer history may lie in the blocks that are missing; "
		"copy the whole device, or use --reachable-only");
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
		r = era_correct(&s->corrected, &s->scan);
	if (!r)
		r = block_set_init(&s->live, s->scan.nr_blocks);
	if (!r)
		r = block_set_init(&s->reachable, s->scan.nr_blocks);
	if (!r)
		r = block_set_init(&s->snapshot_only, s->scan.nr_blocks);
	if (!r)
		r = era_salvage_read_superblock(s, &sb)
			    ? era_salvage_rebuild(s, &sb)
			    : era_forget_former(&s->scan, &sb);
	if (!r && !s->rebuilt_superblock) {
		r = era_commits_load(&s->commits, &s->scan, &sb);
		if (!r)
			r = era_under_way_find(&s->under_way, &s->scan,
					       &s->commits);
	}
	if (!r)
		r = era_salvage_load(s, &sb);
	if (!r)
		r = check_readable(s);
	if (!r)
		r = check_length(s);
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
	era_metadata_release(&s->second);
	era_orphans_release(&s->orphans);
	era_commits_release(&s->commits);
	era_under_way_release(&s->under_way);
	era_rebuilt_release(&s->rebuilt);
	block_set_release(&s->live);
	block_set_release(&s->reachable);
	block_set_release(&s->snapshot_only);
	era_scan_release(&s->scan);
	era_layers_release(&s->layers);
	era_correct_release(&s->corrected, s->device);
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
	era_raised_fn raised;
	void *arg;
};

static int tell_window(void *arg, uint32_t first, const uint32_t *eras,
		       size_t nr)
{
	struct telling *t = arg;

	return give_window(t->sink, first, eras, nr);
}

static int tell_raised(void *arg, enum era_class trust, uint32_t begin,
		       uint32_t end, uint32_t era)
{
	struct telling *t = arg;

	return t->raised ? t->raised(t->arg, trust, begin, end, era) : 0;
}

int era_salvage_read_tell(struct era_salvage *s, struct era_visitor *sink,
			  era_raised_fn raised, void *arg)
{
	struct telling telling = { sink, raised, arg };
	struct era_fold fold = { .device = s->device,
				 .nr_blocks = s->geometry.nr_blocks,
				 .layers = &s->layers,
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
