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

/* Each is a pass over all metadata blocks; so many are damage, whatever
 * follows. */
#define MAX_LATER 1024
/* Behind so many, little of the one before is left. */
#define MAX_EARLIER 64
/* Each reads all that a commit counts; the last ones are still whole. */
#define MAX_PROOFS 16
/* Of a row of commits the first can have been overwritten, but not so many. */
#define MAX_UNLINKED 32

struct search {
	struct era_later *later;
	const struct era_metadata *md;
	const struct era_scan *scan;
	const struct block_set *reachable;
	struct block_set judged;  /* nodes that lead to no more */
	struct block_set bitsets; /* those of them that lead to bits */
	/* a commit is looked at of a later era than md's, as far as can be
	 * told from what it counts: any bit can say more */
	bool rolled;
	bool compared;		/* bits that md does not lead to */
	bool idle;		/* of the state at hand, as later's */
	unsigned int nr_proofs; /* tried so far */
};

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
static int compare_block(struct search *s, const struct array_map *words,
			 uint32_t index, struct array_window *window,
			 struct array_window *base, bool *more)
{
	const struct era_writeset *open =
		s->rolled ? NULL : open_writeset(s->md);
	struct era_device *device = s->scan->device;
	uint64_t nr_lost = 0;
	int r = array_window_read(window, device, words, index, 1, NULL,
				  &nr_lost);

	if (!r && open && index < array_map_nr_blocks(&open->words))
		r = array_window_read(base, device, &open->words, index, 1,
				      NULL, &nr_lost);
	else
		base->values[0] = NULL;
	if (r || nr_lost)
		return r;
	s->compared = true;
	*more = is_beyond(window->values[0], base->values[0],
			  array_map_nr_entries(words, index));
	return 0;
}

/*
 * Whether a bitset has a bit that the open writeset lacks. From one commit to
 * the next most of its blocks stay what they are, and need no look.
 */
static int compare_bits(struct search *s, const struct array_map *words,
			bool *more)
{
	struct array_window window, base;
	int r = array_window_init(&window, 1), r2 = array_window_init(&base, 1);

	r = r ? r : r2;
	for (size_t i = 0; i < words->nr_slots && !r && !*more; i++) {
		if (block_set_has(s->reachable, words->slots[i].block))
			continue;
		r = compare_block(s, words, words->slots[i].index, &window,
				  &base, more);
	}
	array_window_release(&window);
	array_window_release(&base);
	return r;
}

/* The same for what may be the root of a bitset. */
static int judge(struct search *s, uint64_t root, bool *more)
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
	bool compared = false; /* any of them */
	int r = 0;

	*more = false;
	for (uint64_t block = 1; block < witness->nr_blocks; block++) {
		enum era_role role = era_scan_role(s->scan, block);

		if (!witness->counts[block] ||
		    (role != ROLE_POINTERS && role != ROLE_INTERNAL) ||
		    block_set_has(s->reachable, block))
			continue;
		if (!s->rolled && block_set_has(&s->judged, block)) {
			compared |= block_set_has(&s->bitsets, block);
			continue;
		}
		s->compared = false;
		r = judge(s, block, more);
		compared |= s->compared;
		if (r || *more)
			break;
		if (s->rolled)
			continue;
		block_set_add(&s->judged, block);
		if (s->compared)
			block_set_add(&s->bitsets, block);
	}
	s->compared = compared;
	return r;
}

bool era_later_is_ahead(const struct era_superblock *sb,
			const struct era_superblock *state, uint64_t nr_blocks)
{
	uint64_t from = sb->space_map.bitmap_root;
	uint64_t to = state->space_map.bitmap_root;

	return (to + nr_blocks - from) % nr_blocks * 2 < nr_blocks;
}

/* Proves the state of an index block whose bitsets mark more than md's. */
static int prove_more(struct search *s, const struct era_witness *witness,
		      uint64_t index, struct era_proven *state, bool *more,
		      bool *proven)
{
	int r = marks_more(s, witness, more);

	*proven = false;
	if (r || !*more || s->nr_proofs++ >= MAX_PROOFS)
		return r;
	r = era_prove(s->scan, &s->md->sb.geometry, witness, index, state);
	*proven = !r;
	return r == -EUCLEAN ? 0 : r;
}

