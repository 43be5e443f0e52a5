/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading counts, and fitting what only they still know of into damaged
 * metadata.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "era/pieces.h"
#include "era/witness.h"

int era_witness_load(struct era_witness *witness, const struct era_scan *scan,
		     uint64_t index_block)
{
	uint8_t index[ERA_BLOCK_SIZE], bitmap[ERA_BLOCK_SIZE];
	uint64_t nr = scan->nr_blocks;

	*witness = (struct era_witness){ .nr_blocks = nr };
	if (era_scan_role(scan, index_block) != ROLE_INDEX ||
	    era_scan_read(scan, index_block, index))
		return -EUCLEAN;
	witness->counts = calloc(1, (size_t)nr + 1);
	if (!witness->counts)
		return -ENOMEM;
	for (uint32_t i = 0; i < space_map_nr_bitmaps(nr); i++) {
		uint64_t first = (uint64_t)i * BITMAP_MAX_ENTRIES;
		uint64_t block =
			get_le64(index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE);

		if (!block) /* the space map covers less than the device */
			break;
		if (era_scan_role(scan, block) != ROLE_BITMAP ||
		    era_scan_read(scan, block, bitmap)) {
			era_witness_release(witness);
			return -EUCLEAN;
		}
		for (uint32_t k = 0; k < BITMAP_MAX_ENTRIES; k++)
			if (first + k < nr)
				witness->counts[first + k] =
					(uint8_t)bitmap_count(bitmap, k);
			else
				witness->beyond |= bitmap_count(bitmap, k) != 0;
	}
	for (uint32_t i = space_map_nr_bitmaps(nr); i < INDEX_MAX_ENTRIES; i++)
		witness->beyond |= get_le64(index + INDEX_ENTRIES +
					    i * INDEX_ENTRY_SIZE) != 0;
	return 0;
}

struct finding {
	const struct era_scan *scan;
	const struct space_map_root *root;
	const struct block_set *reached;
	uint64_t found; /* the bitmap block, 0 for none */
	bool ambiguous;
};

static bool counts_all(const struct finding *f, uint64_t block,
		       const uint8_t *bitmap)
{
	uint64_t nr = f->root->nr_blocks, nr_allocated = 0;

	if (nr > f->scan->nr_blocks || block >= nr ||
	    f->root->bitmap_root >= nr ||
	    !bitmap_count(bitmap, (uint32_t)block) ||
	    !bitmap_count(bitmap, (uint32_t)f->root->bitmap_root))
		return false;
	for (uint32_t i = 0; i < nr; i++) {
		bool counted = bitmap_count(bitmap, i);

		nr_allocated += counted;
		if (!counted && block_set_has(f->reached, i))
			return false;
	}
	return nr_allocated == f->root->nr_allocated;
}

static int try_bitmap(void *arg, uint64_t block, const uint8_t *bitmap)
{
	struct finding *f = arg;

	if (counts_all(f, block, bitmap)) {
		f->ambiguous = f->found;
		f->found = block;
	}
	return 0;
}

int era_witness_find(struct era_witness *witness, const struct era_scan *scan,
		     const struct space_map_root *root,
		     const struct block_set *reached)
{
	struct finding f = { .scan = scan, .root = root, .reached = reached };
	uint8_t bitmap[ERA_BLOCK_SIZE];

	*witness = (struct era_witness){ .nr_blocks = root->nr_blocks };
	if (root->nr_blocks > BITMAP_MAX_ENTRIES)
		return -EUCLEAN;
	era_scan_each(scan, ROLE_BITMAP, NULL, try_bitmap, &f);
	if (!f.found || f.ambiguous || era_scan_read(scan, f.found, bitmap))
		return -EUCLEAN;
	witness->counts = calloc(1, (size_t)root->nr_blocks + 1);
	if (!witness->counts)
		return -ENOMEM;
	for (uint32_t i = 0; i < root->nr_blocks; i++)
		witness->counts[i] = (uint8_t)bitmap_count(bitmap, i);
	/* of the index block there is nothing to be found any more */
	witness->counts[root->bitmap_root] = 0;
	return 0;
}

void era_witness_release(struct era_witness *witness)
{
	free(witness->counts);
	witness->counts = NULL;
}

