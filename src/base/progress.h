/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A line on a terminal that says how far work has come: percent, rate and
 * time left. Shown once work has taken a second, twice a second from then on,
 * whenever somebody counts; there is no thread and no signal behind it.
 *
 * Contract: the line leaves the cursor at its start, so that a message
 * written over it stands alone but for what is longer than the message.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *name; /* of the program; first in the line */
	int fd;		  /* the terminal; -1: nothing is ever shown */
	uint64_t total;	  /* bytes expected; 0: not known */
	uint64_t done;	  /* bytes */
	uint64_t started; /* milliseconds, as the monotonic clock has them */
	uint64_t next;	  /* when to show the line again */
	bool visible;
};

/* fd -1, or one that is no terminal: all that follows does nothing. */
void progress_start(struct progress *progress, const char *name, int fd);

/* That many bytes are to be expected in all, from the start on. */
static inline void progress_expect(struct progress *progress, uint64_t total)
{
	progress->total = total;
}

/* n more bytes are done; shows the line when it is time. */
void progress_add(struct progress *progress, uint64_t n);

/* Takes the line away. */
void progress_finish(struct progress *progress);

/* The longest line that progress_format() makes, with its final NUL. */
#define PROGRESS_LINE 128

/* The line after ms milliseconds, without what moves the cursor. */
void progress_format(const struct progress *progress, uint64_t ms,
		     char line[PROGRESS_LINE]);

#endif
