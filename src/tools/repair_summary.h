/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a repair has to say of its result: how many data blocks were dated by
 * what, and what that means for the next backup.
 */
#ifndef TOOLS_REPAIR_SUMMARY_H
#define TOOLS_REPAIR_SUMMARY_H

#include <stdio.h>

#include "era/repair.h"
#include "format/report_json.h"

/* Ranges kept for the report; past that they are only counted. */
#define REPAIR_SUMMARY_MAX_RANGES 10000

struct summary_range {
	uint32_t begin, end;
};

/* Data blocks that one class dated to one era. */
struct summary_count {
	enum era_class trust;
	uint32_t era;
	uint64_t nr_data_blocks;
	struct summary_range *ranges;
	size_t nr_ranges;
};

struct repair_summary {
	bool known; /* the salvage got as far as a result */
	bool dry_run;
	bool exact;
	bool forked;
	bool rebuilt_superblock;
	bool era_inferred; /* and not confirmed by --current-era */
	bool kept_snapshot, lost_snapshot;
	bool passed_over; /* blocks that may know of a newer history */
	uint64_t nr_faults, nr_attached;
	uint64_t nr_corrected; /* damaged, but known all the same */
	enum era_repair_need need;
	struct era_geometry geometry;
	bool was_open; /* a writeset was open */

	struct summary_count *counts; /* by class, then era */
	size_t nr_counts;
	size_t nr_ranges;
	uint64_t nr_omitted;
};

void repair_summary_take(struct repair_summary *summary,
			 const struct era_salvage *salvage);
int repair_summary_raised(void *arg, enum era_class trust, uint32_t begin,
			  uint32_t end, uint32_t era);
void repair_summary_text(const struct repair_summary *summary, FILE *stream);

/* The JSON report to stdout; outcome: of the repair of device. */
int repair_summary_json(const struct repair_summary *summary,
			const char *device, const struct report_json *problems,
			enum era_outcome outcome);
void repair_summary_release(struct repair_summary *summary);

#endif
