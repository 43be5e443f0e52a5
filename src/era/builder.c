/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a visit to blocks in place, and from blocks to a committed state.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "era/builder.h"
#include "era/size.h"

/* A new file has room for this many eras that are not digested yet, ... */
#define NEW_FILE_ERAS 32
/* ... and at least 4 MiB. */
#define NEW_FILE_MIN_BLOCKS 1024

static struct era_builder *to_builder(struct era_visitor *visitor)
{
	return (struct era_builder *)visitor;
}

int era_builder_report(struct era_builder *builder, int err)
{
	struct era_device *device = builder->device;

	if (err == -ENOSPC &&
	    builder->allocator.next >= builder->allocator.refs.nr_blocks)
		era_report_kind(
			builder->report, ERA_KIND_TARGET, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%s is too small: more than %" PRIu64
			" metadata blocks are needed, it has %" PRIu64 "%s",
			device->path, builder->nr_needed,
			builder->allocator.refs.nr_blocks,
			builder->in_place ? ", not all of them free" : "");
	else if (err == -ENOMEM)
		era_report_kind(builder->report, ERA_KIND_SYSTEM, ERA_FATAL,
				NULL, ERA_NO_DATA, "out of memory");
	else
		era_device_report(device, builder->report, "write", err);
	return err;
}

static int check_room(struct era_builder *builder, uint64_t more)
{
	struct era_device *device = builder->device;

	builder->nr_needed += more;
	if (device->growable || builder->in_place ||
	    builder->nr_needed <= builder->allocator.refs.nr_blocks)
		return 0;
	era_report_kind(builder->report, ERA_KIND_TARGET, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%s is too small: at least %" PRIu64
			" metadata blocks (%" PRIu64
			" bytes) are needed, it has %" PRIu64,
			device->path, builder->nr_needed,
			builder->nr_needed * ERA_BLOCK_SIZE, device->nr_blocks);
	return -ENOSPC;
}

static int visit_superblock(struct era_visitor *visitor,
			    const struct era_geometry *geometry)
{
	struct era_builder *builder = to_builder(visitor);
	struct era_device *device = builder->device;
	int r = era_geometry_check(geometry, builder->report, NULL);

	if (!r)
		r = check_room(builder, era_size_minimum(geometry->nr_blocks,
							 device->nr_blocks));
	if (r)
		return r;
	if (!builder->in_place && !builder->has_snapshot && !device->growable) {
		r = era_superblock_invalidate(device);
		if (r)
			return era_builder_report(builder, r);
	}
	builder->sb.geometry = *geometry;
	btree_build_init(&builder->writeset_tree, &builder->writer,
			 &builder->allocator, ERA_WRITESET_VALUE_SIZE);
	return 0;
}

static int visit_writeset_begin(struct era_visitor *visitor, uint32_t era,
				uint32_t nr_bits)
{
	struct era_builder *builder = to_builder(visitor);
	int r = check_room(builder,
			   array_build_nr_blocks(era_nr_words(nr_bits), 8));

	builder->era = era;
	builder->nr_bits = nr_bits;
	array_build_init(&builder->array, &builder->writer, &builder->allocator,
			 8);
	return r;
}

static int visit_writeset_words(struct era_visitor *visitor,
				uint32_t first_word, const uint64_t *words,
				size_t nr)
{
	struct era_builder *builder = to_builder(visitor);
	int r = array_build_add_words(&builder->array, words, nr);

	(void)first_word; /* words come in order and without gaps */
	return r ? era_builder_report(builder, r) : 0;
}

static int visit_writeset_end(struct era_visitor *visitor)
{
	struct era_builder *builder = to_builder(visitor);
	uint64_t root;
	int r = array_build_finish(&builder->array, &root);

	if (!r)
		r = writeset_list_add(&builder->writesets, builder->era,
				      builder->nr_bits, root);
	return r ? era_builder_report(builder, r) : 0;
}

/* In the order of the eras, whatever that of the visit. */
static int build_writeset_tree(struct era_builder *builder)
{
	uint8_t value[ERA_WRITESET_VALUE_SIZE];
	int r = 0;

	for (size_t i = 0; i < builder->writesets.nr && !r; i++) {
		const struct writeset_entry *ws =
			&builder->writesets.entries[i];

		put_le32(value, ws->nr_bits);
		put_le64(value + 4, ws->root);
		r = btree_build_add(&builder->writeset_tree, ws->era, value);
	}
	builder->writesets.nr = 0; /* the next visit has its own */
	if (!r)
		r = btree_build_finish(&builder->writeset_tree,
				       &builder->sb.writeset_tree_root);
	return r;
}

static void start_eras(struct era_builder *builder)
{
	if (builder->in_eras)
		return;
	builder->in_eras = true;
	array_build_init(&builder->array, &builder->writer, &builder->allocator,
			 4);
}

static int visit_eras(struct era_visitor *visitor, uint32_t first_block,
		      const uint32_t *eras, size_t nr)
{
	struct era_builder *builder = to_builder(visitor);
	int r;

	(void)first_block;
	start_eras(builder);
	r = array_build_add_eras(&builder->array, eras, nr);
	return r ? era_builder_report(builder, r) : 0;
}

