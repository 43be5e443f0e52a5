/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device-mapper devices: listed, looked at, told something, changed. Each call
 * is one of libdevmapper's in a process with a time limit (live/limit.h), and
 * what that library would print is in the one sentence that is reported here.
 *
 * Contract: live_list(), live_info() and live_table() reach no target, and so
 * return at once whatever state a device is in. live_status() and
 * live_message() ask the target, and one that is suspended answers once it is
 * resumed. They look first and refuse it with -EBUSY; should it be suspended
 * in the moment between, then -ETIMEDOUT says so, and a process of ours waits
 * in the kernel for the resume.
 * Names are as the kernel has them, or as a person types them.
 */
#ifndef LIVE_DM_H
#define LIVE_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

#define LIVE_NAME_MAX 512 /* bytes of a device's name, NUL and all */

struct live_info {
	char name[LIVE_NAME_MAX];
	char uuid[LIVE_NAME_MAX];
	uint32_t major, minor;
	bool suspended;
	bool live_table;
	bool inactive_table;
	bool read_only;
	int open_count;
};

struct live_target {
	uint64_t begin, len; /* sectors */
	char type[16];
	char *params; /* of a table, or the status */
};

struct live_targets {
	struct live_target *list;
	size_t nr;
};

struct live_names {
	char **list;
	size_t nr;
};

/* Whether the kernel's name of a device has this character as it is. */
bool live_is_plain(unsigned char c);

/*
 * Whether a device of this name could be made again under it: libdevmapper
 * writes what is not plain by its number, and some devices are made without.
 */
bool live_is_plain_name(const char *name);

/* All of them return 0 or a negative errno, reported unless report is NULL. */

/* Whether this host has a device-mapper, and we may use it. */
int live_reach(struct era_report *report);

/* The device-mapper devices of this host, by name. */
int live_list(struct live_names *names, struct era_report *report);
void live_names_release(struct live_names *names);

/* -ENXIO: there is no such device. */
int live_info(const char *name, struct live_info *info,
	      struct era_report *report);

/* The table in use, or the one that was loaded and waits for a resume. */
int live_table(const char *name, bool inactive, struct live_targets *targets,
	       struct era_report *report);
int live_status(const char *name, unsigned int seconds,
		struct live_targets *targets, struct era_report *report);
void live_targets_release(struct live_targets *targets);

int live_message(const char *name, const char *message, unsigned int seconds,
		 struct era_report *report);

/* With its node in /dev/mapper when it returns; uuid may be empty. */
int live_create(const char *name, const char *uuid,
		const struct live_target *target, struct era_report *report);
int live_remove(const char *name, unsigned int seconds,
		struct era_report *report);
int live_rename(const char *name, const char *to, struct era_report *report);
/* Of a device that has none. */
int live_set_uuid(const char *name, const char *uuid,
		  struct era_report *report);

/* Beside the table in use, to be used from the next resume on. */
int live_load(const char *name, const struct live_target *target,
	      struct era_report *report);
/* Drops what live_load() has put there. */
int live_clear(const char *name, struct era_report *report);
/* All that was written is on the device below when it returns. */
int live_suspend(const char *name, unsigned int seconds,
		 struct era_report *report);
int live_resume(const char *name, unsigned int seconds,
		struct era_report *report);

#endif
