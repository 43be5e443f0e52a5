/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commits of the superblock's own history that say more than it does: those
 * that followed on its commit, and one before it where a write was lost since.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "era/beyond.h"
#include "era/later.h"

/* Behind so many, little of the first is left. */
#define MAX_EARLIER 64

struct search {
	struct era_later *later;
	const struct era_metadata *md;
	const struct era_scan *scan;
	const struct era_commits *commits;
	const struct block_set *reachable;
};

static const struct era_commit *commit_at(const struct search *s, size_t i)
{
	return &s->commits->list[i];
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

static void take(struct search *s, size_t nr, const struct era_proven *state,
		 const struct era_beyond *beyond)
{
	s->later->nr = nr;
	s->later->last = *state;
	s->later->lowest = beyond->lowest;
	s->later->nr_data_blocks = beyond->nr_data_blocks;
}

/* --- what came after the superblock ----------------------------------------*/

/* Whether both are of one era: none was archived or digested in between. */
static bool is_same_era(const struct search *s, const struct era_proven *state)
{
	const struct era_superblock *sb = &s->md->sb;

	return state->sb.writeset_tree_root == sb->writeset_tree_root &&
	       state->sb.era_array_root == sb->era_array_root &&
	       sb->writeset_root;
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

	if (is_same_era(s, state))
		return;
	if (*later < era)
		*later = era;
	if (!state->digested)
		return;
	s->later->idle = !steps;
	if (steps && era + steps > *later)
		*later = era + (uint32_t)steps;
}

/*
 * A later commit says all that the superblock's does: what does not is of an
 * earlier activation, and its trees' blocks have been used again. steps: as
 * date_later.
 */
static int try_later(struct search *s, size_t at, size_t steps)
{
	struct era_beyond beyond, own;
	struct era_proven state;
	int r;

	era_proven_take(&state, commit_at(s, at), s->scan, &s->md->sb.geometry);
	if (is_same_era(s, &state))
		state.sb.geometry.current_era = s->md->sb.geometry.current_era;
	r = compare(s, &state.sb, state.sb.geometry.nr_blocks, &beyond, &own);
	if (r || !beyond.lowest || own.lowest)
		return r;
	date_later(s, &state, steps);
	take(s, steps ? steps : 1, &state, &beyond);
	return 0;
}

/*
 * Whether the superblock's own space map counts an open writeset, where the
 * superblock has none. A kernel that does not recover it when it opens the
 * metadata after a crash drops it so.
 */
static int find_own(struct search *s, size_t at)
{
	const struct era_commit *commit = commit_at(s, at);
	struct era_beyond beyond, theirs;
	struct era_proven state;
	int r;

	if (s->md->sb.writeset_root || commit->proof != ERA_PROVEN ||
	    !commit->roots.open)
		return 0;
	era_proven_take(&state, commit, s->scan, &s->md->sb.geometry);
	r = compare(s, &state.sb, state.sb.geometry.nr_blocks, &beyond,
		    &theirs);
	if (r || !beyond.lowest || theirs.lowest)
		return r;
	take(s, 1, &state, &beyond);
	s->later->dropped = true;
	return 0;
}

static int find_behind(struct search *s, size_t at)
{
	size_t last, nr = era_commits_follow(s->commits, at, &last);

	return nr ? try_later(s, last, nr) : 0;
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

/* What it says and the superblock's does not has been lost since. */
static int try_earlier(struct search *s, size_t at)
{
	struct era_beyond beyond, own;
	struct era_proven state;
	int r;

	era_proven_take(&state, commit_at(s, at), s->scan, &s->md->sb.geometry);
	/* blocks that a repair took from it date it too late */
	if (state.sb.geometry.current_era > s->md->sb.geometry.current_era)
		state.sb.geometry.current_era = s->md->sb.geometry.current_era;
	r = compare(s, &state.sb, s->md->sb.geometry.nr_blocks, &beyond, &own);
	if (!r && beyond.lowest) {
		take(s, 1, &state, &beyond);
		s->later->write_lost = true;
	}
	return r;
}

/* Adds what one commit counts and the one before it did not. */
static void add_allocated(struct block_set *allocated,
			  const struct era_witness *before,
			  const struct era_witness *after)
{
	for (uint64_t block = 0; block < after->nr_blocks; block++)
		if (after->counts[block] && !before->counts[block])
			block_set_add(allocated, block);
}

/*
 * Whether nothing that one commit counts was allocated again by those behind
 * it, up to the last of them.
 */
static int stands_whole(const struct search *s, size_t at, size_t last,
			bool *whole)
{
	struct era_witness first, before, after;
	struct block_set allocated;
	int r = block_set_init(&allocated, s->scan->nr_blocks);

	first = before = (struct era_witness){ .nr_blocks = 0 };
	if (!r)
		r = era_witness_load(&first, s->scan,
				     commit_at(s, at)->index_block);
	for (size_t i = at; i < last && !r; i++) {
		r = era_witness_load(&after, s->scan,
				     commit_at(s, i + 1)->index_block);
		if (!r)
			add_allocated(&allocated, i == at ? &first : &before,
				      &after);
		era_witness_release(&before);
		before = after;
	}
	*whole = !r && is_untouched(&first, &allocated);
	era_witness_release(&before);
	era_witness_release(&first);
	block_set_release(&allocated);
	return r == -EUCLEAN ? 0 : r;
}

/*
 * Goes back from commit to commit, as long as each is sure to have followed the
 * one before, to one that did by its place, and dates a data block earlier all
 * the same: a write was lost in between, and the commits since have not seen
 * it.
 */
static int find_before(struct search *s, size_t at)
{
	size_t i = at;
	bool whole;
	int r;

	while (at - i < MAX_EARLIER && i && commit_at(s, i)->sure &&
	       commit_at(s, i)->edge == ERA_EDGE_NEXT)
		i--;
	if (!i || !commit_at(s, i)->contradicts)
		return 0;
	r = stands_whole(s, i - 1, at, &whole);
	return r || !whole ? r : try_earlier(s, i - 1);
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
 * The last of all commits, where what stands in the place of the superblock's
 * says nothing of what followed. If it does not say more, a write of the space
 * map was lost, and no more.
 */
static int find_any(struct search *s)
{
	size_t last = era_commits_last(s->commits);
	int r;

	if (last == ERA_NO_COMMIT)
		return 0;
	r = try_later(s, last, 0);
	s->later->reused = s->later->nr;
	return r;
}

/* What is found with the superblock's own commit at hand. */
static int find_around(struct search *s, size_t at)
{
	int r = find_own(s, at);

	if (!r && !s->later->nr)
		r = find_behind(s, at);
	if (!r && !s->later->nr)
		r = find_before(s, at);
	return r;
}

int era_later_find(struct era_later *later, const struct era_metadata *md,
		   const struct era_scan *scan,
		   const struct era_commits *commits,
		   const struct block_set *reachable)
{
	struct search s = { .later = later,
			    .md = md,
			    .scan = scan,
			    .commits = commits,
			    .reachable = reachable };
	size_t at = commits->superblocks;
	struct era_witness own;
	int r;

	*later = (struct era_later){ .nr = 0 };
	r = era_witness_load(&own, scan, md->sb.space_map.bitmap_root);
	if (r == -ENOMEM)
		return r;
	r = is_anothers(&s, &own) ? find_any(&s) : 0;
	if (!r && !later->nr && own.counts && at != ERA_NO_COMMIT)
		r = find_around(&s, at);
	era_witness_release(&own);
	return r;
}
