/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_status: how are the era devices of this host?
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/status.h"
#include "tools/tool.h"

#define MAX_TIMEOUT 3600

struct arguments {
	struct status_options status;
	bool json;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "warning", 'w', "PERCENT", 0,
	  "Warn when so much of the metadata device is in use (default: 80)",
	  0 },
	{ "critical", 'c', "PERCENT", 0,
	  "Report a critical problem then (default: 95)", 0 },
	{ "timeout", 't', "SECONDS", 0,
	  "Wait no longer for an answer (default: 5)", 0 },
	{ "superblock", 's', NULL, 0,
	  "Ask no target at all: read the superblocks instead", 0 },
	{ "json", 'J', NULL, 0, "Print everything as JSON", 0 },
	{ "quiet", 'q', NULL, 0, "Print nothing; the exit status tells", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;
	struct status_options *status = &args->status;

	switch (key) {
	case 'w':
		status->warning =
			tool_parse_range(arg, 0, 101, "--warning", state);
		return 0;
	case 'c':
		status->critical =
			tool_parse_range(arg, 0, 101, "--critical", state);
		return 0;
	case 't':
		status->timeout = tool_parse_range(arg, 1, MAX_TIMEOUT,
						   "--timeout", state);
		return 0;
	case 's':
		status->superblock = true;
		return 0;
	case 'J':
		args->json = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARGS:
		status->names = state->argv + state->next;
		status->nr_names = (size_t)(state->argc - state->next);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"[NAME...]",
	"Shows the era devices of this host, and what is dangerous about them."
	"\vExit status, as of a monitoring plugin: 0 ok, 1 warning, 2 "
	"critical, "
	"3 unknown.",
	tool_argp_children,
	NULL,
	NULL
};

int main(int argc, char **argv)
{
	struct arguments args = {
		.status = { .timeout = 5, .warning = 80, .critical = 95 },
	};
	struct status status;
	int r;

	tool_init(argv);
	argp_err_exit_status = STATUS_UNKNOWN;
	tool_parse(&argp, argc, argv, &args);
	r = status_look(&status, &args.status);
	if (!r && !args.quiet)
		r = args.json ? status_print_json(&status)
			      : status_print_text(&status);
	if (!r && fflush(stdout))
		r = -errno;
	if (r && r != -EPIPE)
		fprintf(stderr, "%s: error: %s\n", tool_name(), strerror(-r));
	r = r ? STATUS_UNKNOWN : (int)status.level;
	status_release(&status);
	return r;
}
