/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checked walk over btree nodes, children read in batches.
 * Mirrors what node_check (dm-btree-spine.c) refuses, and adds the key order
 * and bounds that the kernel takes on trust.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pdata/btree.h"

/* Children read at a time: long enough to merge, short enough to nest. */
#define BATCH 64

int walk_init(struct walk *walk, struct era_device *device,
	      struct era_report *report, struct ref_counts *refs)
{
	*walk = (struct walk){ .device = device,
			       .report = report,
			       .nr_blocks = device->nr_blocks,
			       .refs = refs };
	if (walk->nr_blocks > MAX_METADATA_BLOCKS)
		walk->nr_blocks = MAX_METADATA_BLOCKS;
	return block_set_init(&walk->seen, walk->nr_blocks);
}

void walk_release(struct walk *walk)
{
	block_set_release(&walk->seen);
}

void walk_next_pass(struct walk *walk)
{
	memset(walk->seen.words, 0,
	       (size_t)(walk->seen.nr_blocks / 64 + 1) * sizeof(uint64_t));
	walk->nr_faults = 0;
	walk->nr_reused = 0;
	walk->nr_seen = 0;
}

void walk_next_small_pass(struct walk *walk)
{
	if (walk->nr_seen > WALK_FIRST_SEEN) {
		walk_next_pass(walk);
		return;
	}
	for (uint64_t i = 0; i < walk->nr_seen; i++)
		block_set_remove(&walk->seen, walk->first_seen[i]);
	walk->nr_faults = 0;
	walk->nr_reused = 0;
	walk->nr_seen = 0;
}

void walk_fault(struct walk *walk, const struct era_where *where,
		struct era_data_range data, const char *fmt, ...)
{
	va_list ap;

	walk->nr_faults++;
	va_start(ap, fmt);
	era_vreport(walk->report, ERA_FATAL, where, data, fmt, ap);
	va_end(ap);
}

bool walk_reference(struct walk *walk, uint64_t block,
		    const struct era_where *where, struct era_data_range data,
		    bool *counted)
{
	if (block >= walk->nr_blocks) {
		walk_fault(walk, where, data,
			   "the block number is out of range (the device has "
			   "%" PRIu64 " blocks)",
			   walk->nr_blocks);
		return false;
	}
	if (*counted && walk->refs)
		*counted = !ref_counts_inc(walk->refs, block);
	if (!block || block_set_has(&walk->seen, block)) {
		walk->nr_reused++;
		walk_fault(walk, where, data,
			   "the block is in use already, elsewhere");
		return false;
	}
	block_set_add(&walk->seen, block);
	if (walk->nr_seen < WALK_FIRST_SEEN)
		walk->first_seen[walk->nr_seen] = (uint32_t)block;
	walk->nr_seen++;
	return true;
}

bool walk_check_block(struct walk *walk, const uint8_t *data, uint8_t failed,
		      enum block_kind kind, const struct era_where *where,
		      struct era_data_range range)
{
	enum block_kind really;

	if (failed) {
		walk->nr_faults++;
		era_report_kind(walk->report, ERA_KIND_UNREADABLE, ERA_FATAL,
				where, range, "the block cannot be read: %s",
				strerror(failed));
		return false;
	}
	switch (block_check(data, kind, where->block)) {
	case BLOCK_GOOD:
		return true;
	case BLOCK_MISPLACED:
		walk_fault(walk, where, range,
			   "the block says it belongs elsewhere");
		return false;
	case BLOCK_BAD_CHECKSUM:
		break;
	}
	really = block_identify_anywhere(data);
	walk->nr_reused += block_identify(data, where->block) != BLOCK_UNKNOWN;
	if (really != BLOCK_UNKNOWN)
		walk_fault(walk, where, range,
			   "the block is of another kind: %s",
			   block_kind_name(really));
	else
		walk_fault(walk, where, range, "the checksum does not match");
	return false;
}