struct attaching {
	const struct era_witness *witness;
	const struct era_scan *scan;
	const struct era_orphans *orphans;
	uint32_t oldest; /* era that can be in the tree */
	struct era_metadata *md;
	struct walk *walk;
	struct block_set *reached;
	struct pieces eras, words;
	struct block_set filed; /* blocks of pieces that have a leaf */
	/* of each block, the last orphan writeset with this root, and one */
	uint32_t *names;
	uint64_t nr_attached;
};

static bool is_lost(const struct attaching *a, uint64_t block)
{
	return block < a->witness->nr_blocks && a->witness->counts[block] &&
	       !block_set_has(a->reached, block);
}

static void attached(struct attaching *a, uint64_t block)
{
	if (!block || block_set_has(a->reached, block))
		return;
	block_set_add(a->reached, block);
	a->nr_attached++;
}

/* Leaves of the writeset tree whose parent is gone: the walk takes them. */
static int attach_writesets_leaf(void *arg, uint64_t block, const uint8_t *node)
{
	struct attaching *a = arg;
	struct era_where where = { NULL, "writeset tree node", block };
	int r;

	if (!is_lost(a, block) || block_set_has(&a->walk->seen, block))
		return 0;
	r = era_metadata_load_writesets(a->md, a->walk, &where, node);
	attached(a, block);
	return r;
}

static int take_piece(struct attaching *a, uint64_t index, uint64_t block,
		      uint64_t node)
{
	enum era_role role = era_scan_role(a->scan, block);

	if (index >= CLAIM_DISPUTED - 1 || !is_lost(a, block) ||
	    (role != ROLE_ERAS && role != ROLE_WORDS))
		return 0;
	if (node)
		block_set_add(&a->filed, block);
	return pieces_add(role == ROLE_ERAS ? &a->eras : &a->words,
			  (uint32_t)index, (uint32_t)block, (uint32_t)node);
}

/* A lost leaf is still in use, so it files its blocks truly. */
static int take_leaf(void *arg, uint64_t block, const uint8_t *node)
{
	struct attaching *a = arg;
	int r = 0;

	if (!is_lost(a, block))
		return 0;
	for (uint32_t i = 0; i < node_nr_entries(node) && !r; i++)
		r = take_piece(a, node_key(node, i),
			       get_le64(node_value(node, i, 8)), block);
	return r;
}

/*
 * Array blocks whose leaf is gone: only older leaves say their index, and only
 * where they say one for each of the lost blocks of that kind is it believed;
 * a block that was used again has its old index, and the true one has none.
 */
static int take_loose(struct attaching *a)
{
	uint32_t nr_blocks = a->md->sb.geometry.nr_blocks;
	size_t nr_eras = a->eras.nr, nr_words = a->words.nr;
	bool unclaimed[2] = { false, false };
	int r = 0;

	for (uint64_t block = 0; block < a->witness->nr_blocks && !r; block++) {
		enum era_role role = era_scan_role(a->scan, block);
		uint32_t claim = a->orphans->claims[block];

		if ((role != ROLE_ERAS && role != ROLE_WORDS) ||
		    !is_lost(a, block) || block_set_has(&a->filed, block))
			continue;
		/* where there is but one index it needs no claim */
		if (array_nr_blocks(nr_blocks, 4) == 1 ||
		    (role == ROLE_WORDS &&
		     array_nr_blocks(era_nr_words(nr_blocks), 8) == 1))
			claim = 1;
		if (claim && claim != CLAIM_DISPUTED)
			r = take_piece(a, claim - 1, block, 0);
		else
			unclaimed[role == ROLE_WORDS] = true;
	}
	if (!r)
		r = pieces_repeat(&a->eras, nr_eras);
	if (r < 0)
		return r;
	if (unclaimed[0] || r)
		a->eras.nr = nr_eras;
	if (unclaimed[1])
		a->words.nr = nr_words;
	return 0;
}

/*
 * Metadata has two trees of a kind at most, the live one and the metadata
 * snapshot's, and each files a block once. Where the leaves say more than that
 * they do not belong together, and none of them is believed.
 */
