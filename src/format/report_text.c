/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Problems as lines of text.
 */
#include "config.h"

#include <inttypes.h>

#include "format/printable.h"
#include "format/report_text.h"

static void print_data(FILE *stream, const struct era_data_range *data)
{
	if (data->end <= data->begin)
		return;
	if (data->end - data->begin == 1)
		fprintf(stream, " (data block %" PRIu64 ")", data->begin);
	else
		fprintf(stream, " (data blocks %" PRIu64 "..%" PRIu64 ")",
			data->begin, data->end - 1);
}

static void on_problem(void *arg, const struct era_problem *problem)
{
	struct report_text *text = arg;
	char where[1024];

	if (text->quiet)
		return;
	flockfile(text->stream);
	fprintf(text->stream, "%s: %s: ", text->prefix,
		era_severity_name(problem->severity));
	if (problem->where)
		fprintf(text->stream, "%s: ",
			era_where_format(problem->where, where, sizeof(where)));
	printable_put(problem->text, text->stream);
	print_data(text->stream, &problem->data);
	putc('\n', text->stream);
	funlockfile(text->stream);
}

void report_text_init(struct report_text *text, FILE *stream,
		      const char *prefix, bool quiet)
{
	*text = (struct report_text){
		.report = { .problem = on_problem, .arg = text },
		.stream = stream,
		.prefix = prefix,
		.quiet = quiet,
	};
}
