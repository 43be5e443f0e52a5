/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding the states worth proving: those in whose open writeset a bit is set
 * that the reachable one has not.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "era/beyond.h"
#include "era/later.h"

/*
 * Digestion commits that often without a mark more; and a device can hold
 * hundreds of thousands of commits.
 */
#define MAX_IN_VAIN 1024

struct search {
	struct era_later *later;
	const struct era_metadata *md;
	const struct era_scan *scan;
	const struct block_set *reachable;
	struct block_set judged; /* bitsets that say no more */
	bool all;		 /* look at every state */
	uint32_t greatest;	 /* era that an orphan of the era array holds */
};

/* Whether an index block's space map counts a block. */
static bool is_counted(const struct search *s, const uint8_t *index,
		       uint64_t block)
{
	uint8_t bitmap[ERA_BLOCK_SIZE];
	uint64_t i = block / BITMAP_MAX_ENTRIES, at;

	if (block >= s->scan->nr_blocks)
		return false;
	at = get_le64(index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE);
	return era_scan_role(s->scan, at) == ROLE_BITMAP &&
	       !era_device_read(s->scan->device, at, 1, bitmap) &&
	       bitmap_count(bitmap, (uint32_t)(block % BITMAP_MAX_ENTRIES));
}

static const struct era_writeset *open_writeset(const struct era_metadata *md)
{
	const struct era_writeset *last =
		md->nr_writesets ? &md->writesets[md->nr_writesets - 1] : NULL;

	return last && last->open ? last : NULL;
}

/* Whether one word or more has a bit that the other has not. */
static bool is_beyond(const uint8_t *words, const uint8_t *base, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t known = base ? get_le64(base + i * 8) : 0;

		if (get_le64(words + i * 8) & ~known)
			return true;
	}
	return false;
}

/* The same for array blocks; what the open writeset has lost may be set. */
static int compare_block(const struct search *s, const struct array_map *words,
			 uint32_t index, struct array_window *window,
			 struct array_window *base, bool *more)
{
	const struct era_writeset *open = open_writeset(s->md);
	struct era_device *device = s->scan->device;
	uint64_t nr_lost = 0;
	int r = array_window_read(window, device, words, index, 1, NULL,
				  &nr_lost);

	if (!r && open && index < array_map_nr_blocks(&open->words))
		r = array_window_read(base, device, &open->words, index, 1,
				      NULL, &nr_lost);
	else
		base->values[0] = NULL;
	if (!r && !nr_lost)
		*more = is_beyond(window->values[0], base->values[0],
				  array_map_nr_entries(words, index));
	return r;
}

/*
 * Whether a bitset has a bit that the open writeset lacks. From one commit to
 * the next most of its blocks stay what they are, and need no look.
 */
static int compare_bits(const struct search *s, const struct array_map *words,
			bool *more)
{
	struct array_window window, base;
	int r = array_window_init(&window, 1), r2 = array_window_init(&base, 1);

	r = r ? r : r2;
	for (size_t i = 0; i < words->nr_slots && !r && !*more; i++)
		if (!block_set_has(s->reachable, words->slots[i].block))
			r = compare_block(s, words, words->slots[i].index,
					  &window, &base, more);
	array_window_release(&window);
	array_window_release(&base);
	return r;
}

/* The same for what may be the root of a bitset. */
static int judge(const struct search *s, uint64_t root, bool *more)
{
	uint32_t nr_blocks = s->md->sb.geometry.nr_blocks;
	struct era_where where = { NULL, "bitset", root };
	struct array_map words = { .value_size = 8,
				   .nr_values = era_nr_words(nr_blocks),
				   .root = root,
				   .name = "bitset" };
	struct walk walk;
	int r = walk_init(&walk, s->scan->device, NULL, NULL);

	*more = false;
	if (!r)
		r = array_map_load(&words, &walk, &where);
	if (!r && !walk.nr_faults)
		r = compare_bits(s, &words, more);
	array_map_release(&words);
	walk_release(&walk);
	return r;
}

/* Whether a bitset that the witness counts and nothing leads to says more. */
static int marks_more(struct search *s, const struct era_witness *witness,
		      bool *more)
{
	int r = 0;

	*more = false;
	for (uint64_t block = 1; block < witness->nr_blocks; block++) {
		enum era_role role = era_scan_role(s->scan, block);

		if (!witness->counts[block] ||
		    (role != ROLE_POINTERS && role != ROLE_INTERNAL) ||
		    block_set_has(s->reachable, block) ||
		    block_set_has(&s->judged, block))
			continue;
		r = judge(s, block, more);
		if (r || *more)
			break;
		block_set_add(&s->judged, block);
	}
	return r;
}

