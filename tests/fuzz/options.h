/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Goes before each tool's source (-include), so that wrong usage comes back to
 * the fuzzer where it would end the process. main is renamed, too
 * (-Dmain=era_check_main).
 */
#ifndef TESTS_FUZZ_OPTIONS_H
#define TESTS_FUZZ_OPTIONS_H

#include "config.h"

#include <argp.h>

error_t fuzz_argp_parse(const struct argp *argp, int argc, char **argv,
			unsigned int flags, int *arg_index, void *input);
void fuzz_argp_error(const struct argp_state *state, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void fuzz_argp_state_help(const struct argp_state *state, FILE *stream,
			  unsigned int flags);

#define argp_parse fuzz_argp_parse
#define argp_error fuzz_argp_error
#define argp_state_help fuzz_argp_state_help

#endif