static int visit_end(struct era_visitor *visitor)
{
	struct era_builder *builder = to_builder(visitor);
	int r = writeset_list_sort(&builder->writesets, builder->report);

	if (r)
		return r;
	start_eras(builder); /* of a device without data blocks, too */
	builder->in_eras = false;
	r = array_build_finish(&builder->array, &builder->sb.era_array_root);
	if (!r)
		r = build_writeset_tree(builder);
	return r ? era_builder_report(builder, r) : 0;
}

static int init(struct era_builder *builder, struct era_device *device,
		const struct block_set *reserved, struct era_report *report)
{
	int r;

	*builder = (struct era_builder){
		.visitor = { visit_superblock, visit_writeset_begin,
			     visit_writeset_words, visit_writeset_end,
			     visit_eras, visit_end },
		.device = device,
		.report = report,
	};
	r = block_allocator_init(&builder->allocator, device, reserved);
	if (!r && device->growable)
		r = ref_counts_grow(&builder->allocator.refs,
				    NEW_FILE_MIN_BLOCKS);
	if (!r)
		r = block_writer_init(&builder->writer, device);
	if (r)
		return r;
	builder->allocator.refs.counts[ERA_SUPERBLOCK_LOCATION] = 1;
	builder->allocator.next = 1;
	return 0;
}

int era_builder_init(struct era_builder *builder, struct era_device *device,
		     struct era_report *report)
{
	return init(builder, device, NULL, report);
}

int era_builder_init_in_place(struct era_builder *builder,
			      struct era_device *device,
			      const struct block_set *reserved,
			      struct era_report *report)
{
	int r = init(builder, device, reserved, report);

	builder->in_place = true;
	return r;
}

int era_builder_place_index(struct era_builder *builder)
{
	int r = block_allocator_next(&builder->allocator, &builder->index);

	return r ? era_builder_report(builder, r) : 0;
}

void era_builder_release(struct era_builder *builder)
{
	array_build_release(&builder->array);
	writeset_list_release(&builder->writesets);
	btree_build_release(&builder->writeset_tree);
	block_writer_release(&builder->writer);
	block_allocator_release(&builder->allocator);
}

int era_builder_take_snapshot(struct era_builder *builder)
{
	int r = block_allocator_next(&builder->allocator,
				     &builder->snapshot.location);

	if (r)
		return era_builder_report(builder, r);
	builder->snapshot.geometry = builder->sb.geometry;
	builder->snapshot.writeset_tree_root = builder->sb.writeset_tree_root;
	builder->snapshot.era_array_root = builder->sb.era_array_root;
	builder->sb.metadata_snap = builder->snapshot.location;
	builder->has_snapshot = true;
	return 0;
}

/* How many blocks the space map is to count. */
static uint64_t final_size(struct era_builder *builder)
{
	uint64_t used, size;

	if (!builder->device->growable)
		return builder->allocator.refs.nr_blocks;
	/* a new file: what is there, and room for the kernel to go on */
	used = builder->allocator.next;
	size = used + era_size_recommended(builder->sb.geometry.nr_blocks,
					   NEW_FILE_ERAS);
	if (size < NEW_FILE_MIN_BLOCKS)
		size = NEW_FILE_MIN_BLOCKS;
	return size < MAX_METADATA_BLOCKS ? size : MAX_METADATA_BLOCKS;
}

/*
 * What the device held before must not be left where nothing leads: an old
 * era found there later would look newer than the new metadata.
 */
static int erase_rest(struct era_builder *builder)
{
	struct era_device *device = builder->device;
	uint64_t end = device->nr_blocks;

	if (builder->in_place)
		return 0;
	if (end > MAX_METADATA_BLOCKS)
		end = MAX_METADATA_BLOCKS;
	if (builder->allocator.next >= end)
		return 0;
	return era_device_zero(device, builder->allocator.next,
			       end - builder->allocator.next);
}

static int write_snapshot(struct era_builder *builder)
{
	uint8_t *data;
	int r;

	if (!builder->has_snapshot)
		return 0;
	r = block_writer_next(&builder->writer, builder->snapshot.location,
			      &data);
	if (r)
		return r;
	era_superblock_put(data, &builder->snapshot);
	return 0;
}

int era_builder_commit(struct era_builder *builder)
{
	struct era_device *device = builder->device;
	uint64_t nr_blocks = final_size(builder);
	int r;

	builder->sb.space_map.bitmap_root = builder->index;
	r = space_map_build(&builder->allocator, &builder->writer, nr_blocks,
			    &builder->sb.space_map);

	if (!r)
		r = write_snapshot(builder);
	if (!r)
		r = block_writer_finish(&builder->writer);
	if (!r && device->growable) {
		if (ftruncate(device->fd, (off_t)(nr_blocks * ERA_BLOCK_SIZE)))
			r = -errno;
		device->nr_blocks = nr_blocks;
	}
	if (!r)
		r = erase_rest(builder);
	if (!r)
		r = era_superblock_commit(device, &builder->sb);
	return r ? era_builder_report(builder, r) : 0;
}
