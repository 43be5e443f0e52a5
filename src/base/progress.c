/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the line is shown and what is in it.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/progress.h"

#define PATIENCE 1000 /* ms before the line is shown at all */
#define INTERVAL 500  /* ms between one line and the next */
#define CLEAR "\r\033[K"

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void progress_start(struct progress *progress, const char *name, int fd)
{
	*progress = (struct progress){ .name = name, .fd = -1 };
	if (fd < 0 || !isatty(fd))
		return;
	progress->fd = fd;
	progress->started = now();
	progress->next = progress->started + PATIENCE;
}

static void format_left(char *to, size_t size, uint64_t seconds)
{
	if (seconds < 3600)
		snprintf(to, size, "%" PRIu64 ":%02" PRIu64 " left",
			 seconds / 60, seconds % 60);
	else
		snprintf(to, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64
				   " left",
			 seconds / 3600, seconds / 60 % 60, seconds % 60);
}

void progress_format(const struct progress *progress, uint64_t ms,
		     char line[PROGRESS_LINE])
{
	double mib = (double)progress->done / (1024 * 1024);
	double rate = ms ? mib * 1000 / (double)ms : 0;
	uint64_t done = progress->done, total = progress->total;
	char left[48];

	if (!total || !done) {
		snprintf(line, PROGRESS_LINE, "%.60s: %.0f MiB, %.0f MiB/s",
			 progress->name, mib, rate);
		return;
	}
	/* an estimate that was too low must not say that it is over */
	if (done >= total)
		done = total - total / 100;
	format_left(left, sizeof(left),
		    (uint64_t)((double)ms / 1000 * (double)(total - done) /
			       (double)done));
	snprintf(line, PROGRESS_LINE, "%.60s: %.0f %%, %.0f MiB/s, %s",
		 progress->name, (double)done * 100 / (double)total, rate,
		 left);
}

/* A line that does not reach the terminal is no error. */
static void show(const struct progress *progress, const char *line)
{
	if (write(progress->fd, line, strlen(line)) < 0)
		return;
}

void progress_add(struct progress *progress, uint64_t n)
{
	char line[PROGRESS_LINE], text[PROGRESS_LINE + 8];
	uint64_t ms;

	progress->done += n;
	if (progress->fd < 0)
		return;
	ms = now();
	if (ms < progress->next)
		return;
	progress_format(progress, ms - progress->started, line);
	snprintf(text, sizeof(text), CLEAR "%s\r", line);
	show(progress, text);
	progress->visible = true;
	progress->next = ms + INTERVAL;
}

void progress_finish(struct progress *progress)
{
	if (progress->visible)
		show(progress, CLEAR);
	progress->visible = false;
	progress->fd = -1;
}
