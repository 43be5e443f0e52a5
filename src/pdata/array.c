/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a btree of array blocks to a map, and from the map to values.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compare.h"
#include "base/grow.h"
#include "pdata/array.h"

uint32_t array_map_nr_entries(const struct array_map *map, uint32_t index)
{
	uint32_t max = array_max_entries(map->value_size);
	uint64_t before = (uint64_t)index * max;

	if (before >= map->nr_values)
		return 0;
	return map->nr_values - before < max
		       ? (uint32_t)(map->nr_values - before)
		       : max;
}

struct era_data_range array_map_data(const struct array_map *map,
				     uint64_t begin, uint64_t end)
{
	uint64_t per = (uint64_t)array_max_entries(map->value_size) *
		       array_map_data_per_value(map);
	uint64_t nr = map->nr_values * array_map_data_per_value(map);
	struct era_data_range data = { begin * per, end * per };

	if (data.end > nr)
		data.end = nr;
	return data.begin < data.end ? data : ERA_NO_DATA;
}

/* What the walk over the btree fills. */
struct loading {
	struct array_map *map;
	uint64_t next;	    /* index expected next */
	uint64_t accounted; /* indexes below this were reported lost */
};

static void report_missing(struct loading *loading, struct walk *walk,
			   const struct era_where *where, uint64_t end)
{
	uint64_t begin = loading->next;

	if (begin < loading->accounted)
		begin = loading->accounted;
	if (begin < end)
		walk_fault(walk, where,
			   array_map_data(loading->map, begin, end),
			   "%s has no array block %" PRIu64 "%s",
			   loading->map->name, begin,
			   end - begin > 1 ? " and following" : "");
}

int array_map_add(struct array_map *map, uint32_t index, uint32_t block)
{
	if (list_grow(&map->slots, map->nr_slots + 1, &map->max_slots))
		return -ENOMEM;
	map->slots[map->nr_slots++] = (struct array_slot){ index, block };
	return 0;
}

static int compare_slots(const void *a, const void *b)
{
	const struct array_slot *x = a, *y = b;

	return compare_numbers(x->index, y->index);
}

void array_map_sort(struct array_map *map)
{
	if (map->nr_slots)
		qsort(map->slots, map->nr_slots, sizeof(*map->slots),
		      compare_slots);
}

static int load_leaf(void *arg, struct walk *walk,
		     const struct era_where *where, const uint8_t *node,
		     uint32_t nr, bool counted)
{
	struct loading *loading = arg;
	struct array_map *map = loading->map;
	uint32_t nr_blocks = array_map_nr_blocks(map);
	char role[64];
	int r = 0;

	snprintf(role, sizeof(role), "%s block", map->name);
	for (uint32_t i = 0; i < nr && !r; i++) {
		uint64_t index = node_key(node, i);
		uint64_t block = get_le64(node_value(node, i, 8));
		struct era_where at = { where, role, block };
		struct era_data_range data;
		bool count_it = counted;

		if (index >= nr_blocks) {
			map->overlong = true;
			walk_fault(walk, &at, ERA_NO_DATA,
				   "%s has an array block %" PRIu64
				   ", but only %" PRIu32 " belong to it",
				   map->name, index, nr_blocks);
			walk_reference(walk, block, &at, ERA_NO_DATA,
				       &count_it);
			continue;
		}
		report_missing(loading, walk, where, index);
		loading->next = index + 1;
		data = array_map_data(map, index, index + 1);
		if (walk_reference(walk, block, &at, data, &count_it))
			r = array_map_add(map, (uint32_t)index,
					  (uint32_t)block);
	}
	return r;
}

static int load_lost(void *arg, uint64_t begin, uint64_t end)
{
	struct loading *loading = arg;

	/* a gap before a lost subtree may well have been part of it */
	(void)begin;
	if (end > loading->accounted)
		loading->accounted = end;
	return 0;
}

int array_map_load(struct array_map *map, struct walk *walk,
		   const struct era_where *parent)
{
	struct loading loading = { .map = map };
	struct era_where where;
	char role[64];
	struct btree tree = {
		.role = role,
		.root = map->root,
		.value_size = 8,
		.data_per_key = (uint64_t)array_max_entries(map->value_size) *
				array_map_data_per_value(map),
		.data = array_map_data(map, 0, array_map_nr_blocks(map)),
		.leaf = load_leaf,
		.lost = load_lost,
		.arg = &loading,
	};
	int r;

	snprintf(role, sizeof(role), "%s node", map->name);
	map->slots = NULL;
	map->nr_slots = map->max_slots = 0;
	where = (struct era_where){ parent, role, map->root };
	r = btree_walk(walk, &tree, parent);
	if (!r)
		report_missing(&loading, walk, &where,
			       array_map_nr_blocks(map));
	/* give back what doubling took too much */
	if (!r && map->nr_slots &&
	    !list_resize(&map->slots, map->nr_slots, map->nr_slots))
		map->max_slots = map->nr_slots;
	if (r)
		array_map_release(map);
	return r;
}

void array_map_release(struct array_map *map)
{
	free(map->slots);
	map->slots = NULL;
	map->nr_slots = map->max_slots = 0;
}

