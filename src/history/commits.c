/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One sweep over the index blocks: the census proves each commit, its dates
 * refute what the census alone would believe, and from one to the next it is
 * seen whether it follows.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "history/commits.h"
#include "history/dates.h"

struct sweep {
	struct era_commits *commits;
	const struct era_scan *scan;
	struct era_reading reading;
	struct era_census census;
	struct era_dates dates;
	size_t dated; /* the commit whose dates are at hand */
	/* the first commit of the list can be one that was opened: from the
	 * commit that differs least from it */
	size_t opener;
	struct block_set openers; /* all that can be: places in the list */
	uint64_t opener_differs;  /* blocks that only one of the two counts */
	bool first_is_packed; /* the first blocks, without a hole, are its */
	bool first_is_next;   /* of the last one, past the device's end */
	uint64_t last_differs;
};

static int list_indexes(struct era_commits *commits,
			const struct era_scan *scan)
{
	size_t nr = 0;

	for (uint64_t block = 0; block < scan->nr_blocks; block++)
		nr += era_scan_role(scan, block) == ROLE_INDEX;
	commits->list = calloc(nr + 1, sizeof(*commits->list));
	commits->order = calloc(nr + 1, sizeof(*commits->order));
	if (!commits->list || !commits->order)
		return -ENOMEM;
	for (uint64_t block = 0; block < scan->nr_blocks; block++)
		if (era_scan_role(scan, block) == ROLE_INDEX)
			commits->list[commits->nr++] =
				(struct era_commit){ .index_block = block,
						     .before = ERA_NO_COMMIT };
	return 0;
}

/* --- one commit ----------------------------------------------------------- */

/* The state that its roots lead to, as far as its trees are whole. */
static int date_commit(struct sweep *s, struct era_commit *commit)
{
	const struct era_dates *dates = &s->dates;
	int r = era_dates_step(&s->dates, &commit->roots);

	if (r) {
		s->dated = ERA_NO_COMMIT;
		commit->roots = (struct era_roots){ 0 };
		commit->proof =
			r == -E2BIG ? ERA_PROOF_BUDGET : ERA_PROOF_TREES;
		return r == -ENOMEM ? r : 0;
	}
	commit->nr_blocks = dates->nr_blocks;
	commit->nr_open_bits = dates->nr_open_bits;
	commit->era = dates->era;
	commit->inferred = commit->digested = dates->inferred;
	commit->sum = dates->sum;
	return 0;
}

/* Goes to a commit and proves it. */
static int prove(struct sweep *s, struct era_commit *commit)
{
	commit->proof = era_census_step(&s->census, commit->index_block);
	commit->counted = commit->proof == ERA_PROVEN;
	if (!commit->counted)
		return 0;
	commit->nr_allocated = s->census.nr_allocated;
	commit->proof = era_census_prove(&s->census, &commit->roots);
	return commit->proof == ERA_PROVEN ? date_commit(s, commit) : 0;
}

/* --- edges ---------------------------------------------------------------- */

/*
 * Whether the step to a commit that was just dated contradicts that it follows
 * the one before: leftovers of other histories stand where the next one would.
 */
static bool is_refuted(const struct sweep *s, size_t before, size_t after)
{
	const struct era_commit *a = &s->commits->list[before];
	const struct era_commit *b = &s->commits->list[after];

	if (a->proof != ERA_PROVEN || b->proof != ERA_PROVEN)
		return false;
	if (!b->inferred && b->era < a->era)
		return true;
	return s->dated == before && s->dates.compared && s->dates.fell;
}

static void connect(struct sweep *s, size_t before, size_t after,
		    enum era_edge edge)
{
	const struct era_commit *a = &s->commits->list[before];
	struct era_commit *b = &s->commits->list[after];

	b->edge = edge;
	b->before = before;
	b->sure = a->proof == ERA_PROVEN && b->proof == ERA_PROVEN;
}

