/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which commits a device remembers: their proofs, their dates and what follows
 * on what. The devices are written here by an allocator that does as the
 * kernel's, commit by commit, so that the truth is known.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "era/reader.h"
#include "era/whole.h"
#include "fake_device.h"
#include "history/commits.h"
#include "history/under_way.h"
#include "pdata/array.h"

TestSuite(history, .timeout = 60);

#define MAX_BLOCKS 400u
#define NR_DATA 1500u /* two blocks of the era array, one of a bitset */
#define NR_WORDS ((NR_DATA + 63) / 64)
#define MAX_WRITESETS 8

struct writeset {
	uint32_t era;
	uint64_t root;
	uint64_t block;
	uint64_t words[NR_WORDS];
};

/* One instance of the target. */
struct kernel {
	uint64_t nr_blocks;
	uint8_t counts[MAX_BLOCKS], last[MAX_BLOCKS]; /* now, last commit */
	uint64_t begin; /* where the allocator goes on */
	uint64_t bitmap, index, ref_counts, tree;
	uint64_t eras_root, eras_block[2];
	uint32_t eras[NR_DATA];
	uint32_t era;	      /* open, or the last that was */
	struct writeset open; /* root 0: none */
	struct writeset archived[MAX_WRITESETS];
	size_t nr_archived;
};

/* What was committed with an index block, the last time that it was one. */
struct truth {
	uint64_t sum;
	uint64_t open, tree, eras;
	uint64_t before; /* index block of the commit before */
};

struct world {
	struct fake_device fake;
	struct truth truth[MAX_BLOCKS];
	struct kernel k;
};

static uint8_t *at(struct world *w, uint64_t block)
{
	return fake_block(&w->fake, block);
}

static uint64_t allocate(struct world *w)
{
	struct kernel *k = &w->k;

	for (uint64_t i = 0; i < k->nr_blocks; i++) {
		uint64_t block = (k->begin + i) % k->nr_blocks;

		if (k->counts[block] || k->last[block])
			continue;
		k->counts[block] = 1;
		k->begin = block + 1;
		memset(at(w, block), 0, ERA_BLOCK_SIZE);
		return block;
	}
	cr_assert_fail("the device is full");
	return 0;
}

/* A new block for what stood in another one. */
static uint64_t shadow(struct world *w, uint64_t block)
{
	if (block)
		w->k.counts[block]--;
	return allocate(w);
}

static void put_node(uint8_t *node, uint32_t value_size, uint32_t nr)
{
	put_le32(node + NODE_FLAGS, NODE_LEAF);
	put_le32(node + NODE_NR_ENTRIES, nr);
	put_le32(node + NODE_MAX_ENTRIES, node_max_entries(value_size));
	put_le32(node + NODE_VALUE_SIZE, value_size);
}

static uint8_t *value_of(uint8_t *node, uint32_t i, uint32_t value_size)
{
	return node + NODE_KEYS + (size_t)node_max_entries(value_size) * 8 +
	       i * value_size;
}

static void put_leaf(struct world *w, uint64_t root, const uint64_t *blocks,
		     uint32_t nr)
{
	uint8_t *node = at(w, root);

	put_node(node, 8, nr);
	for (uint32_t i = 0; i < nr; i++) {
		put_le64(node + NODE_KEYS + i * 8, i);
		put_le64(value_of(node, i, 8), blocks[i]);
	}
	block_seal(node, BLOCK_BTREE_NODE, root);
}

static void put_eras(struct world *w)
{
	struct kernel *k = &w->k;

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t first = i * array_max_entries(4);
		uint32_t nr = i ? NR_DATA - first : array_max_entries(4);
		uint8_t *data;

		k->eras_block[i] = shadow(w, k->eras_block[i]);
		data = at(w, k->eras_block[i]);
		put_le32(data + ARRAY_MAX_ENTRIES, array_max_entries(4));
		put_le32(data + ARRAY_NR_ENTRIES, nr);
		put_le32(data + ARRAY_VALUE_SIZE, 4);
		for (uint32_t j = 0; j < nr; j++)
			put_le32(data + ARRAY_VALUES + j * 4,
				 k->eras[first + j]);
		block_seal(data, BLOCK_ARRAY, k->eras_block[i]);
	}
	k->eras_root = shadow(w, k->eras_root);
	put_leaf(w, k->eras_root, k->eras_block, 2);
}