static void limit_pieces(struct attaching *a)
{
	for (uint64_t block = 0; block < a->witness->nr_blocks; block++) {
		enum era_role role = era_scan_role(a->scan, block);

		if (!is_lost(a, block))
			continue;
		a->eras.max += role == ROLE_ERAS ? 2 : 0;
		a->words.max += role == ROLE_WORDS ? 2 : 0;
	}
}

static int take_pieces(struct attaching *a)
{
	int r;

	limit_pieces(a);
	r = era_scan_each(a->scan, ROLE_POINTERS, a->reached, take_leaf, a);
	if (!r)
		r = take_loose(a);
	if (a->eras.too_many)
		a->eras.nr = 0;
	if (a->words.too_many)
		a->words.nr = 0;
	if (!r)
		r = pieces_group(&a->eras);
	if (!r)
		r = pieces_group(&a->words);
	return r;
}

/* Among the first nr slots. */
static bool has_slot(const struct array_map *map, size_t nr, uint32_t index)
{
	size_t at = array_map_find_among(map, nr, index);

	return at < nr && map->slots[at].index == index;
}

/*
 * Whether this piece, and no other, is what the writeset lacks. The tree of a
 * small bitset is a single leaf: with that lost, its blocks have no leaf, and
 * those that have one belong to something else.
 */
static bool fits_alone(const struct attaching *a, const struct piece *p,
		       const struct era_writeset *ws)
{
	const struct piece_group *group = &a->words.groups[p->group];

	if (array_map_nr_blocks(&ws->words) <= node_max_entries(8))
		return !p->node && group->nr_loose == 1;
	return group->nr == 1;
}

/* Adds it to the map, which is sorted when all have come. */
static int place(struct attaching *a, struct pieces *pieces, struct piece *p,
		 struct array_map *map)
{
	int r = array_map_add(map, p->index, p->block);

	pieces_place(pieces, p);
	attached(a, p->block);
	return r;
}

/*
 * An index of the era array gets the one block that belongs there; where two
 * would fit, which of them is the live one is not known, and it stays lost.
 */
static int place_eras(struct attaching *a)
{
	struct array_map *map = &a->md->eras;
	size_t nr_before = map->nr_slots; /* what is placed comes after */
	int r = 0;

	for (size_t i = 0; i < a->eras.nr && !r; i++) {
		struct piece *p = &a->eras.pieces[i];

		if (has_slot(map, nr_before, p->index) ||
		    p->index >= array_map_nr_blocks(map) ||
		    a->eras.groups[p->group].nr != 1)
			continue;
		r = place(a, &a->eras, p, map);
		attached(a, p->node);
	}
	array_map_sort(map);
	return r;
}

/* The writesets that have, or lack, a block of the indexes of pieces. */
static void expect_words(struct attaching *a)
{
	for (size_t i = 0; i < a->md->nr_writesets; i++) {
		const struct array_map *map = &a->md->writesets[i].words;

		pieces_expect(&a->words, i, array_map_nr_blocks(map));
		for (size_t k = 0; k < map->nr_slots; k++) {
			struct piece_group *group =
				pieces_at(&a->words, map->slots[k].index);

			if (group)
				pieces_fill(group, i);
		}
	}
}

/* The names that older leaves of the tree have for bitsets, by their root. */
static int find_names(struct attaching *a)
{
	const struct era_orphans *orphans = a->orphans;
	uint64_t nr = a->witness->nr_blocks;

	a->names = calloc((size_t)nr + 1, sizeof(*a->names));
	if (!a->names)
		return -ENOMEM;
	/* they ascend by era, and the latest use of a block counts */
	for (size_t i = 0; i < orphans->nr_writesets; i++)
		if (orphans->writesets[i].root < nr)
			a->names[orphans->writesets[i].root] = (uint32_t)i + 1;
	return 0;
}

/* The name of the bitset whose tree is the leaf node, NULL for none. */
static const struct orphan_writeset *name_of(const struct attaching *a,
					     uint32_t node)
{
	const struct orphan_writeset *name;

	if (!node || !a->names[node])
		return NULL;
	name = &a->orphans->writesets[a->names[node] - 1];
	return name->era >= a->oldest &&
			       name->era <= era_metadata_last_archived(a->md)
		       ? name
		       : NULL;
}

