/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding orphan evidence: first which leaf files which array block where,
 * then the writesets that leaves name, then the array blocks that are left.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/compare.h"
#include "base/grow.h"
#include "era/orphans.h"
#include "era/stale_names.h"

/* An array block filed under an index by an orphan leaf. */
struct filed {
	uint32_t index;
	uint32_t block;
};

struct filing {
	struct filed *filed;
	size_t nr, max;
};

struct collecting {
	struct era_orphans *orphans;
	const struct block_set *reachable;
	const struct era_overwritten *overwritten;
	struct block_set named; /* blocks of writesets that have a name */
	uint32_t nr_blocks;	/* data blocks */
	bool disputed;
	size_t max_writesets;
	uint64_t nr_visits; /* blocks of trees */
	struct block_set filed;
	struct filing eras, words;
};

static int claim_leaf(void *arg, uint64_t block, const uint8_t *node)
{
	struct era_orphans *orphans = arg;
	uint32_t nr = node_nr_entries(node);

	(void)block;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t index = node_key(node, i);
		uint64_t child = get_le64(node_value(node, i, 8));
		enum era_role role = era_scan_role(orphans->scan, child);
		uint32_t *claim;

		if (role != ROLE_ERAS && role != ROLE_WORDS)
			continue;
		claim = &orphans->claims[child];
		if (index >= CLAIM_DISPUTED - 1)
			*claim = CLAIM_DISPUTED;
		else if (!*claim)
			*claim = (uint32_t)index + 1;
		else if (*claim != index + 1)
			*claim = CLAIM_DISPUTED;
	}
	return 0;
}

static int compare_writesets(const void *a, const void *b)
{
	const struct orphan_writeset *x = a, *y = b;

	return compare_numbers(x->era, y->era)
		       ?: compare_numbers(x->root, y->root)
		       ?: compare_numbers(x->nr_bits, y->nr_bits);
}

/* Many leaves name the same writesets: sorts them and keeps one of each. */
static void sort_writesets(struct era_orphans *orphans)
{
	struct orphan_writeset *ws = orphans->writesets;
	size_t kept = 0;

	if (orphans->nr_writesets)
		qsort(ws, orphans->nr_writesets, sizeof(*ws),
		      compare_writesets);
	for (size_t i = 0; i < orphans->nr_writesets; i++)
		if (!kept || compare_writesets(&ws[kept - 1], &ws[i]))
			ws[kept++] = ws[i];
	orphans->nr_writesets = kept;
}

/*
 * Drops repeats, and doubles the room where that has not made enough. Past the
 * most that is kept there is no more, and no more sorting either.
 */
static int make_room(struct collecting *c)
{
	struct era_orphans *orphans = c->orphans;
	size_t max = c->max_writesets ? c->max_writesets * 2 : 64;

	sort_writesets(orphans);
	if (orphans->nr_writesets < c->max_writesets / 2)
		return 0;
	if (max > ERA_ORPHANS_MAX) {
		orphans->too_many = true;
		return 0;
	}
	return list_grow(&orphans->writesets, max, &c->max_writesets);
}

static int add_writeset(struct collecting *c, uint32_t era, uint32_t nr_bits,
			uint64_t root, uint64_t leaf)
{
	struct era_orphans *orphans = c->orphans;
	int r = 0;

	if (orphans->too_many)
		return 0;
	if (orphans->nr_writesets == c->max_writesets)
		r = make_room(c);
	if (r || orphans->too_many)
		return r;
	orphans->writesets[orphans->nr_writesets++] = (struct orphan_writeset){
		.era = era, .nr_bits = nr_bits, .root = root, .leaf = leaf
	};
	return 0;
}

static int name_leaf(void *arg, uint64_t block, const uint8_t *node)
{
	struct collecting *c = arg;
	uint32_t nr = node_nr_entries(node);
	int r = 0;

	for (uint32_t i = 0; i < nr && !r; i++) {
		const uint8_t *value =
			node_value(node, i, ERA_WRITESET_VALUE_SIZE);
		uint64_t era = node_key(node, i);
		uint32_t nr_bits = get_le32(value);

		if (era > UINT32_MAX || nr_bits >= ERA_MAX_NR_BLOCKS)
			continue;
		if (c->orphans->greatest_era < era)
			c->orphans->greatest_era = (uint32_t)era;
		r = add_writeset(c, (uint32_t)era, nr_bits, get_le64(value + 4),
				 block);
	}
	return r;
}