static void put_open(struct world *w)
{
	struct writeset *ws = &w->k.open;
	uint8_t *data;

	ws->block = shadow(w, ws->block);
	data = at(w, ws->block);
	put_le32(data + ARRAY_MAX_ENTRIES, array_max_entries(8));
	put_le32(data + ARRAY_NR_ENTRIES, NR_WORDS);
	put_le32(data + ARRAY_VALUE_SIZE, 8);
	for (uint32_t i = 0; i < NR_WORDS; i++)
		put_le64(data + ARRAY_VALUES + i * 8, ws->words[i]);
	block_seal(data, BLOCK_ARRAY, ws->block);
	ws->root = shadow(w, ws->root);
	put_leaf(w, ws->root, &ws->block, 1);
}

static void put_tree(struct world *w)
{
	struct kernel *k = &w->k;
	uint8_t *node;

	k->tree = shadow(w, k->tree);
	node = at(w, k->tree);
	put_node(node, 12, (uint32_t)k->nr_archived);
	for (uint32_t i = 0; i < k->nr_archived; i++) {
		put_le64(node + NODE_KEYS + i * 8, k->archived[i].era);
		put_le32(value_of(node, i, 12), NR_DATA);
		put_le64(value_of(node, i, 12) + 4, k->archived[i].root);
	}
	block_seal(node, BLOCK_BTREE_NODE, k->tree);
}

static void date_all(uint32_t *dates, const struct writeset *ws)
{
	for (uint32_t i = 0; i < NR_DATA; i++)
		if (ws->words[i / 64] >> (i % 64) & 1 && dates[i] < ws->era)
			dates[i] = ws->era;
}

static uint64_t sum_of(const struct kernel *k)
{
	uint32_t dates[NR_DATA];
	uint64_t sum = 0;

	memcpy(dates, k->eras, sizeof(dates));
	for (size_t i = 0; i < k->nr_archived; i++)
		date_all(dates, &k->archived[i]);
	if (k->open.root)
		date_all(dates, &k->open);
	for (uint32_t i = 0; i < NR_DATA; i++)
		sum += dates[i];
	return sum;
}

static void put_superblock(struct world *w)
{
	const struct kernel *k = &w->k;
	struct era_superblock sb = {
		.geometry = { .data_block_size = 128,
			      .nr_blocks = NR_DATA,
			      .current_era = k->era },
		.space_map = { .nr_blocks = k->nr_blocks,
			       .bitmap_root = k->index,
			       .ref_count_root = k->ref_counts },
		.writeset_nr_bits = NR_DATA,
		.writeset_root = k->open.root,
		.writeset_tree_root = k->tree,
		.era_array_root = k->eras_root,
	};

	for (uint64_t i = 0; i < k->nr_blocks; i++)
		sb.space_map.nr_allocated += k->counts[i] != 0;
	memset(at(w, 0), 0, ERA_BLOCK_SIZE);
	era_superblock_put(at(w, 0), &sb);
	block_seal(at(w, 0), BLOCK_SUPERBLOCK, 0);
}

/* Bitmap, index, and then the superblock. */
static void commit(struct world *w, bool with_superblock)
{
	struct kernel *k = &w->k;
	uint64_t before = k->index;
	uint8_t *bitmap;

	k->bitmap = shadow(w, k->bitmap);
	k->index = shadow(w, k->index);
	bitmap = at(w, k->bitmap);
	for (uint32_t i = 0; i < k->nr_blocks; i++)
		bitmap_set_count(bitmap, i, k->counts[i]);
	block_seal(bitmap, BLOCK_BITMAP, k->bitmap);
	put_le64(at(w, k->index) + INDEX_ENTRIES, k->bitmap);
	block_seal(at(w, k->index), BLOCK_INDEX, k->index);
	memcpy(k->last, k->counts, sizeof(k->last));
	w->truth[k->index] = (struct truth){ sum_of(k), k->open.root, k->tree,
					     k->eras_root, before };
	if (with_superblock)
		put_superblock(w);
}

static void begin_era(struct world *w)
{
	struct kernel *k = &w->k;

	k->era++;
	k->open = (struct writeset){ .era = k->era };
	put_open(w);
}