/*
 * Compares a proven state with the reachable one, either way round; nr_blocks
 * is the size of the later one.
 */
static int compare(const struct search *s, const struct era_superblock *sb,
		   uint32_t nr_blocks, struct era_beyond *beyond,
		   struct era_beyond *own)
{
	struct era_metadata md;
	int r = era_metadata_load_state(&md, s->scan->device, sb);

	*beyond = *own = (struct era_beyond){ .watched = 0 };
	if (!r)
		r = era_metadata_beyond(beyond, s->md, &md, nr_blocks);
	if (!r && beyond->lowest)
		r = era_metadata_beyond(own, &md, s->md, nr_blocks);
	era_metadata_release(&md);
	return r == -EUCLEAN ? 0 : r;
}

static void take(struct search *s, const struct era_proven *state,
		 const struct era_beyond *beyond)
{
	struct era_later *later = s->later;

	if (later->nr++)
		return;
	later->last = *state;
	later->idle = s->idle;
	later->lowest = beyond->lowest;
	later->nr_data_blocks = beyond->nr_data_blocks;
}

/* --- the chain of commits --------------------------------------------------*/

/*
 * Whether a commit can be the one right after another, of which the allocator
 * went on from a block. It (sm_metadata_new_block_ in dm-space-map-metadata.c)
 * goes forward from where it was, or once the metadata was opened anew, from
 * the start, and takes the first block that is free; a commit's last is its
 * index. So what is in use after and was not before are blocks from the first
 * free one on, and up to that index.
 */
static bool is_next(const struct era_witness *before, uint64_t from,
		    const struct era_witness *after, uint64_t index)
{
	uint64_t nr_blocks = before->nr_blocks;
	bool first = true;

	for (uint64_t i = 1; i < nr_blocks; i++) {
		uint64_t block = (from + i) % nr_blocks;
		bool behind = i > (index + nr_blocks - from) % nr_blocks;

		if (before->counts[block])
			continue;
		if (first ? !after->counts[block] || behind
			  : behind && after->counts[block])
			return false;
		first = false;
	}
	return true;
}

/* The nearest index block behind another block, or before it; 0 for none. */
static uint64_t nearest_index(const struct era_scan *scan, uint64_t from,
			      bool behind)
{
	for (uint64_t i = 1; i < scan->nr_blocks; i++) {
		uint64_t block = from + (behind ? i : scan->nr_blocks - i);

		block %= scan->nr_blocks;
		if (era_scan_role(scan, block) == ROLE_INDEX)
			return block;
	}
	return 0;
}

/* --- what came after the superblock ----------------------------------------*/

static bool is_counted(const struct era_witness *witness, uint64_t block)
{
	return block < witness->nr_blocks && witness->counts[block];
}

/*
 * Whether what a witness counts can come right after the superblock's commit.
 * Opening the metadata archives the open writeset as it is. Where none was
 * open, the next commit begins an era, and leaves the writeset tree alone.
 */
static bool is_after(const struct era_superblock *sb,
		     const struct era_witness *witness, bool opened)
{
	if (!sb->writeset_root)
		return is_counted(witness, sb->writeset_tree_root);
	return !opened || is_counted(witness, sb->writeset_root);
}

/* Behind block 0 the superblock's own index can lie before the next one. */
static uint64_t index_behind(const struct search *s, uint64_t from)
{
	uint64_t own = s->md->sb.space_map.bitmap_root;
	uint64_t index = nearest_index(s->scan, from, true);

	return index == own ? nearest_index(s->scan, own, true) : index;
}

/* How many commits came next, one after the other, and the last one's index. */
static int follow(const struct search *s, const struct era_witness *own,
		  uint64_t from, size_t *nr, uint64_t *last)
{
	struct era_witness before = *own, after;
	int r = 0;

	*nr = 0;
	for (*last = from; *nr < MAX_LATER; (*nr)++) {
		uint64_t index = index_behind(s, *last);
		bool next;

		r = era_witness_load(&after, s->scan, index);
		if (r)
			break;
		next = is_next(&before, *last, &after, index) &&
		       (*nr || is_after(&s->md->sb, &after, !from));
		if (*nr)
			era_witness_release(&before);
		before = after;
		if (!next) {
			era_witness_release(&after);
			return 0;
		}
		*last = index;
	}
	if (*nr)
		era_witness_release(&before);
	return r == -EUCLEAN ? 0 : r;
}

