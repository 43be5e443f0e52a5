/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Builds the one sentence of a problem and hands it to the printer.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/report.h"

bool era_report_tells(const struct era_report *report,
		      enum era_severity severity)
{
	return report && report->problem &&
	       (report->nr[severity] < ERA_REPORT_MAX || report->hands_on);
}

static void __attribute__((format(printf, 3, 0)))
say(struct era_report *report, struct era_problem *problem, const char *fmt,
    va_list ap)
{
	char text[512];

	if (!report)
		return;
	report->nr[problem->severity]++;
	if (problem->severity == ERA_FATAL)
		report->fatal_kinds |= UINT32_C(1) << problem->kind;
	if (!report->problem)
		return;
	if (report->nr[problem->severity] > ERA_REPORT_MAX &&
	    !report->hands_on) {
		if (report->nr[problem->severity] > ERA_REPORT_MAX + 1)
			return;
		problem->where = NULL;
		problem->data = ERA_NO_DATA;
		snprintf(text, sizeof(text),
			 "there are more problems than these, which are "
			 "counted and not told");
	} else {
		vsnprintf(text, sizeof(text), fmt, ap);
	}
	problem->text = text;
	report->problem(report->arg, problem);
}

void era_vreport(struct era_report *report, enum era_severity severity,
		 const struct era_where *where, struct era_data_range data,
		 const char *fmt, va_list ap)
{
	static const enum era_kind kinds[ERA_NR_SEVERITIES] = {
		[ERA_NOTE] = ERA_KIND_NOTE,
		[ERA_ASSUMED] = ERA_KIND_ASSUMED,
		[ERA_DAMAGED] = ERA_KIND_DAMAGE,
		[ERA_NON_FATAL] = ERA_KIND_WASTE,
		[ERA_FATAL] = ERA_KIND_DAMAGE,
	};
	struct era_problem problem = { .severity = severity,
				       .kind = kinds[severity],
				       .where = where,
				       .data = data };

	say(report, &problem, fmt, ap);
}

void era_report(struct era_report *report, enum era_severity severity,
		const struct era_where *where, struct era_data_range data,
		const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	era_vreport(report, severity, where, data, fmt, ap);
	va_end(ap);
}

void era_report_kind(struct era_report *report, enum era_kind kind,
		     enum era_severity severity, const struct era_where *where,
		     struct era_data_range data, const char *fmt, ...)
{
	struct era_problem problem = {
		.severity = severity, .kind = kind, .where = where, .data = data
	};
	va_list ap;

	va_start(ap, fmt);
	say(report, &problem, fmt, ap);
	va_end(ap);
}

enum era_kind era_report_main_kind(const struct era_report *report)
{
	/* what explains others stands before them */
	static const enum era_kind order[] = {
		ERA_KIND_CHANGED,	 ERA_KIND_BUSY,
		ERA_KIND_ACCESS,	 ERA_KIND_NOT_ERA,
		ERA_KIND_VERSION,	 ERA_KIND_UNFINISHED,
		ERA_KIND_CUT_OFF,	 ERA_KIND_DAMAGE,
		ERA_KIND_LOST_WRITE,	 ERA_KIND_NEWER_HISTORY,
		ERA_KIND_OLD_SUPERBLOCK, ERA_KIND_DROPPED_WRITESET,
		ERA_KIND_UNREADABLE,	 ERA_KIND_BAD_INPUT,
		ERA_KIND_NO_SNAPSHOT,	 ERA_KIND_USAGE,
		ERA_KIND_TARGET,	 ERA_KIND_SYSTEM,
	};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (report->fatal_kinds >> order[i] & 1)
			return order[i];
	return ERA_KIND_NOTE;
}

int era_report_error(const struct era_report *report, int r)
{
	int err = era_kind_error(era_report_main_kind(report));

	return r == -EUCLEAN && err ? err : r;
}

enum era_outcome era_report_outcome(const struct era_report *report, int r)
{
	enum era_kind kind = era_report_main_kind(report);

	if (!r)
		return ERA_SOUND;
	if (kind == ERA_KIND_NOTE) /* nobody has put it into words */
		kind = era_kind_of_error(r);
	return era_kind_outcome(kind);
}

const char *era_severity_name(enum era_severity severity)
{
	static const char *const names[ERA_NR_SEVERITIES] = {
		[ERA_NOTE] = "note",	   [ERA_ASSUMED] = "assumed",
		[ERA_DAMAGED] = "damaged", [ERA_NON_FATAL] = "non-fatal",
		[ERA_FATAL] = "error",
	};

	return names[severity];
}

static size_t format_step(const struct era_where *where, char *buf, size_t size)
{
	size_t used = 0;
	int n;

	if (where->parent)
		used = format_step(where->parent, buf, size);
	if (used >= size)
		return used;
	n = snprintf(buf + used, size - used, "%s%s %" PRIu64,
		     where->parent ? " -> " : "", where->role, where->block);
	return n < 0 ? used : used + (size_t)n;
}

char *era_where_format(const struct era_where *where, char *buf, size_t size)
{
	buf[0] = '\0';
	if (where)
		format_step(where, buf, size);
	return buf;
}
