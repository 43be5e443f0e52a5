/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a tool's result goes: standard output, a device or pipe, or a file
 * that is complete or absent; gzip where the name ends in .gz.
 *
 * Contract: bytes are collected in large chunks and written (or compressed)
 * behind the caller's back once there is more than one chunk. What fails is
 * reported once, with the offset, by the call that notices; a closed pipe
 * (-EPIPE) is not reported. The caller ignores SIGPIPE.
 */
#ifndef FORMAT_OUTPUT_H
#define FORMAT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"
#include "format/chunk_writer.h"
#include "format/output_file.h"

/* The most that one output_reserve() may ask for, in bytes. */
#define OUTPUT_RESERVE_MAX (64u * 1024)

struct output {
	struct era_report *report;
	struct output_file file;
	struct chunk_writer writer;
	char *chunk; /* the chunk being filled, or NULL */
	size_t used; /* bytes of it */
	int error;   /* the first failure, which has been reported */
	bool is_open;
};

/*
 * path NULL or "-": standard output. A path that exists and is neither a
 * regular file nor a link to one is written directly (a block device is
 * refused: results do not go there). Else the result is written beside path
 * under another name, which output_finish() renames and which vanishes should
 * the program be interrupted. path must live until the output is finished.
 * Returns 0 or a negative errno, reported.
 */
int output_open(struct output *out, const char *path,
		struct era_report *report);

/*
 * Whether the output would replace or is the file open as fd: a tool must not
 * overwrite what it reads.
 */
bool output_is_same_file(const struct output *out, int fd);

/*
 * Room for n bytes (at most OUTPUT_RESERVE_MAX), of which output_advance()
 * takes what was filled. NULL when the output has failed; then out->error
 * says why.
 */
char *output_reserve(struct output *out, size_t n);

static inline void output_advance(struct output *out, size_t n)
{
	out->used += n;
}

/* 0 or a negative errno */
int output_puts(struct output *out, const char *s);

/*
 * Writes what is left, makes a file durable and gives it its name. Returns 0
 * or the first error of this output; whatever it returns, the output is
 * closed and no temporary file is left.
 */
int output_finish(struct output *out);

/* Drops an output that is not wanted any more; nothing after output_finish. */
void output_abandon(struct output *out);

#endif
