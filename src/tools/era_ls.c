/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_ls: which eras are there, and how much was written in each?
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "era/summary.h"
#include "format/human_size.h"
#include "format/report_json.h"
#include "format/printable.h"
#include "tools/confine.h"
#include "tools/ls_commits.h"
#include "tools/source.h"
#include "tools/table.h"
#include "tools/tool.h"

/* Lines kept by default: 64 MiB at the most, a checkpoint a minute for two
 * years. */
#define DEFAULT_LINES (1u << 20)
#define MIN_LINES 16u

#define KEY_WRITTEN_SINCE 0x100
#define KEY_LINES 0x101
#define KEY_COMMITS 0x102

enum column {
	COLUMN_ERA,
	COLUMN_STATE,
	COLUMN_BLOCKS,
	COLUMN_SIZE,
	COLUMN_SINCE_BLOCKS,
	COLUMN_SINCE_SIZE,
	COLUMN_SINCE_SHARE,
	COLUMN_SNAPSHOT,
	COLUMN_NR,
};

static const struct table_column columns[COLUMN_NR] = {
	[COLUMN_ERA] = { "ERA", false },
	[COLUMN_STATE] = { "STATE", true },
	[COLUMN_BLOCKS] = { "BLOCKS", false },
	[COLUMN_SIZE] = { "SIZE", false },
	[COLUMN_SINCE_BLOCKS] = { "SINCE-BLOCKS", false },
	[COLUMN_SINCE_SIZE] = { "SINCE-SIZE", false },
	[COLUMN_SINCE_SHARE] = { "SINCE%", false },
	[COLUMN_SNAPSHOT] = { "SNAPSHOT", true },
};

struct arguments {
	struct tool_source source;
	struct table_choice choice;
	const char *columns[TABLE_MAX_COLUMNS]; /* chosen, list by list */
	size_t nr_columns;
	uint32_t era; /* lines from here on */
	size_t max_lines;
	bool have_era;
	bool have_lines;
	bool commits; /* list them, and no eras */
	bool bytes;
	bool json;
	bool no_headings;
	bool raw;
};

static const struct argp_option options[] = {
	{ "columns", 'o', "LIST", 0,
	  "The columns to print, with commas between them; +LIST adds to the "
	  "default",
	  0 },
	{ "bytes", 'b', NULL, 0, "Print sizes in bytes", 0 },
	{ "noheadings", 'n', NULL, 0,
	  "Print the lines alone, without summary and headings", 0 },
	{ "raw", 'r', NULL, 0,
	  "Put one blank between columns, and print no summary", 0 },
	{ "json", 'J', NULL, 0, "Print everything as JSON", 0 },
	{ "written-since", KEY_WRITTEN_SINCE, "ERA", 0,
	  "Begin with ERA, which gets a line in any case", 0 },
	{ "lines", KEY_LINES, "NUMBER", 0,
	  "Print at most NUMBER lines; if there are more eras, they share "
	  "lines",
	  0 },
	{ "commits", KEY_COMMITS, NULL, 0,
	  "List the commits that are left on the device, and no eras; the "
	  "metadata need not be sound",
	  0 },
	{ 0 },
};

/* Options of the list of eras say nothing of commits. */
static void refuse_options(const struct arguments *args,
			   struct argp_state *state)
{
	const char *name = args->have_era		 ? "--written-since"
			   : args->have_lines		 ? "--lines"
			   : args->bytes		 ? "--bytes"
			   : args->source.snapshot	 ? "--metadata-snapshot"
			   : args->source.reachable_only ? "--reachable-only"
							 : NULL;

	if (name)
		argp_error(state, "--commits does not go with %s", name);
}

