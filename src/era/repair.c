/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sinks of a repair and the rules of its in-place transaction.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "era/builder.h"
#include "era/check.h"
#include "era/raise.h"
#include "era/reader.h"
#include "era/repair.h"
#include "era/size.h"

static bool keeps_snapshot(const struct era_salvage *s)
{
	return s->has_snapshot && !s->options.drop_snapshot;
}

/* --- what the user says ----------------------------------------------------*/

static int check_told(const struct era_salvage *s, const char *option,
		      uint32_t told, uint32_t found)
{
	if (!told || told == found)
		return 0;
	era_report_kind(s->report, ERA_KIND_USAGE, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s=%" PRIu32 " contradicts the superblock, which says "
			"%" PRIu32,
			option, told, found);
	return -EINVAL;
}

int era_repair_heed(struct era_salvage *s, struct era_repair_told *told)
{
	const struct era_geometry *g = &s->options.geometry;
	uint32_t found = s->geometry.current_era;
	int r;

	if (s->rebuilt_superblock) /* from that very geometry */
		return 0;
	r = check_told(s, "--block-size", g->data_block_size,
		       s->geometry.data_block_size);
	if (!r)
		r = check_told(s, "--nr-blocks", g->nr_blocks,
			       s->geometry.nr_blocks);
	if (r || g->current_era <= found)
		return r;
	told->is_raised = true;
	told->raised_from = found;
	s->geometry.current_era = g->current_era;
	s->options.logical = true;
	era_report(s->report, ERA_ASSUMED, NULL, ERA_NO_DATA,
		   "the current era is raised from %" PRIu32 " to %" PRIu32
		   ", and all that was written in era %" PRIu32 " or later "
		   "counts as written in that",
		   found, g->current_era, era_raise_first(found));
	return 0;
}

int era_repair_read(struct era_salvage *s, struct era_visitor *sink,
		    const struct era_repair_told *told)
{
	struct era_raise raise;

	if (told->is_raised) {
		era_raise_init(&raise, sink, told->raised_from,
			       s->geometry.current_era);
		sink = &raise.visitor;
	}
	return era_salvage_read_tell(s, sink, told->raised, told->arg);
}

/* --- the last look ---------------------------------------------------------*/

static unsigned int check_flags(const struct era_salvage *s)
{
	return s->options.reachable_only ? ERA_CHECK_REACHABLE_ONLY : 0;
}

/* All zero is no state to go back to: the kernel would format it. */
static int take_back(struct era_device *device, const uint8_t *superblock,
		     struct era_report *report)
{
	bool go_back = superblock && !block_is_zero(superblock);
	int r;

	if (go_back)
		r = era_device_write(device, ERA_SUPERBLOCK_LOCATION, 1,
				     superblock);
	else
		r = era_superblock_invalidate(device);
	if (!r)
		r = era_device_flush(device);
	if (r)
		return era_device_report(device, report, "write", r);
	era_report(report, ERA_FATAL, NULL, ERA_NO_DATA,
		   go_back ? "the repaired metadata is not sound: the state "
			     "from before the repair was put back; repair to "
			     "another device (-o)"
			   : "the repaired metadata is not sound: its "
			     "superblock was made invalid");
	return 0;
}

/* What has been written, and is to be looked at once more. */
struct written {
	struct era_device *device;
	unsigned int check_flags;
	struct era_superblock sb;
	const uint8_t *before; /* what block 0 held, or NULL */
};

/* Whether block 0 is what was written: else the device is another by now. */
static bool is_another(const struct written *written)
{
	uint8_t found[ERA_BLOCK_SIZE], data[ERA_BLOCK_SIZE];

	era_superblock_put(data, &written->sb);
	if (era_device_read_raw(written->device, ERA_SUPERBLOCK_LOCATION, 1,
				found) ||
	    !memcmp(found, data, ERA_BLOCK_SIZE))
		return false;
	era_device_changed(written->device, ERA_SUPERBLOCK_LOCATION);
	return true;
}

