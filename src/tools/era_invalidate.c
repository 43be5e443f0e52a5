/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_invalidate: which blocks were written since an era?
 */
#include "config.h"

#include "tools/confine.h"
#include "tools/list.h"
#include "tools/source.h"
#include "tools/tool.h"

#define KEY_WRITTEN_SINCE 0x100

struct arguments {
	struct tool_source source;
	struct tool_list list;
	uint32_t era;
	bool have_era;
};

static const struct argp_option options[] = {
	{ "written-since", KEY_WRITTEN_SINCE, "ERA", 0,
	  "List the blocks written in ERA or later", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->source;
		state->child_inputs[1] = &args->list;
		return 0;
	case KEY_WRITTEN_SINCE:
		args->era = tool_parse_era(arg, UINT32_MAX, "--written-since",
					   state);
		args->have_era = true;
		return 0;
	case ARGP_KEY_END:
		if (!args->have_era)
			argp_error(state, "no era given (--written-since)");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {
	{ &tool_source_argp, 0, NULL, 0 },
	{ &tool_list_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp argp = {
	options,
	parse,
	"--written-since ERA DEVICE",
	"Lists the blocks of a dm-era device that were written since an era.",
	children,
	NULL,
	NULL
};

static int list(const struct arguments *args, struct era_device *device,
		struct output *out, struct era_report *report)
{
	struct progress progress;
	struct era_metadata md;
	int r;

	tool_progress_start(&progress, device, era_device_used(device),
			    args->source.quiet, args->list.output);
	r = tool_source_open_metadata(&md, device, &args->source, report);
	if (!r) {
		r = tool_list_write(&args->list, &md, args->era,
				    args->source.device, out);
		era_metadata_release(&md);
	}
	tool_progress_finish(&progress, device);
	if (r)
		output_abandon(out);
	else
		r = output_finish(out);
	return r;
}

static int run(const struct arguments *args, struct era_report *report)
{
	struct era_device device;
	struct output out;
	int r = tool_source_open(&device, &args->source, report);

	if (r)
		return r;
	r = tool_source_open_output(&out, args->list.output, args->list.force,
				    &device, report);
	if (!r)
		r = list(args, &device, &out, report);
	era_device_close(&device);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .era = 0 };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	tool_confine(args.list.output != NULL);
	report_text_init(&text, stderr, tool_name(), args.source.quiet);
	return tool_source_exit_status(run(&args, &text.report), &args.source,
				       &text.report);
}
