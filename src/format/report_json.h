/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Collects problems for a tool's JSON:
 *   { "problems": [ { "severity": "error", "kind": "damage", "message": "...",
 *                     "path": [ { "role": "superblock", "block": 0 } ],
 *                     "data_blocks": { "begin": 1018, "end": 2036 } } ],
 *     "problems_omitted": 0,
 *     "counts": { "note": 0, ..., "error": 1 } }
 * path is from the superblock inwards and empty where no block is concerned;
 * data_blocks is absent where no data block is, its end is exclusive; counts
 * has every severity.
 */
#ifndef FORMAT_REPORT_JSON_H
#define FORMAT_REPORT_JSON_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/report.h"

/* Problems kept; the rest are counted only, so that memory is bounded. */
#define REPORT_JSON_MAX 10000u

struct report_json {
	struct era_report report; /* give this to what may find problems */
	json_t *problems;
};

/*
 * What every tool's report begins with: "device" (as it was named; NULL: none),
 * "outcome" and "sound", "advice_code" and "advice" (NULL: nothing to do).
 * NULL where there is no memory.
 */
json_t *report_json_new(const char *device, enum era_outcome outcome,
			const char *advice_code, const char *advice);

/* Takes root over, adds the problems to it and prints all. 0 or -errno. */
int report_json_print(json_t *root, const struct report_json *json,
		      FILE *stream);

/* s as a JSON string, to be freed; NULL: no memory. */
char *report_json_quote(const char *s);

/* 0 or -ENOMEM */
int report_json_init(struct report_json *json);

/*
 * The object above as a new reference, or NULL (no memory); problems found
 * later do not appear in it.
 */
json_t *report_json_object(const struct report_json *json);

void report_json_release(struct report_json *json);

#endif
