/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Superblock, builder, fold and since: metadata of any shape is built, read
 * back, and compared with a model that keeps one era a data block.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "era/builder.h"
#include "era/check.h"
#include "era/fold.h"
#include "era/pieces.h"
#include "era/reader.h"
#include "era/size.h"
#include "era/summary.h"
#include "era/whole.h"
#include "fake_device.h"

TestSuite(superblock, .timeout = 60);
TestSuite(builder, .timeout = 120);
TestSuite(fold, .timeout = 120);
TestSuite(since, .timeout = 120);
TestSuite(reader, .timeout = 60);
TestSuite(summary, .timeout = 60);
TestSuite(pieces, .timeout = 60);

/* --- the superblock ---------------------------------------------------------
 */

static const struct era_superblock example = {
	.location = 0,
	.flags = 1,
	.geometry = { .uuid = "0123456789abcde",
		      .data_block_size = 128,
		      .nr_blocks = 1000,
		      .current_era = 7 },
	.space_map = { 100, 50, 9, 10 },
	.writeset_nr_bits = 990,
	.writeset_root = 11,
	.writeset_tree_root = 12,
	.era_array_root = 13,
	.metadata_snap = 14,
};

Test(superblock, goes_both_ways)
{
	uint8_t data[ERA_BLOCK_SIZE], again[ERA_BLOCK_SIZE];
	struct era_superblock sb;
	char buf[128];

	memset(data, 0xee, sizeof(data));
	era_superblock_put(data, &example);
	cr_assert_null(era_superblock_fault(data, 0, buf, sizeof(buf)));
	era_superblock_get(&sb, data);
	cr_assert_eq(sb.geometry.current_era, 7);
	cr_assert_eq(sb.metadata_snap, 14);
	era_superblock_put(again, &sb);
	cr_assert_arr_eq(again, data, ERA_BLOCK_SIZE);
	for (size_t i = 224; i < ERA_BLOCK_SIZE; i++)
		cr_assert_eq(data[i], 0);
}

/* What is said of a superblock with a le32 changed and its checksum mended. */
static const char *fault_of(size_t offset, uint32_t value)
{
	static char buf[128];
	uint8_t data[ERA_BLOCK_SIZE];

	era_superblock_put(data, &example);
	put_le32(data + offset, value);
	block_seal(data, BLOCK_SUPERBLOCK, offset == 8 ? value : 0);
	return era_superblock_fault(data, 0, buf, sizeof(buf));
}

Test(superblock, each_check_has_its_sentence)
{
	cr_assert(strstr(fault_of(32, 1), "magic"));
	cr_assert(strstr(fault_of(32, 27022010), "dm-thin"));
	cr_assert(strstr(fault_of(32, 06142003), "dm-cache"));
	cr_assert(strstr(fault_of(40, 2), "version 2"));
	cr_assert(strstr(fault_of(176, 16), "16 sectors"));
	cr_assert(strstr(fault_of(8, 5), "belongs elsewhere"));
	cr_assert_null(fault_of(4, 0));
}

Test(superblock, foreign_blocks_are_named)
{
	uint8_t data[ERA_BLOCK_SIZE] = { 0 };
	char buf[128];

	cr_assert(strstr(era_superblock_fault(data, 0, buf, sizeof(buf)),
			 "all zero"));
	strcpy((char *)data, "\xef\xbb\xbf \n<superblock/>");
	cr_assert(
		strstr(era_superblock_fault(data, 0, buf, sizeof(buf)), "XML"));
	strcpy((char *)data, "\x1f\x8b\x08");
	cr_assert(strstr(era_superblock_fault(data, 0, buf, sizeof(buf)),
			 "gzip"));
	memset(data, ' ', sizeof(data));
	cr_assert(strstr(era_superblock_fault(data, 0, buf, sizeof(buf)),
			 "no dm-era superblock"));
	era_superblock_put(data, &example);
	data[3000] ^= 1;
	cr_assert(strstr(era_superblock_fault(data, 0, buf, sizeof(buf)),
			 "checksum does not match"));
}

Test(superblock, an_impossible_geometry_is_refused)
{
	struct era_geometry g = example.geometry;

	cr_assert_eq(era_geometry_check(&g, NULL, NULL), 0);
	g.data_block_size = 0;
	cr_assert_eq(era_geometry_check(&g, NULL, NULL), -EINVAL);
	g.data_block_size = 12;
	cr_assert_eq(era_geometry_check(&g, NULL, NULL), -EINVAL);
	g.data_block_size = 8;
	g.nr_blocks = ERA_MAX_NR_BLOCKS;
	cr_assert_eq(era_geometry_check(&g, NULL, NULL), -EINVAL);
	g.nr_blocks--;
	cr_assert_eq(era_geometry_check(&g, NULL, NULL), 0);
}