/* Whether both are of one era: none was archived or digested in between. */
static bool is_same_era(const struct search *s, const struct era_proven *state)
{
	const struct era_superblock *sb = &s->md->sb;

	return state->sb.writeset_tree_root == sb->writeset_tree_root &&
	       state->sb.era_array_root == sb->era_array_root &&
	       open_writeset(s->md);
}

/*
 * The era of a later state, which a writeset of its tree names. Where none is
 * left, no era was begun by more commits than there are in between; steps is 0
 * where they were not counted, and then there is no telling.
 */
static void date_later(struct search *s, struct era_proven *state, size_t steps)
{
	const struct era_superblock *sb = &s->md->sb;
	uint32_t era = sb->geometry.current_era + !sb->writeset_root;
	uint32_t *later = &state->sb.geometry.current_era;

	if (*later < era)
		*later = era;
	if (!state->digested)
		return;
	s->idle = !steps;
	if (steps && era + steps > *later)
		*later = era + (uint32_t)steps;
}

/*
 * A later commit says all that the superblock's does: what does not is of an
 * earlier activation, and its trees' blocks have been used again. steps: as
 * date_later.
 */
static int try_later(struct search *s, uint64_t index, size_t steps)
{
	const struct era_superblock *sb = &s->md->sb;
	struct era_beyond beyond, own;
	struct era_witness witness;
	struct era_proven state;
	bool more, proven;
	int r = era_witness_load(&witness, s->scan, index);

	if (r)
		return r == -ENOMEM ? r : 0;
	/* digested since, or archived and not digested yet */
	s->rolled =
		!is_counted(&witness, sb->era_array_root) ||
		(sb->writeset_root && is_counted(&witness, sb->writeset_root));
	r = prove_more(s, &witness, index, &state, &more, &proven);
	s->rolled = false;
	era_witness_release(&witness);
	if (r || !proven)
		return r;
	s->idle = false;
	if (is_same_era(s, &state))
		state.sb.geometry.current_era = sb->geometry.current_era;
	r = compare(s, &state.sb, state.sb.geometry.nr_blocks, &beyond, &own);
	if (r || !beyond.lowest || own.lowest)
		return r;
	if (!is_same_era(s, &state))
		date_later(s, &state, steps);
	take(s, &state, &beyond);
	return 0;
}

/*
 * Whether the superblock's own space map counts an open writeset, where the
 * superblock has none. A kernel that does not recover it when it opens the
 * metadata after a crash drops it so.
 */
static int find_own(struct search *s, const struct era_witness *own,
		    uint64_t index)
{
	struct era_beyond beyond, theirs;
	struct era_proven state;
	bool more, proven;
	int r;

	if (s->md->sb.writeset_root)
		return 0;
	r = prove_more(s, own, index, &state, &more, &proven);
	if (r || !proven)
		return r;
	/* of the same commit: idle eras have left no trace to count on from */
	if (state.sb.geometry.current_era < s->md->sb.geometry.current_era)
		state.sb.geometry.current_era = s->md->sb.geometry.current_era;
	r = compare(s, &state.sb, state.sb.geometry.nr_blocks, &beyond,
		    &theirs);
	if (r || !beyond.lowest || theirs.lowest)
		return r;
	take(s, &state, &beyond);
	s->later->dropped = true;
	return 0;
}

/*
 * The last of those that followed on a block and that say more, and whether
 * one before it does, too: a single one can have been under way. steps: commits
 * from the superblock's to the one before them.
 */
