/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What era_status finds, and how bad it is: gathered by status_look.c, printed
 * by status_print.c.
 */
#ifndef TOOLS_STATUS_H
#define TOOLS_STATUS_H

#include "live/blocked.h"
#include "live/era_target.h"

/* As monitoring plugins exit. */
enum status_level {
	STATUS_OK,
	STATUS_WARNING,
	STATUS_CRITICAL,
	STATUS_UNKNOWN,
};

const char *status_level_name(enum status_level level);

struct status_problem {
	enum status_level level;
	char text[640];	  /* what is wrong: a sentence, no full stop */
	char advice[256]; /* what to do; may be empty */
};

#define STATUS_MAX_PROBLEMS 8

struct status_problems {
	struct status_problem list[STATUS_MAX_PROBLEMS];
	size_t nr;
	enum status_level level;
};

struct status_device {
	struct live_era era;
	/* era.used and so on are known: from the target, or its superblock */
	bool known, from_superblock;
	uint64_t nr_blocks; /* data blocks */
	uint64_t eras_left; /* that the free metadata blocks are enough for */
	long suspended_for; /* seconds since it was first seen so; or -1 */
	struct status_problems problems;
};

struct status {
	struct status_device *devices;
	size_t nr_devices;
	struct live_blocked_list blocked;
	struct status_problems problems; /* of the host, not of one device */
	enum status_level level;
};

struct status_options {
	char **names; /* all era devices where there are none */
	size_t nr_names;
	unsigned int timeout; /* seconds */
	unsigned int warning; /* percent of the metadata in use */
	unsigned int critical;
	bool superblock; /* ask no target at all */
};

/* 0, or -ENOMEM; what cannot be looked at is a problem. */
int status_look(struct status *status, const struct status_options *options);
void status_release(struct status *status);

/* 0 or a negative errno */
int status_print_text(const struct status *status);
int status_print_json(const struct status *status);

#endif
