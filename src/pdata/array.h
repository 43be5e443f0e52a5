/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading an array (dm-array.c): the btree is walked once into a map from
 * array-block index to metadata block, and the array blocks are then read by
 * index, many at a time. A bitset (dm-bitset.c) is an array of le64 words.
 *
 * Contract: a map costs 8 bytes an array block that was found. Array blocks
 * are checked (kind, checksum, place, counts, value size) each time they are
 * read; one that fails is reported with its path.
 */
#ifndef PDATA_ARRAY_H
#define PDATA_ARRAY_H

#include "pdata/btree.h"

#define ARRAY_MAX_WORDS 509 /* of a bitset, in an array block */

struct array_slot {
	uint32_t index; /* of the array block */
	uint32_t block; /* metadata block that holds it */
};

struct array_map {
	uint32_t value_size; /* bytes: 4 eras, 8 words of a bitset */
	uint64_t nr_values;
	uint64_t root;
	uint64_t holder[2]; /* path to the root: superblock, tree node or 0 */
	char name[32];	    /* "era array", "writeset 7" */

	struct array_slot *slots; /* found, by ascending index */
	size_t nr_slots;
	size_t max_slots;
	bool overlong; /* the tree files blocks past the array's end */
};

/* Array blocks that nr_values values fill. */
static inline uint32_t array_nr_blocks(uint64_t nr_values, uint32_t value_size)
{
	uint32_t max = array_max_entries(value_size);

	return (uint32_t)((nr_values + max - 1) / max);
}

static inline uint32_t array_map_nr_blocks(const struct array_map *map)
{
	return array_nr_blocks(map->nr_values, map->value_size);
}

/* Values that the array block with this index must hold. */
uint32_t array_map_nr_entries(const struct array_map *map, uint32_t index);

/* Data blocks that one value speaks of: 1 for an era, 64 for a word. */
static inline uint32_t array_map_data_per_value(const struct array_map *map)
{
	return map->value_size == 8 ? 64 : 1;
}

/* The data blocks of array blocks [begin, end). */
struct era_data_range array_map_data(const struct array_map *map,
				     uint64_t begin, uint64_t end);

/*
 * Walks the btree at map->root, which parent names. What cannot be read, and
 * what is missing, is reported as a fault of the walk and has no slot. The
 * caller has filled in value_size, nr_values, root, holder and name. Returns 0
 * or -ENOMEM.
 */
int array_map_load(struct array_map *map, struct walk *walk,
		   const struct era_where *parent);
void array_map_release(struct array_map *map);

/* The same array, nothing of which has been found yet. */
static inline struct array_map array_map_unread(const struct array_map *map)
{
	struct array_map unread = *map;

	unread.slots = NULL;
	unread.nr_slots = unread.max_slots = 0;
	unread.overlong = false;
	return unread;
}

/*
 * Adds what a walk did not find, an index that has no slot yet. Where indexes
 * do not ascend the map is to be sorted when all have come. 0 or -ENOMEM.
 */
int array_map_add(struct array_map *map, uint32_t index, uint32_t block);
void array_map_sort(struct array_map *map);

/*
 * Position of the first slot with an index of at least index; nr_slots where
 * there is none. Among: the same of the first nr, which are sorted.
 */
size_t array_map_find_among(const struct array_map *map, size_t nr,
			    uint32_t index);
static inline size_t array_map_find(const struct array_map *map, uint32_t index)
{
	return array_map_find_among(map, map->nr_slots, index);
}

/* The index of the first slot from index on, or the map's end. */
uint32_t array_map_next(const struct array_map *map, uint32_t index);

/* Reads consecutive array blocks of a map. */
struct array_window {
	uint32_t capacity; /* array blocks */
	uint32_t first;	   /* index of values[0] */
	uint32_t nr;
	/*
	 * Little-endian values of each array block, NULL where it is lost;
	 * all of array_map_nr_entries() are there where it is not.
	 */
	const uint8_t **values;

	uint8_t *blocks;
	uint32_t *numbers;
	uint8_t *failed;
};

int array_window_init(struct array_window *window, uint32_t capacity);
void array_window_release(struct array_window *window);

/*
 * Reads array blocks [first, first + nr), nr at most the capacity; those past
 * the map's end are NULL. Each that is damaged is reported as fatal; those
 * without a slot were reported by array_map_load() already. *nr_lost counts
 * both. Returns 0 or -ENOMEM.
 */
int array_window_read(struct array_window *window, struct era_device *device,
		      const struct array_map *map, uint32_t first, uint32_t nr,
		      struct era_report *report, uint64_t *nr_lost);

/* Reports a problem of the array block with this index, with its full path. */
void array_map_report(const struct array_map *map, struct era_device *device,
		      uint32_t index, struct era_report *report,
		      enum era_severity severity, struct era_data_range data,
		      const char *text);

#endif