Test(superblock, an_invalid_one_is_refused_and_never_formatted)
{
	struct era_superblock sb;
	struct fake_report report;
	struct fake_device fake;
	bool zero = true;

	fake_init(&fake, 8);
	fake.logging = true;
	fake_report_init(&report);
	cr_assert_eq(era_superblock_commit(&fake.device, &example), 0);
	fake_reset(&fake);
	cr_assert_eq(era_superblock_invalidate(&fake.device), 0);
	/* flushed before it returns */
	cr_assert_eq(fake.nr_log, 2);
	cr_assert_eq(fake.log[1].len, 0);
	cr_assert_eq(era_superblock_read(&sb, &fake.device, 0, &report.report),
		     -EUCLEAN);
	cr_assert(strstr(report.fatal, "cut short"));
	/* the kernel's sb_check: no kind's checksum matches */
	cr_assert_eq(block_identify_anywhere(fake.data), BLOCK_UNKNOWN);
	for (size_t i = 0; i < ERA_BLOCK_SIZE; i++)
		zero = zero && !fake.data[i];
	cr_assert_not(zero);
	cr_assert_eq(get_le64(fake.data + 32), ERA_SUPERBLOCK_MAGIC);
	fake_release(&fake);
}

Test(superblock, a_commit_is_between_two_flushes)
{
	struct era_superblock sb;
	struct fake_device fake;

	fake_init(&fake, 8);
	fake.logging = true;
	cr_assert_eq(era_superblock_commit(&fake.device, &example), 0);
	cr_assert_eq(fake.nr_log, 3);
	cr_assert_eq(fake.log[0].len, 0);
	cr_assert_eq(fake.log[1].len, ERA_BLOCK_SIZE);
	cr_assert_eq(fake.log[2].len, 0);
	cr_assert_eq(era_superblock_read(&sb, &fake.device, 0, NULL), 0);
	fake_reset(&fake);
	fake.fail_from[FAKE_SYNC] = 0;
	fake.error = EIO;
	cr_assert_eq(era_superblock_commit(&fake.device, &example), -EIO);
	cr_assert_eq(fake.nr_calls[FAKE_WRITE], 0);
	fake_release(&fake);
}

/* --- metadata of any shape --------------------------------------------------
 */

#define MAX_WRITESETS 8

struct model {
	uint32_t nr_blocks;
	uint32_t current_era;
	uint32_t *eras; /* the era array */
	size_t nr_writesets;
	struct {
		uint32_t era, nr_bits;
		uint64_t *words;
	} ws[MAX_WRITESETS];
	bool open; /* the last writeset is not archived */
};

static uint64_t random64(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^
	       (uint64_t)rand();
}

static void fill(uint64_t *words, uint32_t nr_bits, int density)
{
	uint32_t nr = era_nr_words(nr_bits);

	for (uint32_t i = 0; i < nr; i++)
		words[i] = density == 0	  ? 0
			   : density == 1 ? UINT64_MAX
			   : density == 2 ? random64() & random64() & random64()
					  : (rand() % 50 ? 0 : UINT64_MAX);
	if (nr)
		words[nr - 1] &= era_last_word_mask(nr_bits);
}

static void model_init(struct model *m, uint32_t nr_blocks, size_t nr_writesets,
		       bool open)
{
	uint32_t era = 1 + (uint32_t)rand() % 5;

	*m = (struct model){ .nr_blocks = nr_blocks,
			     .nr_writesets = nr_writesets,
			     .open = open && nr_writesets };
	m->eras = calloc(nr_blocks + 1u, sizeof(*m->eras));
	for (uint32_t i = 0; i < nr_blocks; i++)
		m->eras[i] = (uint32_t)rand() % (era + 1);
	for (size_t i = 0; i < nr_writesets; i++) {
		/* of another size now and then */
		uint32_t nr_bits =
			rand() % 3 ? nr_blocks
				   : (uint32_t)rand() % (nr_blocks * 2 + 1);

		m->ws[i].era = era;
		era += 1 + (uint32_t)rand() % 3;
		m->ws[i].nr_bits = nr_bits;
		m->ws[i].words = calloc(era_nr_words(nr_bits) + 1u, 8);
		fill(m->ws[i].words, nr_bits, rand() % 4);
	}
	m->current_era = m->open ? m->ws[nr_writesets - 1].era : era;
}

static void model_release(struct model *m)
{
	free(m->eras);
	for (size_t i = 0; i < m->nr_writesets; i++)
		free(m->ws[i].words);
}

static uint32_t model_last(const struct model *m, uint32_t block)
{
	uint32_t last = m->eras[block];

	for (size_t i = 0; i < m->nr_writesets; i++)
		if (block < m->ws[i].nr_bits && last < m->ws[i].era &&
		    m->ws[i].words[block / 64] >> (block % 64) & 1)
			last = m->ws[i].era;
	return last;
}