/*
 * What was written must hold up to the check. Where it does not, nobody may
 * take it for whole: what block 0 held is written back to where it leads to the
 * old state, else block 0 is made invalid.
 */
static int verify(const struct written *written, struct era_report *report)
{
	uint64_t nr = report->nr[ERA_FATAL] + report->nr[ERA_NON_FATAL];
	int r = era_check(written->device, written->check_flags, report);
	bool another = is_another(written);

	if (!r && report->nr[ERA_FATAL] + report->nr[ERA_NON_FATAL] != nr)
		r = -EUCLEAN;
	if (!r || another) {
		int surprise = era_device_check(written->device, report);

		r = surprise ? surprise : r;
	}
	if (r && !another)
		take_back(written->device, written->before, report);
	return r;
}

/* --- to another device -----------------------------------------------------*/

/* Blocks that the writesets of md take once they are written anew. */
static uint64_t nr_writeset_blocks(const struct era_metadata *md)
{
	uint64_t nr =
		btree_build_nr_nodes(md->nr_writesets, ERA_WRITESET_VALUE_SIZE);

	for (size_t i = 0; i < md->nr_writesets; i++)
		nr += array_build_nr_blocks(md->writesets[i].words.nr_values,
					    8);
	return nr;
}

/*
 * What a snapshot shares with the live trees is written twice, so that it may
 * not fit side by side on a device that was full. Folded writesets take no
 * room at all; after that the snapshot has to go.
 */
static void make_fit(struct era_salvage *s, const struct era_device *target,
		     struct era_report *report)
{
	uint64_t live =
		era_size_minimum(s->geometry.nr_blocks, target->nr_blocks);
	uint64_t sets = s->exact ? nr_writeset_blocks(&s->md) : 0;
	uint64_t snapshot = 0;

	if (target->growable)
		return;
	if (keeps_snapshot(s))
		snapshot = 1 + nr_writeset_blocks(&s->snapshot) +
			   array_build_nr_blocks(
				   s->snapshot.sb.geometry.nr_blocks, 4);
	if (live + sets + snapshot > target->nr_blocks)
		s->options.logical = true;
	if (!snapshot || live + snapshot <= target->nr_blocks)
		return;
	s->options.drop_snapshot = true;
	era_report(report, ERA_ASSUMED, NULL, ERA_NO_DATA,
		   "the metadata snapshot does not fit beside the live "
		   "metadata and is dropped");
}

int era_repair_to(struct era_salvage *s, struct era_device *target,
		  const struct era_repair_told *told, struct era_report *report)
{
	struct written written = { .device = target,
				   .check_flags = check_flags(s) };
	struct era_builder builder;
	int r = era_builder_init(&builder, target, report);

	make_fit(s, target, report);
	if (!r && keeps_snapshot(s)) {
		r = era_read(&s->snapshot, &builder.visitor);
		if (!r)
			r = era_builder_take_snapshot(&builder);
	}
	if (!r)
		r = era_repair_read(s, &builder.visitor, told);
	if (!r)
		r = era_device_check(s->device, report);
	if (!r)
		r = era_builder_commit(&builder);
	written.sb = builder.sb;
	era_builder_release(&builder);
	/* all of it is written: the check can have its memory */
	era_salvage_close(s);
	return r ? r : verify(&written, report);
}

/* --- in place --------------------------------------------------------------*/

/*
 * Where the trees stay as they are, nothing reads the arrays' maps again; with
 * those of the checks to come they would be all the memory there is.
 */
static void release_maps(struct era_metadata *md)
{
	array_map_release(&md->eras);
	for (size_t i = 0; i < md->nr_writesets; i++)
		array_map_release(&md->writesets[i].words);
}

/*
 * What cannot be read and is led to now will be led to no more, and whoever
 * looks for a newer history then, the check of the result first of all, cannot
 * rule out that it lies there. Block 0 can be read once it is written.
 */
