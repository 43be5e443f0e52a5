/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two trees of array blocks are walked side by side, as far as they differ.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compare.h"
#include "base/grow.h"
#include "history/slots.h"
#include "pdata/array.h"

static int note(struct slots *slots, uint32_t index, uint32_t before)
{
	if (slots->fresh)
		return 0;
	if (list_grow(&slots->changes, slots->nr_changes + 1,
		      &slots->max_changes))
		return -ENOMEM;
	slots->changes[slots->nr_changes++] =
		(struct slot_change){ index, before };
	return 0;
}

static int put(struct slots *slots, uint32_t index, uint32_t block)
{
	uint32_t before = slots->blocks[index];

	if (before == block)
		return 0;
	slots->blocks[index] = block;
	return note(slots, index, before);
}

/* Blocks [begin, end) of the array are to be in a node, and are in another. */
struct subtree {
	uint64_t block; /* 0: there is none */
	uint64_t begin, end;
};

static int walk(struct slots *slots, struct era_reading *reading,
		const struct subtree *to, const struct subtree *from,
		unsigned int depth);

static int take_leaf(struct slots *slots, const struct era_scan *scan,
		     const uint8_t *node, const struct subtree *to)
{
	uint32_t nr = node_nr_entries(node);
	int r = 0;

	if (nr != to->end - to->begin)
		return -EUCLEAN;
	for (uint32_t i = 0; i < nr && !r; i++) {
		uint64_t block = get_le64(node_value(node, i, 8));

		if (node_key(node, i) != to->begin + i ||
		    era_scan_role(scan, block) != slots->role)
			return -EUCLEAN;
		r = put(slots, (uint32_t)(to->begin + i), (uint32_t)block);
	}
	return r;
}

/* Child i of a copy of an internal node. */
static struct subtree child_of(const uint8_t *node, uint32_t i,
			       const struct subtree *tree)
{
	return (struct subtree){ node_child(node, i), node_key(node, i),
				 i + 1 < node_nr_entries(node)
					 ? node_key(node, i + 1)
					 : tree->end };
}

/* The child with the same keys in the node before; keys ascend. */
static struct subtree same_child(const uint8_t *node,
				 const struct subtree *tree,
				 const struct subtree *wanted, uint32_t *i)
{
	const struct subtree none = { 0, 0, 0 };

	if (!tree->block)
		return none;
	while (*i < node_nr_entries(node) && node_key(node, *i) < wanted->begin)
		++*i;
	if (*i >= node_nr_entries(node) || node_key(node, *i) != wanted->begin)
		return none;
	return child_of(node, *i, tree);
}

static int walk_children(struct slots *slots, struct era_reading *reading,
			 const uint8_t *node, const struct subtree *to,
			 const struct subtree *from, unsigned int depth)
{
	const uint8_t *data = NULL;
	uint8_t before[ERA_BLOCK_SIZE];
	struct subtree known = *from;
	uint32_t nr = node_nr_entries(node), k = 0;
	int r = 0;

	if (from->block &&
	    era_scan_role(reading->scan, from->block) == ROLE_INTERNAL)
		data = era_reading_get(reading, from->block);
	if (data)
		memcpy(before, data, ERA_BLOCK_SIZE);
	else
		known.block = 0;
	if (depth + 1 >= BTREE_MAX_DEPTH || node_key(node, 0) != to->begin)
		return -EUCLEAN;
	for (uint32_t i = 0; i < nr && !r; i++) {
		struct subtree child = child_of(node, i, to);
		struct subtree same = same_child(before, &known, &child, &k);

		if (child.begin >= child.end || child.end > to->end)
			r = -EUCLEAN;
		else
			r = walk(slots, reading, &child, &same, depth + 1);
	}
	return r;
}

static int walk(struct slots *slots, struct era_reading *reading,
		const struct subtree *to, const struct subtree *from,
		unsigned int depth)
{
	enum era_role role = era_scan_role(reading->scan, to->block);
	uint8_t node[ERA_BLOCK_SIZE];
	const uint8_t *data;

	if (to->block == from->block && to->begin == from->begin &&
	    to->end == from->end)
		return 0;
	if (era_reading_is_over(reading))
		return -E2BIG;
	if (role != ROLE_INTERNAL && role != ROLE_POINTERS)
		return -EUCLEAN;
	data = era_reading_get(reading, to->block);
	if (!data)
		return -EUCLEAN;
	if (role == ROLE_POINTERS)
		return take_leaf(slots, reading->scan, data, to);
	/* reading its children may take its place */
	memcpy(node, data, ERA_BLOCK_SIZE);
	return walk_children(slots, reading, node, to, from, depth);
}

static int resize(struct slots *slots, uint32_t nr)
{
	int r = 0;

	if (nr > slots->nr && list_resize(&slots->blocks, slots->nr, nr))
		return -ENOMEM;
	for (uint32_t i = nr; i < slots->nr && !r; i++)
		r = put(slots, i, 0);
	slots->nr = nr;
	return r;
}

static int compare_changes(const void *a, const void *b)
{
	const struct slot_change *x = a, *y = b;

	return compare_numbers(x->index, y->index);
}

int slots_change(struct slots *slots, struct era_reading *reading,
		 uint64_t root, uint32_t nr)
{
	struct subtree from = { slots->root, 0, slots->nr };
	struct subtree to = { root, 0, nr };
	int r;

	slots->fresh = !slots->nr;
	r = resize(slots, nr);
	if (!r)
		r = walk(slots, reading, &to, &from, 0);
	slots->root = root;
	/* those past the end came first */
	if (slots->nr_changes)
		qsort(slots->changes, slots->nr_changes,
		      sizeof(*slots->changes), compare_changes);
	return r;
}

void slots_settle(struct slots *slots)
{
	slots->fresh = false;
	slots->nr_changes = 0;
}

void slots_release(struct slots *slots)
{
	free(slots->blocks);
	free(slots->changes);
	*slots = (struct slots){ .role = slots->role };
}

uint32_t slots_before(const struct slots *slots, uint32_t index)
{
	struct slot_change key = { .index = index }, *found = NULL;

	if (slots->fresh)
		return 0;
	if (slots->nr_changes)
		found = bsearch(&key, slots->changes, slots->nr_changes,
				sizeof(key), compare_changes);
	if (found)
		return found->before;
	return index < slots->nr ? slots->blocks[index] : 0;
}

uint64_t slots_nr_values(struct era_reading *reading, uint64_t root)
{
	uint64_t index = 0;

	for (int depth = 0; depth <= BTREE_MAX_DEPTH; depth++) {
		enum era_role role = era_scan_role(reading->scan, root);
		const uint8_t *data = era_reading_get(reading, root);
		uint32_t last;

		if (!data)
			return 0;
		if (role == ROLE_ERAS || role == ROLE_WORDS)
			return index * get_le32(data + ARRAY_MAX_ENTRIES) +
			       get_le32(data + ARRAY_NR_ENTRIES);
		if ((role != ROLE_INTERNAL && role != ROLE_POINTERS) ||
		    !node_nr_entries(data))
			return 0;
		last = node_nr_entries(data) - 1;
		index = node_key(data, last);
		root = node_child(data, last);
	}
	return 0;
}