/* Whether opening a commit has left its open writeset, or its era array. */
static bool is_kept(const struct era_roots *roots,
		    bool (*has)(const struct era_census *census,
				uint64_t block),
		    const struct era_census *census)
{
	return has(census, roots->open ? roots->open : roots->era_array);
}

static bool is_counted(const struct era_census *census, uint64_t block)
{
	return block < census->nr_blocks && era_census_count(census, block);
}

/* Whether the first commit of the list can be one that opened this one. */
static void try_opener(struct sweep *s, size_t i)
{
	const struct era_commit *commit = &s->commits->list[i];
	struct era_census *census = &s->census;
	uint64_t differs = census->nr_alone + census->nr_other_alone;
	uint64_t free_block;

	if (!i || !census->other || commit->proof != ERA_PROVEN ||
	    census->nr_other_beyond)
		return;
	free_block = era_census_lowest_free(census);
	if (free_block > census->other ||
	    !era_census_other_has(census, free_block) ||
	    !is_kept(&commit->roots, era_census_other_has, census))
		return;
	block_set_add(&s->openers, i);
	if (s->opener != ERA_NO_COMMIT && s->opener_differs <= differs)
		return;
	s->opener = i;
	s->opener_differs = differs;
}

/* What is known of a step from one commit of the list to the one behind. */
struct passing {
	uint64_t lowest_free; /* in the one before */
	bool adjacent;	      /* both are counted */
};

/* The edge from a commit to the one behind it, whose turn it was. */
static void follow(struct sweep *s, size_t before, size_t after,
		   const struct passing *passing)
{
	const struct era_census *census = &s->census;
	const struct era_commit *a = &s->commits->list[before];
	uint64_t index = s->commits->list[after].index_block;

	if (!passing->adjacent)
		return;
	if (is_refuted(s, before, after)) {
		s->commits->list[after].contradicts =
			!census->nr_came_outside && census->is_behind;
		return;
	}
	if (!census->nr_came_outside && census->is_behind)
		connect(s, before, after, ERA_EDGE_NEXT);
	/* only its own index block can stand before that of the one opened */
	else if (!before && !census->nr_came_beyond &&
		 passing->lowest_free <= index &&
		 is_counted(census, passing->lowest_free) &&
		 a->proof == ERA_PROVEN &&
		 is_kept(&a->roots, is_counted, census))
		connect(s, before, after, ERA_EDGE_OPENED);
}

static int visit(struct sweep *s, size_t i)
{
	struct era_commit *commit = &s->commits->list[i];
	struct passing passing = { .adjacent = false };
	int r;

	if (i && commit[-1].counted) {
		passing.adjacent = true;
		passing.lowest_free = era_census_lowest_free(&s->census);
	}
	r = prove(s, commit);
	if (r || !commit->counted)
		return r;
	if (!i) {
		s->first_is_packed = era_census_lowest_free(&s->census) ==
				     commit->nr_allocated;
		r = era_census_remember(&s->census);
	} else if (passing.adjacent) {
		follow(s, i - 1, i, &passing);
	}
	try_opener(s, i);
	if (commit->proof == ERA_PROVEN)
		s->dated = i;
	return r;
}

/* --- what came before the first of the list ------------------------------- */

/*
 * Whether a commit comes from the first by edges: then that does not follow it.
 * But right behind the last commit stand the oldest ones, and by chance the
 * first of them looks like the next. What has been written over since was there
 * before what is whole: so an edge from a proven commit to one that is not is
 * given up instead.
 */
static bool comes_from_first(struct era_commits *commits, size_t i)
{
	struct era_commit *list = commits->list;
	size_t cut = ERA_NO_COMMIT;

	while (i && i != ERA_NO_COMMIT) {
		size_t before = list[i].before;

		if (before != ERA_NO_COMMIT && list[i].proof != ERA_PROVEN &&
		    list[before].proof == ERA_PROVEN &&
		    (cut == ERA_NO_COMMIT || before == commits->superblocks))
			cut = i;
		i = before;
	}
	if (i || cut == ERA_NO_COMMIT)
		return !i;
	list[cut].edge = ERA_EDGE_NONE;
	list[cut].before = ERA_NO_COMMIT;
	return false;
}

