/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file under an output: complete or absent. It is created beside its name
 * and renamed when whole; SIGINT, SIGTERM and SIGHUP remove it.
 */
#ifndef FORMAT_OUTPUT_FILE_H
#define FORMAT_OUTPUT_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/report.h"

struct output_file {
	const char *name; /* for messages */
	int fd;
	char *path;	  /* the name to be; NULL when written directly */
	char *temp;	  /* its name until then */
	dev_t target_dev; /* what is there already, if has_target */
	ino_t target_ino;
	bool has_target;
	bool replaces; /* something was there when temp was made */
	bool is_new;   /* the caller's: nothing may be there at the end */
	struct output_file *next_temp; /* of those a signal removes */
};

/* As output_open() */
int output_file_open(struct output_file *file, const char *path,
		     struct era_report *report);

/* Flushes, renames and closes; reports what fails. */
int output_file_commit(struct output_file *file, struct era_report *report);

/* Closes and removes what is not committed; nothing when closed already. */
void output_file_discard(struct output_file *file);

#endif
