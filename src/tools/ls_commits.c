/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table and the JSON of the commits.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "history/commits.h"
#include "tools/ls_commits.h"
#include "tools/tool.h"

enum column {
	COLUMN_BRANCH,
	COLUMN_BLOCK,
	COLUMN_ERA,
	COLUMN_STATE,
	COLUMN_PROOF,
	COLUMN_EDGE,
	COLUMN_AFTER,
	COLUMN_SUPERBLOCK,
	COLUMN_USED,
	COLUMN_NR,
};

static const struct table_column columns[COLUMN_NR] = {
	[COLUMN_BRANCH] = { "BRANCH", false },
	[COLUMN_BLOCK] = { "BLOCK", false },
	[COLUMN_ERA] = { "ERA", true },
	[COLUMN_STATE] = { "STATE", true },
	[COLUMN_PROOF] = { "PROOF", true },
	[COLUMN_EDGE] = { "EDGE", true },
	[COLUMN_AFTER] = { "AFTER", false },
	[COLUMN_SUPERBLOCK] = { "SUPERBLOCK", true },
	[COLUMN_USED] = { "USED", false },
};

const struct table_choice ls_commits_columns = {
	.columns = columns,
	.nr_columns = COLUMN_NR,
	.chosen = { COLUMN_BRANCH, COLUMN_BLOCK, COLUMN_ERA, COLUMN_STATE,
		    COLUMN_PROOF, COLUMN_EDGE, COLUMN_AFTER,
		    COLUMN_SUPERBLOCK },
	.nr_chosen = 8,
};

struct listing {
	const struct ls_commits_options *options;
	bool have_superblock;
	struct era_superblock sb;
	struct era_commits commits;
};

static const char *number(char *buf, uint64_t n)
{
	sprintf(buf, "%" PRIu64, n);
	return buf;
}

/* An era that nothing names can be a later one. */
static const char *era_text(char *buf, const struct era_commit *commit)
{
	if (commit->proof != ERA_PROVEN)
		return "-";
	sprintf(buf, "%" PRIu32 "%s", commit->era, commit->inferred ? "+" : "");
	return buf;
}

static const char *state_name(const struct era_commit *commit)
{
	if (commit->proof != ERA_PROVEN)
		return "-";
	return commit->roots.open ? "open" : "closed";
}

/* An edge between commits that are not both proven is told by its places. */
static const char *edge_text(char *buf, const struct era_commit *commit)
{
	bool doubtful = commit->before != ERA_NO_COMMIT && !commit->sure;

	sprintf(buf, "%s%s", era_edge_name(commit->edge), doubtful ? "?" : "");
	return buf;
}

static const char *cell_text(const struct listing *listing, size_t i,
			     enum column column, char *buf)
{
	const struct era_commits *commits = &listing->commits;
	const struct era_commit *commit = &commits->list[i];

	switch (column) {
	case COLUMN_BRANCH:
		return commit->branch ? number(buf, commit->branch) : "-";
	case COLUMN_BLOCK:
		return number(buf, commit->index_block);
	case COLUMN_ERA:
		return era_text(buf, commit);
	case COLUMN_STATE:
		return state_name(commit);
	case COLUMN_PROOF:
		return era_proof_name(commit->proof);
	case COLUMN_EDGE:
		return edge_text(buf, commit);
	case COLUMN_AFTER:
		return commit->before == ERA_NO_COMMIT
			       ? "-"
			       : number(buf, commits->list[commit->before]
						     .index_block);
	case COLUMN_SUPERBLOCK:
		return i == commits->superblocks ? "yes" : "-";
	case COLUMN_USED:
		return commit->counted ? number(buf, commit->nr_allocated)
				       : "-";
	default:
		return "";
	}
}

static void print_summary(const struct listing *listing)
{
	const struct era_commits *commits = &listing->commits;

	printf("%s: %zu commits are left, of which %zu are proven, on %" PRIu32
	       " %s\n",
	       listing->options->path, commits->nr, commits->nr_proven,
	       commits->nr_branches,
	       commits->nr_branches == 1 ? "branch" : "branches");
	if (!listing->have_superblock)
		printf("block 0 is no sound superblock\n\n");
	else if (commits->superblocks == ERA_NO_COMMIT)
		printf("the superblock's, in block %" PRIu64
		       ", is not among them\n\n",
		       listing->sb.space_map.bitmap_root);
	else
		printf("the superblock's is in block %" PRIu64 "\n\n",
		       listing->sb.space_map.bitmap_root);
}

