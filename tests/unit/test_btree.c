/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Btrees: what is built is what a walk finds, whatever the size, and what is
 * wrong with a node is found before it is used.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_device.h"
#include "pdata/btree_build.h"

TestSuite(btree, .timeout = 120);
TestSuite(btree_walk, .timeout = 60);
TestSuite(block_set, .timeout = 60);

struct fixture {
	struct fake_device fake;
	struct block_allocator allocator;
	struct block_writer writer;
	uint64_t root;
};

static void fixture_init(struct fixture *f, uint64_t nr_blocks)
{
	fake_init(&f->fake, nr_blocks);
	cr_assert_eq(block_allocator_init(&f->allocator, &f->fake.device, NULL),
		     0);
	f->allocator.next = 1;
	cr_assert_eq(block_writer_init(&f->writer, &f->fake.device), 0);
}

static void fixture_release(struct fixture *f)
{
	block_writer_release(&f->writer);
	block_allocator_release(&f->allocator);
	fake_release(&f->fake);
}

/* Keys with gaps that grow, values made of them. */
static uint64_t key_of(uint64_t i)
{
	return i * 3 + i / 100 * 1000;
}

static void value_of(uint64_t i, uint32_t size, uint8_t *value)
{
	for (uint32_t k = 0; k < size; k++)
		value[k] = (uint8_t)(i >> (8 * (k % 4)) ^ k);
}

static void build(struct fixture *f, uint64_t nr, uint32_t value_size)
{
	struct btree_build b;
	uint8_t value[16];

	btree_build_init(&b, &f->writer, &f->allocator, value_size);
	for (uint64_t i = 0; i < nr; i++) {
		value_of(i, value_size, value);
		cr_assert_eq(btree_build_add(&b, key_of(i), value), 0);
	}
	cr_assert_eq(btree_build_finish(&b, &f->root), 0);
	cr_assert_eq(block_writer_finish(&f->writer), 0);
}

struct found {
	uint64_t nr;
	uint32_t value_size;
	uint64_t lost_begin, lost_end;
	uint64_t nr_lost;
	uint64_t last;
	bool any, ascending;
	uint64_t nr_counted;
};

static int take_leaf(void *arg, struct walk *walk,
		     const struct era_where *where, const uint8_t *node,
		     uint32_t nr, bool counted)
{
	struct found *found = arg;

	(void)walk;
	(void)where;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t key = node_key(node, i);

		if (found->any && key <= found->last)
			found->ascending = false;
		found->last = key;
		found->any = true;
		found->nr++;
		found->nr_counted += counted;
	}
	return 0;
}

static int take_exact(void *arg, struct walk *walk,
		      const struct era_where *where, const uint8_t *node,
		      uint32_t nr, bool counted)
{
	struct found *found = arg;
	uint8_t value[16];

	(void)walk;
	(void)where;
	(void)counted;
	for (uint32_t i = 0; i < nr; i++) {
		value_of(found->nr, found->value_size, value);
		cr_assert_eq(node_key(node, i), key_of(found->nr));
		cr_assert_arr_eq(node_value(node, i, found->value_size), value,
				 found->value_size);
		found->nr++;
	}
	return 0;
}

static int take_lost(void *arg, uint64_t begin, uint64_t end)
{
	struct found *found = arg;

	found->lost_begin = begin;
	found->lost_end = end;
	found->nr_lost++;
	return 0;
}