/* The open writeset goes to the tree. */
static void archive(struct world *w)
{
	struct kernel *k = &w->k;

	if (!k->open.root)
		return;
	cr_assert_lt(k->nr_archived, MAX_WRITESETS);
	k->archived[k->nr_archived++] = k->open;
	k->open = (struct writeset){ .root = 0 };
	put_tree(w);
}

/* The oldest writeset goes to the era array. */
static void digest(struct world *w)
{
	struct kernel *k = &w->k;

	if (!k->nr_archived)
		return;
	date_all(k->eras, &k->archived[0]);
	put_eras(w);
	k->counts[k->archived[0].root]--;
	k->counts[k->archived[0].block]--;
	k->nr_archived--;
	memmove(k->archived, k->archived + 1,
		k->nr_archived * sizeof(*k->archived));
	put_tree(w);
}

static void mark(struct world *w, uint32_t block)
{
	w->k.open.words[block / 64] |= UINT64_C(1) << (block % 64);
	put_open(w);
}

static void format(struct world *w, uint64_t nr_blocks)
{
	struct kernel *k = &w->k;

	memset(w->truth, 0, sizeof(w->truth));
	fake_init(&w->fake, nr_blocks);
	*k = (struct kernel){ .nr_blocks = nr_blocks };
	k->counts[0] = k->last[0] = 1;
	k->ref_counts = allocate(w);
	put_node(at(w, k->ref_counts), 4, 0);
	block_seal(at(w, k->ref_counts), BLOCK_BTREE_NODE, k->ref_counts);
	put_tree(w);
	put_eras(w);
	commit(w, true);
}

/*
 * One letter a step, each with a commit of its own: m marks a data block, r
 * begins the next era, s suspends, o opens the metadata anew, d digests; u is
 * an m whose superblock is not written; S and L save and load what an
 * instance knows.
 */
static void run(struct world *w, const char *steps)
{
	static struct kernel saved;
	static uint32_t next;

	for (; *steps; steps++) {
		switch (*steps) {
		case 'u':
		case 'm':
			next = (next + 331) % NR_DATA;
			mark(w, next);
			break;
		case 'r':
			archive(w);
			begin_era(w);
			break;
		case 's':
			archive(w);
			break;
		case 'o':
			w->k.begin = 0;
			archive(w);
			begin_era(w);
			break;
		case 'd':
			digest(w);
			break;
		case 'S':
			saved = w->k;
			continue;
		case 'L':
			w->k = saved;
			continue;
		default:
			cr_assert_fail("no step %c", *steps);
		}
		commit(w, *steps != 'u');
	}
}

static void load(struct world *w, struct era_scan *scan,
		 struct era_commits *commits)
{
	struct era_superblock sb;
	bool have = !era_superblock_read(&sb, &w->fake.device, 0, NULL);

	cr_assert_eq(era_scan_init(scan, &w->fake.device), 0);
	cr_assert_eq(era_commits_load(commits, scan, have ? &sb : NULL), 0);
}

static void unload(struct era_scan *scan, struct era_commits *commits)
{
	era_commits_release(commits);
	era_scan_release(scan);
}

static bool is_true(const struct world *w, const struct era_commit *c)
{
	const struct truth *truth = &w->truth[c->index_block];

	return c->roots.open == truth->open &&
	       c->roots.writeset_tree == truth->tree &&
	       c->roots.era_array == truth->eras &&
	       /* an idle era leaves no trace to count on from */
	       (c->sum == truth->sum || (c->inferred && c->sum < truth->sum));
}

/*
 * Whether one commit came right before another. Next to where the metadata was
 * opened the commits in between can be gone: those that closed and opened it.
 */
static bool is_before(const struct world *w, uint64_t index,
		      const struct era_commit *c)
{
	int nr_gone = c->edge == ERA_EDGE_OPENED ? 2 : 0;
	uint64_t before = w->truth[c->index_block].before;

	for (; before != index && nr_gone; nr_gone--)
		before = w->truth[before].before;
	return before == index;
}

/*
 * The superblock's commit is as it was committed. Of older ones blocks can have
 * been used again in such a way that the same counts prove what was never
 * committed; those that are as they were follow what they did.
 */