static int find_behind(struct search *s, const struct era_witness *own,
		       uint64_t from, size_t steps)
{
	struct era_witness closed;
	uint64_t index, last;
	size_t nr;
	int r = follow(s, own, from, &nr, &last);

	index = last;
	for (size_t i = nr;
	     i && !r && s->later->nr < 2 && s->nr_proofs < MAX_PROOFS; i--) {
		r = try_later(s, index, steps + i);
		index = nearest_index(s->scan, index, false);
	}
	if (r || s->later->nr || !from || !nr)
		return r;
	/* the metadata may have been opened anew after them */
	r = era_witness_load(&closed, s->scan, last);
	if (!r)
		r = find_behind(s, &closed, 0, steps + nr);
	era_witness_release(&closed);
	return r == -EUCLEAN ? 0 : r;
}

/* --- what came before it ---------------------------------------------------*/

/* Whether nothing that a witness counts has been allocated again since. */
static bool is_untouched(const struct era_witness *witness,
			 const struct block_set *allocated)
{
	for (uint64_t block = 0; block < witness->nr_blocks; block++)
		if (witness->counts[block] && block_set_has(allocated, block))
			return false;
	return true;
}

static int try_earlier(struct search *s, const struct era_witness *witness,
		       uint64_t index, bool *settled)
{
	struct era_beyond beyond = { .lowest = 0 }, own;
	struct era_proven state;
	bool more, proven;
	int r = prove_more(s, witness, index, &state, &more, &proven);

	/* with the block that was lost it says no more than md does */
	*settled = more ? proven : s->compared;
	/* blocks that a repair took from it date it too late */
	if (proven &&
	    state.sb.geometry.current_era > s->md->sb.geometry.current_era)
		state.sb.geometry.current_era = s->md->sb.geometry.current_era;
	if (!r && proven)
		r = compare(s, &state.sb, s->md->sb.geometry.nr_blocks, &beyond,
			    &own);
	if (!r && beyond.lowest) {
		take(s, &state, &beyond);
		s->later->write_lost = true;
	}
	return r;
}

/*
 * Goes back from commit to commit, as long as each is the next of the one
 * before, to the last that is still there. It says what the superblock's does,
 * or less: what it says and that one does not has been lost since.
 */
static int find_before(struct search *s, struct era_witness *own)
{
	uint64_t from = s->md->sb.space_map.bitmap_root;
	struct era_witness after = *own, before;
	struct block_set allocated;
	bool settled = false;
	int r = block_set_init(&allocated, s->scan->nr_blocks);

	*own = (struct era_witness){ .nr_blocks = 0 };
	for (int i = 0; i < MAX_EARLIER && !r && !settled; i++) {
		uint64_t index = nearest_index(s->scan, from, false);

		r = era_witness_load(&before, s->scan, index);
		if (r)
			break;
		if (!is_next(&before, index, &after, from))
			r = -EUCLEAN;
		for (uint64_t k = 0; k < after.nr_blocks && !r; k++)
			if (after.counts[k] && !before.counts[k])
				block_set_add(&allocated, k);
		if (!r && is_untouched(&before, &allocated))
			r = try_earlier(s, &before, index, &settled);
		era_witness_release(&after);
		after = before;
		from = index;
	}
	era_witness_release(&after);
	block_set_release(&allocated);
	return r == -EUCLEAN ? 0 : r;
}

/* --- the superblock's own commit -------------------------------------------*/

static uint64_t nr_counted(const struct era_witness *witness)
{
	uint64_t nr = 0;

	for (uint64_t block = 0; block < witness->nr_blocks; block++)
		nr += witness->counts[block] != 0;
	return nr;
}

/* Whether a sound block of another kind stands there, as rot makes none. */
static bool is_other(const struct search *s, uint64_t block,
		     enum block_kind kind, uint8_t *data)
{
	enum block_kind found;

	if (era_device_read(s->scan->device, block, 1, data))
		return false;
	found = block_identify(data, block);
	return found != BLOCK_UNKNOWN && found != kind;
}