/* Which columns there are depends on what is listed. */
static void finish(struct arguments *args, struct argp_state *state)
{
	if (args->commits) {
		args->choice = ls_commits_columns;
		refuse_options(args, state);
	}
	for (size_t i = 0; i < args->nr_columns; i++)
		table_choose(&args->choice, args->columns[i], state);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->source;
		return 0;
	case 'o':
		if (args->nr_columns == TABLE_MAX_COLUMNS)
			argp_error(state, "too many columns");
		args->columns[args->nr_columns++] = arg;
		return 0;
	case 'b':
		args->bytes = true;
		return 0;
	case 'n':
		args->no_headings = true;
		return 0;
	case 'r':
		args->raw = true;
		return 0;
	case 'J':
		args->json = true;
		return 0;
	case KEY_WRITTEN_SINCE:
		args->era = tool_parse_era(arg, UINT32_MAX, "--written-since",
					   state);
		args->have_era = true;
		return 0;
	case KEY_LINES:
		args->max_lines = tool_parse_range(
			arg, MIN_LINES, DEFAULT_LINES, "--lines", state);
		args->have_lines = true;
		return 0;
	case KEY_COMMITS:
		args->commits = true;
		return 0;
	case ARGP_KEY_SUCCESS:
		finish(args, state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"DEVICE",
	"Lists the eras of a dm-era device and how much was written in each."
	"\vColumns: ERA, STATE, BLOCKS, SIZE, SINCE-BLOCKS, SINCE-SIZE "
	"(the default), SINCE%, SNAPSHOT.  With --commits: BRANCH, BLOCK, ERA, "
	"STATE, PROOF, EDGE, AFTER, SUPERBLOCK (the default), USED.",
	tool_source_argp_children,
	NULL,
	NULL
};

/* All that is to be printed. */
struct listing {
	const struct arguments *args;
	struct era_superblock sb; /* the live one */
	bool have_copy;		  /* the metadata snapshot can be read */
	uint32_t copy_era;	  /* eras below are in it */
	uint64_t block_size;	  /* bytes */
	uint32_t current_era;	  /* of what is listed */
	struct era_summary summary;
};

/* Where the writes are that the lines count. */
static const char *state_name(const struct era_summary_line *line)
{
	if (!line->last)
		return "never";
	if (line->states & ERA_STATE_OPEN)
		return "open";
	if (line->states & ERA_STATE_ARCHIVED)
		return "archived";
	return line->states ? "digested" : "-";
}

static const char *size_text(const struct listing *listing, char *buf,
			     uint64_t nr_blocks)
{
	uint64_t bytes = nr_blocks * listing->block_size;

	if (!listing->args->bytes)
		return human_size(buf, bytes);
	sprintf(buf, "%" PRIu64, bytes);
	return buf;
}

static const char *share_text(char *buf, uint64_t nr, uint64_t all)
{
	sprintf(buf, "%.1f", all ? 100.0 * (double)nr / (double)all : 0.0);
	return buf;
}

static const char *in_snapshot(const struct listing *listing,
			       const struct era_summary_line *line)
{
	return listing->have_copy && line->last < listing->copy_era ? "yes"
								    : "no";
}

static const char *cell_text(const struct listing *listing,
			     const struct era_summary_line *line,
			     enum column column, char *buf)
{
	switch (column) {
	case COLUMN_ERA:
		sprintf(buf, "%" PRIu32, line->first);
		if (line->last != line->first)
			sprintf(buf + strlen(buf), "-%" PRIu32, line->last);
		return buf;
	case COLUMN_STATE:
		return state_name(line);
	case COLUMN_BLOCKS:
		sprintf(buf, "%" PRIu64, line->nr_blocks);
		return buf;
	case COLUMN_SIZE:
		return size_text(listing, buf, line->nr_blocks);
	case COLUMN_SINCE_BLOCKS:
		sprintf(buf, "%" PRIu64, line->nr_since);
		return buf;
	case COLUMN_SINCE_SIZE:
		return size_text(listing, buf, line->nr_since);
	case COLUMN_SINCE_SHARE:
		return share_text(buf, line->nr_since,
				  listing->sb.geometry.nr_blocks);
	case COLUMN_SNAPSHOT:
		return in_snapshot(listing, line);
	default:
		return "";
	}
}

static void print_summary(const struct listing *listing)
{
	const struct era_superblock *sb = &listing->sb;
	uint64_t nr_blocks = sb->geometry.nr_blocks;
	char size[HUMAN_SIZE_MAX], block[HUMAN_SIZE_MAX];

	printable_put(listing->args->source.device, stdout);
	printf(": %" PRIu64 " blocks of %s (%s), current era %" PRIu32 "%s\n",
	       nr_blocks, human_size(block, listing->block_size),
	       human_size(size, nr_blocks * listing->block_size),
	       sb->geometry.current_era,
	       sb->writeset_root ? ", not shut down cleanly" : "");
	printf("%" PRIu64 " of %" PRIu64 " metadata blocks in use, ",
	       sb->space_map.nr_allocated, sb->space_map.nr_blocks);
	if (!sb->metadata_snap)
		printf("no metadata snapshot\n\n");
	else if (!listing->have_copy)
		printf("a metadata snapshot that cannot be read\n\n");
	else
		printf("a metadata snapshot of the eras below %" PRIu32 "\n\n",
		       listing->copy_era);
}

/* What --written-since asks for, whether or not anything was written in it */
static struct era_summary_line empty_line(const struct listing *listing)
{
	uint32_t era = listing->args->era;

	return (struct era_summary_line){
		.first = era,
		.last = era,
		.nr_since = era_summary_since(&listing->summary, era),
	};
}

typedef int (*line_fn)(const struct listing *listing,
		       const struct era_summary_line *line, void *arg);

static int for_each_line(const struct listing *listing, line_fn fn, void *arg)
{
	const struct era_summary *summary = &listing->summary;
	uint32_t era = listing->args->era;
	size_t i = 0;
	int r = 0;

	while (i < summary->nr_lines && summary->lines[i].last < era)
		i++;
	if (listing->args->have_era &&
	    (i == summary->nr_lines || summary->lines[i].first > era)) {
		struct era_summary_line line = empty_line(listing);

		r = fn(listing, &line, arg);
	}
	for (; i < summary->nr_lines && !r; i++)
		r = fn(listing, &summary->lines[i], arg);
	return r;
}

static int add_row(const struct listing *listing,
		   const struct era_summary_line *line, void *arg)
{
	const struct table_choice *choice = &listing->args->choice;
	struct table *table = arg;
	char buf[64];

	for (size_t i = 0; i < choice->nr_chosen; i++)
		table_add(table,
			  cell_text(listing, line,
				    (enum column)choice->chosen[i], buf));
	return table->no_memory ? -ENOMEM : 0;
}

static int print_text(const struct listing *listing)
{
	const struct arguments *args = listing->args;
	struct table table;
	int r;

	table_init(&table, &args->choice);
	r = for_each_line(listing, add_row, &table);
	if (!r && !args->no_headings && !args->raw)
		print_summary(listing);
	if (!r)
		r = table_print(&table, !args->no_headings, args->raw, stdout);
	table_release(&table);
	return r;
}

static int add_object(const struct listing *listing,
		      const struct era_summary_line *line, void *arg)
{
	uint64_t size = listing->block_size;
	json_t *object =
		json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:b}", "era",
			  (json_int_t)line->first, "last",
			  (json_int_t)line->last, "state", state_name(line),
			  "blocks", (json_int_t)line->nr_blocks, "bytes",
			  (json_int_t)(line->nr_blocks * size), "since_blocks",
			  (json_int_t)line->nr_since, "since_bytes",
			  (json_int_t)(line->nr_since * size), "in_snapshot",
			  *in_snapshot(listing, line) == 'y');

	return json_array_append_new(arg, object) ? -ENOMEM : 0;
}

