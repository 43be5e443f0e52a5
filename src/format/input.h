/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream of bytes to read: a file or standard input, inflated where it
 * turns out to be gzip (one member or several).
 */
#ifndef FORMAT_INPUT_H
#define FORMAT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <zlib.h>

#include "base/report.h"

/* zlib: 32 KiB, gzip header and trailer */
#define INPUT_WINDOW_BITS_GZIP (15 + 16)

struct input {
	struct era_report *report;
	const char *name; /* for messages */
	int fd;
	bool gzip;
	bool eof;	    /* of the file itself */
	bool in_member;	    /* gzip: between a member's header and its end */
	bool ended;	    /* gzip: after the last member */
	int error;	    /* the first failure, which has been reported */
	uint64_t offset;    /* bytes read from the file so far */
	unsigned char *buf; /* bytes read ahead */
	size_t begin;	    /* of those in buf, not yet given out */
	size_t end;
	z_stream stream;
};

/*
 * path "-" (or NULL): standard input. path must live until input_close().
 * Returns 0 or a negative errno, reported (a directory: -EISDIR).
 */
int input_open(struct input *in, const char *path, struct era_report *report);

/*
 * The same for what is open already: fd is closed with the input, or at once
 * where this fails. errno is read where fd is -1.
 */
int input_open_fd(struct input *in, int fd, const char *name,
		  struct era_report *report);

/*
 * Up to n bytes into buf; 0 only at the end. A negative errno was reported:
 * what read(2) says, or -EINVAL for gzip that is cut short or corrupt.
 */
ssize_t input_read(struct input *in, void *buf, size_t n);

/*
 * Makes sure that input_rewind() will do. What cannot seek, such as a pipe, is
 * copied first, as it comes, to a file without a name in $TMPDIR, or else in
 * /var/tmp. Before the first input_read(). Returns 0 or a negative errno,
 * reported.
 */
int input_keep(struct input *in);

/* Back to where the input was opened. Returns 0 or a negative errno, reported.
 */
int input_rewind(struct input *in);

void input_close(struct input *in);

#endif
