/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What went wrong, said once, where it is known: a severity, the path of
 * metadata blocks from the superblock, the data blocks concerned and one
 * sentence. Functions elsewhere return 0 or a negative errno and leave the
 * words to this; text and JSON are two printers of the same problems.
 */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/kind.h"

enum era_severity {
	ERA_NOTE,      /* worth knowing, nothing is wrong */
	ERA_ASSUMED,   /* lost, and replaced by the safe assumption named */
	ERA_DAMAGED,   /* found wrong by a repair, which deals with it */
	ERA_NON_FATAL, /* wrong, but neither the kernel nor a reader minds */
	ERA_FATAL,     /* wrong: data may be lost */
};

#define ERA_NR_SEVERITIES 5

/* No data block is concerned, or it is unknown which. */
#define ERA_NO_DATA ((struct era_data_range){ 0, 0 })

struct era_data_range {
	uint64_t begin; /* first data block */
	uint64_t end;	/* one past the last */
};

/* One step of a path; the chain of parents lies on the callers' stacks. */
struct era_where {
	const struct era_where *parent;
	const char *role; /* "era array node", "writeset 7 array block" */
	uint64_t block;	  /* metadata block */
};

struct era_problem {
	enum era_severity severity;
	enum era_kind kind;
	const char *text;	       /* one sentence, no final full stop */
	const struct era_where *where; /* innermost block, or NULL */
	struct era_data_range data;
};

/*
 * Of one severity no more than this are told, and then that there are more.
 * What is damaged in earnest is damaged in as many places as it has entries,
 * and nobody reads on; all of them are counted.
 */
#define ERA_REPORT_MAX 10000

struct era_report {
	/* called for each problem; text and where live during the call only */
	void (*problem)(void *arg, const struct era_problem *problem);
	void *arg;
	uint64_t nr[ERA_NR_SEVERITIES]; /* problems so far, by severity */
	uint32_t fatal_kinds;		/* 1 << kind of each fatal one */
	bool hands_on; /* to another report, which counts and limits, too */
};

/*
 * Reports one problem; a NULL report drops it. Its kind is that of its
 * severity: fatal is damage of the metadata, non-fatal is waste.
 */
void era_report(struct era_report *report, enum era_severity severity,
		const struct era_where *where, struct era_data_range data,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void era_vreport(struct era_report *report, enum era_severity severity,
		 const struct era_where *where, struct era_data_range data,
		 const char *fmt, va_list ap)
	__attribute__((format(printf, 5, 0)));

/* Whether a problem of this severity would be told, and not only counted. */
bool era_report_tells(const struct era_report *report,
		      enum era_severity severity);

/* The same, of a kind that says more. */
void era_report_kind(struct era_report *report, enum era_kind kind,
		     enum era_severity severity, const struct era_where *where,
		     struct era_data_range data, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/*
 * Of all fatal problems so far the kind that decides: damage on a device that
 * is cut off, say, is for it being cut off. ERA_KIND_NOTE where none is fatal.
 */
enum era_kind era_report_main_kind(const struct era_report *report);

/*
 * How a function ends that ends with r: r itself, but for -EUCLEAN, by which
 * all functions below say "as reported", the errno value of the main kind.
 */
int era_report_error(const struct era_report *report, int r);

/* The outcome of what ends with r. */
enum era_outcome era_report_outcome(const struct era_report *report, int r);

/* "error", "note", ... as every printer names it */
const char *era_severity_name(enum era_severity severity);

/*
 * "superblock 0 -> era array node 12 -> era array block 15" into buf, cut to
 * size; returns buf.
 */
char *era_where_format(const struct era_where *where, char *buf, size_t size);

#endif
