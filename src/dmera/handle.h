/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands behind a handle of the public API.
 *
 * Contract: a handle does not change between dmera_open() and dmera_close(),
 * which is what makes it safe to share. Each call works on a struct call of
 * its own, with its own copy of the device over the same file descriptor
 * (reads name their offset) and its own report.
 */
#ifndef DMERA_HANDLE_H
#define DMERA_HANDLE_H

#include "dmera.h"
#include "era/metadata.h"

struct dmera {
	char *path;
	struct era_device device;
	unsigned int flags;
	dmera_problem_fn problem;
	void *arg;
};

struct call {
	const struct dmera *handle;
	struct era_device device;
	struct era_report report;
};

void call_init(struct call *call, const struct dmera *handle);

static inline bool call_is_snapshot(const struct call *call)
{
	return call->handle->flags & DMERA_SNAPSHOT;
}

/* What a call returns that ends with r: what it has reported tells -EUCLEAN
 * apart. */
static inline int call_error(const struct call *call, int r)
{
	return era_report_error(&call->report, r);
}

/* Loads what the handle is to read; to be released where it returns 0. */
int call_load(struct call *call, struct era_metadata *md);

/* The same, and refuses what a newer history contradicts. */
int call_load_whole(struct call *call, struct era_metadata *md);

/* sb: as loaded; live: the live one */
void call_superblock(struct dmera_superblock *to,
		     const struct era_superblock *sb,
		     const struct era_superblock *live, bool snapshot);

#endif
