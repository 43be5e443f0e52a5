/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A look through /proc: state D, and a kernel stack that leads through the
 * device-mapper. Only files that can be read of any process, whatever it
 * waits for: not its command line, which lies in its own memory.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "live/blocked.h"
#include "live/limit.h"

#define SECONDS 5

/* Functions that a process in the device-mapper is in, the telling one first.
 */
static const char *const telling[] = {
	"era_status",	   "era_message",   "era_preresume",
	"era_postsuspend", "dm_swap_table", "dm_sync_table",
	"dm_suspend",	   "dm_resume",	    "dm_wait_for_completion",
	"target_message",  "table_status",  "dm_ctl_ioctl",
};

static size_t read_file(int pid, const char *name, char *buf, size_t size)
{
	char path[64];
	FILE *file;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	if (file) {
		n = fread(buf, 1, size - 1, file);
		if (ferror(file))
			n = 0;
		fclose(file);
	}
	buf[n] = '\0';
	return n;
}

/* The letter after the last parenthesis: a command may have some itself. */
static bool is_uninterruptible(int pid)
{
	char stat[512];
	const char *end;

	read_file(pid, "stat", stat, sizeof(stat));
	end = strrchr(stat, ')');
	return end && !strncmp(end, ") D", 3);
}

static const char *where(const char *stack)
{
	for (size_t i = 0; i < sizeof(telling) / sizeof(*telling); i++) {
		const char *at = stack;

		/* a whole name: " era_status+0x1/0x2" */
		while ((at = strstr(at, telling[i]))) {
			bool begins = at > stack && at[-1] == ' ';

			at += strlen(telling[i]);
			if (begins && (*at == '+' || *at == '.'))
				return telling[i];
		}
	}
	return NULL;
}

static void look_at(int pid, FILE *answer)
{
	char stack[8192], command[64];
	const char *function;

	if (!is_uninterruptible(pid) ||
	    !read_file(pid, "stack", stack, sizeof(stack)))
		return;
	function = where(stack);
	if (!function)
		return;
	read_file(pid, "comm", command, sizeof(command));
	command[strcspn(command, "\n")] = '\0';
	for (char *p = command; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	fprintf(answer, "%d %s %s\n", pid, function, command);
}

/* Who may read his own stack may read all of them. */
static int may_look(void)
{
	char stack[16];
	FILE *file = fopen("/proc/self/stack", "re");
	bool may = file && fread(stack, 1, sizeof(stack), file);

	if (file)
		fclose(file);
	return may ? 0 : -EACCES;
}

static int look_at_all(void *arg, FILE *answer)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	(void)arg;
	if (!proc)
		return -errno;
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name))
			look_at(atoi(entry->d_name), answer);
	closedir(proc);
	return may_look();
}

static int add(struct live_blocked_list *found, const char *line)
{
	struct live_blocked *one;
	int at = 0;

	if (list_resize(&found->list, found->nr, found->nr + 1))
		return -ENOMEM;
	one = &found->list[found->nr];
	if (sscanf(line, "%d %63s %n", &one->pid, one->function, &at) != 2)
		return -EIO;
	snprintf(one->command, sizeof(one->command), "%.*s",
		 (int)strcspn(line + at, "\n"), line + at);
	found->nr++;
	return 0;
}

int live_blocked_find(struct live_blocked_list *found)
{
	char *text;
	int r = limit_call(look_at_all, NULL, SECONDS, &text);

	*found = (struct live_blocked_list){ NULL, 0 };
	for (const char *line = text; line && *line;) {
		const char *end = strchr(line, '\n');
		int added = add(found, line);

		r = added ? added : r;
		line = end ? end + 1 : NULL;
	}
	free(text);
	return r;
}

void live_blocked_release(struct live_blocked_list *found)
{
	free(found->list);
	*found = (struct live_blocked_list){ NULL, 0 };
}