/* Whether the allocator can have come round from the last to the first. */
static int come_round(struct sweep *s)
{
	struct era_commits *commits = s->commits;
	struct era_commit *first = &commits->list[0];
	struct era_commit *last = &commits->list[commits->nr - 1];
	int r = 0;

	s->last_differs = s->census.nr_alone + s->census.nr_other_alone;
	if (commits->nr < 2 || !first->counted || !last->counted ||
	    era_census_step(&s->census, first->index_block) != ERA_PROVEN ||
	    s->census.nr_came_outside || !s->census.is_behind)
		return 0;
	if (first->proof == ERA_PROVEN && last->proof == ERA_PROVEN)
		r = era_dates_step(&s->dates, &first->roots);
	s->first_is_next = !r && !is_refuted(s, commits->nr - 1, 0) &&
			   !comes_from_first(commits, commits->nr - 1);
	s->dated = ERA_NO_COMMIT;
	return r == -ENOMEM ? r : 0;
}

/* Whether the dates of one that can be the opener let the first follow it. */
static int check_opener(struct sweep *s, size_t i, bool *fits)
{
	struct era_commit *list = s->commits->list;
	bool proven = list[0].proof == ERA_PROVEN;
	int r = proven ? era_dates_step(&s->dates, &list[i].roots) : 0;

	if (proven && !r)
		r = era_dates_step(&s->dates, &list[0].roots);
	s->dated = i;
	*fits = !r && !is_refuted(s, i, 0);
	return r == -ENOMEM ? r : 0;
}

/*
 * The opener is the last commit before the first of the list: where those that
 * came next can be the opener as well, one of them is.
 */
static int settle_opener(struct sweep *s)
{
	struct era_commit *list = s->commits->list;
	bool fits = false;
	int r = 0;

	if (s->opener != ERA_NO_COMMIT)
		r = check_opener(s, s->opener, &fits);
	if (!fits || comes_from_first(s->commits, s->opener))
		s->opener = ERA_NO_COMMIT;
	for (size_t i = s->opener; fits && !r && i + 1 < s->commits->nr; i++) {
		if (list[i + 1].before != i ||
		    list[i + 1].edge != ERA_EDGE_NEXT)
			break;
		if (!block_set_has(&s->openers, i + 1))
			continue;
		r = check_opener(s, i + 1, &fits);
		if (fits)
			s->opener = i + 1;
	}
	return r;
}

/* Whether nothing but a format leaves such a state. */
static bool is_empty(const struct era_commit *commit)
{
	return commit->proof == ERA_PROVEN && !commit->nr_blocks &&
	       !commit->roots.open;
}

/* Whether it can be the first that was written, without a hole. */
static bool is_packed(const struct era_commit *commit)
{
	return commit->proof == ERA_PROVEN && !commit->roots.open &&
	       commit->nr_allocated == commit->index_block + 1;
}

static int place_first(struct sweep *s)
{
	struct era_commit *first = &s->commits->list[0];
	int r = come_round(s);

	if (!r)
		r = settle_opener(s);
	if (r)
		return r;
	if (s->first_is_packed && is_empty(first))
		first->edge = ERA_EDGE_FORMAT;
	else if (s->first_is_next && (s->opener == ERA_NO_COMMIT ||
				      s->last_differs <= s->opener_differs))
		connect(s, s->commits->nr - 1, 0, ERA_EDGE_NEXT);
	else if (s->opener != ERA_NO_COMMIT)
		connect(s, s->opener, 0, ERA_EDGE_OPENED);
	else if (s->first_is_packed && is_packed(first))
		first->edge = ERA_EDGE_FORMAT;
	return 0;
}

/* --- branches ------------------------------------------------------------- */

size_t era_commits_after(const struct era_commits *commits, size_t i,
			 enum era_edge edge)
{
	const struct era_commit *list = commits->list;
	/* what was opened is the first of the list, or the second */
	size_t places[] = { i + 1 < commits->nr ? i + 1 : 0, 0, 1 };