/* How full nodes are, seen without the walk. Returns the height. */
static unsigned int look(const struct fixture *f, uint64_t block,
			 uint32_t value_size, bool is_root, uint64_t *nr_nodes)
{
	const uint8_t *node = f->fake.data + block * ERA_BLOCK_SIZE;
	uint32_t nr = node_nr_entries(node);
	uint32_t size = node_is_leaf(node) ? value_size : 8;
	unsigned int height = 0;

	++*nr_nodes;
	cr_assert_eq(block_check(node, BLOCK_BTREE_NODE, block), BLOCK_GOOD);
	cr_assert_eq(get_le32(node + NODE_VALUE_SIZE), size);
	cr_assert_eq(get_le32(node + NODE_MAX_ENTRIES), node_max_entries(size));
	cr_assert_leq(nr, node_max_entries(size));
	if (!is_root)
		cr_assert_geq(2 * nr + 1, node_max_entries(size));
	if (node_is_leaf(node))
		return 1;
	cr_assert_geq(nr, 2);
	for (uint32_t i = 0; i < nr; i++) {
		unsigned int h = look(f, node_child(node, i), value_size, false,
				      nr_nodes);
		const uint8_t *child =
			f->fake.data + node_child(node, i) * ERA_BLOCK_SIZE;

		cr_assert_eq(node_key(child, 0), node_key(node, i));
		cr_assert(!height || height == h);
		height = h;
	}
	return height + 1;
}

static void round_trip(uint64_t nr, uint32_t value_size)
{
	struct found found = { .value_size = value_size };
	struct btree tree = { .role = "node",
			      .value_size = value_size,
			      .leaf = take_exact,
			      .lost = take_lost,
			      .arg = &found };
	uint64_t nr_nodes = 0;
	struct fixture f;
	struct walk walk;

	fixture_init(&f, nr / 100 + 64);
	build(&f, nr, value_size);
	look(&f, f.root, value_size, true, &nr_nodes);
	cr_assert_eq(nr_nodes, btree_build_nr_nodes(nr, value_size));
	/* contiguous: all that was allocated, and no more, lies together */
	cr_assert_eq(f.allocator.next, 1 + nr_nodes);
	cr_assert_eq(f.allocator.nr_allocated, nr_nodes);
	cr_assert_eq(walk_init(&walk, &f.fake.device, NULL, NULL), 0);
	tree.root = f.root;
	cr_assert_eq(btree_walk(&walk, &tree, NULL), 0);
	cr_assert_eq(walk.nr_faults, 0);
	cr_assert_eq(found.nr, nr);
	cr_assert_eq(block_set_count(&walk.seen), nr_nodes);
	walk_release(&walk);
	fixture_release(&f);
}

Test(btree, is_found_as_it_was_built_around_every_boundary)
{
	static const uint32_t sizes[] = { 4, 8, 12 };

	for (int s = 0; s < 3; s++) {
		uint64_t max = node_max_entries(sizes[s]);

		for (uint64_t nodes = 0; nodes <= 5; nodes++)
			for (uint64_t nr = nodes * max; nr <= nodes * max + 2;
			     nr++) {
				round_trip(nr, sizes[s]);
				if (nr)
					round_trip(nr - 1, sizes[s]);
			}
		round_trip(max * 3 / 2, sizes[s]);
		round_trip(max * 5 / 2 + 1, sizes[s]);
	}
}

Test(btree, is_found_as_it_was_built_where_a_level_is_added)
{
	static const uint32_t sizes[] = { 4, 8, 12 };

	for (int s = 0; s < 3; s++) {
		uint64_t full = node_max_entries(sizes[s]) * UINT64_C(252);

		round_trip(full - 1, sizes[s]);
		round_trip(full, sizes[s]);
		round_trip(full + 1, sizes[s]);
		round_trip(full * 2 + 1, sizes[s]);
	}
}

Test(btree, holds_as_many_entries_a_node_as_the_kernels)
{
	cr_assert_eq(node_max_entries(8), 252);
	cr_assert_eq(node_max_entries(12), 201);
	cr_assert_eq(node_max_entries(4), 336);
}

Test(btree, goes_around_blocks_in_use_or_reserved)
{
	struct block_set reserved;
	struct fixture f;

	fixture_init(&f, 64);
	cr_assert_eq(block_set_init(&reserved, 64), 0);
	for (uint64_t block = 1; block < 64; block += 3) {
		block_set_add(&reserved, block);
		f.allocator.refs.counts[block + 1] = 1;
	}
	f.allocator.reserved = &reserved;
	build(&f, 252 * 4, 8);
	for (uint64_t block = 1; block < 64; block++) {
		bool free = block % 3 == 0;

		cr_assert(free || block_identify(fake_block(&f.fake, block),
						 block) == BLOCK_UNKNOWN);
	}
	cr_assert_eq(f.root, 15);
	block_set_release(&reserved);
	fixture_release(&f);
}