/* Drops slots whose block is not what the map needs, or not surely its. */
static void keep_intact(const struct collecting *c, struct array_map *map)
{
	const struct era_orphans *orphans = c->orphans;
	size_t kept = 0;

	for (size_t i = 0; i < map->nr_slots; i++) {
		uint32_t block = map->slots[i].block;

		if (era_scan_role(orphans->scan, block) != ROLE_WORDS)
			continue;
		if (!c->disputed && orphans->claims[block] == CLAIM_DISPUTED)
			continue;
		map->slots[kept++] = map->slots[i];
	}
	map->nr_slots = kept;
}

/* All but the slots. */
static void describe_words(struct orphan_writeset *ws)
{
	ws->words = (struct array_map){
		.value_size = 8,
		.nr_values = era_nr_words(ws->nr_bits),
		.root = ws->root,
		.holder = { ws->leaf, 0 },
	};
	snprintf(ws->words.name, sizeof(ws->words.name),
		 "old writeset %" PRIu32, ws->era);
}

static int load_writeset(struct collecting *c, struct walk *walk,
			 struct orphan_writeset *ws)
{
	struct era_where where = { NULL, "writeset tree node", ws->leaf };
	enum era_role role = era_scan_role(c->orphans->scan, ws->root);
	int r = 0;

	if (role == ROLE_INTERNAL || role == ROLE_POINTERS) {
		walk_next_small_pass(walk);
		r = array_map_load(&ws->words, walk, &where);
		c->nr_visits += walk->nr_seen;
	}
	if (r)
		return r;
	keep_intact(c, &ws->words);
	block_set_add(&c->named,
		      ws->root < c->orphans->scan->nr_blocks ? ws->root : 0);
	for (size_t i = 0; i < ws->words.nr_slots; i++)
		block_set_add(&c->named, ws->words.slots[i].block);
	return 0;
}

/* By tree, which is a root and a length, then by era. */
static int compare_trees(const void *a, const void *b)
{
	const struct orphan_writeset *x = *(struct orphan_writeset *const *)a;
	const struct orphan_writeset *y = *(struct orphan_writeset *const *)b;

	return compare_numbers(x->root, y->root)
		       ?: compare_numbers(x->nr_bits, y->nr_bits)
		       ?: compare_numbers(x->era, y->era);
}

static bool is_same_tree(const struct orphan_writeset *a,
			 const struct orphan_writeset *b)
{
	return a->root == b->root && a->nr_bits == b->nr_bits;
}

/*
 * Loads the tree that sorted[0] names, and shares it with those behind that
 * name it, too. Returns how many there are, or a negative errno.
 */
static ssize_t load_tree(struct collecting *c, struct walk *walk,
			 struct orphan_writeset **sorted, size_t nr,
			 uint32_t *eras)
{
	struct orphan_writeset *first = sorted[0];
	size_t i;
	int r;

	describe_words(first);
	r = load_writeset(c, walk, first);
	if (r)
		return r;
	first->eras = eras;
	for (i = 0; i < nr && is_same_tree(first, sorted[i]); i++) {
		struct orphan_writeset *ws = sorted[i];

		eras[first->nr_eras++] = ws->era;
		if (!i)
			continue;
		describe_words(ws);
		ws->words.slots = first->words.slots;
		ws->words.nr_slots = first->words.nr_slots;
		ws->words.overlong = first->words.overlong;
		ws->shared = true;
	}
	return (ssize_t)i;
}

static int load_trees(struct collecting *c, struct walk *walk,
		      struct orphan_writeset **sorted)
{
	struct era_orphans *orphans = c->orphans;
	size_t nr = orphans->nr_writesets;
	uint64_t max = orphans->scan->nr_blocks * ERA_ORPHANS_VISITS;

	for (size_t i = 0; i < nr; i++)
		sorted[i] = &orphans->writesets[i];
	if (nr)
		qsort(sorted, nr, sizeof(struct orphan_writeset *),
		      compare_trees);
	for (size_t i = 0; i < nr;) {
		ssize_t n;

		if (c->nr_visits > max) {
			orphans->too_many = true;
			describe_words(sorted[i++]);
			continue;
		}
		n = load_tree(c, walk, sorted + i, nr - i, orphans->eras + i);
		if (n < 0)
			return (int)n;
		i += (size_t)n;
	}
	return 0;
}