static int build_open(struct era_builder *b, const struct model *m)
{
	struct array_build *a = malloc(sizeof(*a));
	size_t i = m->nr_writesets - 1;
	int r;

	array_build_init(a, &b->writer, &b->allocator, 8);
	r = array_build_add_words(a, m->ws[i].words,
				  era_nr_words(m->ws[i].nr_bits));
	if (!r)
		r = array_build_finish(a, &b->sb.writeset_root);
	b->sb.writeset_nr_bits = m->ws[i].nr_bits;
	array_build_release(a);
	free(a);
	return r;
}

/* Drives a sink with the model; the open writeset is left out. */
static int drive(const struct model *m, struct era_visitor *v)
{
	struct era_geometry g = { .data_block_size = 128,
				  .nr_blocks = m->nr_blocks,
				  .current_era = m->current_era };
	int r = v->superblock(v, &g);

	for (size_t i = 0; i < m->nr_writesets - m->open && !r; i++) {
		uint32_t nr = era_nr_words(m->ws[i].nr_bits), step;

		r = v->writeset_begin(v, m->ws[i].era, m->ws[i].nr_bits);
		for (uint32_t w = 0; w < nr && !r; w += step) {
			step = 1 + (uint32_t)rand() % 700;
			step = step < nr - w ? step : nr - w;
			r = v->writeset_words(v, w, m->ws[i].words + w, step);
		}
		if (!r)
			r = v->writeset_end(v);
	}
	for (uint32_t b = 0, step; b < m->nr_blocks && !r; b += step) {
		step = 1 + (uint32_t)rand() % 3000;
		step = step < m->nr_blocks - b ? step : m->nr_blocks - b;
		r = v->eras(v, b, m->eras + b, step);
	}
	return r ? r : v->end(v);
}

static int build(const struct model *m, struct era_device *device,
		 struct era_report *report)
{
	struct era_builder b;
	int r = era_builder_init(&b, device, report);

	if (!r)
		r = drive(m, &b.visitor);
	if (!r && m->open)
		r = build_open(&b, m);
	if (!r)
		r = era_builder_commit(&b);
	era_builder_release(&b);
	return r;
}

/* Enough for the models here. */
#define NR_METADATA 600

static void build_sound(const struct model *m, struct fake_device *fake)
{
	struct fake_report report;

	fake_init(fake, NR_METADATA);
	fake_report_init(&report);
	cr_assert_eq(build(m, &fake->device, &report.report), 0, "%s",
		     report.text);
	cr_assert_eq(era_check(&fake->device, 0, &report.report), 0);
	cr_assert_eq(report.report.nr[ERA_FATAL], 0, "%s", report.fatal);
	cr_assert_eq(report.report.nr[ERA_NON_FATAL], 0, "%s", report.text);
}

/* A sink that compares with the model. */
struct comparing {
	struct era_visitor visitor;
	const struct model *m;
	bool logical;
	size_t ws;
	uint32_t next; /* word, or data block */
	bool ended;
};

static int compare_superblock(struct era_visitor *v,
			      const struct era_geometry *g)
{
	const struct model *m = ((struct comparing *)v)->m;

	cr_assert_eq(g->nr_blocks, m->nr_blocks);
	cr_assert_eq(g->current_era, m->current_era);
	cr_assert_eq(g->data_block_size, 128);
	return 0;
}

static int compare_begin(struct era_visitor *v, uint32_t era, uint32_t nr_bits)
{
	struct comparing *c = (struct comparing *)v;

	cr_assert_not(c->logical);
	cr_assert_eq(era, c->m->ws[c->ws].era);
	cr_assert_eq(nr_bits, c->m->ws[c->ws].nr_bits);
	c->next = 0;
	return 0;
}

static int compare_words(struct era_visitor *v, uint32_t first,
			 const uint64_t *words, size_t nr)
{
	struct comparing *c = (struct comparing *)v;

	cr_assert_eq(first, c->next);
	cr_assert_eq(memcmp(words, c->m->ws[c->ws].words + first, nr * 8), 0);
	c->next += (uint32_t)nr;
	return 0;
}

static int compare_end(struct era_visitor *v)
{
	struct comparing *c = (struct comparing *)v;

	cr_assert_eq(c->next, era_nr_words(c->m->ws[c->ws].nr_bits));
	c->ws++;
	c->next = 0;
	return 0;
}

static int compare_eras(struct era_visitor *v, uint32_t first,
			const uint32_t *eras, size_t nr)
{
	struct comparing *c = (struct comparing *)v;

	cr_assert_eq(first, c->next);
	for (size_t i = 0; i < nr; i++) {
		uint32_t block = first + (uint32_t)i;

		if (eras[i] !=
		    (c->logical ? model_last(c->m, block) : c->m->eras[block]))
			cr_assert_fail("data block %u", block);
	}
	c->next += (uint32_t)nr;
	return 0;
}

