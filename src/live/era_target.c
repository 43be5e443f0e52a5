/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What era_status() in the kernel prints (drivers/md/dm-era-target.c):
 *   table   METADATA ORIGIN BLOCK_SIZE
 *   status  METADATA_BLOCK_SIZE USED/TOTAL ERA SNAPSHOT|-, or Error
 * The table is printed without the target's worker; the status waits for it,
 * whatever flags the question has.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "live/era_target.h"

#define MAX_DEPTH 16 /* of devices over devices */

static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(line, size, file) != NULL;
	fclose(file);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

void live_path(const char *numbers, char path[LIVE_PATH_MAX])
{
	char link[64], target[PATH_MAX], name[LIVE_NAME_MAX];
	ssize_t n;

	snprintf(path, LIVE_PATH_MAX, "%s", numbers);
	snprintf(link, sizeof(link), "/sys/dev/block/%s/dm/name", numbers);
	if (read_line(link, name, sizeof(name))) {
		snprintf(path, LIVE_PATH_MAX, "/dev/mapper/%s", name);
		return;
	}
	snprintf(link, sizeof(link), "/sys/dev/block/%s", numbers);
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	/* what is a directory in /dev is an exclamation mark in sysfs */
	snprintf(path, LIVE_PATH_MAX, "/dev/%.500s", basename(target));
	for (char *p = path; *p; p++)
		if (*p == '!')
			*p = '/';
}

bool live_is_device(const char *numbers, dev_t device)
{
	unsigned int major_nr, minor_nr;

	return sscanf(numbers, "%u:%u", &major_nr, &minor_nr) == 2 &&
	       major(device) == major_nr && minor(device) == minor_nr;
}

static bool is_suspended(const char *numbers, unsigned int depth);

static bool is_one_below_suspended(const char *numbers, unsigned int depth)
{
	char path[384], below[24];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%s/slaves", numbers);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/dev/block/%s/slaves/%s/dev",
			 numbers, entry->d_name);
		found = read_line(path, below, sizeof(below)) &&
			is_suspended(below, depth);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool is_suspended(const char *numbers, unsigned int depth)
{
	char path[64], line[8];

	snprintf(path, sizeof(path), "/sys/dev/block/%s/dm/suspended", numbers);
	if (read_line(path, line, sizeof(line)) && *line == '1')
		return true;
	return depth && is_one_below_suspended(numbers, depth - 1);
}

bool live_is_suspended(const char *numbers)
{
	return is_suspended(numbers, MAX_DEPTH);
}

uint64_t live_sectors(const char *numbers)
{
	char path[64], line[32];

	snprintf(path, sizeof(path), "/sys/dev/block/%s/size", numbers);
	return read_line(path, line, sizeof(line)) ? strtoull(line, NULL, 10)
						   : 0;
}

static bool take_table(struct live_era_table *table,
		       const struct live_target *t)
{
	if (strcmp(t->type, "era"))
		return false;
	*table = (struct live_era_table){ .begin = t->begin, .len = t->len };
	if (sscanf(t->params, "%23s %23s %" SCNu32, table->metadata_numbers,
		   table->origin_numbers, &table->block_size) != 3)
		return false;
	live_path(table->metadata_numbers, table->metadata);
	live_path(table->origin_numbers, table->origin);
	return true;
}

/* The first target that is one of era; the table may be gone by now. */
static int look_at_table(const char *name, bool inactive,
			 struct live_era_table *table, bool *is_era, size_t *nr,
			 struct era_report *report)
{
	struct live_targets targets;
	int r = live_table(name, inactive, &targets, report);

	if (r)
		return r;
	for (size_t i = 0; i < targets.nr && !*is_era; i++)
		*is_era = take_table(table, &targets.list[i]);
	if (nr)
		*nr = targets.nr;
	live_targets_release(&targets);
	return 0;
}

int live_era_look(struct live_era *era, const char *name,
		  struct era_report *report)
{
	int r;

	*era = (struct live_era){ .answer = LIVE_ERA_NOT_ASKED };
	r = live_info(name, &era->info, report);
	if (!r && era->info.live_table)
		r = look_at_table(name, false, &era->table, &era->is_era,
				  &era->nr_targets, report);
	if (!r && era->info.inactive_table)
		r = look_at_table(name, true, &era->next, &era->next_is_era,
				  NULL, report);
	return r;
}

static void take_status(struct live_era *era, const char *status)
{
	char snapshot[24];

	era->answer = LIVE_ERA_FAILED;
	if (sscanf(status, "%*u %" SCNu64 "/%" SCNu64 " %" SCNu32 " %23s",
		   &era->used, &era->total, &era->era, snapshot) != 4)
		return;
	era->answer = LIVE_ERA_ANSWERED;
	era->snapshot = *snapshot == '-' ? 0 : strtoull(snapshot, NULL, 10);
}

int live_era_ask(struct live_era *era, unsigned int seconds,
		 struct era_report *report)
{
	struct live_targets targets;
	int r;

	era->answer = LIVE_ERA_NOT_ASKED;
	if (era->info.suspended || !era->is_era)
		return 0;
	/* what is no error here is not to be reported as one */
	r = live_status(era->info.name, seconds, &targets, NULL);
	if (r == -EBUSY) {
		era->info.suspended = true;
		return 0;
	}
	if (r == -ETIMEDOUT) {
		era->answer = LIVE_ERA_NO_ANSWER;
		return 0;
	}
	if (r) {
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s: %s", era->info.name,
				r == -ENXIO ? "the device has gone away"
					    : strerror(-r));
		return r;
	}
	for (size_t i = 0; i < targets.nr; i++) {
		if (!strcmp(targets.list[i].type, "era")) {
			take_status(era, targets.list[i].params);
			break;
		}
	}
	live_targets_release(&targets);
	return 0;
}
