/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes metadata of a chosen size for benchmarks and tests: a source of
 * pseudo-random eras and writesets that drives the project's own builder, so
 * that no XML of many gigabytes stands in between. The same options give the
 * same bytes, on any machine.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "era/builder.h"
#include "era/size.h"
#include "tools/tool.h"

#define BLOCK_SIZE_SECTORS 128
#define MAX_WRITESETS 4096
#define WORDS_AT_ONCE 509
#define ERAS_AT_ONCE 1018

struct arguments {
	const char *output;
	uint32_t nr_blocks;
	uint32_t nr_writesets;
	uint32_t nr_archived; /* eras that the era array dates to */
	uint32_t density;     /* percent of the blocks in a writeset */
	uint32_t run;	      /* mean length of runs */
	uint64_t seed;
	bool open;
	bool scatter;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0, "Create FILE, which must not exist", 0 },
	{ "nr-blocks", 'n', "BLOCKS", 0,
	  "Data blocks, below 2G; suffixes as in 64M (default 1M)", 0 },
	{ "writesets", 'w', "COUNT", 0,
	  "Writesets that are not digested yet (default 4)", 0 },
	{ "eras", 'e', "COUNT", 0,
	  "Eras that the era array speaks of (default 100)", 0 },
	{ "density", 'd', "PERCENT", 0,
	  "Part of the blocks that each writeset marks (default 10)", 0 },
	{ "run", 'r', "BLOCKS", 0,
	  "Mean length of what was written at once (default 8)", 0 },
	{ "seed", 's', "NUMBER", 0, "Another seed, other metadata (default 1)",
	  0 },
	{ "open", 'O', NULL, 0,
	  "Leave the last writeset open, as after a crash", 0 },
	{ "scatter", 'S', NULL, 0,
	  "Put array blocks anywhere, as years of use would", 0 },
	{ 0 },
};

static uint32_t parse_u32(const char *arg, uint32_t min, uint32_t max,
			  const char *what, struct argp_state *state)
{
	uint64_t value = tool_parse_size(arg, max, what, state);

	if (value < min)
		argp_error(state, "%s must be at least %" PRIu32, what, min);
	return (uint32_t)value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 'o':
		args->output = arg;
		return 0;
	case 'n':
		args->nr_blocks = parse_u32(arg, 0, ERA_MAX_NR_BLOCKS - 1,
					    "--nr-blocks", state);
		return 0;
	case 'w':
		args->nr_writesets = parse_u32(arg, 0, MAX_WRITESETS,
					       "--writesets", state);
		return 0;
	case 'e':
		args->nr_archived = parse_u32(arg, 1, 1000000000, "--eras",
					      state);
		return 0;
	case 'd':
		args->density = parse_u32(arg, 0, 100, "--density", state);
		return 0;
	case 'r':
		args->run = parse_u32(arg, 1, 1000000, "--run", state);
		return 0;
	case 's':
		args->seed = tool_parse_number(arg, UINT64_MAX, "--seed",
					       state);
		return 0;
	case 'O':
		args->open = true;
		return 0;
	case 'S':
		args->scatter = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		return 0;
	case ARGP_KEY_END:
		if (!args->output)
			argp_error(state, "no output file given (-o)");
		if (args->open && !args->nr_writesets)
			argp_error(state, "--open needs a writeset");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options, parse, "-o FILE",
	"Creates dm-era metadata with pseudo-random contents.",
	tool_argp_children, NULL, NULL
};

/* splitmix64 (Steele, Lea, Flood 2014): tiny, and any seed will do */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Data blocks that one pseudo-random decision covers. */
struct runs {
	const struct arguments *args;
	uint64_t random;
	uint64_t place; /* the same for places: scattering changes no content */
	uint32_t left;	/* of the run at hand */
	uint32_t value;
};

static void runs_init(struct runs *runs, const struct arguments *args,
		      uint32_t number)
{
	*runs = (struct runs){ .args = args, .random = args->seed };
	/* each array has a sequence of its own */
	runs->random ^= next_random(&runs->random) + number;
	next_random(&runs->random);
	runs->place = ~runs->random;
}

/* The next run; *r is fresh randomness for its value. */
static void next_run(struct runs *runs, uint32_t *r)
{
	uint64_t z = next_random(&runs->random);

	*r = (uint32_t)(z >> 32);
	runs->left = 1 + (uint32_t)z % (2 * runs->args->run - 1);
}

static uint32_t next_era(struct runs *runs)
{
	if (!runs->left) {
		uint32_t r;

		next_run(runs, &r);
		/* 0, never written, is one of them */
		runs->value = r % (runs->args->nr_archived + 1);
	}
	runs->left--;
	return runs->value;
}

static uint32_t next_bit(struct runs *runs)
{
	if (!runs->left) {
		uint32_t r;

		next_run(runs, &r);
		runs->value = r % 100 < runs->args->density;
	}
	runs->left--;
	return runs->value;
}