size_t array_map_find_among(const struct array_map *map, size_t nr,
			    uint32_t index)
{
	size_t low = 0, high = nr;

	/* slot i has an index of at least i, and usually just i */
	if (index < high && map->slots[index].index == index)
		return index;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (map->slots[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t array_map_next(const struct array_map *map, uint32_t index)
{
	size_t slot = array_map_find(map, index);

	return slot < map->nr_slots ? map->slots[slot].index
				    : array_map_nr_blocks(map);
}

int array_window_init(struct array_window *window, uint32_t capacity)
{
	*window = (struct array_window){ .capacity = capacity };
	window->values = calloc(capacity, sizeof(*window->values));
	window->numbers = calloc(capacity, sizeof(*window->numbers));
	window->failed = calloc(capacity, 1);
	window->blocks = malloc((size_t)capacity * ERA_BLOCK_SIZE);
	if (window->values && window->numbers && window->failed &&
	    window->blocks)
		return 0;
	array_window_release(window);
	return -ENOMEM;
}

void array_window_release(struct array_window *window)
{
	free(window->values);
	free(window->numbers);
	free(window->failed);
	free(window->blocks);
	*window = (struct array_window){ 0 };
}

static void report_block(const struct array_map *map, struct era_device *device,
			 uint32_t index, struct era_report *report,
			 enum era_kind kind, enum era_severity severity,
			 struct era_data_range data, const char *text)
{
	struct era_where chain[BTREE_MAX_DEPTH + 3];
	uint64_t path[BTREE_MAX_DEPTH];
	size_t slot = array_map_find(map, index);
	char node_role[64], block_role[64];
	unsigned int depth, n = 0;

	/* the path is read for those who are told it */
	if (!era_report_tells(report, severity)) {
		era_report(report, severity, NULL, data, "%s", text);
		return;
	}
	depth = btree_path(device, map->root, index, path);
	snprintf(node_role, sizeof(node_role), "%s node", map->name);
	snprintf(block_role, sizeof(block_role), "%s block", map->name);
	chain[n] = (struct era_where){ NULL,
				       map->holder[0]
					       ? "metadata snapshot superblock"
					       : "superblock",
				       map->holder[0] };
	if (map->holder[1]) {
		n++;
		chain[n] =
			(struct era_where){ &chain[n - 1], "writeset tree node",
					    map->holder[1] };
	}
	for (unsigned int i = 0; i < depth; i++) {
		n++;
		chain[n] =
			(struct era_where){ &chain[n - 1], node_role, path[i] };
	}
	if (slot < map->nr_slots && map->slots[slot].index == index) {
		n++;
		chain[n] = (struct era_where){ &chain[n - 1], block_role,
					       map->slots[slot].block };
	}
	era_report_kind(report, kind, severity, &chain[n], data, "%s", text);
}

void array_map_report(const struct array_map *map, struct era_device *device,
		      uint32_t index, struct era_report *report,
		      enum era_severity severity, struct era_data_range data,
		      const char *text)
{
	report_block(map, device, index, report,
		     severity == ERA_FATAL ? ERA_KIND_DAMAGE : ERA_KIND_WASTE,
		     severity, data, text);
}

/* Why these bytes are not array block index of map; NULL where they are. */
static const char *array_block_fault(const struct array_map *map,
				     uint32_t index, uint32_t block,
				     const uint8_t *data)
{
	enum block_kind really;

	switch (block_check(data, BLOCK_ARRAY, block)) {
	case BLOCK_MISPLACED:
		return "the block says it belongs elsewhere";
	case BLOCK_BAD_CHECKSUM:
		really = block_identify_anywhere(data);
		return really == BLOCK_UNKNOWN ? "the checksum does not match"
		       : really == BLOCK_BTREE_NODE
			       ? "the block is of another kind: btree node"
			       : "the block is of another kind";
	case BLOCK_GOOD:
		break;
	}
	if (get_le32(data + ARRAY_VALUE_SIZE) != map->value_size)
		return "the array block holds values of another size";
	if (get_le32(data + ARRAY_MAX_ENTRIES) !=
	    array_max_entries(map->value_size))
		return "the array block's capacity is wrong";
	if (get_le32(data + ARRAY_NR_ENTRIES) !=
	    array_map_nr_entries(map, index))
		return "the array block's number of entries is wrong";
	return NULL;
}

/* Checks what was read for the slots from slot on and sorts it in. */
static void sort_in(struct array_window *window, struct era_device *device,
		    const struct array_map *map, size_t slot, uint32_t found,
		    struct era_report *report)
{
	for (uint32_t i = 0; i < found; i++) {
		uint32_t index = map->slots[slot + i].index;
		const uint8_t *data =
			window->blocks + (size_t)i * ERA_BLOCK_SIZE;
		char text[128];
		const char *fault;

		if (window->failed[i]) {
			snprintf(text, sizeof(text),
				 "the block cannot be read: %s",
				 strerror(window->failed[i]));
			fault = text;
		} else {
			fault = array_block_fault(map, index,
						  window->numbers[i], data);
		}
		if (fault)
			report_block(map, device, index, report,
				     window->failed[i] ? ERA_KIND_UNREADABLE
						       : ERA_KIND_DAMAGE,
				     ERA_FATAL,
				     array_map_data(map, index, index + 1),
				     fault);
		else
			window->values[index - window->first] =
				data + ARRAY_VALUES;
	}
}

int array_window_read(struct array_window *window, struct era_device *device,
		      const struct array_map *map, uint32_t first, uint32_t nr,
		      struct era_report *report, uint64_t *nr_lost)
{
	uint32_t nr_blocks = array_map_nr_blocks(map), found = 0;
	size_t slot = array_map_find(map, first);
	int r;

	window->first = first;
	window->nr = nr;
	memset(window->values, 0, nr * sizeof(*window->values));
	while (slot + found < map->nr_slots &&
	       map->slots[slot + found].index - first < nr) {
		window->numbers[found] = map->slots[slot + found].block;
		found++;
	}
	r = era_device_read_blocks(device, window->numbers, found,
				   window->blocks, window->failed);
	if (r)
		return r;
	sort_in(window, device, map, slot, found, report);
	for (uint32_t i = 0; i < nr && first + i < nr_blocks; i++)
		*nr_lost += !window->values[i];
	return 0;
}