	for (size_t k = edge == ERA_EDGE_NEXT ? 0 : 1;
	     k < (edge == ERA_EDGE_NEXT ? 1 : 3); k++)
		if (places[k] < commits->nr && list[places[k]].before == i &&
		    list[places[k]].edge == edge)
			return places[k];
	return ERA_NO_COMMIT;
}

/* The commit that follows on this one and has no branch as yet. */
static size_t next_of(const struct era_commits *commits, size_t i)
{
	size_t next = era_commits_after(commits, i, ERA_EDGE_NEXT);
	size_t opened = era_commits_after(commits, i, ERA_EDGE_OPENED);

	if (next != ERA_NO_COMMIT && !commits->list[next].branch)
		return next;
	if (opened != ERA_NO_COMMIT && !commits->list[opened].branch)
		return opened;
	return ERA_NO_COMMIT;
}

/*
 * Numbers the branch that a commit is on: from where it starts to there, and on
 * from there. Edges make no circle.
 */
static void number_branch(struct era_commits *commits, size_t i, size_t *nr)
{
	struct era_commit *list = commits->list;
	uint32_t branch = ++commits->nr_branches;
	size_t nr_back = 1, at = i;

	while (list[at].before != ERA_NO_COMMIT &&
	       !list[list[at].before].branch) {
		at = list[at].before;
		nr_back++;
	}
	at = i;
	for (size_t k = nr_back; k--; at = list[at].before) {
		commits->order[*nr + k] = at;
		list[at].branch = branch;
	}
	*nr += nr_back;
	for (at = next_of(commits, i); at != ERA_NO_COMMIT;
	     at = next_of(commits, at)) {
		commits->order[(*nr)++] = at;
		list[at].branch = branch;
	}
}

/*
 * The path to a commit first, and on from there; then all others, and last
 * those of which nothing is known but their index.
 */
static void number_branches(struct era_commits *commits)
{
	size_t nr = 0, main = commits->superblocks;

	if (main == ERA_NO_COMMIT)
		main = era_commits_last(commits);
	if (main != ERA_NO_COMMIT && commits->list[main].counted)
		number_branch(commits, main, &nr);
	for (size_t i = 0; i < commits->nr; i++)
		if (!commits->list[i].branch && commits->list[i].counted)
			number_branch(commits, i, &nr);
	for (size_t i = 0; i < commits->nr; i++)
		if (!commits->list[i].counted)
			commits->order[nr++] = i;
}

/* An era that nothing names is that of the commit before at least. */
static void raise_eras(struct era_commits *commits)
{
	for (size_t i = 0; i < commits->nr; i++) {
		struct era_commit *b = &commits->list[commits->order[i]];
		const struct era_commit *a;
		uint32_t era;

		if (!b->sure || !b->inferred)
			continue;
		a = &commits->list[b->before];
		era = a->era + (!a->roots.open && b->roots.open);
		if (b->era < era)
			b->era = era;
	}
}

/* --- all of it ------------------------------------------------------------ */

/* The commit with this index block; ERA_NO_COMMIT for none. */
static size_t find_commit(const struct era_commits *commits, uint64_t index)
{
	size_t low = 0, high = commits->nr;

	while (low < high) {
		size_t at = (low + high) / 2;

		if (commits->list[at].index_block < index)
			low = at + 1;
		else
			high = at;
	}
	return low < commits->nr && commits->list[low].index_block == index
		       ? low
		       : ERA_NO_COMMIT;
}

static void mark_superblocks(struct era_commits *commits,
			     const struct era_superblock *sb)
{
	commits->superblocks = ERA_NO_COMMIT;
	if (sb)
		commits->superblocks =
			find_commit(commits, sb->space_map.bitmap_root);
}

/* What its blocks tell is the least that its era can be. */
static void date_superblocks(struct era_commits *commits,
			     const struct era_superblock *sb)
{
	struct era_commit *own = &commits->list[commits->superblocks];

	if (own->era < sb->geometry.current_era)
		own->era = sb->geometry.current_era;
}

