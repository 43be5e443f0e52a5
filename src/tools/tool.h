/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tools share of the command line: --help, --version, messages,
 * exit status and the opening of outputs.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <argp.h>
#include <stdbool.h>

#include "base/progress.h"
#include "device/device.h"
#include "format/output_file.h"
#include "format/report_text.h"

/*
 * -h, -V and what other suites' scripts pass, as every tool has them; to be
 * named as argp's children
 */
extern const struct argp_child tool_argp_children[];
/* The first of them, for a tool that names others, too. */
extern const struct argp tool_common_argp;

/*
 * First thing in main(): a closed pipe and a limit on the size of files are
 * error codes and not signals, no file gets a standard descriptor that was
 * closed, bad usage exits with 2, -V prints the bare version.
 */
void tool_init(char **argv);

/* Takes the arguments into args, or does not return. */
void tool_parse(const struct argp *argp, int argc, char **argv, void *args);

/* The name the program was called by, as all messages start with it. */
const char *tool_name(void);

/* Reports a sentence about an error r, which it returns. */
int tool_refuse(struct era_report *report, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts an error into words that nobody has; a closed pipe needs none. */
void tool_put_into_words(int r, struct era_report *report);

/*
 * The exit status of a tool that ends with r: the outcome (base/kind.h). What
 * could not be written to standard output counts, and what nobody has put into
 * words is reported.
 */
int tool_exit_status(int r, struct era_report *report);

/*
 * The same of a tool that has looked at device: where something is wrong with
 * that, the last line on stderr names what to do next, unless quiet.
 */
int tool_exit_status_of(int r, const char *device, bool quiet,
			struct era_report *report);

/*
 * The same of one that has printed its report as JSON, which ended with
 * printed: what the report says needs no saying again on stderr.
 */
int tool_exit_status_json(int printed, enum era_outcome outcome,
			  struct era_report *report);

/*
 * The command to run next, for device, into buf, which is returned; NULL where
 * there is nothing to do.
 */
char *tool_advice(enum era_advice advice, const char *device, char *buf,
		  size_t size);

/* For tool_advice(): a path and a sentence. */
#define TOOL_ADVICE_MAX (2 * 4096 + 256)

/*
 * Shows on a terminal how far the work on device is, which is to read and
 * write so many bytes (0: not known), until tool_progress_finish(). Shows
 * nothing with quiet, nor where results are written to the same screen (output
 * NULL or "-").
 */
void tool_progress_start(struct progress *progress, struct era_device *device,
			 uint64_t expected, bool quiet, const char *output);
void tool_progress_finish(struct progress *progress, struct era_device *device);

/* A whole decimal number of at most max, or bad usage naming what. */
uint64_t tool_parse_number(const char *arg, uint64_t max, const char *what,
			   struct argp_state *state);

/* The same of at least min; 1: it must not be 0. */
unsigned int tool_parse_range(const char *arg, unsigned int min,
			      unsigned int max, const char *what,
			      struct argp_state *state);

/* The one device that is given; a second cannot be "checked", say. */
void tool_take_device(const char **device, const char *arg, const char *done,
		      struct argp_state *state);

/* An era; a plus sign may stand before it, as other suites take it. */
uint32_t tool_parse_era(const char *arg, uint32_t max, const char *what,
			struct argp_state *state);

/*
 * As tool_parse_number, with the suffixes of coreutils: K, M, G, T, P, E and
 * KiB... for powers of 1024, KB... for powers of 1000, b for 512, s for
 * sectors of 512. The letter may be a small one, as LVM has them, and a suffix
 * alone stands for one of it.
 */
uint64_t tool_parse_size(const char *arg, uint64_t max, const char *what,
			 struct argp_state *state);

/*
 * A metadata device to write: a block device or an existing file as it is,
 * a new file complete or absent.
 */
struct tool_target {
	struct era_device device;
	struct output_file file; /* where it is new */
	bool is_new;
};

/* Whether path is what device has open, by this or another name. */
bool tool_is_device(const char *path, const struct era_device *device);

/*
 * output_file_open(), but for metadata: it goes to a file beside its name, and
 * not to standard output, which may be a pipe or only append, while blocks are
 * written each at its place.
 */
int tool_new_file_open(struct output_file *file, const char *path,
		       struct era_report *report);

int tool_target_open(struct tool_target *target, const char *path,
		     struct era_report *report);

/* Gives a new file its name where r is 0, and removes it else; closes. */
int tool_target_close(struct tool_target *target, int r,
		      struct era_report *report);

#endif