Test(btree, runs_out_of_blocks_with_an_error)
{
	struct btree_build b;
	uint8_t value[8] = { 0 };
	struct fixture f;
	int r = 0;

	fixture_init(&f, 4);
	btree_build_init(&b, &f.writer, &f.allocator, 8);
	for (uint64_t i = 0; !r && i < 100000; i++)
		r = btree_build_add(&b, i, value);
	cr_assert_eq(r, -ENOSPC);
	btree_build_release(&b);
	fixture_release(&f);
}

Test(btree, a_growable_device_ends_where_the_format_does)
{
	struct block_allocator allocator;
	struct era_device device = { .growable = true };
	uint64_t block;

	cr_assert_eq(block_allocator_init(&allocator, &device, NULL), 0);
	cr_assert_eq(ref_counts_grow(&allocator.refs, MAX_METADATA_BLOCKS - 1),
		     0);
	allocator.next = MAX_METADATA_BLOCKS - 2;
	for (uint64_t left = 2; left; left--) {
		cr_assert_eq(block_allocator_next(&allocator, &block), 0);
		cr_assert_eq(block, MAX_METADATA_BLOCKS - left);
	}
	cr_assert_eq(block_allocator_next(&allocator, &block), -ENOSPC);
	block_allocator_release(&allocator);
}

/* --- what a walk refuses ----------------------------------------------------
 */

/* Three leaves below a root: 0..251, then two that share what is left. */
#define DAMAGED_ENTRIES 600

struct damaged {
	struct fixture f;
	struct fake_report report;
	struct walk walk;
	struct found found;
	struct ref_counts refs;
};

static uint8_t *root_of(struct damaged *d)
{
	return fake_block(&d->f.fake, d->f.root);
}

static uint64_t leaf_of(struct damaged *d, uint32_t i)
{
	return node_child(root_of(d), i);
}

static void damaged_init(struct damaged *d)
{
	memset(d, 0, sizeof(*d));
	fixture_init(&d->f, 64);
	build(&d->f, DAMAGED_ENTRIES, 8);
	fake_report_init(&d->report);
	cr_assert_eq(ref_counts_init(&d->refs, 64), 0);
	cr_assert_eq(walk_init(&d->walk, &d->f.fake.device, &d->report.report,
			       &d->refs),
		     0);
}

static void damaged_release(struct damaged *d)
{
	walk_release(&d->walk);
	ref_counts_release(&d->refs);
	fixture_release(&d->f);
}

static void damaged_walk(struct damaged *d)
{
	struct btree tree = { .role = "node",
			      .root = d->f.root,
			      .value_size = 8,
			      .data = { 0, 1 << 20 },
			      .data_per_key = 10,
			      .leaf = take_leaf,
			      .lost = take_lost,
			      .arg = &d->found };

	d->found = (struct found){ .ascending = true };
	cr_assert_eq(btree_walk(&d->walk, &tree, NULL), 0);
	cr_assert(d->found.ascending);
}

static void seal(struct damaged *d, uint64_t block)
{
	block_seal(fake_block(&d->f.fake, block), BLOCK_BTREE_NODE, block);
}

/* One leaf is refused for this reason, the others are found. */
static void expect_lost_leaf(struct damaged *d, uint32_t i, const char *why)
{
	uint64_t begin = node_key(root_of(d), i);

	damaged_walk(d);
	cr_assert(strstr(d->report.fatal, why), "%s", d->report.fatal);
	cr_assert_eq(d->walk.nr_faults, 1);
	cr_assert_eq(d->report.report.nr[ERA_FATAL], 1);
	cr_assert_eq(d->found.nr_lost, 1);
	cr_assert_eq(d->found.lost_begin, begin);
	cr_assert_eq(d->found.lost_end,
		     i < 2 ? node_key(root_of(d), i + 1) : UINT64_MAX);
	cr_assert_eq(d->report.data.begin, begin * 10);
	cr_assert_lt(d->found.nr, DAMAGED_ENTRIES);
	cr_assert_gt(d->found.nr, DAMAGED_ENTRIES / 3);
}