static int start_sweep(struct sweep *s, struct era_commits *commits,
		       const struct era_scan *scan)
{
	int r;

	*s = (struct sweep){ .commits = commits,
			     .scan = scan,
			     .dated = ERA_NO_COMMIT,
			     .opener = ERA_NO_COMMIT };
	r = era_reading_init(&s->reading, scan);
	if (!r)
		r = block_set_init(&s->openers, scan->nr_blocks);
	era_dates_init(&s->dates, &s->reading);
	return r ? r : era_census_init(&s->census, &s->reading);
}

static void end_sweep(struct sweep *s)
{
	block_set_release(&s->openers);
	era_dates_release(&s->dates);
	era_census_release(&s->census);
	era_reading_release(&s->reading);
}

/* --- rows that cross ------------------------------------------------------ */

/* Where the superblock's row of commits begins. */
static size_t start_of_own(const struct era_commits *commits)
{
	size_t i = commits->superblocks;

	for (size_t nr = 0; commits->list[i].sure && nr < commits->nr; nr++)
		i = commits->list[i].before;
	return i;
}

/* The first era on the superblock's row of commits that something names. */
static uint32_t first_own_era(const struct era_commits *commits)
{
	const struct era_commit *commit = &commits->list[commits->superblocks];
	uint32_t era = commit->era;

	for (size_t nr = 0; commit->sure && nr < commits->nr; nr++) {
		commit = &commits->list[commit->before];
		if (!commit->inferred)
			era = commit->era;
	}
	return era;
}

/* Commits of which each is sure to follow on the one before. */
struct row {
	bool own;	  /* the superblock's is one of them */
	bool begun_early; /* in an era before the superblock's */
	size_t last, nr;  /* of those behind the first own era: the last one,
			   * and how many */
};

static void add_to_row(struct row *row, const struct era_commits *commits,
		       size_t i, uint32_t first_own)
{
	const struct era_commit *commit = &commits->list[i];

	row->own |= i == commits->superblocks;
	if (commit->proof != ERA_PROVEN || commit->rewritten)
		return;
	row->begun_early |=
		!commit->inferred &&
		commit->era < commits->list[commits->superblocks].era;
	if (commit->era <= first_own)
		return;
	row->last = i;
	row->nr++;
}

/* Returns the place behind the row that begins at this one of the order. */
static size_t read_row(struct row *row, const struct era_commits *commits,
		       size_t place, uint32_t first_own)
{
	const size_t *order = commits->order;

	*row = (struct row){ .nr = 0 };
	do {
		add_to_row(row, commits, order[place++], first_own);
	} while (place < commits->nr && commits->list[order[place]].sure &&
		 commits->list[order[place]].before == order[place - 1]);
	return place;
}

/*
 * Of one history two rows lie one behind the other, and so do their eras. One
 * that has begun an era before the superblock's, and one after the first of the
 * superblock's row, is another table's, wherever the two have parted. A single
 * commit can be one that was under way, or of which blocks were used again.
 */
static void find_crossing(const struct era_commits *commits,
			  struct era_fork *fork)
{
	uint32_t first_own = first_own_era(commits);
	struct row row;

	for (size_t place = 0; place < commits->nr && !fork->nr;) {
		place = read_row(&row, commits, place, first_own);
		if (!row.own && row.begun_early && row.nr > 1)
			*fork = (struct era_fork){ .parting = ERA_NO_COMMIT,
						   .other = row.last,
						   .nr = row.nr };
	}
}

/* What the superblock's row of commits has allocated behind the first. */
static void find_allocated(struct sweep *s, struct block_set *allocated)
{
	const struct era_commits *commits = s->commits;
	size_t start = start_of_own(commits), place = 0;

	while (commits->order[place] != start)
		place++;
	era_census_step(&s->census,
			commits->list[commits->order[place]].index_block);
	s->census.came = allocated;
	while (commits->order[place] != commits->superblocks)
		era_census_step(
			&s->census,
			commits->list[commits->order[++place]].index_block);
	s->census.came = NULL;
}