static void assert_true(const struct world *w,
			const struct era_commits *commits, const char *steps)
{
	const struct era_commit *own = &commits->list[commits->superblocks];

	cr_assert_eq(own->proof, ERA_PROVEN, "%s", steps);
	cr_assert(is_true(w, own), "%s", steps);
	for (size_t i = 0; i < commits->nr; i++) {
		const struct era_commit *c = &commits->list[i];
		uint64_t before;

		if (c->proof != ERA_PROVEN || !is_true(w, c))
			continue;
		if (!c->sure || !is_true(w, &commits->list[c->before]))
			continue;
		before = commits->list[c->before].index_block;
		cr_assert(is_before(w, before, c), "%s: block %d follows %d",
			  steps, (int)c->index_block, (int)before);
	}
}

Test(history, of_a_device_with_room_is_proven_commit_by_commit)
{
	static const char steps[] = "ommmrmdmmrmmdmrmmsommmrdm";
	struct era_commits commits;
	struct era_scan scan;
	struct world w;

	format(&w, 400);
	run(&w, steps);
	load(&w, &scan, &commits);
	cr_assert_neq(commits.superblocks, ERA_NO_COMMIT);
	assert_true(&w, &commits, steps);
	cr_assert_eq(commits.list[commits.superblocks].index_block, w.k.index);
	cr_assert_eq(commits.list[commits.superblocks].era, w.k.era);
	cr_assert_eq(commits.list[commits.superblocks].branch, 1);
	unload(&scan, &commits);
	fake_release(&w.fake);
}

/* Whatever is done, in whatever order, and however often it has wrapped. */
Test(history, is_never_told_wrong)
{
	static const char kinds[] = "mmmmmmrdsoSu";
	uint32_t seed = 1;

	for (int life = 0; life < 400; life++) {
		char steps[80];
		struct era_commits commits;
		struct era_scan scan;
		struct world w;
		size_t nr_archived = 0;
		bool open = false;

		format(&w, 48 + life % 5 * 80);
		for (size_t i = 0; i < sizeof(steps); i++) {
			char step;

			seed = seed * 1103515245 + 12345;
			step = kinds[(seed >> 16) % (sizeof(kinds) - 1)];
			if (!open)
				step = 'o';
			else if (step == 'S' || (step == 'u' && i + 1 < 79))
				step = 'm';
			else if (nr_archived == 3 && step != 'm')
				step = 'd';
			nr_archived += step == 'r' || step == 's' ||
				       (step == 'o' && open);
			nr_archived -= step == 'd' && nr_archived;
			open = step == 's' ? false : step == 'o' ? true : open;
			steps[i] = step;
		}
		steps[sizeof(steps) - 1] = '\0';
		run(&w, steps);
		load(&w, &scan, &commits);
		cr_assert_neq(commits.superblocks, ERA_NO_COMMIT);
		assert_true(&w, &commits, steps);
		unload(&scan, &commits);
		fake_release(&w.fake);
	}
}

/* --- edges ---------------------------------------------------------------- */

struct shape {
	const char *steps;
	uint64_t nr_blocks;
	const char *edges; /* in order: Format, next, opened, ? for unknown */
	uint32_t nr_branches;
	size_t place; /* of the superblock's commit in that order */
};

static const struct shape shapes[] = {
	/* formatted, opened by the same instance, and then used */
	{ "rmmm", 400, "Fnnnn", 1, 4 },
	/* shut down and activated: commits of before are still there */
	{ "rmmmmmmmmsommm", 400, "?nnnnnnonnn", 1, 10 },
	/* killed while it was open */
	{ "rmmmmmmmmommm", 400, "?nnnnonnn", 1, 8 },
	/* a commit was under way when the power went */
	{ "rmmmu", 400, "Fnnnnn", 1, 4 },
	/* the same, and the kernel went on: it is a branch of one commit */
	{ "rmmmmmmmmSuLomm", 400, "?nnnnnonnn", 2, 8 },
	/* a table was loaded before the old one was suspended: the two share
	 * what came before the loading */
	{ "rmmmmmmmmmmmmSmmmmsLomm", 400, "?nnnnnnnnnonnnnnnn", 2, 12 },
	/* the allocator came round, and stands among the oldest ones */
	{ "rmmmmmmmmmmmmmmmmm", 64, "?nnnnnnnnnnnnnn", 1, 14 },
};

