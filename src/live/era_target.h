/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An era device as it is on this host: what its tables and its status say.
 */
#ifndef LIVE_ERA_TARGET_H
#define LIVE_ERA_TARGET_H

#include <sys/types.h>

#include "live/dm.h"

/* "/dev/mapper/" and a name */
#define LIVE_PATH_MAX (LIVE_NAME_MAX + 16)

/* A line of a table: 0 65536 era 254:0 254:16 128 */
struct live_era_table {
	uint64_t begin, len;	      /* sectors */
	char metadata[LIVE_PATH_MAX]; /* paths; else the numbers */
	char origin[LIVE_PATH_MAX];
	char metadata_numbers[24]; /* major:minor */
	char origin_numbers[24];
	uint32_t block_size; /* sectors */
};

enum live_era_answer {
	LIVE_ERA_NOT_ASKED, /* it is suspended, or has no table */
	LIVE_ERA_ANSWERED,
	LIVE_ERA_FAILED,    /* its metadata has failed */
	LIVE_ERA_NO_ANSWER, /* within the time that there was */
};

struct live_era {
	struct live_info info;
	bool is_era; /* the table in use has an era target */
	size_t nr_targets;
	struct live_era_table table;
	bool next_is_era; /* the one that was loaded has */
	struct live_era_table next;

	enum live_era_answer answer;
	uint64_t used, total; /* metadata blocks */
	uint32_t era;
	uint64_t snapshot; /* its metadata block; 0: none is held */
};

/*
 * Looks at a device: neither asks a target nor waits for anything. Returns 0,
 * or a negative errno, reported.
 */
int live_era_look(struct live_era *era, const char *name,
		  struct era_report *report);

/*
 * Asks the target, unless the device was seen to be suspended. answer says
 * what came of it; returns 0, or an errno where something else went wrong,
 * reported.
 */
int live_era_ask(struct live_era *era, unsigned int seconds,
		 struct era_report *report);

/* The path of a device by its numbers, "253:1"; they are it if there is none */
void live_path(const char *numbers, char path[LIVE_PATH_MAX]);

/* Whether the numbers, "253:1", are those of a block device. */
bool live_is_device(const char *numbers, dev_t device);

/*
 * Whether a block device is one of the device-mapper's, and suspended, or one
 * below it is: who reads it then waits, and cannot be killed.
 */
bool live_is_suspended(const char *numbers);

/* Sectors of a block device by its numbers; 0 where the kernel does not say. */
uint64_t live_sectors(const char *numbers);

#endif