static int check_readable(const struct era_salvage *s)
{
	uint64_t nr =
		s->scan.nr_unreadable -
		block_set_has(&s->scan.unreadable, ERA_SUPERBLOCK_LOCATION);

	if (!nr || s->options.reachable_only)
		return 0;
	era_report_kind(s->report, ERA_KIND_UNREADABLE, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%" PRIu64 " block%s cannot be read: repair to another "
			"device (-o)",
			nr, nr == 1 ? "" : "s");
	return -EIO;
}

int era_repair_prepare(struct era_salvage *s, enum era_repair_need *need)
{
	struct era_report quiet = { .problem = NULL };
	int r, surprise;

	*need = ERA_REPAIR_REBUILD;
	if (keeps_snapshot(s) && s->snapshot_corrected) {
		s->options.drop_snapshot = true;
		era_report(s->report, ERA_DAMAGED, NULL, ERA_NO_DATA,
			   "blocks of the metadata snapshot are damaged: it "
			   "cannot stay in place and is dropped (-o keeps it)");
	}
	r = check_readable(s);
	if (r || !s->exact || s->stray_bits || s->options.logical)
		return r;
	release_maps(&s->md);
	release_maps(&s->snapshot);
	/* the salvage has looked at what is unreferenced */
	r = era_check(s->device, ERA_CHECK_REACHABLE_ONLY, &quiet);
	/* which only the quiet report has heard of, if that */
	surprise = era_device_check(s->device, s->report);
	if (r || surprise)
		return surprise ? surprise : r;
	*need = s->md.sb.writeset_root || s->rest_corrected ||
				quiet.nr[ERA_FATAL] ||
				quiet.nr[ERA_NON_FATAL] ||
				(s->md.sb.metadata_snap && !keeps_snapshot(s))
			? ERA_REPAIR_ARCHIVE
			: ERA_REPAIR_NOTHING;
	return 0;
}

/* Counts what a kept metadata snapshot leads to. */
static int count_snapshot(struct era_salvage *s, struct walk *walk)
{
	struct era_metadata md;
	int r;

	if (!keeps_snapshot(s))
		return 0;
	walk_next_pass(walk);
	ref_counts_inc(walk->refs, s->md.sb.metadata_snap);
	r = era_metadata_load(&md, walk, &s->snapshot.sb, true);
	era_metadata_release(&md);
	return r;
}

/* Counts the arrays that stay as they are. */
static int count_arrays(struct era_salvage *s, struct walk *walk)
{
	struct era_where where = { NULL, "superblock", 0 };
	struct array_map map;
	int r = 0;

	for (size_t i = 0; i <= s->md.nr_writesets && !r; i++) {
		map = array_map_unread(i ? &s->md.writesets[i - 1].words
					 : &s->md.eras);
		r = array_map_load(&map, walk, &where);
		array_map_release(&map);
	}
	return r;
}

/* A new writeset tree that names the open one, too. */
static int build_writeset_tree(struct era_salvage *s,
			       struct era_builder *builder, uint64_t *root)
{
	struct btree_build build;
	uint8_t value[ERA_WRITESET_VALUE_SIZE];
	int r = 0;

	btree_build_init(&build, &builder->writer, &builder->allocator,
			 sizeof(value));
	for (size_t i = 0; i < s->md.nr_writesets && !r; i++) {
		const struct era_writeset *ws = &s->md.writesets[i];

		put_le32(value, ws->nr_bits);
		put_le64(value + 4, ws->words.root);
		r = btree_build_add(&build, ws->era, value);
	}
	if (!r)
		r = btree_build_finish(&build, root);
	btree_build_release(&build);
	return r ? era_builder_report(builder, r) : 0;
}

static int archive(struct era_salvage *s, struct era_builder *builder)
{
	builder->sb = s->md.sb;
	builder->sb.flags = 0;
	builder->sb.writeset_root = 0;
	builder->sb.writeset_nr_bits = 0;
	return build_writeset_tree(s, builder, &builder->sb.writeset_tree_root);
}

/* The other commits that are left are settled by this one: it follows none. */
static int write_anew(struct era_salvage *s, struct era_builder *builder,
		      const struct era_repair_told *told)
{
	int r = era_builder_place_index(builder);

	return r ? r : era_repair_read(s, &builder->visitor, told);
}

