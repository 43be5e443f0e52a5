/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Collecting and printing the summary of a repair.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "tools/repair_summary.h"
#include "tools/tool.h"

void repair_summary_take(struct repair_summary *summary,
			 const struct era_salvage *s)
{
	summary->known = true;
	summary->exact = s->exact && !s->passed_over;
	summary->forked = s->forked;
	summary->rebuilt_superblock = s->rebuilt_superblock;
	summary->era_inferred =
		s->rebuilt.proven && s->rebuilt.era_inferred &&
		s->options.geometry.current_era < s->geometry.current_era;
	summary->kept_snapshot = s->has_snapshot && !s->options.drop_snapshot;
	summary->lost_snapshot = s->lost_snapshot;
	summary->passed_over = s->passed_over;
	summary->nr_faults = s->nr_faults;
	summary->nr_attached = s->nr_attached;
	summary->nr_corrected = s->nr_corrected;
	summary->geometry = s->geometry;
	summary->was_open = s->md.sb.writeset_root;
}

static struct summary_count *find_count(struct repair_summary *summary,
					enum era_class trust, uint32_t era)
{
	struct summary_count *counts;
	size_t i = 0;

	while (i < summary->nr_counts && (summary->counts[i].trust < trust ||
					  (summary->counts[i].trust == trust &&
					   summary->counts[i].era < era)))
		i++;
	if (i < summary->nr_counts && summary->counts[i].trust == trust &&
	    summary->counts[i].era == era)
		return &summary->counts[i];
	if (list_resize(&summary->counts, summary->nr_counts,
			summary->nr_counts + 1))
		return NULL;
	counts = summary->counts;
	memmove(&counts[i + 1], &counts[i],
		(summary->nr_counts - i) * sizeof(*counts));
	counts[i] = (struct summary_count){ .trust = trust, .era = era };
	summary->nr_counts++;
	return &counts[i];
}

int repair_summary_raised(void *arg, enum era_class trust, uint32_t begin,
			  uint32_t end, uint32_t era)
{
	struct repair_summary *summary = arg;
	struct summary_count *count = find_count(summary, trust, era);
	struct summary_range *last;

	if (!count)
		return -ENOMEM;
	count->nr_data_blocks += end - begin;
	last = count->nr_ranges ? &count->ranges[count->nr_ranges - 1] : NULL;
	if (last && last->end == begin) { /* goes on in the next window */
		last->end = end;
		return 0;
	}
	if (summary->nr_ranges == REPAIR_SUMMARY_MAX_RANGES) {
		summary->nr_omitted++;
		return 0;
	}
	if (list_resize(&count->ranges, count->nr_ranges, count->nr_ranges + 1))
		return -ENOMEM;
	count->ranges[count->nr_ranges++] =
		(struct summary_range){ begin, end };
	summary->nr_ranges++;
	return 0;
}

void repair_summary_release(struct repair_summary *summary)
{
	for (size_t i = 0; i < summary->nr_counts; i++)
		free(summary->counts[i].ranges);
	free(summary->counts);
	summary->counts = NULL;
	summary->nr_counts = 0;
}

static uint64_t total_of(const struct repair_summary *summary,
			 enum era_class trust, uint32_t *greatest)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < summary->nr_counts; i++) {
		if (summary->counts[i].trust != trust)
			continue;
		nr += summary->counts[i].nr_data_blocks;
		*greatest = summary->counts[i].era;
	}
	return nr;
}

/* What whoever runs the next backup is to do. */
enum backup_advice {
	ADVICE_CONFIRM_ERA,
	ADVICE_FULL_UNREADABLE,
	ADVICE_NONE,
	ADVICE_COMPLETE,
	ADVICE_FULL,
	ADVICE_COMPLETE_WITH_EXTRA,
};

static const char *const advice_codes[] = {
	[ADVICE_CONFIRM_ERA] = "full_backup_or_current_era",
	[ADVICE_FULL_UNREADABLE] = "full_backup",
	[ADVICE_NONE] = "none",
	[ADVICE_COMPLETE] = "complete",
	[ADVICE_FULL] = "full_backup",
	[ADVICE_COMPLETE_WITH_EXTRA] = "complete_with_extra",
};

static enum backup_advice choose_advice(const struct repair_summary *summary)
{
	uint32_t era = 0;
	uint64_t nr = total_of(summary, ERA_ASSUMPTION, &era);