static char letter_of(const struct era_commit *commit)
{
	switch (commit->edge) {
	case ERA_EDGE_FORMAT:
		return 'F';
	case ERA_EDGE_NEXT:
		return 'n';
	case ERA_EDGE_OPENED:
		return 'o';
	case ERA_EDGE_NONE:
		break;
	}
	return '?';
}

Test(history, has_the_shape_of_what_happened)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		const struct shape *shape = &shapes[i];
		struct era_commits commits;
		struct era_scan scan;
		char edges[64] = "";
		struct world w;

		format(&w, shape->nr_blocks);
		run(&w, shape->steps);
		load(&w, &scan, &commits);
		assert_true(&w, &commits, shape->steps);
		for (size_t k = 0; k < commits.nr; k++) {
			const struct era_commit *c =
				&commits.list[commits.order[k]];

			if (c->counted)
				edges[k] = letter_of(c);
		}
		cr_assert_str_eq(edges, shape->edges, "%s: %s", shape->steps,
				 edges);
		cr_assert_eq(commits.nr_branches, shape->nr_branches, "%s: %d",
			     shape->steps, (int)commits.nr_branches);
		for (size_t k = 0; k < commits.nr; k++)
			if (commits.order[k] == commits.superblocks)
				cr_assert_eq(k, shape->place, "%s: %d",
					     shape->steps, (int)k);
		unload(&scan, &commits);
		fake_release(&w.fake);
	}
}

/* --- why one is not proven ------------------------------------------------ */

enum target { BITMAP, TREE, ERAS_ROOT, ERAS_BLOCK, OPEN_ROOT, NR_TARGETS };

static uint64_t target_of(const struct world *w, enum target target)
{
	const uint64_t blocks[NR_TARGETS] = {
		[BITMAP] = w->k.bitmap,	      [TREE] = w->k.tree,
		[ERAS_ROOT] = w->k.eras_root, [ERAS_BLOCK] = w->k.eras_block[0],
		[OPEN_ROOT] = w->k.open.root,
	};

	return blocks[target];
}

struct damage {
	const char *what;
	enum target target;
	/* bytes of the block that are changed; its checksum is made right
	 * again where it has a kind */
	size_t offset;
	uint8_t mask;
	enum block_kind kind;
	enum era_proof proof;
};

static const struct damage damages[] = {
	{ "a rotten bitmap", BITMAP, 100, 1, BLOCK_UNKNOWN,
	  ERA_PROOF_NO_BITMAP },
	{ "a rotten node", TREE, 100, 1, BLOCK_UNKNOWN, ERA_PROOF_UNSOUND },
	{ "a rotten array block", ERAS_BLOCK, 100, 1, BLOCK_UNKNOWN,
	  ERA_PROOF_UNSOUND },
	{ "a count that is too high", BITMAP, BITMAP_COUNTS, 1, BLOCK_BITMAP,
	  ERA_PROOF_UNEXPLAINED },
	{ "a bitset that has lost its block", OPEN_ROOT, NODE_NR_ENTRIES, 1,
	  BLOCK_BTREE_NODE, ERA_PROOF_NO_ROOTS },
	{ "an array with a gap", ERAS_ROOT, NODE_KEYS + 8, 2, BLOCK_BTREE_NODE,
	  ERA_PROOF_TREES },
	{ "an array block that is too short", ERAS_BLOCK, ARRAY_NR_ENTRIES, 2,
	  BLOCK_ARRAY, ERA_PROOF_TREES },
};

Test(history, says_why_a_commit_is_not_proven)
{
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		const struct damage *d = &damages[i];
		struct era_commits commits;
		struct era_scan scan;
		struct world w;
		uint64_t block;

		format(&w, 64);
		run(&w, "rm");
		block = target_of(&w, d->target);
		at(&w, block)[d->offset] ^= d->mask;
		if (d->kind != BLOCK_UNKNOWN)
			block_seal(at(&w, block), d->kind, block);
		load(&w, &scan, &commits);
		cr_assert_eq(commits.list[commits.superblocks].proof, d->proof,
			     "%s: %s", d->what,
			     era_proof_name(
				     commits.list[commits.superblocks].proof));
		unload(&scan, &commits);
		fake_release(&w.fake);
	}
}