/*
 * Where rows seem to cross: a commit of which blocks have been allocated again
 * since can be proven, and says what is there now.
 */
static int find_rewritten(struct era_commits *commits,
			  const struct era_scan *scan)
{
	struct era_fork fork = { .nr = 0 };
	struct block_set allocated = { .words = NULL };
	struct sweep s;
	int r;

	find_crossing(commits, &fork);
	if (!fork.nr)
		return 0;
	r = start_sweep(&s, commits, scan);
	if (!r)
		r = block_set_init(&allocated, scan->nr_blocks);
	if (!r) {
		find_allocated(&s, &allocated);
		era_census_watch(&s.census, &allocated);
	}
	for (size_t i = 0; i < commits->nr && !r; i++) {
		struct era_commit *commit = &commits->list[i];

		commit->rewritten =
			commit->counted &&
			(era_census_step(&s.census, commit->index_block) !=
				 ERA_PROVEN ||
			 s.census.nr_watched);
	}
	end_sweep(&s);
	block_set_release(&allocated);
	return r;
}

int era_commits_load(struct era_commits *commits, const struct era_scan *scan,
		     const struct era_superblock *sb)
{
	struct sweep s;
	int r;

	*commits = (struct era_commits){ .nr = 0 };
	r = start_sweep(&s, commits, scan);
	if (!r)
		r = list_indexes(commits, scan);
	mark_superblocks(commits, sb);
	for (size_t i = 0; i < commits->nr && !r; i++)
		r = visit(&s, i);
	if (!r && commits->nr)
		r = place_first(&s);
	end_sweep(&s);
	for (size_t i = 0; i < commits->nr; i++)
		commits->nr_proven += commits->list[i].proof == ERA_PROVEN;
	if (!r) {
		number_branches(commits);
		if (commits->superblocks != ERA_NO_COMMIT)
			date_superblocks(commits, sb);
		raise_eras(commits);
	}
	if (!r && commits->superblocks != ERA_NO_COMMIT)
		r = find_rewritten(commits, scan);
	return r;
}

void era_commits_release(struct era_commits *commits)
{
	free(commits->list);
	free(commits->order);
	*commits = (struct era_commits){ .nr = 0 };
}

int era_commit_prove(struct era_commit *commit, const struct era_scan *scan,
		     uint64_t index_block)
{
	struct sweep s;
	int r = start_sweep(&s, NULL, scan);

	*commit = (struct era_commit){ .index_block = index_block,
				       .before = ERA_NO_COMMIT };
	if (!r)
		r = prove(&s, commit);
	end_sweep(&s);
	return r;
}

/*
 * Whether the proven commit a came after b, where both are of one history.
 * Dates only grow, so the one with the greater sum came later. Where the sums
 * are equal, only archiving lies between the two: the later era comes later,
 * and within one era the closed state.
 */
static bool is_later(const struct era_commit *a, const struct era_commit *b)
{
	if (a->sum != b->sum)
		return a->sum > b->sum;
	if (a->era != b->era)
		return a->era > b->era;
	return !a->roots.open && b->roots.open;
}

size_t era_commits_last(const struct era_commits *commits)
{
	const struct era_commit *list = commits->list;
	size_t last = ERA_NO_COMMIT;

	for (size_t i = 0; i < commits->nr; i++)
		if (list[i].proof == ERA_PROVEN &&
		    (last == ERA_NO_COMMIT || is_later(&list[i], &list[last])))
			last = i;
	return last;
}

/* Whether a commit is known to have come after another, and to say more. */
static bool says_more(const struct era_commit *a, const struct era_commit *b)
{
	if (a->proof != ERA_PROVEN || b->proof != ERA_PROVEN)
		return false;
	return a->sum > b->sum || (!a->inferred && a->era > b->era);
}