static int compare_all(struct era_visitor *v)
{
	struct comparing *c = (struct comparing *)v;

	cr_assert_eq(c->next, c->m->nr_blocks);
	c->ended = true;
	return 0;
}

static void compare(const struct model *m, struct fake_device *fake,
		    bool logical)
{
	struct comparing c = { { compare_superblock, compare_begin,
				 compare_words, compare_end, compare_eras,
				 compare_all },
			       m,
			       logical,
			       0,
			       0,
			       false };
	struct era_metadata md;

	cr_assert_eq(era_metadata_open(&md, &fake->device, false, NULL, NULL),
		     0);
	cr_assert_eq(logical ? era_read_logical(&md, &c.visitor)
			     : era_read(&md, &c.visitor),
		     0);
	cr_assert(c.ended);
	cr_assert_eq(c.ws, logical ? 0 : m->nr_writesets);
	era_metadata_release(&md);
}

/* Edges of words, array blocks, bitset blocks and of the fold's window. */
static const uint32_t sizes[] = { 0,	  1,	  63,	  64,	 65,
				  1017,	  1018,	  1019,	  2036,	 32575,
				  32576,  32577,  65152,  65153, 97728,
				  130303, 130304, 130305, 163000 };
#define NR_SIZES (sizeof(sizes) / sizeof(*sizes))

Test(builder, what_was_built_is_read_whatever_the_size)
{
	srand(5);
	for (size_t i = 0; i < NR_SIZES; i++) {
		struct fake_device fake;
		struct model m;

		model_init(&m, sizes[i], (size_t)rand() % MAX_WRITESETS,
			   rand() & 1);
		build_sound(&m, &fake);
		compare(&m, &fake, false);
		fake_release(&fake);
		model_release(&m);
	}
}

Test(fold, gives_the_greatest_era_whatever_the_size)
{
	srand(6);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < NR_SIZES; i++) {
			struct fake_device fake;
			struct model m;

			model_init(&m, sizes[i], (size_t)rand() % MAX_WRITESETS,
				   rand() & 1);
			build_sound(&m, &fake);
			compare(&m, &fake, true);
			fake_release(&fake);
			model_release(&m);
		}
	}
}

struct since_sink {
	struct era_range_visitor visitor;
	const struct model *m;
	uint32_t era;
	uint64_t next; /* data blocks below were compared */
	bool ended;
};

static int since_begin(struct era_range_visitor *v,
		       const struct era_geometry *g)
{
	cr_assert_eq(g->nr_blocks, ((struct since_sink *)v)->m->nr_blocks);
	return 0;
}

static void skip_to(struct since_sink *s, uint64_t block)
{
	for (; s->next < block; s->next++)
		if (model_last(s->m, (uint32_t)s->next) >= s->era)
			cr_assert_fail("data block %lu is missing",
				       (unsigned long)s->next);
}

static int since_range(struct era_range_visitor *v, uint32_t begin,
		       uint32_t end)
{
	struct since_sink *s = (struct since_sink *)v;

	cr_assert_lt(begin, end);
	cr_assert_leq(end, s->m->nr_blocks);
	/* disjoint, ascending and not adjacent */
	cr_assert(begin > s->next || (!s->next && !begin));
	skip_to(s, begin);
	for (; s->next < end; s->next++)
		if (model_last(s->m, (uint32_t)s->next) < s->era)
			cr_assert_fail("data block %lu is too much",
				       (unsigned long)s->next);
	return 0;
}

static int since_end(struct era_range_visitor *v)
{
	struct since_sink *s = (struct since_sink *)v;

	skip_to(s, s->m->nr_blocks);
	s->ended = true;
	return 0;
}

Test(since, gives_just_what_was_written_since_whatever_the_size)
{
	srand(7);
	for (size_t i = 0; i < NR_SIZES; i++) {
		struct fake_device fake;
		struct era_metadata md;
		struct model m;

		model_init(&m, sizes[i], (size_t)rand() % MAX_WRITESETS,
			   rand() & 1);
		build_sound(&m, &fake);
		cr_assert_eq(era_metadata_open(&md, &fake.device, false, NULL,
					       NULL),
			     0);
		for (uint32_t era = 0; era <= m.current_era; era++) {
			struct since_sink s = { { since_begin, since_range,
						  since_end },
						&m,
						era,
						0,
						false };

			cr_assert_eq(era_read_since(&md, era, &s.visitor), 0);
			cr_assert(s.ended);
		}
		era_metadata_release(&md);
		fake_release(&fake);
		model_release(&m);
	}
}

