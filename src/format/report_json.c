/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Problems as jansson values.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "format/report_json.h"

/* A sentence may quote a file's name, and names need not be UTF-8. */
static json_t *new_string(const char *s)
{
	json_t *value = json_string(s);
	char *ascii;

	if (value)
		return value;
	ascii = strdup(s);
	if (!ascii)
		return NULL;
	for (char *p = ascii; *p; p++) {
		if (*p & 0x80)
			*p = '?';
	}
	value = json_string(ascii);
	free(ascii);
	return value;
}

/* Parents first */
static json_t *new_path(const struct era_where *where)
{
	json_t *path = json_array();

	for (; path && where; where = where->parent) {
		json_t *step =
			json_pack("{s:o, s:I}", "role", new_string(where->role),
				  "block", (json_int_t)where->block);

		if (json_array_insert_new(path, 0, step)) {
			json_decref(path);
			return NULL;
		}
	}
	return path;
}

static json_t *new_problem(const struct era_problem *problem)
{
	json_t *value = json_pack("{s:s, s:s, s:o, s:o}", "severity",
				  era_severity_name(problem->severity), "kind",
				  era_kind_name(problem->kind), "message",
				  new_string(problem->text), "path",
				  new_path(problem->where));

	if (!value || problem->data.end <= problem->data.begin)
		return value;
	if (json_object_set_new(value, "data_blocks",
				json_pack("{s:I, s:I}", "begin",
					  (json_int_t)problem->data.begin,
					  "end",
					  (json_int_t)problem->data.end))) {
		json_decref(value);
		return NULL;
	}
	return value;
}

static void on_problem(void *arg, const struct era_problem *problem)
{
	struct report_json *json = arg;

	/* the counts tell of those that do not come in */
	if (json_array_size(json->problems) < REPORT_JSON_MAX)
		json_array_append_new(json->problems, new_problem(problem));
}

static uint64_t nr_omitted(const struct report_json *json)
{
	uint64_t nr = 0;

	for (int i = 0; i < ERA_NR_SEVERITIES; i++)
		nr += json->report.nr[i];
	return nr - json_array_size(json->problems);
}

int report_json_init(struct report_json *json)
{
	*json = (struct report_json){
		.report = { .problem = on_problem, .arg = json },
		.problems = json_array(),
	};
	return json->problems ? 0 : -ENOMEM;
}

static json_t *new_counts(const struct era_report *report)
{
	json_t *counts = json_object();

	for (int i = 0; counts && i < ERA_NR_SEVERITIES; i++) {
		const char *name = era_severity_name((enum era_severity)i);

		if (json_object_set_new(
			    counts, name,
			    json_integer((json_int_t)report->nr[i]))) {
			json_decref(counts);
			return NULL;
		}
	}
	return counts;
}

char *report_json_quote(const char *s)
{
	json_t *value = new_string(s);
	char *quoted = json_dumps(value, JSON_ENCODE_ANY);

	json_decref(value);
	return quoted;
}

json_t *report_json_new(const char *device, enum era_outcome outcome,
			const char *advice_code, const char *advice)
{
	json_t *root =
		json_pack("{s:o, s:s, s:b, s:s, s:o}", "device",
			  device ? new_string(device) : json_null(), "outcome",
			  era_outcome_name(outcome), "sound",
			  outcome == ERA_SOUND, "advice_code", advice_code,
			  "advice", advice ? new_string(advice) : json_null());

	return root;
}

int report_json_print(json_t *root, const struct report_json *json,
		      FILE *stream)
{
	json_t *problems = report_json_object(json);
	int r = 0;

	if (!root || !problems || json_object_update(root, problems))
		r = -ENOMEM;
	else if (json_dumpf(root, stream, JSON_INDENT(2) | JSON_ENSURE_ASCII) ||
		 putc('\n', stream) == EOF)
		r = errno ? -errno : -EIO;
	json_decref(problems);
	json_decref(root);
	return r;
}

json_t *report_json_object(const struct report_json *json)
{
	/* a copy: what is found later must not change what was given out */
	return json_pack("{s:o, s:I, s:o}", "problems",
			 json_copy(json->problems), "problems_omitted",
			 (json_int_t)nr_omitted(json), "counts",
			 new_counts(&json->report));
}

void report_json_release(struct report_json *json)
{
	json_decref(json->problems);
	json->problems = NULL;
}