/* Free blocks that the transaction may use, and how many it will. */
static int check_room(struct era_salvage *s, struct era_builder *builder,
		      enum era_repair_need need,
		      const struct block_set *reserved)
{
	const struct ref_counts *refs = &builder->allocator.refs;
	uint64_t nr_free = 0, nr_needed;

	for (uint64_t block = 0; block < refs->nr_blocks; block++)
		nr_free +=
			!refs->counts[block] && !block_set_has(reserved, block);
	if (need == ERA_REPAIR_ARCHIVE)
		nr_needed = btree_build_nr_nodes(s->md.nr_writesets,
						 ERA_WRITESET_VALUE_SIZE) +
			    space_map_build_nr_blocks(refs->nr_blocks);
	else
		nr_needed = era_size_minimum(s->geometry.nr_blocks,
					     refs->nr_blocks) -
			    1;
	if (nr_needed <= nr_free)
		return 0;
	era_report_kind(builder->report, ERA_KIND_TARGET, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"there is no room to repair in place: %" PRIu64
			" free metadata blocks are needed, %" PRIu64
			" are there; repair to another device (-o)",
			nr_needed, nr_free);
	return -ENOSPC;
}

static int transact(struct era_salvage *s, struct era_builder *builder,
		    enum era_repair_need need,
		    const struct era_repair_told *told)
{
	int r;

	if (need == ERA_REPAIR_ARCHIVE)
		r = archive(s, builder);
	else
		r = write_anew(s, builder, told);
	if (r)
		return r;
	builder->sb.metadata_snap =
		keeps_snapshot(s) ? s->md.sb.metadata_snap : 0;
	r = era_device_check(s->device, builder->report);
	return r ? r : era_builder_commit(builder);
}

static int commit_in_place(struct era_salvage *s, enum era_repair_need need,
			   const struct era_repair_told *told,
			   struct era_superblock *sb, struct era_report *report)
{
	struct era_builder builder = { .device = NULL };
	struct block_set reserved = { .words = NULL };
	struct walk walk = { .device = NULL };
	int r = block_set_init(&reserved, s->scan.nr_blocks);

	if (!r)
		r = era_salvage_evidence(s, &reserved);
	/* what cannot be read is no place for what must be read */
	if (!r)
		block_set_merge(&reserved, &s->scan.unreadable);
	if (!r)
		r = era_builder_init_in_place(&builder, s->device, &reserved,
					      report);
	if (!r)
		r = walk_init(&walk, s->device, NULL, &builder.allocator.refs);
	if (!r && need == ERA_REPAIR_ARCHIVE)
		r = count_arrays(s, &walk);
	if (!r)
		r = count_snapshot(s, &walk);
	/* what was sound a moment ago has to be so still */
	if (!r && walk.nr_faults) {
		era_device_changed(s->device, ERA_SUPERBLOCK_LOCATION);
		r = era_device_check(s->device, report);
	}
	if (!r)
		r = check_room(s, &builder, need, &reserved);
	if (!r)
		r = transact(s, &builder, need, told);
	*sb = builder.sb;
	walk_release(&walk);
	era_builder_release(&builder);
	block_set_release(&reserved);
	return r;
}

int era_repair_in_place(struct era_salvage *s, enum era_repair_need need,
			const struct era_repair_told *told,
			struct era_report *report)
{
	struct written written = { .device = s->device,
				   .check_flags = check_flags(s) };
	uint8_t before[ERA_BLOCK_SIZE];
	int r = 0;

	if (need != ERA_REPAIR_NOTHING) {
		if (!era_device_read_raw(s->device, ERA_SUPERBLOCK_LOCATION, 1,
					 before))
			written.before = before;
		r = commit_in_place(s, need, told, &written.sb, report);
	}
	/* all of it is written: the check can have its memory */
	era_salvage_close(s);
	if (!r && need != ERA_REPAIR_NOTHING)
		r = verify(&written, report);
	return r;
}