static void expect_lost_tree(struct damaged *d, const char *why)
{
	damaged_walk(d);
	cr_assert(strstr(d->report.fatal, why), "%s", d->report.fatal);
	cr_assert_eq(d->found.nr_lost, 1);
	cr_assert_eq(d->found.lost_begin, 0);
	cr_assert_eq(d->found.lost_end, UINT64_MAX);
	cr_assert_eq(d->found.nr, 0);
}

/* Sets a le32 of leaf i and mends its checksum. */
static void leaf_is_refused(uint32_t offset, uint32_t value, const char *why)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct damaged d;

		damaged_init(&d);
		put_le32(fake_block(&d.f.fake, leaf_of(&d, i)) + offset, value);
		seal(&d, leaf_of(&d, i));
		expect_lost_leaf(&d, i, why);
		damaged_release(&d);
	}
}

Test(btree_walk, refuses_a_node_whose_checksum_does_not_match)
{
	for (uint32_t at = 0; at < ERA_BLOCK_SIZE; at += 511) {
		struct damaged d;

		damaged_init(&d);
		fake_block(&d.f.fake, leaf_of(&d, 1))[at] ^= 0x10;
		expect_lost_leaf(&d, 1, "checksum does not match");
		cr_assert_eq(d.walk.nr_reused, 0);
		damaged_release(&d);
	}
}

Test(btree_walk, refuses_a_node_that_belongs_elsewhere)
{
	struct damaged d;

	damaged_init(&d);
	block_seal(fake_block(&d.f.fake, leaf_of(&d, 2)), BLOCK_BTREE_NODE, 60);
	expect_lost_leaf(&d, 2, "belongs elsewhere");
	damaged_release(&d);
}

Test(btree_walk, refuses_a_block_of_another_kind_and_names_it)
{
	struct damaged d;

	damaged_init(&d);
	block_seal(fake_block(&d.f.fake, leaf_of(&d, 2)), BLOCK_BITMAP,
		   leaf_of(&d, 2));
	expect_lost_leaf(&d, 2, "of another kind: space map bitmap");
	cr_assert_eq(d.walk.nr_reused, 1);
	damaged_release(&d);
}

Test(btree_walk, refuses_a_node_that_is_neither_internal_nor_leaf)
{
	leaf_is_refused(NODE_FLAGS, 0, "neither internal nor leaf");
	leaf_is_refused(NODE_FLAGS, 3, "neither internal nor leaf");
}

Test(btree_walk, refuses_a_node_that_claims_more_than_fits)
{
	leaf_is_refused(NODE_MAX_ENTRIES, 255, "more entries than fit");
	leaf_is_refused(NODE_MAX_ENTRIES, UINT32_MAX, "more entries than fit");
	leaf_is_refused(NODE_VALUE_SIZE, 9, "more entries than fit");
	leaf_is_refused(NODE_VALUE_SIZE, UINT32_MAX, "more entries than fit");
}

Test(btree_walk, refuses_a_node_with_more_entries_than_it_can_hold)
{
	leaf_is_refused(NODE_NR_ENTRIES, 253, "more entries than it can hold");
	leaf_is_refused(NODE_NR_ENTRIES, UINT32_MAX,
			"more entries than it can hold");
}

Test(btree_walk, refuses_a_leaf_with_values_of_another_size)
{
	leaf_is_refused(NODE_VALUE_SIZE, 4, "values of another size");
	leaf_is_refused(NODE_VALUE_SIZE, 0, "values of another size");
}

Test(btree_walk, refuses_an_empty_node_below_the_root)
{
	leaf_is_refused(NODE_NR_ENTRIES, 0, "the node is empty");
}

