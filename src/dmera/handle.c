/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening, closing, and the translation of problems and superblocks.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dmera/handle.h"
#include "dmera/visibility.h"
#include "era/whole.h"

#define MAX_STEPS 64 /* of a path; deeper ones lose their outermost */

static enum dmera_severity severity(enum era_severity severity)
{
	switch (severity) {
	case ERA_NOTE:
		return DMERA_NOTE;
	case ERA_NON_FATAL:
		return DMERA_NON_FATAL;
	default:
		return DMERA_FATAL;
	}
}

static void on_problem(void *arg, const struct era_problem *problem)
{
	const struct call *call = arg;
	struct dmera_step steps[MAX_STEPS];
	struct dmera_problem told = {
		.severity = severity(problem->severity),
		.text = problem->text,
		.kind = era_kind_name(problem->kind),
		.error = era_kind_error(problem->kind),
		.data_begin = problem->data.begin,
		.data_end = problem->data.end,
	};
	size_t at = MAX_STEPS;

	for (const struct era_where *where = problem->where; where && at;
	     where = where->parent) {
		steps[--at].role = where->role;
		steps[at].block = where->block;
	}
	told.path = steps + at;
	told.nr_steps = MAX_STEPS - at;
	call->handle->problem(call->handle->arg, &told);
}

void call_init(struct call *call, const struct dmera *handle)
{
	call->handle = handle;
	call->device = handle->device;
	call->report = (struct era_report){
		.problem = handle->problem ? on_problem : NULL,
		.arg = call,
	};
}

int call_load(struct call *call, struct era_metadata *md)
{
	return era_metadata_open(md, &call->device, call_is_snapshot(call),
				 NULL, &call->report);
}

int call_load_whole(struct call *call, struct era_metadata *md)
{
	if (call->handle->flags & (DMERA_SNAPSHOT | DMERA_REACHABLE_ONLY))
		return call_load(call, md);
	return era_metadata_open_whole(md, &call->device, &call->report);
}

#define OPEN_FLAGS                                                             \
	((unsigned int)(DMERA_SNAPSHOT | DMERA_SHARED | DMERA_REACHABLE_ONLY))
#define NO_FD (-1)

/* fd: what to open; NO_FD: the path is */
static int open_device(struct dmera *handle, int fd)
{
	unsigned int flags = 0;
	struct call call;
	int r;

	if (handle->flags & (DMERA_SNAPSHOT | DMERA_SHARED))
		flags |= ERA_DEVICE_SHARED;
	call_init(&call, handle);
	if (fd == NO_FD)
		r = era_device_open(&handle->device, handle->path, flags, NULL,
				    &call.report);
	else
		r = era_device_open_fd(&handle->device, fd, handle->path, flags,
				       &call.report);
	return r;
}

static int open_handle(struct dmera **handle, const char *path, int fd,
		       const struct dmera *like)
{
	struct dmera *h = malloc(sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	*h = *like;
	h->path = strdup(path);
	r = h->path ? open_device(h, fd) : -ENOMEM;
	if (r) {
		free(h->path);
		free(h);
		return r;
	}
	*handle = h;
	return 0;
}

PUBLIC int dmera_open(struct dmera **handle, const char *path,
		      unsigned int flags, dmera_problem_fn problem, void *arg)
{
	struct dmera like = { .flags = flags, .problem = problem, .arg = arg };

	if (!handle)
		return -EINVAL;
	*handle = NULL;
	if (!path || flags & ~OPEN_FLAGS)
		return -EINVAL;
	return open_handle(handle, path, NO_FD, &like);
}

PUBLIC int dmera_open_fd(struct dmera **handle, int fd, unsigned int flags,
			 dmera_problem_fn problem, void *arg)
{
	struct dmera like = { .flags = flags, .problem = problem, .arg = arg };
	char name[sizeof("file descriptor ") + 11];

	if (!handle)
		return -EINVAL;
	*handle = NULL;
	if (flags & ~OPEN_FLAGS)
		return -EINVAL;
	if (fd < 0)
		return -EBADF;
	snprintf(name, sizeof(name), "file descriptor %d", fd);
	return open_handle(handle, name, fd, &like);
}

PUBLIC void dmera_close(struct dmera *handle)
{
	if (!handle)
		return;
	era_device_close(&handle->device);
	free(handle->path);
	free(handle);
}

void call_superblock(struct dmera_superblock *to,
		     const struct era_superblock *sb,
		     const struct era_superblock *live, bool snapshot)
{
	*to = (struct dmera_superblock){
		.data_block_size = sb->geometry.data_block_size,
		.nr_blocks = sb->geometry.nr_blocks,
		.current_era = sb->geometry.current_era,
		.is_open = !snapshot && sb->writeset_root != 0,
		.metadata_snapshot = live->metadata_snap,
		.nr_metadata_blocks = live->space_map.nr_blocks,
		.nr_metadata_blocks_used = live->space_map.nr_allocated,
	};
	memcpy(to->uuid, sb->geometry.uuid, sizeof(to->uuid));
}

PUBLIC int dmera_get_superblock(struct dmera *handle,
				struct dmera_superblock *superblock)
{
	struct era_superblock live, copy;
	struct call call;
	int r;

	if (!handle || !superblock)
		return -EINVAL;
	call_init(&call, handle);
	r = era_superblock_read(&live, &call.device, ERA_SUPERBLOCK_LOCATION,
				&call.report);
	if (r)
		return call_error(&call, r);
	copy = live;
	if (call_is_snapshot(&call))
		r = era_metadata_read_snapshot(&copy, &live, &call.device,
					       &call.report);
	if (!r)
		call_superblock(superblock, &copy, &live,
				call_is_snapshot(&call));
	return call_error(&call, r);
}

PUBLIC const char *dmera_version(void)
{
	return PACKAGE_VERSION;
}
