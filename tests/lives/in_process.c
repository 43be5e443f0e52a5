// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a tool's main() in the process of who asks, thousands of times: to
 * start a program takes longer than what most of them have to do here. All of
 * the tool is there but its confinement, which a process can never leave. What
 * a tool has to say is collected. One that crashes, hangs or calls exit() ends
 * the process, which its parent is to notice.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_SECONDS 20 /* of processor time */

typedef int main_fn(int argc, char **argv);
main_fn era_check_main, era_dump_main, era_invalidate_main, era_repair_main,
	era_restore_main;

static const struct {
	const char *name;
	main_fn *main;
} tools[] = {
	{ "era_check", era_check_main },
	{ "era_dump", era_dump_main },
	{ "era_invalidate", era_invalidate_main },
	{ "era_repair", era_repair_main },
	{ "era_restore", era_restore_main },
};

void tool_confine(bool writes_files);
void tool_confine(bool writes_files)
{
	(void)writes_files;
}

/* The tools' way with memory is for large devices and costs small ones time. */
int mallopt(int option, int value);
int mallopt(int option, int value)
{
	(void)option;
	(void)value;
	return 1;
}

/* What a tool writes to one of its descriptors. */
struct collected {
	int fd, into, kept;
};

static int collect(struct collected *c, int fd)
{
	c->fd = fd;
	c->kept = dup(fd);
	c->into = memfd_create("collected", 0);
	if (c->kept < 0 || c->into < 0 || dup2(c->into, fd) < 0)
		return -errno;
	return 0;
}

static ssize_t end_collecting(struct collected *c, char *to, size_t room)
{
	ssize_t len = pread(c->into, to, room, 0);

	dup2(c->kept, c->fd);
	close(c->kept);
	close(c->into);
	return len;
}

/* SIGPROF, which ends the process, after so many seconds; 0: never. */
static void limit_time(int seconds)
{
	setitimer(ITIMER_PROF,
		  &(struct itimerval){ .it_value.tv_sec = seconds }, NULL);
}

/*
 * The status, and up to room bytes of each what went to standard output and to
 * standard error; -1 for a tool that is not here.
 */
int in_process_run(int argc, char **argv, char *out, size_t room_out,
		   ssize_t *len_out, char *err, size_t room_err,
		   ssize_t *len_err);
int in_process_run(int argc, char **argv, char *out, size_t room_out,
		   ssize_t *len_out, char *err, size_t room_err,
		   ssize_t *len_err)
{
	struct collected to_out, to_err;
	main_fn *fn = NULL;
	size_t i;
	int status;

	for (i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (!strcmp(tools[i].name, argv[0]))
			fn = tools[i].main;
	if (!fn || collect(&to_out, STDOUT_FILENO) ||
	    collect(&to_err, STDERR_FILENO))
		return -1;
	program_invocation_name = argv[0];
	program_invocation_short_name = argv[0];
	limit_time(MAX_SECONDS);
	status = fn(argc, argv);
	limit_time(0);
	fflush(stdout);
	clearerr(stdout);
	fflush(stderr);
	*len_err = end_collecting(&to_err, err, room_err);
	*len_out = end_collecting(&to_out, out, room_out);
	return status;
}