/* The same from the commit that follows it on. */
static size_t follow_from(const struct era_commits *commits, size_t from,
			  size_t at, size_t *last)
{
	const struct era_commit *list = commits->list;
	size_t nr = 0, nr_more = 0;

	*last = from;
	/* leftovers of older commits can look like the next one */
	if (at != ERA_NO_COMMIT && !list[at].sure)
		return 0;
	while (at != ERA_NO_COMMIT && nr < commits->nr) {
		size_t next = era_commits_after(commits, at, ERA_EDGE_NEXT);

		nr++;
		if (says_more(&list[at], &list[from])) {
			nr_more = nr;
			*last = at;
		}
		at = next != ERA_NO_COMMIT
			     ? next
			     : era_commits_after(commits, at, ERA_EDGE_OPENED);
	}
	return nr_more;
}

size_t era_commits_follow(const struct era_commits *commits, size_t from,
			  size_t *last)
{
	size_t next = era_commits_after(commits, from, ERA_EDGE_NEXT);

	if (next == ERA_NO_COMMIT)
		next = era_commits_after(commits, from, ERA_EDGE_OPENED);
	return follow_from(commits, from, next, last);
}

/* Whether a branch that left the superblock's at a commit is no accident. */
static bool has_parted(const struct era_commits *commits, size_t parting,
		       size_t own, struct era_fork *fork)
{
	const enum era_edge edges[] = { ERA_EDGE_NEXT, ERA_EDGE_OPENED };

	for (size_t k = 0; k < 2; k++) {
		size_t other = era_commits_after(commits, parting, edges[k]),
		       last;
		size_t nr;

		if (other == ERA_NO_COMMIT || other == own)
			continue;
		nr = follow_from(commits, parting, other, &last);
		if (nr < 2 && !(nr && !commits->list[last].roots.open &&
				commits->list[parting].roots.open))
			continue;
		*fork = (struct era_fork){ .parting = parting,
					   .other = last,
					   .nr = nr };
		return true;
	}
	return false;
}

struct era_fork era_commits_fork(const struct era_commits *commits)
{
	struct era_fork fork = { .nr = 0 };
	size_t own = commits->superblocks, before;

	if (own >= commits->nr)
		return fork;
	for (size_t nr = 0; commits->list[own].sure && nr < commits->nr; nr++) {
		before = commits->list[own].before;
		if (has_parted(commits, before, own, &fork))
			break;
		own = before;
	}
	if (!fork.nr)
		find_crossing(commits, &fork);
	return fork;
}

bool era_commits_superseded(const struct era_commits *commits, size_t i)
{
	const enum era_edge edges[] = { ERA_EDGE_NEXT, ERA_EDGE_OPENED };
	const struct era_commit *list = commits->list;
	bool superseded = false;

	for (size_t k = 0; k < 2; k++) {
		size_t after = era_commits_after(commits, i, edges[k]);

		/* a shrink of the origin takes what was marked there */
		superseded |= after != ERA_NO_COMMIT && list[after].sure &&
			      list[after].nr_blocks >= list[i].nr_blocks;
	}
	return superseded;
}

const char *era_proof_name(enum era_proof proof)
{
	static const char *const names[ERA_NR_PROOFS] = {
		[ERA_PROVEN] = "proven",
		[ERA_PROOF_NO_BITMAP] = "no-bitmap",
		[ERA_PROOF_UNSOUND] = "unsound-block",
		[ERA_PROOF_UNEXPLAINED] = "unexplained",
		[ERA_PROOF_NO_ROOTS] = "no-roots",
		[ERA_PROOF_TREES] = "damaged-trees",
		[ERA_PROOF_BUDGET] = "not-tried",
	};

	return names[proof];
}

const char *era_edge_name(enum era_edge edge)
{
	static const char *const names[] = {
		[ERA_EDGE_NONE] = "unknown",
		[ERA_EDGE_NEXT] = "next",
		[ERA_EDGE_OPENED] = "opened",
		[ERA_EDGE_FORMAT] = "format",
	};

	return names[edge];
}