/* The same for an index block, and for the bitmaps that it leads to. */
static bool is_other_map(const struct search *s)
{
	const struct space_map_root *root = &s->md->sb.space_map;
	uint8_t index[ERA_BLOCK_SIZE], bitmap[ERA_BLOCK_SIZE];
	bool other = false;

	if (era_scan_role(s->scan, root->bitmap_root) != ROLE_INDEX ||
	    era_scan_read(s->scan, root->bitmap_root, index))
		return is_other(s, root->bitmap_root, BLOCK_INDEX, index);
	for (uint32_t i = 0; i < INDEX_MAX_ENTRIES; i++) {
		uint64_t block =
			get_le64(index + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE);

		if (!block)
			break;
		other |= is_other(s, block, BLOCK_BITMAP, bitmap);
	}
	return other;
}

/*
 * Whether what stands in the place of md's space map is not md's: it has been
 * used again since, or was written and the write was lost. own: its counts, if
 * it has any.
 */
static bool is_anothers(const struct search *s, const struct era_witness *own)
{
	if (!own->counts)
		return is_other_map(s);
	for (uint64_t block = 1; block < own->nr_blocks; block++)
		if (block_set_has(s->reachable, block) && !own->counts[block])
			return true;
	return nr_counted(own) != s->md->sb.space_map.nr_allocated;
}

/*
 * Whether one of the commits behind block 0, where the metadata may have been
 * opened anew, or behind md's says all that md does, and more: they need not be
 * the next one. If none does, a write of the space map was lost, and no more.
 */
static int find_any(struct search *s)
{
	const uint64_t starts[] = { 0, s->md->sb.space_map.bitmap_root };
	int r = 0;

	for (size_t i = 0; i < 2 && !r && !s->later->nr; i++) {
		uint64_t index = starts[i];

		s->nr_proofs = 0;
		for (int k = 0; k < MAX_UNLINKED && !r && !s->later->nr; k++) {
			index = nearest_index(s->scan, index, true);
			r = try_later(s, index, 0);
		}
	}
	s->later->reused = s->later->nr;
	return r;
}

/* The commits around md's, whose counts are given and used up. */
static int find_around(struct search *s, struct era_witness *own)
{
	int r;

	s->nr_proofs = 0;
	r = find_behind(s, own, s->md->sb.space_map.bitmap_root, 0);
	if (!r && !s->later->nr)
		r = find_behind(s, own, 0, 0);
	if (!r && !s->later->nr)
		r = find_before(s, own);
	era_witness_release(own);
	return r;
}

/* What is in use as counts, where the space map says otherwise; or none. */
static int correct_counts(struct era_witness *known,
			  const struct era_witness *own,
			  const struct block_set *in_use)
{
	bool differs = false;

	*known = (struct era_witness){ .nr_blocks = own->nr_blocks };
	if (!own->counts || !in_use)
		return 0;
	known->counts = calloc(1, (size_t)known->nr_blocks + 1);
	if (!known->counts)
		return -ENOMEM;
	for (uint64_t i = 0; i < known->nr_blocks; i++) {
		known->counts[i] = block_set_has(in_use, i);
		differs |= !known->counts[i] != !own->counts[i];
	}
	if (!differs)
		era_witness_release(known);
	return 0;
}

int era_later_find(struct era_later *later, const struct era_metadata *md,
		   const struct era_orphans *orphans,
		   const struct block_set *reachable,
		   const struct block_set *in_use)
{
	struct search s = { .later = later,
			    .md = md,
			    .scan = orphans->scan,
			    .reachable = reachable };
	uint64_t index = md->sb.space_map.bitmap_root;
	struct era_witness own, known = { .counts = NULL };
	int r;

	*later = (struct era_later){ .nr = 0 };
	r = era_witness_load(&own, s.scan, index);
	if (r == -ENOMEM)
		return r;
	r = block_set_init(&s.judged, s.scan->nr_blocks);
	if (!r)
		r = block_set_init(&s.bitsets, s.scan->nr_blocks);
	if (!r)
		r = correct_counts(&known, &own, in_use);
	if (!r && is_anothers(&s, &own))
		r = find_any(&s);
	if (!r && !later->nr && own.counts)
		r = find_own(&s, &own, index);
	if (!r && !later->nr && own.counts)
		r = find_around(&s, &own);
	if (!r && !later->nr && known.counts)
		r = find_around(&s, &known);
	era_witness_release(&known);
	era_witness_release(&own);
	block_set_release(&s.judged);
	block_set_release(&s.bitsets);
	return r;
}