const char *btree_node_fault(const uint8_t *node)
{
	uint32_t flags = get_le32(node + NODE_FLAGS);
	uint64_t nr = get_le32(node + NODE_NR_ENTRIES);
	uint64_t max = get_le32(node + NODE_MAX_ENTRIES);
	uint64_t value_size = get_le32(node + NODE_VALUE_SIZE);

	if (flags != NODE_INTERNAL && flags != NODE_LEAF)
		return "the node is neither internal nor leaf";
	if (max > ERA_BLOCK_SIZE || value_size > ERA_BLOCK_SIZE ||
	    NODE_KEYS + max * (8 + value_size) > ERA_BLOCK_SIZE)
		return "the node claims more entries than fit";
	if (nr > max)
		return "the node has more entries than it can hold";
	/* children are le64 whatever value_size says */
	if (flags == NODE_INTERNAL &&
	    NODE_KEYS + max * 8 + nr * 8 > ERA_BLOCK_SIZE)
		return "the node claims more children than fit";
	if (flags == NODE_INTERNAL && !nr)
		return "the internal node has no children";
	return NULL;
}

struct era_data_range btree_data(const struct btree *tree, uint64_t key_begin,
				 uint64_t key_end)
{
	struct era_data_range all = tree->data;
	uint64_t per = tree->data_per_key;

	if (!per)
		return all;
	/* an end that cannot be reached is every key that is left */
	if (key_end <= all.end / per)
		all.end = key_end * per;
	if (key_begin > all.end / per)
		return ERA_NO_DATA;
	all.begin = key_begin * per;
	return all.begin < all.end ? all : ERA_NO_DATA;
}

/* A node to visit, and the keys it may hold. */
struct visit {
	uint64_t block;
	uint64_t key_begin, key_end;
	bool counted;
};

struct level {
	uint8_t blocks[BATCH][ERA_BLOCK_SIZE];
	uint8_t failed[BATCH];
	uint32_t numbers[BATCH];
	struct visit visits[BATCH];
};

static int walk_children(struct walk *walk, const struct btree *tree,
			 const struct era_where *where, const uint8_t *node,
			 const struct visit *visit, unsigned int depth);

static int lose(const struct btree *tree, uint64_t begin, uint64_t end)
{
	return tree->lost ? tree->lost(tree->arg, begin, end) : 0;
}

/* The checks of a node that depend on where it was found. */
static const char *node_fault(const uint8_t *node, const struct btree *tree,
			      const struct visit *visit, unsigned int depth)
{
	const char *fault = btree_node_fault(node);
	uint32_t nr = node_nr_entries(node);

	if (fault)
		return fault;
	if (node_is_leaf(node) &&
	    get_le32(node + NODE_VALUE_SIZE) != tree->value_size)
		return "the leaf holds values of another size";
	if (!nr && depth)
		return "the node is empty";
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t key = node_key(node, i);

		if (key < visit->key_begin || key >= visit->key_end)
			return "a key is outside of what the parent allows";
		if (i && key <= node_key(node, i - 1))
			return "the keys are not in ascending order";
	}
	return NULL;
}

static int walk_node(struct walk *walk, const struct btree *tree,
		     const struct era_where *parent, const uint8_t *node,
		     uint8_t failed, const struct visit *visit,
		     unsigned int depth)
{
	struct era_where where = { parent, tree->role, visit->block };
	struct era_data_range data =
		btree_data(tree, visit->key_begin, visit->key_end);
	const char *fault;

	if (!walk_check_block(walk, node, failed, BLOCK_BTREE_NODE, &where,
			      data))
		return lose(tree, visit->key_begin, visit->key_end);
	fault = node_fault(node, tree, visit, depth);
	if (!fault && depth + 1 >= BTREE_MAX_DEPTH && !node_is_leaf(node))
		fault = "the tree is deeper than any real one";
	if (fault) {
		walk->nr_reused++;
		walk_fault(walk, &where, data, "%s", fault);
		return lose(tree, visit->key_begin, visit->key_end);
	}
	if (!node_is_leaf(node))
		return walk_children(walk, tree, &where, node, visit, depth);
	if (!tree->leaf)
		return 0;
	return tree->leaf(tree->arg, walk, &where, node, node_nr_entries(node),
			  visit->counted);
}

