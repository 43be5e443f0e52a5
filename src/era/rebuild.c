/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rebuilding a lost superblock. Each commit leaves a space-map index behind;
 * one whose counts are exactly what the blocks that it counts explain, but
 * for one pointer to each root, proves those roots to be a committed state,
 * the open writeset's included, which nothing but the superblock names. Of
 * the proven states the last is wanted: along one history dates only grow, so
 * it is the one whose dates add up to the most.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "era/fold.h"
#include "era/witness.h"

/* The roots that one index block proves. */
struct state {
	uint64_t index_block;
	uint64_t writeset_tree, era_array, ref_counts;
	uint64_t open;	   /* 0: no writeset is open */
	uint64_t snapshot; /* 0: none is held */
	uint64_t nr_allocated;
};

struct rebuilding {
	const struct era_scan *scan;
	struct era_geometry geometry;
	uint64_t nr_witnesses;
	struct state *states;
	size_t nr_states, max_states;
	uint8_t *refs; /* pointers found to each block, of one state */
};

static void count_ref(struct rebuilding *rb, uint64_t block)
{
	if (block < rb->scan->nr_blocks && rb->refs[block] < UINT8_MAX)
		rb->refs[block]++;
}

/* Counts what a block points to. */
static void count_refs(struct rebuilding *rb, enum era_role role,
		       const uint8_t *data)
{
	struct era_superblock copy;

	if (role == ROLE_SUPERBLOCK) {
		era_superblock_get(&copy, data);
		count_ref(rb, copy.writeset_tree_root);
		count_ref(rb, copy.era_array_root);
		return;
	}
	for (uint32_t i = 0; i < node_nr_entries(data); i++) {
		if (role == ROLE_INTERNAL)
			count_ref(rb, node_child(data, i));
		else if (role == ROLE_POINTERS)
			count_ref(rb, get_le64(node_value(data, i, 8)));
		else if (role == ROLE_WRITESETS)
			count_ref(rb, get_le64(node_value(data, i, 12) + 4));
	}
}

/* What kind of tree a node belongs to, told by the leftmost way down. */
enum tree { TREE_NONE, TREE_WRITESETS, TREE_COUNTS, TREE_ERAS, TREE_BITSET };

static enum tree tree_of(const struct era_scan *scan, uint64_t block)
{
	uint8_t data[ERA_BLOCK_SIZE];

	for (int depth = 0; depth < BTREE_MAX_DEPTH; depth++) {
		enum era_role role = era_scan_role(scan, block);

		switch (role) {
		case ROLE_WRITESETS:
			return TREE_WRITESETS;
		case ROLE_COUNTS:
			return TREE_COUNTS;
		case ROLE_ERAS:
			return TREE_ERAS;
		case ROLE_WORDS:
			return TREE_BITSET;
		case ROLE_INTERNAL:
		case ROLE_POINTERS:
			break;
		default:
			return TREE_NONE;
		}
		if (era_scan_read(scan, block, data) || !node_nr_entries(data))
			return TREE_NONE;
		block = node_child(data, 0);
	}
	return TREE_NONE;
}

/* Takes a block with one pointer too few as a root; false where none fits. */
static bool take_root(struct rebuilding *rb, struct state *state,
		      uint64_t block)
{
	uint64_t *root = NULL;

	if (era_scan_role(rb->scan, block) == ROLE_SUPERBLOCK) {
		root = &state->snapshot;
	} else if (era_role_is_node(era_scan_role(rb->scan, block))) {
		switch (tree_of(rb->scan, block)) {
		case TREE_WRITESETS:
			root = &state->writeset_tree;
			break;
		case TREE_COUNTS:
			root = &state->ref_counts;
			break;
		case TREE_ERAS:
			root = &state->era_array;
			break;
		case TREE_BITSET:
			root = &state->open;
			break;
		case TREE_NONE:
			break;
		}
	}
	if (!root || *root)
		return false;
	*root = block;
	return true;
}