	if (summary->era_inferred)
		return ADVICE_CONFIRM_ERA;
	if (summary->passed_over)
		return ADVICE_FULL_UNREADABLE;
	if (!nr)
		return summary->exact ? ADVICE_NONE : ADVICE_COMPLETE;
	if (nr >= summary->geometry.nr_blocks / 2)
		return ADVICE_FULL;
	return ADVICE_COMPLETE_WITH_EXTRA;
}

/* The same as one line. */
static void format_advice(const struct repair_summary *summary, char *buf,
			  size_t size)
{
	static const char *const texts[] = {
		[ADVICE_CONFIRM_ERA] =
			"the current era could only be inferred: take a full "
			"backup, or repair again with --current-era set to "
			"the greatest era that a backup has recorded",
		[ADVICE_FULL_UNREADABLE] =
			"take a full backup: a newer history may have lain in "
			"the blocks that could not be read",
		[ADVICE_NONE] =
			"blocks written since any era are complete, and "
			"nothing had to be assumed",
		[ADVICE_COMPLETE] =
			"blocks written since any era are complete by the "
			"evidence named above; no block had to be assumed "
			"written",
	};
	enum backup_advice advice = choose_advice(summary);
	uint32_t era = 0;
	uint64_t nr = total_of(summary, ERA_ASSUMPTION, &era);

	switch (advice) {
	case ADVICE_FULL:
		snprintf(buf, size,
			 "take a full backup: %" PRIu64 " of %" PRIu32
			 " data blocks had to be assumed written (since era "
			 "%" PRIu64 " the list is exact)",
			 nr, summary->geometry.nr_blocks, (uint64_t)era + 1);
		break;
	case ADVICE_COMPLETE_WITH_EXTRA:
		snprintf(buf, size,
			 "blocks written since era %" PRIu64
			 " are complete and exact; lists since an earlier era "
			 "are complete, with up to %" PRIu64 " blocks too many",
			 (uint64_t)era + 1, nr);
		break;
	default:
		snprintf(buf, size, "%s", texts[advice]);
	}
}

static const char *class_name(enum era_class trust)
{
	return trust == ERA_ORPHAN ? "unreferenced blocks" : "assumption";
}

static void print_ranges(const struct summary_count *count, FILE *stream)
{
	size_t n = count->nr_ranges < 8 ? count->nr_ranges : 8;

	for (size_t i = 0; i < n; i++)
		fprintf(stream, "%s%" PRIu32 "..%" PRIu32, i ? ", " : "",
			count->ranges[i].begin, count->ranges[i].end - 1);
	if (n < count->nr_ranges)
		fprintf(stream, ", ... (%zu ranges)", count->nr_ranges);
}

static void print_outcome(const struct repair_summary *summary, FILE *stream)
{
	bool would = summary->dry_run;

	switch (summary->need) {
	case ERA_REPAIR_NOTHING:
		fprintf(stream, "sound and clean: nothing %s\n",
			would ? "to do" : "was changed");
		break;
	case ERA_REPAIR_ARCHIVE:
		fprintf(stream,
			"the trees are sound and %s kept; %sthe space map%s "
			"written anew\n",
			would ? "would be" : "were",
			!summary->was_open ? ""
			: would ? "an open writeset would be archived and "
				: "an open writeset was archived and ",
			summary->was_open ? ""
			: would		  ? " would be"
					  : " was");
		break;
	case ERA_REPAIR_REBUILD:
		fprintf(stream, "the metadata %s written anew\n",
			would ? "would be" : "was");
		break;
	}
}

void repair_summary_text(const struct repair_summary *summary, FILE *stream)
{
	char advice[256];

	print_outcome(summary, stream);
	if (summary->nr_faults)
		fprintf(stream, "damaged: %" PRIu64 " tree block%s",
			summary->nr_faults, summary->nr_faults == 1 ? "" : "s");
	if (summary->nr_faults && summary->nr_attached)
		fprintf(stream,
			", %" PRIu64
			" blocks behind them found again by the space map",
			summary->nr_attached);
	if (summary->nr_faults)
		fputc('\n', stream);
	if (summary->nr_corrected)
		fprintf(stream,
			"corrected: %" PRIu64 " tree block%s, as the checksum "
			"proves\n",
			summary->nr_corrected,
			summary->nr_corrected == 1 ? "" : "s");
	for (size_t i = 0; i < summary->nr_counts; i++) {
		const struct summary_count *count = &summary->counts[i];

		fprintf(stream,
			"%" PRIu64 " data blocks dated to era %" PRIu32
			" by %s: ",
			count->nr_data_blocks, count->era,
			class_name(count->trust));
		print_ranges(count, stream);
		fputc('\n', stream);
	}
	if (summary->lost_snapshot)
		fprintf(stream,
			"the metadata snapshot was damaged and is dropped\n");
	else if (summary->kept_snapshot)
		fprintf(stream, "the metadata snapshot is kept\n");
	fprintf(stream, "current era: %" PRIu32 "\n",
		summary->geometry.current_era);
	format_advice(summary, advice, sizeof(advice));
	fprintf(stream, "advice: %s\n", advice);
}