bool era_later_is_ahead(const struct era_superblock *sb,
			const struct era_superblock *state, uint64_t nr_blocks)
{
	uint64_t from = sb->space_map.bitmap_root;
	uint64_t to = state->space_map.bitmap_root;

	return (to + nr_blocks - from) % nr_blocks * 2 < nr_blocks;
}

/* Holds a proven state against the reachable one. */
static int weigh(struct search *s, const struct era_proven *state)
{
	struct era_later *later = s->later;
	struct era_beyond beyond = { .watched = 0 }, own = { .watched = 0 };
	struct era_metadata md = { .nr_writesets = 0 };
	struct walk walk;
	int r = walk_init(&walk, s->scan->device, NULL, NULL);

	if (!r)
		r = era_metadata_load(&md, &walk, &state->sb, false);
	if (!r && !walk.nr_faults)
		r = era_metadata_beyond(&beyond, s->md, &md);
	if (!r && beyond.lowest)
		r = era_metadata_beyond(&own, &md, s->md);
	era_metadata_release(&md);
	walk_release(&walk);
	if (r || !beyond.lowest)
		return r;
	if (own.lowest ||
	    !era_later_is_ahead(&s->md->sb, &state->sb, s->scan->nr_blocks))
		later->ahead = false;
	if (!later->nr++ || state->sum > later->last.sum) {
		later->last = *state;
		later->lowest = beyond.lowest;
		later->nr_data_blocks = beyond.nr_data_blocks;
	}
	return 0;
}

static int try_index(struct search *s, uint64_t block)
{
	const struct era_superblock *sb = &s->md->sb;
	uint8_t index[ERA_BLOCK_SIZE];
	struct era_witness witness;
	struct era_proven state;
	bool more;
	int r;

	if (era_device_read(s->scan->device, block, 1, index))
		return 0;
	if (!s->all && !is_counted(s, index, sb->writeset_tree_root) &&
	    !is_counted(s, index, sb->era_array_root))
		return 0;
	r = era_witness_load(&witness, s->scan, block);
	if (r)
		return r == -ENOMEM ? r : 0;
	r = marks_more(s, &witness, &more);
	if (!r && more) {
		r = era_prove(s->scan, &sb->geometry, &witness, block, &state);
		if (!r)
			r = weigh(s, &state);
		else if (r == -EUCLEAN)
			r = 0;
	}
	era_witness_release(&witness);
	return r;
}

/*
 * Half a round of the device from the superblock's index block on, forward or
 * back, until too many commits in a row have said no more.
 */
static int try_direction(struct search *s, bool forward)
{
	uint64_t nr_blocks = s->scan->nr_blocks;
	uint64_t block = s->md->sb.space_map.bitmap_root % nr_blocks;
	unsigned int in_vain = 0;
	int r = 0;

	for (uint64_t i = 0; i < nr_blocks / 2 && !r; i++) {
		size_t nr = s->later->nr;

		block = (block + (forward ? 1 : nr_blocks - 1)) % nr_blocks;
		if (era_scan_role(s->scan, block) != ROLE_INDEX)
			continue;
		r = try_index(s, block);
		in_vain = s->later->nr > nr ? 0 : in_vain + 1;
		if (in_vain == MAX_IN_VAIN)
			break;
	}
	return r;
}

static int note_greatest(void *arg, uint64_t block, const uint8_t *data)
{
	struct search *s = arg;

	(void)block;
	for (uint32_t i = 0; i < get_le32(data + ARRAY_NR_ENTRIES); i++) {
		uint32_t era = get_le32(data + ARRAY_VALUES + (size_t)i * 4);

		if (s->greatest < era)
			s->greatest = era;
	}
	return 0;
}

/*
 * Whether orphans are ahead of md in archiving or digesting: an era is
 * archived once it is over, and digested lowest first.
 */
static int compare_progress(struct search *s, const struct era_orphans *orphans)
{
	const struct era_metadata *md = s->md;
	int r;

	if (!md->nr_writesets)
		return 0;
	r = era_scan_each(s->scan, ROLE_ERAS, s->reachable, note_greatest, s);
	s->all = s->greatest >= md->writesets[0].era ||
		 (open_writeset(md) &&
		  orphans->greatest_era >= md->sb.geometry.current_era);
	return r;
}

int era_later_find(struct era_later *later, const struct era_metadata *md,
		   const struct era_orphans *orphans,
		   const struct block_set *reachable)
{
	struct search s = { .later = later,
			    .md = md,
			    .scan = orphans->scan,
			    .reachable = reachable };
	int r = block_set_init(&s.judged, s.scan->nr_blocks);

	*later = (struct era_later){ .ahead = true };
	if (!r)
		r = compare_progress(&s, orphans);
	if (!r)
		r = try_direction(&s, true);
	if (!r)
		r = try_direction(&s, false);
	block_set_release(&s.judged);
	return r;
}