Test(btree_walk, refuses_a_leaf_that_became_internal)
{
	/* its values are pointers to nowhere then: that many faults */
	struct damaged d;

	damaged_init(&d);
	put_le32(fake_block(&d.f.fake, leaf_of(&d, 1)) + NODE_FLAGS,
		 NODE_INTERNAL);
	seal(&d, leaf_of(&d, 1));
	damaged_walk(&d);
	cr_assert_gt(d.walk.nr_faults, 100);
	cr_assert_eq(d.found.nr_lost, d.walk.nr_faults);
	damaged_release(&d);
}

Test(btree_walk, refuses_keys_that_do_not_ascend)
{
	struct damaged d;
	uint8_t *leaf;

	for (int equal = 0; equal < 2; equal++) {
		damaged_init(&d);
		leaf = fake_block(&d.f.fake, leaf_of(&d, 1));
		put_le64(leaf + NODE_KEYS + 5 * 8,
			 node_key(leaf, equal ? 4 : 3));
		seal(&d, leaf_of(&d, 1));
		expect_lost_leaf(&d, 1, "not in ascending order");
		damaged_release(&d);
	}
}

Test(btree_walk, refuses_keys_outside_of_what_the_parent_allows)
{
	struct damaged d;
	uint8_t *leaf;

	damaged_init(&d);
	leaf = fake_block(&d.f.fake, leaf_of(&d, 1));
	put_le64(leaf + NODE_KEYS, node_key(leaf, 0) - 1);
	seal(&d, leaf_of(&d, 1));
	expect_lost_leaf(&d, 1, "outside of what the parent allows");
	damaged_release(&d);

	damaged_init(&d);
	leaf = fake_block(&d.f.fake, leaf_of(&d, 1));
	put_le64(leaf + NODE_KEYS + (node_nr_entries(leaf) - 1) * 8,
		 node_key(root_of(&d), 2));
	seal(&d, leaf_of(&d, 1));
	expect_lost_leaf(&d, 1, "outside of what the parent allows");
	damaged_release(&d);
}

Test(btree_walk, refuses_a_pointer_past_the_end_or_to_the_superblock)
{
	static const uint64_t pointers[] = { 64, UINT64_C(1) << 32, UINT64_MAX,
					     0 };

	for (int i = 0; i < 4; i++) {
		struct damaged d;

		damaged_init(&d);
		put_le64(root_of(&d) + NODE_KEYS + 252 * 8 + 8, pointers[i]);
		seal(&d, d.f.root);
		expect_lost_leaf(
			&d, 1, pointers[i] ? "out of range" : "in use already");
		damaged_release(&d);
	}
}

Test(btree_walk, ends_at_a_cycle)
{
	struct damaged d;

	damaged_init(&d);
	put_le64(root_of(&d) + NODE_KEYS + 252 * 8 + 8, d.f.root);
	seal(&d, d.f.root);
	expect_lost_leaf(&d, 1, "in use already");
	damaged_release(&d);
}

Test(btree_walk, takes_a_leaf_that_two_parents_share_but_once)
{
	struct damaged d;

	damaged_init(&d);
	put_le64(root_of(&d) + NODE_KEYS + 252 * 8 + 16, leaf_of(&d, 1));
	seal(&d, d.f.root);
	expect_lost_leaf(&d, 2, "in use already");
	cr_assert_eq(d.refs.counts[leaf_of(&d, 1)], 2);
	damaged_release(&d);
}

Test(btree_walk, refuses_a_root_as_any_other_node)
{
	struct damaged d;

	damaged_init(&d);
	root_of(&d)[100] ^= 1;
	expect_lost_tree(&d, "checksum does not match");
	damaged_release(&d);

	damaged_init(&d);
	put_le32(root_of(&d) + NODE_NR_ENTRIES, 0);
	seal(&d, d.f.root);
	expect_lost_tree(&d, "has no children");
	damaged_release(&d);

	damaged_init(&d);
	d.f.root = 64;
	expect_lost_tree(&d, "out of range");
	damaged_release(&d);
}