static int take_no_range(struct era_range_visitor *v, uint32_t begin,
			 uint32_t end)
{
	(void)v;
	(void)begin;
	(void)end;
	return -EPIPE;
}

Test(since, ends_with_what_the_sink_returns)
{
	struct since_sink s = {
		{ since_begin, take_no_range, since_end }, NULL, 0, 0, false
	};
	struct fake_device fake;
	struct era_metadata md;
	struct model m;

	model_init(&m, 1000, 2, true);
	s.m = &m;
	build_sound(&m, &fake);
	cr_assert_eq(era_metadata_open(&md, &fake.device, false, NULL, NULL),
		     0);
	cr_assert_eq(era_read_since(&md, 0, &s.visitor), -EPIPE);
	cr_assert_not(s.ended);
	era_metadata_release(&md);
	fake_release(&fake);
	model_release(&m);
}

Test(fold, any_damaged_block_ends_it_with_an_error)
{
	struct fake_device fake;
	struct model m;
	unsigned int nr_refused = 0;

	srand(8);
	model_init(&m, 40000, 3, true);
	build_sound(&m, &fake);
	for (uint64_t block = 1; block < 80; block++) {
		struct comparing c = { .visitor = { compare_superblock,
						    compare_begin,
						    compare_words, compare_end,
						    compare_eras, compare_all },
				       .m = &m,
				       .logical = true };
		struct era_metadata md;
		int r;

		fake_block(&fake, block)[2000] ^= 1;
		r = era_metadata_open(&md, &fake.device, false, NULL, NULL);
		if (!r) {
			r = era_read_logical(&md, &c.visitor);
			era_metadata_release(&md);
		}
		cr_assert(!r || r == -EUCLEAN);
		nr_refused += r != 0;
		fake_block(&fake, block)[2000] ^= 1;
	}
	/* 40 of eras, 2 of each bitset, their leaves and the tree */
	cr_assert_geq(nr_refused, 48);
	fake_release(&fake);
	model_release(&m);
}

/* --- how it lies there ------------------------------------------------------
 */

Test(builder, blocks_are_contiguous_and_the_rest_is_zero)
{
	struct era_superblock sb;
	struct fake_device fake;
	struct model m;

	srand(9);
	model_init(&m, 50000, 3, false);
	fake_init(&fake, NR_METADATA);
	memset(fake.data, 0xaa, NR_METADATA * ERA_BLOCK_SIZE);
	cr_assert_eq(build(&m, &fake.device, NULL), 0);
	cr_assert_eq(era_superblock_read(&sb, &fake.device, 0, NULL), 0);
	for (uint64_t block = 1; block < NR_METADATA; block++) {
		const uint8_t *data = fake_block(&fake, block);

		if (block < sb.space_map.nr_allocated)
			cr_assert_neq(block_identify(data, block),
				      BLOCK_UNKNOWN);
		else
			for (size_t at = 0; at < ERA_BLOCK_SIZE; at += 8)
				cr_assert_eq(get_le64(data + at), 0);
	}
	fake_release(&fake);
	model_release(&m);
}

Test(builder, writes_no_block_twice_but_the_superblock)
{
	uint8_t written[NR_METADATA] = { 0 };
	struct fake_device fake;
	struct model m;

	srand(10);
	model_init(&m, 50000, 3, false);
	fake_init(&fake, NR_METADATA);
	fake.logging = true;
	cr_assert_eq(build(&m, &fake.device, NULL), 0);
	for (size_t i = 0; i < fake.nr_log; i++)
		for (size_t n = 0; n < fake.log[i].len; n += ERA_BLOCK_SIZE)
			written[(fake.log[i].offset + n) / ERA_BLOCK_SIZE]++;
	cr_assert_eq(written[0], 2);
	for (size_t block = 1; block < NR_METADATA; block++)
		cr_assert_eq(written[block], 1);
	/* the superblock: invalid and flushed first, whole at the very last */
	cr_assert_eq(fake.log[0].offset, 0);
	cr_assert_eq(fake.log[0].len, ERA_BLOCK_SIZE);
	cr_assert_eq(fake.log[1].len, 0);
	cr_assert_eq(fake.log[fake.nr_log - 3].len, 0);
	cr_assert_eq(fake.log[fake.nr_log - 2].offset, 0);
	cr_assert_eq(fake.log[fake.nr_log - 1].len, 0);
	fake_release(&fake);
	model_release(&m);
}

Test(builder, an_output_that_is_too_small_is_refused_before_a_write)
{
	struct fake_report report;
	struct fake_device fake;
	struct model m;

	srand(11);
	model_init(&m, 50000, 0, false);
	for (uint64_t nr = 0; nr < era_size_minimum(50000, 100); nr += 7) {
		fake_init(&fake, nr);
		fake_report_init(&report);
		cr_assert_eq(build(&m, &fake.device, &report.report), -ENOSPC);
		cr_assert(strstr(report.fatal, "too small"));
		cr_assert_eq(fake.nr_calls[FAKE_WRITE], 0);
		fake_release(&fake);
	}
	fake_init(&fake, era_size_minimum(50000, 100));
	cr_assert_eq(build(&m, &fake.device, NULL), 0);
	fake_release(&fake);
	model_release(&m);
}