static json_t *new_superblock(const struct listing *listing)
{
	const struct era_superblock *sb = &listing->sb;
	json_t *snapshot = json_null();

	if (sb->metadata_snap && listing->have_copy)
		snapshot =
			json_pack("{s:I, s:I}", "block",
				  (json_int_t)sb->metadata_snap, "eras_below",
				  (json_int_t)listing->copy_era);
	else if (sb->metadata_snap)
		snapshot =
			json_pack("{s:I, s:n}", "block",
				  (json_int_t)sb->metadata_snap, "eras_below");
	return json_pack("{s:I, s:I, s:I, s:b, s:I, s:I, s:o}", "block_size",
			 (json_int_t)sb->geometry.data_block_size, "nr_blocks",
			 (json_int_t)sb->geometry.nr_blocks, "current_era",
			 (json_int_t)sb->geometry.current_era, "open",
			 sb->writeset_root != 0, "metadata_blocks",
			 (json_int_t)sb->space_map.nr_blocks,
			 "metadata_blocks_used",
			 (json_int_t)sb->space_map.nr_allocated,
			 "metadata_snapshot", snapshot);
}

static json_t *new_eras(const struct listing *listing)
{
	json_t *eras = json_array();

	if (eras && for_each_line(listing, add_object, eras)) {
		json_decref(eras);
		return NULL;
	}
	return eras;
}

/* What could not be listed is null: no list is not an empty one. */
static json_t *new_listing(const struct listing *listing, bool complete)
{
	const char *source =
		listing->args->source.snapshot ? "metadata_snapshot" : "live";

	if (!complete)
		return json_pack("{s:n, s:n, s:s, s:n}", "current_era",
				 "superblock", "source", source, "eras");
	return json_pack("{s:I, s:o, s:s, s:o}", "current_era",
			 (json_int_t)listing->current_era, "superblock",
			 new_superblock(listing), "source", source, "eras",
			 new_eras(listing));
}