/* Counts all pointers that the witness's blocks hold. */
static bool count_all(struct rebuilding *rb, const struct era_witness *w,
		      uint64_t index_block)
{
	const struct era_scan *scan = rb->scan;
	uint8_t data[ERA_BLOCK_SIZE];

	memset(rb->refs, 0, (size_t)scan->nr_blocks);
	rb->refs[ERA_SUPERBLOCK_LOCATION] = 1;
	count_ref(rb, index_block);
	if (era_scan_read(scan, index_block, data))
		return false;
	for (uint32_t i = 0; i < space_map_nr_bitmaps(scan->nr_blocks); i++) {
		uint64_t bitmap =
			get_le64(data + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE);

		if (bitmap)
			count_ref(rb, bitmap);
	}
	for (uint64_t block = 1; block < scan->nr_blocks; block++) {
		enum era_role role = era_scan_role(scan, block);

		if (!w->counts[block])
			continue;
		if (role <= ROLE_UNKNOWN)
			return false;
		if (!era_role_is_node(role) && role != ROLE_SUPERBLOCK)
			continue;
		if (era_scan_read(scan, block, data))
			return false;
		count_refs(rb, role, data);
	}
	return true;
}

/* Whether the witness's counts are what its blocks explain, and the roots. */
static bool explain(struct rebuilding *rb, const struct era_witness *w,
		    struct state *state)
{
	if (!count_all(rb, w, state->index_block))
		return false;
	for (uint64_t block = 0; block < rb->scan->nr_blocks; block++) {
		unsigned int want = w->counts[block], have = rb->refs[block];

		if (!want && !have)
			continue;
		/* pointers of blocks that are no longer in use do not count */
		if (!want || have > (want == 3 ? UINT8_MAX : want))
			return false;
		if (want == 3 && have >= 3)
			continue;
		if (want - have > 1 ||
		    (want - have == 1 && !take_root(rb, state, block)))
			return false;
	}
	return state->writeset_tree && state->era_array && state->ref_counts;
}

static bool same_roots(const struct state *a, const struct state *b)
{
	return a->writeset_tree == b->writeset_tree &&
	       a->era_array == b->era_array && a->open == b->open &&
	       a->snapshot == b->snapshot;
}

static int add_state(struct rebuilding *rb, const struct state *state)
{
	rb->nr_witnesses++;
	for (size_t i = 0; i < rb->nr_states; i++)
		if (same_roots(&rb->states[i], state))
			return 0;
	if (rb->nr_states == rb->max_states) {
		size_t max = rb->max_states ? rb->max_states * 2 : 64;
		struct state *states =
			realloc(rb->states, max * sizeof(*states));

		if (!states)
			return -ENOMEM;
		rb->states = states;
		rb->max_states = max;
	}
	rb->states[rb->nr_states++] = *state;
	return 0;
}

static int try_index(void *arg, uint64_t block, const uint8_t *data)
{
	struct rebuilding *rb = arg;
	struct state state = { .index_block = block };
	struct era_witness witness;
	int r = era_witness_load(&witness, rb->scan, block);

	(void)data;
	if (r)
		return r == -ENOMEM ? r : 0;
	for (uint64_t i = 0; i < witness.nr_blocks; i++)
		state.nr_allocated += !!witness.counts[i];
	if (explain(rb, &witness, &state))
		r = add_state(rb, &state);
	era_witness_release(&witness);
	return r;
}