static int load_writesets(struct collecting *c)
{
	struct era_orphans *orphans = c->orphans;
	struct orphan_writeset **sorted;
	struct walk walk;
	int r = walk_init(&walk, orphans->scan->device, NULL, NULL);

	sorted = calloc(orphans->nr_writesets + 1,
			sizeof(struct orphan_writeset *));
	orphans->eras =
		calloc(orphans->nr_writesets + 1, sizeof(*orphans->eras));
	if (!sorted || !orphans->eras)
		r = -ENOMEM;
	if (!r)
		r = load_trees(c, &walk, sorted);
	free(sorted);
	walk_release(&walk);
	return r;
}

static int file(struct filing *filing, uint32_t index, uint32_t block)
{
	if (list_grow(&filing->filed, filing->nr + 1, &filing->max))
		return -ENOMEM;
	filing->filed[filing->nr++] = (struct filed){ index, block };
	return 0;
}

static int file_leaf(void *arg, uint64_t at, const uint8_t *node)
{
	struct collecting *c = arg;
	const struct era_orphans *orphans = c->orphans;
	uint32_t nr = node_nr_entries(node);
	int r = 0;

	(void)at;
	for (uint32_t i = 0; i < nr && !r; i++) {
		uint64_t index = node_key(node, i);
		uint64_t block = get_le64(node_value(node, i, 8));
		enum era_role role = era_scan_role(orphans->scan, block);
		uint32_t claim;

		if ((role != ROLE_ERAS && role != ROLE_WORDS) ||
		    block_set_has(c->reachable, block))
			continue;
		claim = orphans->claims[block];
		if (claim == CLAIM_DISPUTED && !c->disputed)
			continue;
		/* any number of leaves can file it, under the same index */
		if (claim != CLAIM_DISPUTED && block_set_has(&c->filed, block))
			continue;
		block_set_add(&c->filed, block);
		if (role == ROLE_ERAS &&
		    index < array_nr_blocks(c->nr_blocks, 4))
			r = file(&c->eras, (uint32_t)index, (uint32_t)block);
		else if (role == ROLE_WORDS &&
			 index < array_nr_blocks(era_nr_words(c->nr_blocks),
						 8) &&
			 !block_set_has(&c->named, block))
			r = file(&c->words, (uint32_t)index, (uint32_t)block);
	}
	return r;
}

static int compare_filed(const void *a, const void *b)
{
	const struct filed *x = a, *y = b;

	return compare_numbers(x->index, y->index)
		       ?: compare_numbers(x->block, y->block);
}

static void drop_repeats(struct filing *filing)
{
	size_t kept = 0;

	if (filing->nr)
		qsort(filing->filed, filing->nr, sizeof(*filing->filed),
		      compare_filed);
	for (size_t i = 0; i < filing->nr; i++)
		if (!kept ||
		    compare_filed(&filing->filed[kept - 1], &filing->filed[i]))
			filing->filed[kept++] = filing->filed[i];
	filing->nr = kept;
}

/* How many blocks share the index that most do. */
static size_t nr_versions(const struct filing *filing)
{
	size_t most = 0, run = 0;

	for (size_t i = 0; i < filing->nr; i++) {
		run = i && filing->filed[i].index == filing->filed[i - 1].index
			      ? run + 1
			      : 1;
		most = most < run ? run : most;
	}
	return most;
}

/* The i-th block of each index becomes a slot of versions[i]. */
static int sort_versions(const struct filing *filing, uint32_t value_size,
			 uint64_t nr_values, const char *name,
			 struct array_map **versions, size_t *nr)
{
	size_t most = nr_versions(filing), version = 0;
	struct array_map *maps = calloc(most ? most : 1, sizeof(*maps));

	*versions = maps;
	*nr = maps ? most : 0;
	if (!maps)
		return -ENOMEM;
	for (size_t i = 0; i < most; i++) {
		maps[i].value_size = value_size;
		maps[i].nr_values = nr_values;
		snprintf(maps[i].name, sizeof(maps[i].name), "%s", name);
	}
	for (size_t i = 0; i < filing->nr; i++) {
		const struct filed *filed = &filing->filed[i];
		int r;

		version =
			i && filed->index == filed[-1].index ? version + 1 : 0;
		r = array_map_add(&maps[version], filed->index, filed->block);
		if (r)
			return r;
	}
	return 0;
}