Test(builder, an_output_that_turns_out_too_small_is_left_invalid)
{
	struct fake_report report;
	struct era_superblock sb;
	struct fake_device fake;
	struct model m;

	srand(12);
	model_init(&m, 50000, 6, false);
	fake_init(&fake, era_size_minimum(50000, 100) + 3);
	fake_report_init(&report);
	cr_assert_eq(build(&m, &fake.device, &report.report), -ENOSPC);
	cr_assert(strstr(report.fatal, "too small"));
	cr_assert_eq(era_superblock_read(&sb, &fake.device, 0, NULL), -EUCLEAN);
	fake_release(&fake);
	model_release(&m);
}

Test(builder, a_new_file_has_room_for_the_kernel_to_go_on)
{
	char path[] = "/tmp/era-builder-XXXXXX";
	struct era_device device;
	struct fake_report report;
	struct stat st;
	struct model m;
	int fd = mkstemp(path);

	srand(13);
	model_init(&m, 40000, 4, false);
	era_device_init_new(&device, path, fd, NULL);
	cr_assert_eq(build(&m, &device, NULL), 0);
	era_device_close(&device);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_geq((uint64_t)st.st_size,
		      era_size_recommended(40000, 4) * ERA_BLOCK_SIZE);
	cr_assert_eq(st.st_size % ERA_BLOCK_SIZE, 0);
	fake_report_init(&report);
	cr_assert_eq(era_device_open(&device, path, 0, NULL, NULL), 0);
	cr_assert_eq(era_check(&device, 0, &report.report), 0);
	cr_assert_eq(report.report.nr[ERA_FATAL], 0, "%s", report.fatal);
	cr_assert_eq(report.report.nr[ERA_NON_FATAL], 0, "%s", report.text);
	era_device_close(&device);
	unlink(path);
	model_release(&m);
}

Test(builder, a_metadata_snapshot_is_read_apart_from_the_live_metadata)
{
	struct fake_report report;
	struct era_builder b;
	struct fake_device fake;
	struct era_metadata md;
	struct model old, live;

	srand(14);
	model_init(&old, 5000, 2, false);
	model_init(&live, 5000, 3, false);
	fake_init(&fake, NR_METADATA);
	fake_report_init(&report);
	cr_assert_eq(era_builder_init(&b, &fake.device, &report.report), 0);
	cr_assert_eq(drive(&old, &b.visitor), 0);
	cr_assert_eq(era_builder_take_snapshot(&b), 0);
	cr_assert_eq(drive(&live, &b.visitor), 0);
	cr_assert_eq(era_builder_commit(&b), 0);
	era_builder_release(&b);
	cr_assert_eq(era_check(&fake.device, 0, &report.report), 0);
	cr_assert_eq(report.report.nr[ERA_NON_FATAL], 0, "%s", report.text);
	cr_assert_eq(era_metadata_open(&md, &fake.device, true, NULL, NULL), 0);
	cr_assert(md.snapshot);
	cr_assert_eq(md.nr_writesets, 2);
	cr_assert_eq(era_metadata_confirm(&md), 0);
	era_metadata_release(&md);
	compare(&live, &fake, false);
	fake_release(&fake);
	model_release(&old);
	model_release(&live);
}

static unsigned int nr_ends;

static int sink_superblock(struct era_visitor *v, const struct era_geometry *g)
{
	(void)v;
	(void)g;
	return 0;
}

static int sink_begin(struct era_visitor *v, uint32_t era, uint32_t nr_bits)
{
	(void)v;
	(void)era;
	(void)nr_bits;
	return 0;
}

static int sink_words(struct era_visitor *v, uint32_t first,
		      const uint64_t *words, size_t nr)
{
	(void)v;
	(void)first;
	(void)words;
	(void)nr;
	return 0;
}

static int sink_writeset_end(struct era_visitor *v)
{
	(void)v;
	return 0;
}

static int sink_eras(struct era_visitor *v, uint32_t first,
		     const uint32_t *eras, size_t nr)
{
	(void)v;
	(void)first;
	(void)eras;
	(void)nr;
	return 0;
}

static int sink_end(struct era_visitor *v)
{
	(void)v;
	nr_ends++;
	return 0;
}

static const struct era_visitor counting_sink = {
	sink_superblock,   sink_begin, sink_words,
	sink_writeset_end, sink_eras,  sink_end
};