Test(btree_walk, refuses_children_that_do_not_fit)
{
	struct damaged d;

	damaged_init(&d);
	/* no room is claimed for values, and children are le64 all the same */
	put_le32(root_of(&d) + NODE_VALUE_SIZE, 0);
	put_le32(root_of(&d) + NODE_MAX_ENTRIES, 508);
	put_le32(root_of(&d) + NODE_NR_ENTRIES, 3);
	seal(&d, d.f.root);
	expect_lost_tree(&d, "more children than fit");
	damaged_release(&d);
}

Test(btree_walk, does_not_mind_the_value_size_of_an_internal_node)
{
	struct damaged d;

	damaged_init(&d);
	put_le32(root_of(&d) + NODE_VALUE_SIZE, 4);
	seal(&d, d.f.root);
	damaged_walk(&d);
	cr_assert_eq(d.walk.nr_faults, 0);
	cr_assert_eq(d.found.nr, DAMAGED_ENTRIES);
	damaged_release(&d);
}

Test(btree_walk, an_unreadable_node_is_lost_and_no_other)
{
	struct damaged d;
	char why[128];

	/* musl's words for it are not glibc's */
	snprintf(why, sizeof(why), "cannot be read: %s", strerror(EIO));
	damaged_init(&d);
	d.f.fake.bad_block = leaf_of(&d, 1);
	expect_lost_leaf(&d, 1, why);
	damaged_release(&d);
}

Test(btree_walk, goes_on_after_each_of_several_faults)
{
	struct damaged d;

	damaged_init(&d);
	fake_block(&d.f.fake, leaf_of(&d, 0))[77] ^= 1;
	fake_block(&d.f.fake, leaf_of(&d, 2))[77] ^= 1;
	damaged_walk(&d);
	cr_assert_eq(d.walk.nr_faults, 2);
	cr_assert_eq(d.found.nr_lost, 2);
	cr_assert_gt(d.found.nr, 0);
	damaged_release(&d);
}

Test(btree_walk, a_second_pass_finds_all_again_and_counts_the_root_alone)
{
	struct damaged d;

	damaged_init(&d);
	damaged_walk(&d);
	cr_assert_eq(d.found.nr_counted, DAMAGED_ENTRIES);
	walk_next_pass(&d.walk);
	damaged_walk(&d);
	cr_assert_eq(d.walk.nr_faults, 0);
	cr_assert_eq(d.found.nr, DAMAGED_ENTRIES);
	cr_assert_eq(d.found.nr_counted, 0);
	cr_assert_eq(d.refs.counts[d.f.root], 2);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(d.refs.counts[leaf_of(&d, i)], 1);
	damaged_release(&d);
}

/* A chain of internal nodes with one child each, down to a leaf. */
static void build_chain(struct fake_device *fake, unsigned int depth)
{
	for (unsigned int i = 1; i <= depth; i++) {
		uint8_t *node = fake_block(fake, i);

		put_le32(node + NODE_FLAGS,
			 i < depth ? NODE_INTERNAL : NODE_LEAF);
		put_le32(node + NODE_NR_ENTRIES, 1);
		put_le32(node + NODE_MAX_ENTRIES, 252);
		put_le32(node + NODE_VALUE_SIZE, 8);
		put_le64(node + NODE_KEYS + 252 * 8, i + 1);
		block_seal(node, BLOCK_BTREE_NODE, i);
	}
}

Test(btree_walk, refuses_a_tree_deeper_than_any_real_one)
{
	for (unsigned int depth = 1; depth < 60; depth++) {
		struct found found = { .nr = 0 };
		struct btree tree = { .role = "node",
				      .root = 1,
				      .value_size = 8,
				      .leaf = take_leaf,
				      .arg = &found };
		uint64_t path[BTREE_MAX_DEPTH];
		struct fake_device fake;
		struct walk walk;
		bool fits = depth <= BTREE_MAX_DEPTH;

		fake_init(&fake, 64);
		build_chain(&fake, depth);
		cr_assert_eq(walk_init(&walk, &fake.device, NULL, NULL), 0);
		cr_assert_eq(btree_walk(&walk, &tree, NULL), 0);
		cr_assert_eq(walk.nr_faults, fits ? 0 : 1);
		cr_assert_eq(found.nr, fits ? 1 : 0);
		cr_assert_eq(btree_path(&fake.device, 1, 0, path),
			     fits ? depth : BTREE_MAX_DEPTH);
		walk_release(&walk);
		fake_release(&fake);
	}
}

