/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls of the device in memory.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "fake_device.h"

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

/* Counts a call; true where it is to fail, with errno set. */
static bool fails(struct fake_device *fake, enum fake_op op)
{
	uint64_t call = fake->nr_calls[op]++;

	if (fake->interrupt && call % 2 == 0) {
		errno = EINTR;
		return true;
	}
	if (call >= fake->fail_from[op] || call == fake->fail_only[op]) {
		errno = fake->error;
		return true;
	}
	return false;
}

static ssize_t fake_readv(const struct era_io *io, int fd,
			  const struct iovec *iov, int nr_iov, off_t offset)
{
	struct fake_device *fake = io->arg;
	uint64_t size = fake->device.nr_blocks * ERA_BLOCK_SIZE;
	uint64_t at = (uint64_t)offset, bad;
	size_t done = 0, most = fake->most ? fake->most : SIZE_MAX;

	(void)fd;
	if (fails(fake, FAKE_READ))
		return errno ? -1 : 0;
	if (fake->becomes && fake->nr_calls[FAKE_READ] > fake->becomes_at) {
		memcpy(fake->data, fake->becomes, size);
		fake->becomes = NULL;
	}
	for (int i = 0; i < nr_iov; i++) {
		size_t n = iov[i].iov_len;

		n = n < most - done ? n : most - done;
		n = n < size - at ? n : size - at;
		bad = fake->bad_block * ERA_BLOCK_SIZE;
		if (fake->bad_block != NO_CALL && at + n > bad &&
		    at < bad + ERA_BLOCK_SIZE) {
			errno = EIO;
			return -1;
		}
		memcpy(iov[i].iov_base, fake->data + at, n);
		at += n;
		done += n;
	}
	for (uint64_t block = (uint64_t)offset / ERA_BLOCK_SIZE;
	     block * ERA_BLOCK_SIZE < (uint64_t)offset + done; block++)
		fake->times_read[block]++;
	if (fake->nr_reads < 64) {
		fake->reads[fake->nr_reads].offset = (uint64_t)offset;
		fake->reads[fake->nr_reads++].len = done;
	}
	return (ssize_t)done;
}

static void log_write(struct fake_device *fake, const void *data, size_t len,
		      uint64_t offset)
{
	struct fake_write *w;

	if (!fake->logging)
		return;
	if (list_grow(&fake->log, fake->nr_log + 1, &fake->max_log))
		abort();
	w = &fake->log[fake->nr_log++];
	*w = (struct fake_write){ offset, len, NULL };
	if (data) {
		w->data = need(malloc(len));
		memcpy(w->data, data, len);
	}
}

static ssize_t fake_write(const struct era_io *io, int fd, const void *data,
			  size_t len, off_t offset)
{
	struct fake_device *fake = io->arg;

	(void)fd;
	if (fails(fake, FAKE_WRITE))
		return errno ? -1 : 0;
	if (fake->most && len > fake->most)
		len = fake->most;
	if (fake->nr_calls[FAKE_WRITE] == fake->forget + 1)
		return (ssize_t)len;
	memcpy(fake->data + offset, data, len);
	/* as disks do: there is another sector for it now */
	if (fake->bad_block == (uint64_t)offset / ERA_BLOCK_SIZE)
		fake->bad_block = NO_CALL;
	log_write(fake, data, len, (uint64_t)offset);
	return (ssize_t)len;
}

static int fake_sync(const struct era_io *io, int fd)
{
	struct fake_device *fake = io->arg;

	(void)fd;
	if (fails(fake, FAKE_SYNC))
		return -1;
	log_write(fake, NULL, 0, 0);
	return 0;
}

static int fake_discard(const struct era_io *io, int fd, off_t offset,
			off_t len, bool block_device)
{
	struct fake_device *fake = io->arg;

	(void)fd;
	(void)block_device;
	if (!fake->can_discard) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (fails(fake, FAKE_DISCARD))
		return -1;
	memset(fake->data + offset, 0, (size_t)len);
	log_write(fake, NULL, (size_t)len, (uint64_t)offset);
	return 0;
}

void fake_init(struct fake_device *fake, uint64_t nr_blocks)
{
	*fake = (struct fake_device){
		.io = { fake_readv, fake_write, fake_sync, fake_discard, fake },
		.device = { .path = "memory",
			    .fd = -1,
			    .nr_blocks = nr_blocks },
		.bad_block = NO_CALL,
		.forget = NO_CALL - 1,
		.can_discard = true,
	};
	fake->device.io = &fake->io;
	fake->data = need(calloc(nr_blocks + 1, ERA_BLOCK_SIZE));
	fake->times_read = need(calloc(nr_blocks + 1, sizeof(uint32_t)));
	fake_reset(fake);
}

void fake_reset(struct fake_device *fake)
{
	for (int op = 0; op < FAKE_NR_OPS; op++) {
		fake->nr_calls[op] = 0;
		fake->fail_from[op] = NO_CALL;
		fake->fail_only[op] = NO_CALL;
	}
	for (size_t i = 0; i < fake->nr_log; i++)
		free(fake->log[i].data);
	fake->nr_log = 0;
	fake->nr_reads = 0;
	memset(fake->times_read, 0,
	       fake->device.nr_blocks * sizeof(*fake->times_read));
}

void fake_release(struct fake_device *fake)
{
	fake_reset(fake);
	free(fake->log);
	free(fake->data);
	free(fake->times_read);
}

static void note_problem(void *arg, const struct era_problem *problem)
{
	struct fake_report *report = arg;

	snprintf(report->text, sizeof(report->text), "%s", problem->text);
	if (problem->severity == ERA_FATAL)
		snprintf(report->fatal, sizeof(report->fatal), "%s",
			 problem->text);
	era_where_format(problem->where, report->path, sizeof(report->path));
	report->data = problem->data;
}

void fake_report_init(struct fake_report *report)
{
	*report = (struct fake_report){ .report = { .problem = note_problem } };
	report->report.arg = report;
}