static int sink_range_begin(struct era_range_visitor *v,
			    const struct era_geometry *g)
{
	(void)v;
	(void)g;
	return 0;
}

static int sink_range(struct era_range_visitor *v, uint32_t begin, uint32_t end)
{
	(void)v;
	(void)begin;
	(void)end;
	return 0;
}

static int sink_range_end(struct era_range_visitor *v)
{
	(void)v;
	return 0;
}

/* The four that read arrays. */
static int read_as(int source, struct era_metadata *md)
{
	struct era_visitor sink = counting_sink;
	struct era_range_visitor ranges = { sink_range_begin, sink_range,
					    sink_range_end };
	struct era_summary summary;
	int r;

	switch (source) {
	case 0:
		return era_read(md, &sink);
	case 1:
		return era_read_logical(md, &sink);
	case 2:
		return era_read_since(md, 0, &ranges);
	default:
		r = era_summary_make(&summary, md, 100);
		era_summary_release(&summary);
		return r;
	}
}

static void expect_read_once(const struct fake_device *fake,
			     const struct array_map *map)
{
	for (size_t i = 0; i < map->nr_slots; i++)
		cr_assert_eq(fake->times_read[map->slots[i].block], 1,
			     "%s block %zu", map->name, i);
}

/* Opened with care or not: the search for a newer history needs no second look
 * where nothing else is on the device. */
Test(reader, reads_each_array_block_once)
{
	struct fake_device fake;
	struct model m;

	srand(9);
	model_init(&m, 163000, 5, true);
	build_sound(&m, &fake);
	for (int source = 0; source < 8; source++) {
		struct era_metadata md;

		fake_reset(&fake);
		cr_assert_eq(source & 1 ? era_metadata_open_whole(
						  &md, &fake.device, NULL)
					: era_metadata_open(&md, &fake.device,
							    false, NULL, NULL),
			     0);
		cr_assert_eq(read_as(source / 2, &md), 0);
		expect_read_once(&fake, &md.eras);
		for (size_t i = 0; i < md.nr_writesets; i++)
			expect_read_once(&fake, &md.writesets[i].words);
		era_metadata_release(&md);
	}
	fake_release(&fake);
	model_release(&m);
}

/* Eras that differ by what shares a place while they are counted, in runs of
 * all lengths and one by one. */
static void spread_eras(struct model *m)
{
	m->current_era = 9000;
	for (uint32_t i = 0, end; i < m->nr_blocks; i = end) {
		uint32_t era =
			(uint32_t)rand() % 8 * 1024 + (uint32_t)rand() % 2;

		end = i + 1 + (rand() % 3 ? 0 : (uint32_t)rand() % 60);
		end = end < m->nr_blocks ? end : m->nr_blocks;
		for (uint32_t k = i; k < end; k++)
			m->eras[k] = era;
	}
}

Test(summary, counts_each_era_whatever_comes_between)
{
	struct fake_device fake;
	struct era_summary summary;
	struct era_metadata md;
	uint64_t counts[9001] = { 0 }, nr = 0;
	struct model m;

	srand(10);
	model_init(&m, 163000, 0, false);
	spread_eras(&m);
	build_sound(&m, &fake);
	for (uint32_t i = 0; i < m.nr_blocks; i++)
		counts[m.eras[i]]++;
	cr_assert_eq(era_metadata_open(&md, &fake.device, false, NULL, NULL),
		     0);
	cr_assert_eq(era_summary_make(&summary, &md, 100), 0);
	cr_assert_eq(summary.shift, 0);
	cr_assert_eq(summary.nr_lines, 16);
	for (size_t i = 0; i < summary.nr_lines; i++) {
		cr_assert_eq(summary.lines[i].nr_blocks,
			     counts[summary.lines[i].first]);
		nr += summary.lines[i].nr_blocks;
	}
	cr_assert_eq(nr, m.nr_blocks);
	era_summary_release(&summary);
	era_metadata_release(&md);
	fake_release(&fake);
	model_release(&m);
}

/* Metadata whose superblock says that another state is the snapshot's. */
static void change_snapshot(struct fake_device *fake, uint64_t location,
			    uint32_t eras_later)
{
	struct era_superblock sb;

	era_superblock_get(&sb, fake_block(fake, 0));
	sb.metadata_snap = location;
	era_superblock_put(fake_block(fake, 0), &sb);
	if (!location)
		return;
	era_superblock_get(&sb, fake_block(fake, location));
	sb.geometry.current_era += eras_later;
	era_superblock_put(fake_block(fake, location), &sb);
}