/* What it wrote is what the superblock's commit left free. */
Test(history, tells_what_a_commit_under_way_has_written)
{
	static const struct {
		const char *steps;
		bool found;
	} lives[] = {
		{ "rmm", false },
		{ "rmmu", true },
		{ "rmmsrmu", true },
	};

	for (size_t n = 0; n < sizeof(lives) / sizeof(*lives); n++) {
		struct era_under_way under_way;
		struct era_commits commits;
		struct era_scan scan;
		struct world w;
		uint64_t nr_wrote = 0;

		format(&w, 200);
		run(&w, lives[n].steps);
		load(&w, &scan, &commits);
		cr_assert_eq(era_under_way_find(&under_way, &scan, &commits),
			     0);
		cr_assert_eq(under_way.found, lives[n].found, "%s",
			     lives[n].steps);
		for (uint64_t block = 0; under_way.found && block < 200;
		     block++) {
			bool wrote = block_set_has(&under_way.wrote, block);

			cr_assert_eq(block_set_has(&under_way.counted, block),
				     w.k.counts[block] != 0);
			cr_assert(!wrote || w.k.counts[block]);
			nr_wrote += wrote;
		}
		/* a bitset and its node, a bitmap block and the index */
		cr_assert_eq(nr_wrote, under_way.found ? 4 : 0);
		era_under_way_release(&under_way);
		unload(&scan, &commits);
		fake_release(&w.fake);
	}
}

Test(history, of_a_device_without_a_commit_is_empty)
{
	struct fake_device fake;
	struct era_commits commits;
	struct era_scan scan;

	fake_init(&fake, 16);
	cr_assert_eq(era_scan_init(&scan, &fake.device), 0);
	cr_assert_eq(era_commits_load(&commits, &scan, NULL), 0);
	cr_assert_eq(commits.nr, 0);
	cr_assert_eq(commits.superblocks, ERA_NO_COMMIT);
	unload(&scan, &commits);
	fake_release(&fake);
}

/* Without a superblock the branch of the last commit is the first. */
Test(history, is_told_without_a_superblock)
{
	struct era_commits commits;
	struct era_scan scan;
	struct world w;
	size_t last;

	format(&w, 400);
	run(&w, "rmmmrmmdm");
	memset(at(&w, 0), 0x77, ERA_BLOCK_SIZE);
	load(&w, &scan, &commits);
	cr_assert_eq(commits.superblocks, ERA_NO_COMMIT);
	last = commits.order[commits.nr - 1];
	cr_assert_eq(commits.list[last].index_block, w.k.index);
	cr_assert_eq(commits.list[last].branch, 1);
	for (size_t i = 0; i < commits.nr; i++)
		cr_assert(i == last || era_commits_superseded(&commits, i));
	cr_assert_not(era_commits_superseded(&commits, last));
	unload(&scan, &commits);
	fake_release(&w.fake);
}

/* --- cost ----------------------------------------------------------------- */

#define HOSTILE_BLOCKS 16384u

/*
 * Index blocks that name bitmaps which count all nodes in turn: each step
 * costs as much as the device has nodes.
 */
static void make_hostile(struct fake_device *fake, uint32_t nr)
{
	uint32_t first = HOSTILE_BLOCKS - 3 * nr;

	fake_init(fake, HOSTILE_BLOCKS);
	for (uint32_t block = 1; block < first; block++) {
		uint8_t *node = fake_block(fake, block);

		put_node(node, 8, 252);
		for (uint32_t i = 0; i < 252; i++) {
			put_le64(node + NODE_KEYS + i * 8, i);
			put_le64(value_of(node, i, 8),
				 (block + i) % HOSTILE_BLOCKS);
		}
		block_seal(node, BLOCK_BTREE_NODE, block);
	}
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t index = first + 3 * i;
		uint8_t *bitmap = fake_block(fake, index + 1);

		for (uint32_t block = i % 2; block < first; block += 2)
			bitmap_set_count(bitmap, block, 2);
		block_seal(bitmap, BLOCK_BITMAP, index + 1);
		block_seal(fake_block(fake, index + 2), BLOCK_BITMAP,
			   index + 2);
		put_le64(fake_block(fake, index) + INDEX_ENTRIES, index + 1);
		put_le64(fake_block(fake, index) + INDEX_ENTRIES +
				 INDEX_ENTRY_SIZE,
			 index + 2);
		block_seal(fake_block(fake, index), BLOCK_INDEX, index);
	}
}