static int collect(struct collecting *c)
{
	struct era_orphans *orphans = c->orphans;
	const struct era_scan *scan = orphans->scan;
	int r = era_scan_each(scan, ROLE_POINTERS, NULL, claim_leaf, orphans);

	if (!r)
		r = era_scan_each(scan, ROLE_WRITESETS, c->reachable, name_leaf,
				  c);
	if (r)
		return r;
	sort_writesets(orphans);
	if (c->overwritten)
		r = era_orphans_drop_stale(orphans, c->overwritten);
	if (!r)
		r = load_writesets(c);
	if (!r)
		r = era_scan_each(scan, ROLE_POINTERS, c->reachable, file_leaf,
				  c);
	if (r)
		return r;
	drop_repeats(&c->eras);
	drop_repeats(&c->words);
	r = sort_versions(&c->eras, 4, c->nr_blocks, "old era array",
			  &orphans->era_versions, &orphans->nr_era_versions);
	if (!r)
		r = sort_versions(&c->words, 8, era_nr_words(c->nr_blocks),
				  "unnamed bitset", &orphans->word_versions,
				  &orphans->nr_word_versions);
	return r;
}

int era_orphans_init(struct era_orphans *orphans, const struct era_scan *scan,
		     const struct block_set *reachable, uint32_t nr_blocks,
		     bool disputed, const struct era_overwritten *overwritten)
{
	struct collecting c = { .orphans = orphans,
				.reachable = reachable,
				.overwritten = overwritten,
				.nr_blocks = nr_blocks,
				.disputed = disputed };
	int r;

	*orphans = (struct era_orphans){ .scan = scan };
	orphans->claims =
		calloc((size_t)scan->nr_blocks + 1, sizeof(*orphans->claims));
	r = block_set_init(&c.named, scan->nr_blocks);
	if (!r)
		r = block_set_init(&c.filed, scan->nr_blocks);
	if (!r)
		r = orphans->claims ? collect(&c) : -ENOMEM;
	block_set_release(&c.named);
	block_set_release(&c.filed);
	free(c.eras.filed);
	free(c.words.filed);
	return r;
}

/* The root of an era's archived writeset that is reachable; 0: none is. */
static uint64_t archived_root(const struct era_metadata *md, uint32_t era)
{
	size_t low = 0, high = md->nr_writesets;

	while (low < high) {
		size_t at = (low + high) / 2;

		if (md->writesets[at].era < era)
			low = at + 1;
		else
			high = at;
	}
	return low < md->nr_writesets && md->writesets[low].era == era &&
			       !md->writesets[low].open
		       ? md->writesets[low].words.root
		       : 0;
}

bool era_orphans_name_twice(const struct era_orphans *orphans,
			    const struct era_metadata *md, size_t i)
{
	const struct orphan_writeset *ws = &orphans->writesets[i];
	uint64_t root = archived_root(md, ws->era);

	return (root && root != ws->root) ||
	       (i && ws[-1].era == ws->era && ws[-1].root != ws->root) ||
	       (i + 1 < orphans->nr_writesets && ws[1].era == ws->era &&
		ws[1].root != ws->root);
}

static void release_maps(struct array_map *maps, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		array_map_release(&maps[i]);
	free(maps);
}

void era_orphans_release(struct era_orphans *orphans)
{
	for (size_t i = 0; i < orphans->nr_writesets; i++)
		if (!orphans->writesets[i].shared)
			array_map_release(&orphans->writesets[i].words);
	free(orphans->writesets);
	free(orphans->eras);
	release_maps(orphans->era_versions, orphans->nr_era_versions);
	release_maps(orphans->word_versions, orphans->nr_word_versions);
	free(orphans->claims);
	*orphans = (struct era_orphans){ 0 };
}

int era_layers_add_orphans(struct era_layers *layers,
			   const struct era_orphans *orphans,
			   enum era_class trust)
{
	struct era_layer layer = { .trust = trust };
	int r = 0;

	for (size_t i = 0; i < orphans->nr_writesets && !r; i++) {
		const struct orphan_writeset *ws = &orphans->writesets[i];

		if (!ws->words.nr_slots || ws->shared)
			continue;
		layer.map = &ws->words;
		layer.eras = ws->eras;
		layer.nr_eras = ws->nr_eras > 1 ? ws->nr_eras : 0;
		layer.era = ws->eras[ws->nr_eras - 1];
		layer.data = (struct era_data_range){ 0, ws->nr_bits };
		r = era_layers_add(layers, &layer);
	}
	layer = (struct era_layer){ .trust = trust };
	for (size_t i = 0; i < orphans->nr_era_versions && !r; i++) {
		layer.map = &orphans->era_versions[i];
		r = era_layers_add(layers, &layer);
	}
	layer = (struct era_layer){ .trust = trust,
				    .era = orphans->greatest_era };
	if (!r && orphans->too_many)
		r = era_layers_add(layers, &layer);
	return r;
}
