/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fork, sh -c, and a limit of time.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live/limit.h"
#include "tools/command.h"

#define POLL_MS 20
#define GRACE_MS 2000 /* from being asked to end to being made to */

/* The signal that asks us to end; 0: none has come. */
static volatile sig_atomic_t told_to_end;

static void note_signal(int number)
{
	told_to_end = number;
}

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP };
#define NR_DEADLY (sizeof(deadly) / sizeof(*deadly))

static void exec_shell(const char *command)
{
	/* in a group of its own, to be ended as a whole */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	/* what we print is the list */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static bool is_over(pid_t pid, int *status, unsigned long long deadline)
{
	pid_t done;

	while (!(done = waitpid(pid, status, WNOHANG)) && !told_to_end &&
	       limit_now() < deadline)
		limit_sleep(POLL_MS);
	return done != 0;
}

/* Asks the whole group, then makes it; what cannot be killed is left behind. */
static void end_group(pid_t pid)
{
	unsigned long long deadline = limit_now() + GRACE_MS;
	int status;

	kill(-pid, SIGTERM);
	while (!waitpid(pid, &status, WNOHANG) && limit_now() < deadline)
		limit_sleep(POLL_MS);
	kill(-pid, SIGKILL);
	limit_sleep(POLL_MS);
	waitpid(pid, &status, WNOHANG);
}

static int judge(const char *command, int status, struct era_report *report)
{
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status))
		era_report_kind(report, ERA_KIND_SYSTEM, ERA_FATAL, NULL,
				ERA_NO_DATA, "'%s' exited with %d", command,
				WEXITSTATUS(status));
	else
		era_report_kind(report, ERA_KIND_SYSTEM, ERA_FATAL, NULL,
				ERA_NO_DATA, "'%s' was ended by signal %d",
				command, WTERMSIG(status));
	return -ECANCELED;
}

static int wait_for(pid_t pid, const char *command, unsigned int seconds,
		    struct era_report *report)
{
	int status = 0;

	if (is_over(pid, &status, limit_now() + seconds * 1000ull))
		return judge(command, status, report);
	end_group(pid);
	if (told_to_end)
		return -EINTR;
	era_report_kind(report, ERA_KIND_SYSTEM, ERA_FATAL, NULL, ERA_NO_DATA,
			"'%s' was not over after %u seconds, and was ended",
			command, seconds);
	return -ETIMEDOUT;
}

int command_run(const char *command, unsigned int seconds,
		struct era_report *report)
{
	struct sigaction action = { .sa_handler = note_signal };
	struct sigaction old[NR_DEADLY];
	pid_t pid;
	int r;

	for (size_t i = 0; i < NR_DEADLY; i++) {
		sigaction(deadly[i], NULL, &old[i]);
		if (old[i].sa_handler != SIG_IGN)
			sigaction(deadly[i], &action, NULL);
	}
	pid = fork();
	if (!pid)
		exec_shell(command);
	setpgid(pid, pid);
	r = pid < 0 ? -errno : wait_for(pid, command, seconds, report);
	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaction(deadly[i], &old[i], NULL);
	/* now as we were told, with what the caller has for that */
	if (told_to_end)
		raise(told_to_end);
	return r;
}