static int print_json(const struct listing *listing, int r,
		      const struct report_json *json)
{
	enum era_kind kind = era_report_main_kind(&json->report);
	enum era_advice advice = era_kind_advice(kind);
	const char *device = listing->args->source.device;
	char buf[TOOL_ADVICE_MAX];
	json_t *root =
		report_json_new(device, era_report_outcome(&json->report, r),
				era_advice_code(advice),
				tool_advice(advice, device, buf, sizeof(buf)));
	json_t *rest = new_listing(listing, !r);

	if (!rest || json_object_update(root, rest)) {
		json_decref(rest);
		json_decref(root);
		return -ENOMEM;
	}
	json_decref(rest);
	return report_json_print(root, json, stdout);
}

/* A snapshot that cannot be read is no reason not to list what can be. */
static void read_copy(struct listing *listing, struct era_device *device,
		      struct era_report *report)
{
	struct era_superblock copy;

	if (!listing->sb.metadata_snap)
		return;
	listing->have_copy =
		!era_metadata_read_snapshot(&copy, &listing->sb, device, NULL);
	if (listing->have_copy)
		listing->copy_era = copy.geometry.current_era;
	else
		era_report(report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "the metadata snapshot cannot be read");
}

static int summarise(struct listing *listing, struct era_device *device,
		     struct era_report *report)
{
	const struct arguments *args = listing->args;
	struct progress progress;
	struct era_metadata md;
	int r;

	/* to standard output nothing goes before the end */
	tool_progress_start(&progress, device, era_device_used(device),
			    args->source.quiet, args->source.device);
	r = tool_source_open_metadata(&md, device, &args->source, report);
	if (!r) {
		listing->current_era = md.sb.geometry.current_era;
		/* of the same read as the lines */
		listing->sb = md.live;
		listing->block_size =
			md.live.geometry.data_block_size * UINT64_C(512);
		r = era_metadata_check_era(&md, args->era);
		if (!r)
			r = era_summary_make(&listing->summary, &md,
					     args->max_lines);
		era_metadata_release(&md);
	}
	tool_progress_finish(&progress, device);
	return r;
}

static int load(struct listing *listing, struct era_device *device,
		struct era_report *report)
{
	int r = summarise(listing, device, report);

	if (!r)
		read_copy(listing, device, report);
	return r;
}

static int open_and_load(struct listing *listing, struct era_report *report)
{
	struct era_device device;
	int r = tool_source_open(&device, &listing->args->source, report);

	if (r)
		return r;
	r = load(listing, &device, report);
	era_device_close(&device);
	return r;
}

static int run_json(struct listing *listing, struct era_report *errors)
{
	struct report_json json;
	enum era_outcome outcome;
	int r = report_json_init(&json), printed;

	if (r)
		return tool_exit_status(r, errors);
	r = open_and_load(listing, &json.report);
	tool_put_into_words(r, &json.report);
	outcome = era_report_outcome(&json.report, r);
	printed = print_json(listing, r, &json);
	report_json_release(&json);
	return tool_exit_status_json(printed, outcome, errors);
}

static int run_text(struct listing *listing, struct era_report *report)
{
	int r = open_and_load(listing, report);

	if (!r)
		r = print_text(listing);
	return tool_source_exit_status(r, &listing->args->source, report);
}

/* What else the device remembers, whether its metadata is sound or not. */
static int run_commits(const struct arguments *args, struct era_report *report)
{
	const struct ls_commits_options how = {
		.path = args->source.device,
		.choice = args->choice,
		.json = args->json,
		.no_headings = args->no_headings,
		.raw = args->raw,
		.quiet = args->source.quiet,
	};
	struct era_device device;
	int r = tool_source_open(&device, &args->source, report);

	if (!r) {
		r = ls_commits(&how, &device, report);
		era_device_close(&device);
	}
	return tool_source_exit_status(r, &args->source, report);
}

int main(int argc, char **argv)
{
	struct arguments args = {
		.choice = { .columns = columns,
			    .nr_columns = COLUMN_NR,
			    .chosen = { COLUMN_ERA, COLUMN_STATE, COLUMN_BLOCKS,
					COLUMN_SIZE, COLUMN_SINCE_BLOCKS,
					COLUMN_SINCE_SIZE },
			    .nr_chosen = 6 },
		.max_lines = DEFAULT_LINES,
	};
	struct listing listing = { .args = &args };
	struct report_text text;
	int status;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(false);
	report_text_init(&text, stderr, tool_name(), args.source.quiet);
	status = args.commits ? run_commits(&args, &text.report)
		 : args.json  ? run_json(&listing, &text.report)
			      : run_text(&listing, &text.report);
	era_summary_release(&listing.summary);
	return status;
}