Test(btree_walk, a_path_names_the_nodes_down_to_a_key)
{
	uint64_t path[BTREE_MAX_DEPTH];
	struct damaged d;

	damaged_init(&d);
	for (uint64_t i = 0; i < DAMAGED_ENTRIES; i++) {
		uint64_t key = key_of(i);
		uint32_t leaf = key >= node_key(root_of(&d), 2)	  ? 2
				: key >= node_key(root_of(&d), 1) ? 1
								  : 0;

		cr_assert_eq(btree_path(&d.f.fake.device, d.f.root, key, path),
			     2);
		cr_assert_eq(path[0], d.f.root);
		cr_assert_eq(path[1], leaf_of(&d, leaf));
	}
	cr_assert_eq(btree_path(&d.f.fake.device, 1000, 0, path), 1);
	damaged_release(&d);
}

Test(btree_walk, ends_with_what_a_callback_returns)
{
	struct damaged d;
	struct btree tree = { .role = "node", .value_size = 8 };

	damaged_init(&d);
	tree.root = d.f.root;
	/* neither leaf nor lost: walks all the same */
	root_of(&d)[NODE_KEYS + 252 * 8 + 8] ^= 0xff;
	seal(&d, d.f.root);
	cr_assert_eq(btree_walk(&d.walk, &tree, NULL), 0);
	cr_assert_eq(d.walk.nr_faults, 1);
	damaged_release(&d);
}

Test(btree, says_which_data_blocks_keys_concern)
{
	struct btree tree = { .data = { 0, 1000 }, .data_per_key = 64 };
	struct era_data_range r;

	r = btree_data(&tree, 2, 4);
	cr_assert(r.begin == 128 && r.end == 256);
	r = btree_data(&tree, 15, UINT64_MAX);
	cr_assert(r.begin == 960 && r.end == 1000);
	r = btree_data(&tree, 16, UINT64_MAX);
	cr_assert(r.begin == 0 && r.end == 0);
	r = btree_data(&tree, UINT64_MAX - 1, UINT64_MAX);
	cr_assert(r.begin == 0 && r.end == 0);
	tree.data_per_key = 0;
	r = btree_data(&tree, 5, 6);
	cr_assert(r.begin == 0 && r.end == 1000);
}

Test(block_set, holds_what_was_added)
{
	struct block_set set, other;

	cr_assert_eq(block_set_init(&set, 129), 0);
	cr_assert_eq(block_set_init(&other, 129), 0);
	for (uint64_t block = 0; block < 129; block += 2)
		block_set_add(&set, block);
	block_set_remove(&set, 64);
	block_set_add(&other, 63);
	block_set_add(&other, 128);
	cr_assert_eq(block_set_count(&set), 64);
	block_set_merge(&set, &other);
	cr_assert_eq(block_set_count(&set), 65);
	cr_assert(block_set_has(&set, 63));
	cr_assert_not(block_set_has(&set, 64));
	block_set_release(&set);
	block_set_release(&other);
}

Test(block_set, reference_counts_stop_at_their_greatest)
{
	struct ref_counts refs;

	cr_assert_eq(ref_counts_init(&refs, 10), 0);
	for (uint32_t i = 0; i < REF_COUNT_MAX; i++)
		cr_assert_eq(ref_counts_inc(&refs, 9), i);
	cr_assert_eq(ref_counts_inc(&refs, 9), REF_COUNT_MAX);
	cr_assert_eq(ref_counts_inc(&refs, 9), REF_COUNT_MAX);
	cr_assert_eq(ref_counts_grow(&refs, 1000), 0);
	cr_assert_eq(refs.counts[9], REF_COUNT_MAX);
	for (uint64_t block = 10; block < 1000; block++)
		cr_assert_eq(refs.counts[block], 0);
	ref_counts_release(&refs);
}
