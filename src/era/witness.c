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

/* A bitset block, or an era-array block, that has no parent any more. */
struct piece {
	uint32_t index;
	uint32_t block;
	uint64_t node; /* the btree leaf that files it, 0 for none */
	bool placed;
};

struct attaching {
	const struct era_witness *witness;
	const struct era_scan *scan;
	const struct era_orphans *orphans;
	uint32_t oldest; /* era that can be in the tree */
	struct era_metadata *md;
	struct walk *walk;
	struct block_set *reached;
	struct piece *eras, *words;
	size_t nr_eras, nr_words;
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

	if (!is_lost(a, block))
		return 0;
	r = era_metadata_load_writesets(a->md, a->walk, &where, node);
	attached(a, block);
	block_set_merge(a->reached, &a->walk->seen);
	return r;
}

static int add_piece(struct piece **pieces, size_t *nr, uint32_t index,
		     uint32_t block, uint64_t node)
{
	struct piece *p;

	/* room doubles at powers of two, and is kept where pieces are dropped
	 */
	if (!(*nr & (*nr - 1))) {
		p = realloc(*pieces, (*nr ? *nr * 2 : 1) * sizeof(*p));
		if (!p)
			return -ENOMEM;
		*pieces = p;
	}
	(*pieces)[(*nr)++] = (struct piece){ index, block, node, false };
	return 0;
}