/* Metadata blocks that scattered array blocks are spread over. */
static uint64_t scatter_room(const struct arguments *args)
{
	uint64_t nr = era_size_minimum(args->nr_blocks, 0);

	nr += args->nr_writesets *
	      array_build_nr_blocks(era_nr_words(args->nr_blocks), 8);
	return nr + nr / 4;
}

/* Where the builder puts its next block; it takes the next free from there. */
static void scatter(const struct arguments *args, struct runs *runs,
		    struct era_visitor *sink)
{
	struct era_builder *builder = (struct era_builder *)sink;

	if (args->scatter)
		builder->allocator.next =
			1 + next_random(&runs->place) % scatter_room(args);
}

static int give_words(const struct arguments *args, uint32_t number,
		      struct era_visitor *sink)
{
	uint32_t nr_words = era_nr_words(args->nr_blocks);
	uint64_t words[WORDS_AT_ONCE];
	struct runs runs;
	int r = 0;

	runs_init(&runs, args, number);
	for (uint32_t first = 0, nr; first < nr_words && !r; first += nr) {
		nr = nr_words - first;
		if (nr > WORDS_AT_ONCE)
			nr = WORDS_AT_ONCE;
		for (uint32_t i = 0; i < nr; i++) {
			words[i] = 0;
			for (uint32_t bit = 0; bit < 64; bit++)
				words[i] |= (uint64_t)next_bit(&runs) << bit;
		}
		scatter(args, &runs, sink);
		if (first + nr == nr_words)
			words[nr - 1] &= era_last_word_mask(args->nr_blocks);
		r = sink->writeset_words(sink, first, words, nr);
	}
	return r;
}

static int give_eras(const struct arguments *args, struct era_visitor *sink)
{
	uint32_t eras[ERAS_AT_ONCE];
	struct runs runs;
	int r = 0;

	runs_init(&runs, args, 0);
	for (uint32_t first = 0, nr; first < args->nr_blocks && !r;
	     first += nr) {
		nr = args->nr_blocks - first;
		if (nr > ERAS_AT_ONCE)
			nr = ERAS_AT_ONCE;
		for (uint32_t i = 0; i < nr; i++)
			eras[i] = next_era(&runs);
		scatter(args, &runs, sink);
		r = sink->eras(sink, first, eras, nr);
	}
	return r;
}

/*
 * The bitset that the builder has at hand becomes the open writeset instead
 * of an entry of the writeset tree. The builder itself never leaves one open:
 * that state comes from the kernel alone.
 */
static int leave_open(struct era_builder *builder)
{
	int r = array_build_finish(&builder->array, &builder->sb.writeset_root);

	builder->sb.writeset_nr_bits = builder->nr_bits;
	return r ? era_builder_report(builder, r) : 0;
}

static int give_writesets(const struct arguments *args,
			  struct era_builder *builder)
{
	struct era_visitor *sink = &builder->visitor;
	int r = 0;

	for (uint32_t i = 1; i <= args->nr_writesets && !r; i++) {
		r = sink->writeset_begin(sink, args->nr_archived + i,
					 args->nr_blocks);
		if (!r)
			r = give_words(args, i, sink);
		if (!r)
			r = args->open && i == args->nr_writesets ?
				    leave_open(builder) :
				    sink->writeset_end(sink);
	}
	return r;
}

static int generate(const struct arguments *args, struct era_device *device,
		    struct era_report *report)
{
	struct era_geometry geometry = {
		.data_block_size = BLOCK_SIZE_SECTORS,
		.nr_blocks = args->nr_blocks,
		.current_era = args->nr_archived + args->nr_writesets,
	};
	struct era_builder builder;
	int r = era_builder_init(&builder, device, report);

	if (!r && args->scatter)
		r = ref_counts_grow(&builder.allocator.refs,
				    builder.allocator.refs.nr_blocks +
					    2 * scatter_room(args));
	if (!r)
		r = builder.visitor.superblock(&builder.visitor, &geometry);
	if (!r)
		r = give_writesets(args, &builder);
	if (!r)
		r = give_eras(args, &builder.visitor);
	if (!r)
		r = builder.visitor.end(&builder.visitor);
	/* what follows is behind all that was scattered */
	if (args->scatter)
		builder.allocator.next = 2 * scatter_room(args);
	if (!r)
		r = era_builder_commit(&builder);
	era_builder_release(&builder);
	return r;
}

static int run(const struct arguments *args, struct era_report *report)
{
	int fd = open(args->output, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		      0666);
	struct era_device device;
	int r;

	if (fd < 0) {
		r = -errno;
		era_report(report, ERA_FATAL, NULL, ERA_NO_DATA,
			   "cannot create %s: %s", args->output, strerror(-r));
		return r;
	}
	era_device_init_new(&device, args->output, fd, NULL);
	r = generate(args, &device, report);
	era_device_close(&device);
	if (r)
		unlink(args->output);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .nr_blocks = 1 << 20,
				  .nr_writesets = 4,
				  .nr_archived = 100,
				  .density = 10,
				  .run = 8,
				  .seed = 1 };
	struct report_text text;

	tool_init(argv);
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	report_text_init(&text, stderr, tool_name(), false);
	return tool_exit_status(run(&args, &text.report), &text.report);
}
