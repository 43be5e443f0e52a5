/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Builds the one sentence of a problem and hands it to the printer.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/report.h"

void era_report(struct era_report *report, enum era_severity severity,
		const struct era_where *where, struct era_data_range data,
		const char *fmt, ...)
{
	char text[512];
	struct era_problem problem = { severity, text, where, data };
	va_list ap;

	if (!report)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report->nr[severity]++;
	if (report->problem)
		report->problem(report->arg, &problem);
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