/* The number of values in an array, told by its last block. */
static uint64_t array_length(const struct era_scan *scan, uint64_t root)
{
	uint8_t data[ERA_BLOCK_SIZE];
	uint64_t index = 0;

	for (int depth = 0; depth <= BTREE_MAX_DEPTH; depth++) {
		enum era_role role = era_scan_role(scan, root);
		uint32_t last;

		if (era_scan_read(scan, root, data))
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

/* The bits of a bitset: the device's, unless it was of another size then. */
static uint32_t bitset_length(const struct era_scan *scan, uint64_t root,
			      uint32_t nr_blocks)
{
	uint64_t words = array_length(scan, root);

	if (words == era_nr_words(nr_blocks) || words * 64 > UINT32_MAX)
		return nr_blocks;
	return (uint32_t)(words * 64);
}

struct total {
	uint64_t sum;
	uint32_t greatest;
};

static int add_up(void *arg, uint32_t first, const uint32_t *eras, size_t nr)
{
	struct total *total = arg;

	(void)first;
	for (size_t i = 0; i < nr; i++) {
		total->sum += eras[i];
		if (total->greatest < eras[i])
			total->greatest = eras[i];
	}
	return 0;
}

static int fold_total(struct era_metadata *md, struct total *total)
{
	struct era_fold fold = { .device = md->device,
				 .nr_blocks = md->sb.geometry.nr_blocks,
				 .strict = true,
				 .window = add_up,
				 .arg = total };
	int r = era_layers_add_metadata(&fold.layers, md, ERA_REACHABLE,
					ERA_ASSUMPTION);

	*total = (struct total){ 0, 0 };
	if (!r)
		r = era_fold(&fold);
	era_layers_release(&fold.layers);
	return r;
}

static void state_superblock(const struct rebuilding *rb,
			     const struct state *state,
			     struct era_superblock *sb)
{
	uint32_t nr_blocks;

	*sb = (struct era_superblock){ .geometry = rb->geometry };
	nr_blocks = (uint32_t)array_length(rb->scan, state->era_array);
	sb->geometry.nr_blocks = nr_blocks;
	sb->writeset_tree_root = state->writeset_tree;
	sb->era_array_root = state->era_array;
	sb->metadata_snap = state->snapshot;
	sb->writeset_root = state->open;
	sb->writeset_nr_bits =
		state->open ? bitset_length(rb->scan, state->open, nr_blocks)
			    : 0;
	sb->space_map.nr_blocks = rb->scan->nr_blocks;
	sb->space_map.nr_allocated = state->nr_allocated;
	sb->space_map.bitmap_root = state->index_block;
	sb->space_map.ref_count_root = state->ref_counts;
}

/*
 * Loads what the state has archived and dates its open writeset: one era
 * after the last archived, or, where all has been digested, after the last
 * that left a trace. The era goes to sb->geometry.current_era.
 */
static int date_state(const struct rebuilding *rb, struct era_superblock *sb,
		      struct total *total, bool *digested)
{
	struct era_superblock archived = *sb;
	struct era_metadata md;
	int r;

	archived.writeset_root = 0;
	archived.geometry.current_era = UINT32_MAX;
	r = era_metadata_load_state(&md, rb->scan->device, &archived);
	if (!r)
		r = fold_total(&md, total);
	if (!r) {
		uint32_t last = total->greatest;

		*digested = !md.nr_writesets;
		if (md.nr_writesets &&
		    last < md.writesets[md.nr_writesets - 1].era)
			last = md.writesets[md.nr_writesets - 1].era;
		sb->geometry.current_era = last + !!sb->writeset_root;
	}
	era_metadata_release(&md);
	return r;
}

static int weigh_state(const struct rebuilding *rb, struct era_superblock *sb,
		       uint64_t *sum, bool *digested)
{
	struct era_metadata md;
	struct total total = { 0, 0 };
	int r = date_state(rb, sb, &total, digested);

	if (r || !sb->writeset_root) {
		*sum = total.sum;
		return r;
	}
	r = era_metadata_load_state(&md, rb->scan->device, sb);
	if (!r)
		r = fold_total(&md, &total);
	*sum = total.sum;
	era_metadata_release(&md);
	return r;
}

/* Loads and dates every state; those that do not hold up are dropped. */
static int prove_states(struct rebuilding *rb, struct era_proven **proven,
			size_t *nr)
{
	int r = 0;

	*nr = 0;
	*proven = calloc(rb->nr_states ? rb->nr_states : 1, sizeof(**proven));
	if (!*proven)
		return -ENOMEM;
	for (size_t i = 0; i < rb->nr_states && r != -ENOMEM; i++) {
		struct era_proven *p = &(*proven)[*nr];

		state_superblock(rb, &rb->states[i], &p->sb);
		r = weigh_state(rb, &p->sb, &p->sum, &p->digested);
		*nr += !r;
	}
	return r == -ENOMEM ? r : 0;
}

int era_prove(const struct era_scan *scan, const struct era_geometry *geometry,
	      const struct era_witness *witness, uint64_t index_block,
	      struct era_proven *proven)
{
	struct rebuilding rb = { .scan = scan, .geometry = *geometry };
	struct state state = { .index_block = index_block };
	int r = -EUCLEAN;

	rb.refs = malloc((size_t)scan->nr_blocks + 1);
	if (!rb.refs)
		return -ENOMEM;
	for (uint64_t i = 0; i < witness->nr_blocks; i++)
		state.nr_allocated += !!witness->counts[i];
	if (explain(&rb, witness, &state)) {
		state_superblock(&rb, &state, &proven->sb);
		r = weigh_state(&rb, &proven->sb, &proven->sum,
				&proven->digested);
		if (r && r != -ENOMEM)
			r = -EUCLEAN;
	}
	free(rb.refs);
	return r;
}

int era_find_proven(const struct era_scan *scan,
		    const struct era_geometry *geometry,
		    struct era_proven **states, size_t *nr,
		    uint64_t *nr_witnesses)
{
	struct rebuilding rb = { .scan = scan, .geometry = *geometry };
	int r;

	*states = NULL;
	*nr = 0;
	rb.refs = malloc((size_t)scan->nr_blocks + 1);
	r = rb.refs ? era_scan_each(scan, ROLE_INDEX, NULL, try_index, &rb)
		    : -ENOMEM;
	if (!r)
		r = prove_states(&rb, states, nr);
	*nr_witnesses = rb.nr_witnesses;
	free(rb.refs);
	free(rb.states);
	return r;
}

/*
 * Where the dates add up to the same, archiving is all that lies between: the
 * later era comes later, and within one the closed state, for it is archived
 * at its end.
 */
static bool is_later(const struct era_proven *a, const struct era_proven *b)
{
	if (a->sum != b->sum)
		return a->sum > b->sum;
	if (a->sb.geometry.current_era != b->sb.geometry.current_era)
		return a->sb.geometry.current_era > b->sb.geometry.current_era;
	return !a->sb.writeset_root && b->sb.writeset_root;
}

static void pick_last(struct era_rebuilt *rebuilt)
{
	const struct era_proven *best = NULL;

	for (size_t i = 0; i < rebuilt->nr_states; i++)
		if (!best || is_later(&rebuilt->states[i], best))
			best = &rebuilt->states[i];
	rebuilt->proven = best;
	if (best) {
		rebuilt->sb = best->sb;
		rebuilt->era_inferred = best->digested;
	}
}

/* Geometry from a superblock copy that a metadata snapshot has left. */
static int take_copy(void *arg, uint64_t block, const uint8_t *data)
{
	struct era_rebuilt *rebuilt = arg;
	struct era_superblock copy;
	char buf[128];

	if (block == ERA_SUPERBLOCK_LOCATION ||
	    era_superblock_fault(data, block, buf, sizeof(buf)))
		return 0;
	era_superblock_get(&copy, data);
	if (era_geometry_check(&copy.geometry, NULL, NULL))
		return 0;
	/* the newest says most; what never changes they all say alike */
	if (rebuilt->have_copy &&
	    copy.geometry.current_era < rebuilt->sb.geometry.current_era)
		return 0;
	rebuilt->have_copy = true;
	rebuilt->copy = block;
	rebuilt->sb.geometry = copy.geometry;
	return 0;
}

/* What the space maps that are left say of the last block, and past it. */
struct ending {
	const struct era_scan *scan;
	uint64_t last; /* highest block that holds something */
	bool counted;  /* it is in use in one of them */
	bool beyond;   /* and so is what is past the end of the device */
};

static int look_at_end(void *arg, uint64_t index_block, const uint8_t *data)
{
	struct ending *end = arg;
	struct era_witness witness;
	int r = era_witness_load(&witness, end->scan, index_block);

	(void)data;
	if (r)
		return r == -ENOMEM ? r : 0;
	end->counted |= witness.counts[end->last] != 0;
	end->beyond |= witness.beyond;
	era_witness_release(&witness);
	return 0;
}

/*
 * A device of one bitmap needs no index block to know what a bitmap counts;
 * most of them are left without theirs once the allocator has gone round.
 */
static int look_at_bitmap(void *arg, uint64_t block, const uint8_t *data)
{
	struct ending *end = arg;

	(void)block;
	for (uint64_t k = end->scan->nr_blocks; k < BITMAP_MAX_ENTRIES; k++)
		end->beyond |= bitmap_count(data, (uint32_t)k) != 0;
	return 0;
}

/*
 * Damage besides the superblock's may have hit the last commit's space map:
 * then an older state would look like the last. The kernel writes every block
 * that it allocates, the lowest free one first, and the index block last of a
 * commit; so below the highest block there is no hole, and where there is
 * room above, that highest block is an index block. Where there is none, and
 * no commit counts it, that commit's index was above: the device, or a copy of
 * it, was cut off. So it was where a commit counts what is past the end.
 */
static int find_alone(const struct era_scan *scan, bool *alone)
{
	struct ending end = { .scan = scan, .last = scan->nr_blocks };
	int r;

	*alone = false;
	while (end.last && scan->roles[end.last - 1] <= ROLE_UNKNOWN)
		end.last--;
	if (!end.last)
		return 0;
	end.last--;
	r = era_scan_each(scan, ROLE_INDEX, NULL, look_at_end, &end);
	if (!r)
		r = era_scan_each(scan, ROLE_BITMAP, NULL, look_at_bitmap,
				  &end);
	if (scan->roles[end.last] == ROLE_INDEX)
		end.counted = true;
	else if (end.last + 1 < scan->nr_blocks)
		end.counted = false;
	*alone = end.counted && !end.beyond;
	for (uint64_t block = 1; block < end.last; block++)
		*alone &= scan->roles[block] > ROLE_UNKNOWN;
	return r;
}

static void apply_geometry(struct era_rebuilt *rebuilt,
			   const struct era_orphans *orphans,
			   const struct era_geometry *geometry)
{
	struct era_geometry *g = &rebuilt->sb.geometry;
	uint32_t greatest = orphans->greatest_era;

	if (geometry->data_block_size && !rebuilt->have_copy)
		g->data_block_size = geometry->data_block_size;
	if (geometry->nr_blocks && !rebuilt->proven)
		g->nr_blocks = geometry->nr_blocks;
	/* the open era is one more than the greatest ever archived */
	if (rebuilt->proven && rebuilt->sb.writeset_root)
		greatest++;
	else if (!rebuilt->proven)
		greatest++; /* if one was open, this was it */
	if (g->current_era < greatest)
		g->current_era = greatest;
	if (g->current_era < geometry->current_era)
		g->current_era = geometry->current_era;
}

int era_rebuild_superblock(struct era_rebuilt *rebuilt,
			   const struct era_scan *scan,
			   const struct era_orphans *orphans,
			   const struct era_geometry *geometry)
{
	int r;

	*rebuilt = (struct era_rebuilt){ .proven = false };
	r = era_scan_each(scan, ROLE_SUPERBLOCK, NULL, take_copy, rebuilt);
	/* the copy is a snapshot's: of its eras nothing is known */
	rebuilt->sb.geometry.current_era = 0;
	rebuilt->sb.location = ERA_SUPERBLOCK_LOCATION;
	if (!r)
		r = find_alone(scan, &rebuilt->alone);
	if (!r && rebuilt->alone)
		r = era_find_proven(scan, &rebuilt->sb.geometry,
				    &rebuilt->states, &rebuilt->nr_states,
				    &rebuilt->nr_proven);
	if (r)
		return r;
	pick_last(rebuilt);
	apply_geometry(rebuilt, orphans, geometry);
	return 0;
}

void era_rebuilt_release(struct era_rebuilt *rebuilt)
{
	free(rebuilt->states);
	rebuilt->states = NULL;
	rebuilt->nr_states = 0;
}