Test(history, costs_a_few_passes_over_a_hostile_device)
{
	struct fake_device fake;
	struct era_commits commits;
	struct era_scan scan;
	uint64_t nr_reads;

	make_hostile(&fake, 400);
	cr_assert_eq(era_scan_init(&scan, &fake.device), 0);
	nr_reads = fake.nr_calls[FAKE_READ];
	cr_assert_eq(era_commits_load(&commits, &scan, NULL), 0);
	nr_reads = fake.nr_calls[FAKE_READ] - nr_reads;
	cr_assert_eq(commits.nr, 400);
	cr_assert_eq(commits.nr_proven, 0);
	cr_assert_eq(commits.list[399].proof, ERA_PROOF_BUDGET);
	cr_assert_lt(nr_reads, 32 * HOSTILE_BLOCKS);
	unload(&scan, &commits);
	fake_release(&fake);
}

/* Of a sound one each block is read about once. */
Test(history, costs_no_more_for_more_commits)
{
	struct era_commits commits;
	struct era_scan scan;
	struct world w;
	uint64_t nr_reads;

	format(&w, 400);
	run(&w,
	    "rmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm");
	cr_assert_eq(era_scan_init(&scan, &w.fake.device), 0);
	nr_reads = w.fake.nr_calls[FAKE_READ];
	cr_assert_eq(era_commits_load(&commits, &scan, NULL), 0);
	nr_reads = w.fake.nr_calls[FAKE_READ] - nr_reads;
	cr_assert_geq(commits.nr_proven, 60);
	cr_assert_lt(nr_reads, 400);
	unload(&scan, &commits);
	fake_release(&w.fake);
}

static int drop_begin(struct era_range_visitor *v, const struct era_geometry *g)
{
	(void)v;
	(void)g;
	return 0;
}

static int drop_range(struct era_range_visitor *v, uint32_t begin, uint32_t end)
{
	(void)v;
	(void)begin;
	(void)end;
	return 0;
}

static int drop_end(struct era_range_visitor *v)
{
	(void)v;
	return 0;
}

/*
 * Whoever lists what was written of a device that has been in use reads its era
 * array once for the dates of the commits, once beside what is not in use, and
 * once for the list. Of a bitset the dates can take one more.
 */
Test(history, costs_a_list_two_more_reads_of_the_era_array)
{
	struct era_range_visitor sink = { drop_begin, drop_range, drop_end };
	struct era_metadata md;
	struct world w;

	format(&w, 200);
	run(&w, "rmmmrmmmmmrmmdmmmrmmm");
	fake_reset(&w.fake);
	cr_assert_eq(era_metadata_open_whole(&md, &w.fake.device, NULL), 0);
	cr_assert_eq(era_read_since(&md, 0, &sink), 0);
	cr_assert_eq(md.eras.nr_slots, 2);
	for (size_t i = 0; i < md.eras.nr_slots; i++)
		cr_assert_leq(w.fake.times_read[md.eras.slots[i].block], 3);
	for (size_t i = 0; i < md.nr_writesets; i++)
		cr_assert_leq(
			w.fake.times_read[md.writesets[i].words.slots[0].block],
			4);
	era_metadata_release(&md);
	fake_release(&w.fake);
}

/* An array block that is not what its place says is damage, not a change. */
Test(history, tells_damage_of_what_was_not_read_before)
{
	struct era_range_visitor sink = { drop_begin, drop_range, drop_end };
	struct fake_report report;
	struct era_metadata md;
	struct world w;
	int r;

	format(&w, 200);
	run(&w, "rmmmrmmmmmrmmdmmmrmmm");
	at(&w, w.k.open.block)[100] ^= 1;
	fake_report_init(&report);
	r = era_metadata_open_whole(&md, &w.fake.device, &report.report);
	if (!r) {
		r = era_read_since(&md, 0, &sink);
		era_metadata_release(&md);
	}
	cr_assert_eq(r, -EUCLEAN);
	cr_assert_str_eq(report.fatal, "the checksum does not match");
	fake_release(&w.fake);
}