static json_t *counts_json(const struct repair_summary *summary,
			   enum era_class trust)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary->nr_counts && list; i++) {
		const struct summary_count *count = &summary->counts[i];
		json_t *ranges = json_array();

		if (count->trust != trust) {
			json_decref(ranges);
			continue;
		}
		for (size_t k = 0; k < count->nr_ranges; k++)
			json_array_append_new(
				ranges,
				json_pack("{s:I, s:I}", "begin",
					  (json_int_t)count->ranges[k].begin,
					  "end",
					  (json_int_t)count->ranges[k].end));
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:o}", "era",
					(json_int_t)count->era, "data_blocks",
					(json_int_t)count->nr_data_blocks,
					"ranges", ranges));
	}
	return list;
}

static json_t *summary_json(const struct repair_summary *summary)
{
	static const char *const actions[] = {
		[ERA_REPAIR_NOTHING] = "none",
		[ERA_REPAIR_ARCHIVE] = "archive",
		[ERA_REPAIR_REBUILD] = "rebuild",
	};
	uint32_t assumed = 0;
	char advice[256];

	total_of(summary, ERA_ASSUMPTION, &assumed);
	if (summary->passed_over)
		assumed = summary->geometry.current_era;
	format_advice(summary, advice, sizeof(advice));
	return json_pack(
		"{s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:o, "
		"s:o, s:I, s:I, s:s}",
		"action", actions[summary->need], "dry_run", summary->dry_run,
		"exact", summary->exact, "newer_history", summary->forked,
		"superblock_rebuilt", summary->rebuilt_superblock,
		"metadata_snapshot_kept", summary->kept_snapshot,
		"metadata_snapshot_lost", summary->lost_snapshot,
		"blocks_damaged", (json_int_t)summary->nr_faults,
		"blocks_corrected", (json_int_t)summary->nr_corrected,
		"blocks_found_by_space_map", (json_int_t)summary->nr_attached,
		"block_size", (json_int_t)summary->geometry.data_block_size,
		"nr_blocks", (json_int_t)summary->geometry.nr_blocks,
		"current_era", (json_int_t)summary->geometry.current_era,
		"by_unreferenced_blocks", counts_json(summary, ERA_ORPHAN),
		"by_assumption", counts_json(summary, ERA_ASSUMPTION),
		"ranges_omitted", (json_int_t)summary->nr_omitted,
		"exact_since", (json_int_t)assumed + 1, "advice", advice);
}

/* What is to be done after a repair, or instead of one that failed. */
static json_t *new_head(const struct repair_summary *summary,
			const char *device, const struct era_report *report,
			enum era_outcome outcome)
{
	enum era_advice next = era_kind_advice(era_report_main_kind(report));
	char text[TOOL_ADVICE_MAX];

	if (outcome != ERA_SOUND)
		return report_json_new(device, outcome, era_advice_code(next),
				       tool_advice(next, device, text,
						   sizeof(text)));
	format_advice(summary, text, sizeof(text));
	return report_json_new(device, outcome,
			       advice_codes[choose_advice(summary)], text);
}

int repair_summary_json(const struct repair_summary *summary,
			const char *device, const struct report_json *report,
			enum era_outcome outcome)
{
	json_t *root = new_head(summary, device, &report->report, outcome);

	json_object_set_new(
		root, "current_era",
		summary->known && outcome == ERA_SOUND
			? json_integer(
				  (json_int_t)summary->geometry.current_era)
			: json_null());
	if (summary->known &&
	    json_object_set_new(root, "repair", summary_json(summary))) {
		json_decref(root);
		return -ENOMEM;
	}
	return report_json_print(root, report, stdout);
}