/* Reads and walks the nr nodes that are lined up in level. */
static int walk_level(struct walk *walk, const struct btree *tree,
		      const struct era_where *parent, struct level *level,
		      size_t nr, unsigned int depth)
{
	int r = era_device_read_blocks(walk->device, level->numbers, nr,
				       level->blocks, level->failed);

	for (size_t i = 0; i < nr && !r; i++)
		r = walk_node(walk, tree, parent, level->blocks[i],
			      level->failed[i], &level->visits[i], depth);
	return r;
}

/*
 * Adds a pointer to the batch where it can be followed; else its keys are
 * lost at once, after the keys of the batch before it.
 */
static bool line_up(struct walk *walk, const struct btree *tree,
		    const struct era_where *parent, struct level *level,
		    size_t nr, const struct visit *visit)
{
	struct era_where where = { parent, tree->role, visit->block };
	struct visit *to = &level->visits[nr];

	*to = *visit;
	level->numbers[nr] = (uint32_t)visit->block;
	return walk_reference(walk, visit->block, &where,
			      btree_data(tree, visit->key_begin,
					 visit->key_end),
			      &to->counted);
}

static int walk_children(struct walk *walk, const struct btree *tree,
			 const struct era_where *where, const uint8_t *node,
			 const struct visit *visit, unsigned int depth)
{
	struct level *level = malloc(sizeof(*level));
	uint32_t nr = node_nr_entries(node);
	size_t lined_up = 0;
	int r = level ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < nr && !r; i++) {
		struct visit child = { node_child(node, i), node_key(node, i),
				       i + 1 < nr ? node_key(node, i + 1)
						  : visit->key_end,
				       visit->counted };
		bool good = line_up(walk, tree, where, level, lined_up, &child);

		lined_up += good;
		if (lined_up == BATCH || !good) {
			r = walk_level(walk, tree, where, level, lined_up,
				       depth + 1);
			lined_up = 0;
		}
		if (!good && !r)
			r = lose(tree, child.key_begin, child.key_end);
	}
	if (!r)
		r = walk_level(walk, tree, where, level, lined_up, depth + 1);
	free(level);
	return r;
}

int btree_walk(struct walk *walk, const struct btree *tree,
	       const struct era_where *parent)
{
	struct visit root = { tree->root, 0, UINT64_MAX, true };
	struct era_where where = { parent, tree->role, tree->root };
	uint32_t number = (uint32_t)tree->root;
	uint8_t node[ERA_BLOCK_SIZE], failed;
	int r;

	/* there can be very many trees of which nothing is left */
	if (!walk_reference(walk, tree->root, &where,
			    btree_data(tree, 0, UINT64_MAX), &root.counted))
		return lose(tree, 0, UINT64_MAX);
	r = era_device_read_blocks(walk->device, &number, 1, node, &failed);
	return r ? r : walk_node(walk, tree, parent, node, failed, &root, 0);
}

unsigned int btree_path(struct era_device *device, uint64_t root, uint64_t key,
			uint64_t path[BTREE_MAX_DEPTH])
{
	uint8_t node[ERA_BLOCK_SIZE];
	unsigned int depth = 0;

	while (depth < BTREE_MAX_DEPTH) {
		uint32_t i;

		path[depth++] = root;
		if (era_device_read(device, root, 1, node) ||
		    block_check(node, BLOCK_BTREE_NODE, root) ||
		    btree_node_fault(node) || node_is_leaf(node))
			break;
		for (i = node_nr_entries(node) - 1; i; i--)
			if (node_key(node, i) <= key)
				break;
		root = node_child(node, i);
	}
	return depth;
}