static int take_piece(struct attaching *a, uint64_t index, uint64_t block,
		      uint64_t node)
{
	enum era_role role = era_scan_role(a->scan, block);

	if (index >= CLAIM_DISPUTED - 1 || !is_lost(a, block))
		return 0;
	if (role == ROLE_ERAS)
		return add_piece(&a->eras, &a->nr_eras, (uint32_t)index,
				 (uint32_t)block, node);
	if (role == ROLE_WORDS)
		return add_piece(&a->words, &a->nr_words, (uint32_t)index,
				 (uint32_t)block, node);
	return 0;
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

/* Whether two of the pieces from first on have the same index. */
static bool repeats(const struct piece *pieces, size_t first, size_t nr)
{
	for (size_t i = first; i < nr; i++)
		for (size_t k = first; k < i; k++)
			if (pieces[i].index == pieces[k].index)
				return true;
	return false;
}

static bool is_filed(const struct piece *pieces, size_t nr, uint64_t block)
{
	for (size_t i = 0; i < nr; i++)
		if (pieces[i].block == block)
			return true;
	return false;
}

/*
 * Array blocks whose leaf is gone: only older leaves say their index, and only
 * where they say one for each of the lost blocks of that kind is it believed;
 * a block that was used again has its old index, and the true one has none.
 */
static int take_loose(struct attaching *a)
{
	size_t nr_eras = a->nr_eras, nr_words = a->nr_words;
	bool unclaimed[2] = { false, false };
	int r = 0;

	for (uint64_t block = 0; block < a->witness->nr_blocks && !r; block++) {
		enum era_role role = era_scan_role(a->scan, block);
		uint32_t claim = a->orphans->claims[block];

		if ((role != ROLE_ERAS && role != ROLE_WORDS) ||
		    !is_lost(a, block) || is_filed(a->eras, nr_eras, block) ||
		    is_filed(a->words, nr_words, block))
			continue;
		/* where there is but one index it needs no claim */
		if (array_nr_blocks(a->md->sb.geometry.nr_blocks, 4) == 1 ||
		    (role == ROLE_WORDS &&
		     array_nr_blocks(era_nr_words(a->md->sb.geometry.nr_blocks),
				     8) == 1))
			claim = 1;
		if (claim && claim != CLAIM_DISPUTED)
			r = take_piece(a, claim - 1, block, 0);
		else
			unclaimed[role == ROLE_WORDS] = true;
	}
	if (unclaimed[0] || repeats(a->eras, nr_eras, a->nr_eras))
		a->nr_eras = nr_eras;
	if (unclaimed[1])
		a->nr_words = nr_words;
	return r;
}

static bool has_slot(const struct array_map *map, uint32_t index)
{
	size_t at = array_map_find(map, index);

	return at < map->nr_slots && map->slots[at].index == index;
}

static size_t pieces_at(const struct piece *pieces, size_t nr, uint32_t index)
{
	size_t n = 0;

	for (size_t i = 0; i < nr; i++)
		n += pieces[i].index == index && !pieces[i].placed;
	return n;
}

/* Those among them whose leaf is lost, too. */
static size_t loose_at(const struct piece *pieces, size_t nr, uint32_t index)
{
	size_t n = 0;

	for (size_t i = 0; i < nr; i++)
		n += pieces[i].index == index && !pieces[i].placed &&
		     !pieces[i].node;
	return n;
}

/*
 * Whether this piece, and no other, is what the writeset lacks. The tree of a
 * small bitset is a single leaf: with that lost, its blocks have no leaf, and
 * those that have one belong to something else.
 */
static bool fits_alone(const struct attaching *a, const struct piece *p,
		       const struct era_writeset *ws)
{
	if (array_map_nr_blocks(&ws->words) <= node_max_entries(8))
		return !p->node &&
		       loose_at(a->words, a->nr_words, p->index) == 1;
	return pieces_at(a->words, a->nr_words, p->index) == 1;
}

/*
 * An index of the era array gets the one block that belongs there; where two
 * would fit, which of them is the live one is not known, and it stays lost.
 */
static int place_eras(struct attaching *a)
{
	int r = 0;

	for (size_t i = 0; i < a->nr_eras && !r; i++) {
		struct piece *p = &a->eras[i];

		if (has_slot(&a->md->eras, p->index) ||
		    p->index >= array_map_nr_blocks(&a->md->eras) ||
		    pieces_at(a->eras, a->nr_eras, p->index) != 1)
			continue;
		r = array_map_insert(&a->md->eras, p->index, p->block);
		p->placed = true;
		attached(a, p->block);
		attached(a, p->node);
	}
	return r;
}

/* The writesets that lack this index, and the last of them. */
static size_t gaps_at(struct era_metadata *md, uint32_t index,
		      struct era_writeset **last)
{
	size_t n = 0;

	for (size_t i = 0; i < md->nr_writesets; i++) {
		struct era_writeset *ws = &md->writesets[i];

		if (index < array_map_nr_blocks(&ws->words) &&
		    !has_slot(&ws->words, index)) {
			n++;
			*last = ws;
		}
	}
	return n;
}

/* The era in which an older leaf of the tree names this bitset. */
static bool find_name(const struct era_orphans *orphans, uint64_t root,
		      uint32_t *era, uint32_t *nr_bits)
{
	bool found = false;

	/* they ascend by era, and the latest use of a block counts */
	for (size_t i = 0; i < orphans->nr_writesets; i++) {
		if (orphans->writesets[i].root != root)
			continue;
		*era = orphans->writesets[i].era;
		*nr_bits = orphans->writesets[i].nr_bits;
		found = true;
	}
	return found;
}

/* A bitset that no leaf of the tree names any more. */
static int place_unnamed(struct attaching *a, struct piece *p)
{
	struct era_metadata *md = a->md;
	uint32_t era = era_metadata_last_archived(md);
	uint32_t nr_bits = md->sb.geometry.nr_blocks;
	uint32_t named, named_bits;
	struct era_writeset *ws;
	int r;

	if (p->node && find_name(a->orphans, p->node, &named, &named_bits) &&
	    named >= a->oldest && named <= era) {
		era = named;
		nr_bits = named_bits;
	}
	r = era_metadata_add_writeset(md, era, nr_bits, p->node, &ws);
	if (r)
		return r;
	/* a large bitset has several leaves; each comes as one of its own,
	 * which says nothing of the other's indexes */
	for (size_t i = 0; i < a->nr_words && !r; i++) {
		struct piece *q = &a->words[i];

		if (q->placed || q->node != p->node || (!p->node && q != p))
			continue;
		r = array_map_insert(&ws->words, q->index, q->block);
		q->placed = true;
		attached(a, q->block);
	}
	attached(a, p->node);
	ws->partial = array_map_nr_blocks(&ws->words) != ws->words.nr_slots;
	return r;
}

static int place_words(struct attaching *a)
{
	int r = 0;

	for (size_t i = 0; i < a->nr_words && !r; i++) {
		struct piece *p = &a->words[i];
		struct era_writeset *ws = NULL;
		size_t gaps = gaps_at(a->md, p->index, &ws);

		if (p->placed)
			continue;
		if (!gaps && a->md->writesets_lost)
			r = place_unnamed(a, p);
		if (gaps != 1 || !fits_alone(a, p, ws))
			continue;
		r = array_map_insert(&ws->words, p->index, p->block);
		p->placed = true;
		attached(a, p->block);
		attached(a, p->node);
	}
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
	int r = 0;

	if (md->writesets_lost)
		r = era_scan_each(a.scan, ROLE_WRITESETS, reached,
				  attach_writesets_leaf, &a);
	if (!r)
		r = era_scan_each(a.scan, ROLE_POINTERS, reached, take_leaf,
				  &a);
	if (!r)
		r = take_loose(&a);
	if (!r)
		r = place_eras(&a);
	if (!r)
		r = place_words(&a);
	if (!r && md->writesets_lost && is_complete(&a))
		md->writesets_lost = false;
	era_metadata_sort(md);
	free(a.eras);
	free(a.words);
	*nr_attached = a.nr_attached;
	return r;
}