static int print_text(const struct listing *listing)
{
	const struct ls_commits_options *options = listing->options;
	struct table table;
	char buf[64];
	int r;

	table_init(&table, &options->choice);
	for (size_t i = 0; i < listing->commits.nr; i++)
		for (size_t k = 0; k < options->choice.nr_chosen; k++)
			table_add(&table,
				  cell_text(listing, listing->commits.order[i],
					    (enum column)
						    options->choice.chosen[k],
					    buf));
	if (!options->no_headings && !options->raw && !table.no_memory)
		print_summary(listing);
	r = table.no_memory ? -ENOMEM
			    : table_print(&table, !options->no_headings,
					  options->raw, stdout);
	table_release(&table);
	return r;
}

/* What a superblock of the commit would name; null where it is not known. */
static json_t *new_state(const struct era_commit *commit)
{
	const struct era_roots *roots = &commit->roots;

	if (commit->proof != ERA_PROVEN)
		return json_null();
	return json_pack("{s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "era",
			 (json_int_t)commit->era, "era_inferred",
			 commit->inferred, "open", roots->open != 0,
			 "nr_blocks", (json_int_t)commit->nr_blocks,
			 "writeset_tree_root",
			 (json_int_t)roots->writeset_tree, "era_array_root",
			 (json_int_t)roots->era_array, "ref_count_root",
			 (json_int_t)roots->ref_counts, "writeset_root",
			 (json_int_t)roots->open, "metadata_snap",
			 (json_int_t)roots->snapshot);
}

static json_t *new_after(const struct era_commits *commits,
			 const struct era_commit *commit)
{
	if (commit->before == ERA_NO_COMMIT)
		return json_null();
	return json_integer(
		(json_int_t)commits->list[commit->before].index_block);
}

static json_t *new_commit(const struct era_commits *commits, size_t i)
{
	const struct era_commit *commit = &commits->list[i];
	json_t *used = json_null(), *branch = json_null();

	if (commit->counted) {
		used = json_integer((json_int_t)commit->nr_allocated);
		branch = json_integer((json_int_t)commit->branch);
	}
	return json_pack("{s:I, s:o, s:b, s:s, s:s, s:o, s:b, s:o, s:o}",
			 "index_block", (json_int_t)commit->index_block,
			 "branch", branch, "of_superblock",
			 i == commits->superblocks, "proof",
			 era_proof_name(commit->proof), "edge",
			 era_edge_name(commit->edge), "after",
			 new_after(commits, commit), "edge_proven",
			 commit->sure, "metadata_blocks_used", used, "state",
			 new_state(commit));
}

static int print_json(const struct listing *listing)
{
	const struct era_commits *commits = &listing->commits;
	json_t *list = json_array(), *index = json_null(), *root;
	int r = 0;

	for (size_t i = 0; i < commits->nr && !r; i++)
		if (json_array_append_new(list, new_commit(commits,
							   commits->order[i])))
			r = -ENOMEM;
	if (listing->have_superblock)
		index = json_integer(
			(json_int_t)listing->sb.space_map.bitmap_root);
	root = json_pack("{s:o, s:I, s:o}", "superblock_index_block", index,
			 "branches", (json_int_t)commits->nr_branches,
			 "commits", list);
	if (!root)
		return -ENOMEM;
	if (!r && (json_dumpf(root, stdout, JSON_INDENT(2)) ||
		   putchar('\n') == EOF))
		r = -errno;
	json_decref(root);
	return r;
}

/* What a list that is printed need not have. */
static int report_missing(const struct era_scan *scan,
			  struct era_report *report)
{
	int r = era_device_check(scan->device, report);

	if (scan->nr_unreadable)
		era_report(report, ERA_FATAL, NULL, ERA_NO_DATA,
			   "%" PRIu64
			   " blocks cannot be read: commits may be missing",
			   scan->nr_unreadable);
	return r ? r : scan->nr_unreadable ? -EIO : 0;
}

int ls_commits(const struct ls_commits_options *options,
	       struct era_device *device, struct era_report *report)
{
	struct listing listing = { .options = options };
	struct progress progress;
	struct era_scan scan;
	int r;

	listing.have_superblock = !era_superblock_read(
		&listing.sb, device, ERA_SUPERBLOCK_LOCATION, NULL);
	tool_progress_start(&progress, device, era_device_used(device),
			    options->quiet, options->path);
	r = era_scan_init(&scan, device);
	if (!r)
		r = era_commits_load(&listing.commits, &scan,
				     listing.have_superblock ? &listing.sb
							     : NULL);
	tool_progress_finish(&progress, device);
	if (!r)
		r = options->json ? print_json(&listing)
				  : print_text(&listing);
	if (!r)
		r = report_missing(&scan, report);
	era_commits_release(&listing.commits);
	era_scan_release(&scan);
	return r;
}