Test(reader, a_snapshot_that_is_dropped_while_it_is_read_is_an_error)
{
	for (int how = 0; how < 3; how++) {
		struct fake_report report;
		struct era_visitor sink;
		struct fake_device fake;
		struct era_metadata md;
		struct era_builder b;
		struct model m;
		uint64_t location;

		srand(15);
		model_init(&m, 5000, 2, false);
		fake_init(&fake, NR_METADATA);
		fake_report_init(&report);
		cr_assert_eq(era_builder_init(&b, &fake.device, NULL), 0);
		cr_assert_eq(drive(&m, &b.visitor), 0);
		cr_assert_eq(era_builder_take_snapshot(&b), 0);
		cr_assert_eq(drive(&m, &b.visitor), 0);
		cr_assert_eq(era_builder_commit(&b), 0);
		era_builder_release(&b);
		cr_assert_eq(era_metadata_open(&md, &fake.device, true, NULL,
					       &report.report),
			     0);
		location = md.sb.location;
		sink = counting_sink;
		nr_ends = 0;
		cr_assert_eq(era_read(&md, &sink), 0);
		cr_assert_eq(nr_ends, 1);
		/* dropped; dropped and taken elsewhere; and in its place */
		change_snapshot(&fake, how ? location : 0, how == 1 ? 0 : 1);
		if (how == 1)
			fake_block(&fake, location)[0] ^= 1;
		cr_assert_eq(era_read(&md, &sink), -EAGAIN);
		cr_assert_eq(era_read_logical(&md, &sink), -EAGAIN);
		cr_assert(strstr(report.fatal, "was dropped while"), "%s",
			  report.fatal);
		/* no result may look finished */
		cr_assert_eq(nr_ends, 1);
		era_metadata_release(&md);
		fake_release(&fake);
		model_release(&m);
	}
}

/* --- pieces -----------------------------------------------------------------
 */

#define NR_ARRAYS 40
#define NR_INDEXES 32

/* Arrays of which some have some blocks, and what pieces know of them. */
struct arrays {
	struct pieces pieces;
	uint32_t end[NR_ARRAYS];
	bool has[NR_ARRAYS][NR_INDEXES];
};

static void add_array(struct arrays *a, uint32_t number, uint32_t random)
{
	a->end[number] = random % (NR_INDEXES + 8);
	pieces_expect(&a->pieces, number, a->end[number]);
	for (uint32_t i = 0; i < NR_INDEXES && i < a->end[number]; i++) {
		struct piece_group *group = pieces_at(&a->pieces, i);

		a->has[number][i] = (random >> (i % 29)) & 1;
		if (a->has[number][i] && group)
			pieces_fill(group, number);
	}
}

static void expect_gaps(const struct arrays *a, uint32_t nr)
{
	for (size_t g = 0; g < a->pieces.nr_groups; g++) {
		const struct piece_group *group = &a->pieces.groups[g];
		struct piece_gaps gaps = pieces_gaps(&a->pieces, group);
		struct piece_gaps expected = { 0, 0 };

		for (uint32_t n = 0; n < nr; n++)
			if (group->index < a->end[n] &&
			    !a->has[n][group->index]) {
				expected.nr++;
				expected.sum += n;
			}
		cr_assert_eq(gaps.nr, expected.nr);
		cr_assert_eq(gaps.sum, expected.sum);
	}
}

Test(pieces, gaps_are_those_that_a_search_of_all_arrays_finds)
{
	struct arrays a = { .pieces = { .max = 40 } };
	uint32_t random = 1;

	for (uint32_t i = 0; i < 40; i++)
		cr_assert_eq(
			pieces_add(&a.pieces, i * 3 % NR_INDEXES, i + 1, 0), 0);
	cr_assert_eq(pieces_group(&a.pieces), 0);
	for (uint32_t n = 0; n < NR_ARRAYS; n++) {
		random = random * 1103515245 + 12345;
		add_array(&a, n, random >> 3);
		expect_gaps(&a, n + 1);
	}
	pieces_release(&a.pieces);
}

Test(pieces, of_one_index_are_counted_until_they_are_placed)
{
	struct pieces pieces = { .max = 3 };

	for (uint32_t i = 0; i < 5; i++)
		cr_assert_eq(pieces_add(&pieces, 9, i + 1, i == 1), 0);
	cr_assert(pieces.too_many);
	cr_assert_eq(pieces.nr, 3);
	cr_assert_eq(pieces_repeat(&pieces, 1), 1);
	cr_assert_eq(pieces_repeat(&pieces, 2), 0);
	cr_assert_eq(pieces_group(&pieces), 0);
	cr_assert_null(pieces_at(&pieces, 8));
	cr_assert_eq(pieces_at(&pieces, 9)->nr, 3);
	cr_assert_eq(pieces_at(&pieces, 9)->nr_loose, 2);
	pieces_place(&pieces, &pieces.pieces[0]);
	cr_assert_eq(pieces_at(&pieces, 9)->nr, 2);
	cr_assert_eq(pieces_at(&pieces, 9)->nr_loose, 1);
	pieces_release(&pieces);
}