/* The pieces that the leaf of the first of them files come together. */
static int place_leaf(struct attaching *a, size_t first, size_t number)
{
	struct pieces *words = &a->words;
	struct array_map *map = &a->md->writesets[number].words;
	uint32_t node = words->pieces[first].node;
	int r = 0;

	while (node && first && words->pieces[first - 1].node == node)
		first--;
	for (size_t i = first; i < words->nr && !r; i++) {
		struct piece *p = &words->pieces[i];

		if (p->node != node)
			break;
		if (p->placed)
			continue;
		r = place(a, words, p, map);
		if (p->index < array_map_nr_blocks(map))
			pieces_fill(&words->groups[p->group], number);
		if (!node)
			break;
	}
	return r;
}

/* A bitset that no leaf of the tree names any more. */
static int place_unnamed(struct attaching *a, size_t at)
{
	struct era_metadata *md = a->md;
	uint32_t node = a->words.pieces[at].node;
	const struct orphan_writeset *name = name_of(a, node);
	size_t number = md->nr_writesets;
	struct era_writeset *ws;
	int r;

	r = era_metadata_add_writeset(
		md, name ? name->era : era_metadata_last_archived(md),
		name ? name->nr_bits : md->sb.geometry.nr_blocks, node, &ws);
	if (r)
		return r;
	/* a large bitset has several leaves; each comes as one of its own,
	 * which says nothing of the other's indexes */
	pieces_expect(&a->words, number, array_map_nr_blocks(&ws->words));
	r = place_leaf(a, at, number);
	attached(a, node);
	ws->partial = array_map_nr_blocks(&ws->words) != ws->words.nr_slots;
	return r;
}

static int place_words(struct attaching *a)
{
	struct era_metadata *md = a->md;
	int r = find_names(a);

	expect_words(a);
	for (size_t i = 0; i < a->words.nr && !r; i++) {
		struct piece *p = &a->words.pieces[i];
		struct piece_group *group = &a->words.groups[p->group];
		struct piece_gaps gaps = pieces_gaps(&a->words, group);

		if (p->placed)
			continue;
		if (!gaps.nr && md->writesets_lost)
			r = place_unnamed(a, i);
		if (gaps.nr != 1 || !fits_alone(a, p, &md->writesets[gaps.sum]))
			continue;
		r = place(a, &a->words, p, &md->writesets[gaps.sum].words);
		pieces_fill(group, gaps.sum);
		attached(a, p->node);
	}
	for (size_t i = 0; i < md->nr_writesets; i++)
		array_map_sort(&md->writesets[i].words);
	return r;
}

/*
 * Whether all that the witness counts has been found again, or is of no
 * account for which block was written when; then no writeset is missing.
 */
static bool is_complete(const struct attaching *a)
{
	for (uint64_t block = 1; block < a->witness->nr_blocks; block++) {
		enum era_role role = era_scan_role(a->scan, block);

		if (is_lost(a, block) && role != ROLE_COUNTS &&
		    role != ROLE_INTERNAL && role != ROLE_BITMAP &&
		    role != ROLE_INDEX && role != ROLE_ERAS)
			return false;
	}
	return true;
}

int era_witness_attach(const struct era_witness *witness,
		       struct era_metadata *md, struct walk *walk,
		       const struct era_orphans *orphans, uint32_t oldest,
		       struct block_set *reached, uint64_t *nr_attached)
{
	struct attaching a = { .witness = witness,
			       .scan = orphans->scan,
			       .orphans = orphans,
			       .oldest = oldest,
			       .md = md,
			       .walk = walk,
			       .reached = reached };
	int r = block_set_init(&a.filed, witness->nr_blocks);

	if (!r && md->writesets_lost)
		r = era_scan_each(a.scan, ROLE_WRITESETS, reached,
				  attach_writesets_leaf, &a);
	if (!r)
		block_set_merge(reached, &walk->seen);
	if (!r)
		r = take_pieces(&a);
	if (!r)
		r = place_eras(&a);
	if (!r)
		r = place_words(&a);
	if (!r && md->writesets_lost && is_complete(&a))
		md->writesets_lost = false;
	era_metadata_sort(md);
	pieces_release(&a.eras);
	pieces_release(&a.words);
	block_set_release(&a.filed);
	free(a.names);
	*nr_attached = a.nr_attached;
	return r;
}
