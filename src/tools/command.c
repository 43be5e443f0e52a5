/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sh -c, with a limit of time, and a process of ours between us and the shell:
 * it ends the shell, and all that the shell has started, when it is told to or
 * when we are gone.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
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
/*
 * From being asked to end to being made to: long enough for a program such as
 * lvcreate to resume what it has suspended.
 */
#define GRACE_MS 10000
#define MARGIN_MS 2000

/* The signal that asks us to end; 0: none has come. */
static volatile sig_atomic_t told_to_end;

static void note_signal(int number)
{
	told_to_end = number;
}

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define NR_DEADLY (sizeof(deadly) / sizeof(*deadly))

/* What was there before, for the shell and for us afterwards. */
struct before {
	struct sigaction actions[NR_DEADLY];
	sigset_t mask;
};

/* --- the process between ---------------------------------------------------
 */

static void exec_shell(const char *command, const struct before *before)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* in a group of its own, to be ended as a whole */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (size_t i = 0; i < NR_DEADLY; i++)
		signal(deadly[i], before->actions[i].sa_handler == SIG_IGN
					  ? SIG_IGN
					  : SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before->mask, NULL);
	/* that group may not read a terminal: a question would stop it */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		close(STDIN_FILENO);
	/* what we print is the list */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Reaps whoever is to be; whether the shell was among them. */
static bool reap(pid_t shell, int *status)
{
	bool found = false;
	pid_t pid;
	int s;

	while ((pid = waitpid(-1, &s, WNOHANG)) > 0) {
		if (pid != shell)
			continue;
		*status = s;
		found = true;
	}
	return found;
}

/* Asks the whole group, then makes it; what cannot be killed is left behind. */
static void end_group(pid_t shell)
{
	unsigned long long deadline = limit_now() + GRACE_MS;
	int status;

	kill(-shell, SIGTERM);
	while (!kill(-shell, 0) && limit_now() < deadline) {
		limit_sleep(POLL_MS);
		reap(shell, &status);
	}
	kill(-shell, SIGKILL);
	limit_sleep(POLL_MS);
	reap(shell, &status);
}

static void stand_between(const char *command, const struct before *before,
			  pid_t parent)
{
	int status = 0;
	pid_t shell;

	for (size_t i = 0; i < NR_DEADLY; i++)
		signal(deadly[i], deadly[i] == SIGTERM ? note_signal : SIG_IGN);
	/* we reap what the shell leaves behind, so that we see its group end */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	shell = fork();
	if (!shell)
		exec_shell(command, before);
	if (shell < 0)
		_exit(127);
	setpgid(shell, shell);
	sigprocmask(SIG_SETMASK, &before->mask, NULL);
	while (!reap(shell, &status)) {
		if (told_to_end) {
			end_group(shell);
			_exit(127);
		}
		limit_sleep(POLL_MS);
	}
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

/* --- we --------------------------------------------------------------------
 */

/* 1: it is over; 0: it is not; or a negative errno. */
static int wait_until(pid_t pid, int *status, unsigned long long deadline,
		      bool until_told)
{
	pid_t done;

	while (!(done = waitpid(pid, status, WNOHANG)) &&
	       !(until_told && told_to_end) && limit_now() < deadline)
		limit_sleep(POLL_MS);
	return done < 0 ? -errno : done > 0;
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
	int r = wait_until(pid, &status, limit_now() + seconds * 1000ull, true);

	if (r < 0)
		return r;
	if (r)
		return judge(command, status, report);
	kill(pid, SIGTERM);
	if (!wait_until(pid, &status, limit_now() + GRACE_MS + MARGIN_MS,
			false))
		kill(pid, SIGKILL);
	if (told_to_end)
		return -EINTR;
	era_report_kind(report, ERA_KIND_SYSTEM, ERA_FATAL, NULL, ERA_NO_DATA,
			"'%s' was not over after %u seconds, and was ended",
			command, seconds);
	return -ETIMEDOUT;
}

static void catch_signals(struct before *before)
{
	struct sigaction action = { .sa_handler = note_signal };

	for (size_t i = 0; i < NR_DEADLY; i++) {
		sigaction(deadly[i], NULL, &before->actions[i]);
		if (before->actions[i].sa_handler != SIG_IGN)
			sigaction(deadly[i], &action, NULL);
	}
}

int command_run(const char *command, unsigned int seconds,
		struct era_report *report)
{
	struct before before;
	pid_t pid, self = getpid();
	int r;

	catch_signals(&before);
	limit_hold_signals(&before.mask);
	pid = fork();
	r = pid < 0 ? -errno : 0;
	if (!pid)
		stand_between(command, &before, self);
	sigprocmask(SIG_SETMASK, &before.mask, NULL);
	if (!r)
		r = wait_for(pid, command, seconds, report);
	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaction(deadly[i], &before.actions[i], NULL);
	/* now as we were told, with what the caller has for that */
	if (told_to_end)
		raise(told_to_end);
	return r;
}
