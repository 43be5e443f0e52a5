/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tools for devices in use stand on, and no device is needed for:
 * calls with a limit of time, a command of the user's, locks' names.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live/dm.h"
#include "live/era_target.h"
#include "live/limit.h"
#include "tools/command.h"

TestSuite(limit, .timeout = 60);
TestSuite(command, .timeout = 60);
TestSuite(name, .timeout = 60);

#define LONG 3600 /* seconds: longer than any test */

/* --- calls with a limit ----------------------------------------------------
 */

static int say_arg(void *arg, FILE *answer)
{
	fputs(arg, answer);
	return *(char *)arg ? 0 : -ENXIO;
}

Test(limit, hands_on_what_the_call_says_and_returns)
{
	char *answer, text[] = "a word\nand more", none[] = "";

	cr_assert_eq(limit_call(say_arg, text, LONG, &answer), 0);
	cr_assert_str_eq(answer, text);
	free(answer);
	cr_assert_eq(limit_call(say_arg, none, LONG, &answer), -ENXIO);
	free(answer);
}

static int say_much(void *arg, FILE *answer)
{
	(void)arg;
	for (int i = 0; i < 100000; i++)
		fputs("0123456789", answer);
	return 0;
}

Test(limit, takes_more_than_a_pipe_holds)
{
	char *answer;

	cr_assert_eq(limit_call(say_much, NULL, LONG, &answer), 0);
	cr_assert_eq(strlen(answer), 1000000);
	free(answer);
}

static int never_return(void *arg, FILE *answer)
{
	(void)arg;
	(void)answer;
	for (;;)
		pause();
	return 0;
}

Test(limit, gives_up_a_call_that_never_returns)
{
	char *answer;

	cr_assert_eq(limit_call(never_return, NULL, 1, &answer), -ETIMEDOUT);
	cr_assert_eq(wait(NULL), -1);
	cr_assert_eq(errno, ECHILD, "the child is left");
	free(answer);
}

static int kill_self(void *arg, FILE *answer)
{
	(void)arg;
	(void)answer;
	return raise(SIGKILL);
}

Test(limit, tells_that_a_call_was_killed)
{
	char *answer;

	cr_assert_eq(limit_call(kill_self, NULL, LONG, &answer), -ECHILD);
	free(answer);
}

/* The descriptors that are open, but for that of the answer. */
static int list_descriptors(void *arg, FILE *answer)
{
	struct stat st, null;

	(void)arg;
	if (stat("/dev/null", &null))
		return -errno;
	for (int fd = 0; fd < 200; fd++)
		if (fd != fileno(answer) && !fstat(fd, &st) &&
		    st.st_rdev != null.st_rdev)
			fprintf(answer, "%d ", fd);
	return 0;
}

Test(limit, gives_a_child_no_descriptor_of_ours)
{
	int low = open("/etc/passwd", O_RDONLY), high;
	char *answer;

	high = dup2(low, 150);
	cr_assert_geq(low, 0);
	cr_assert_geq(high, 0);
	cr_assert_eq(limit_call(list_descriptors, NULL, LONG, &answer), 0);
	cr_assert_str_empty(answer,
			    "whoever waits for these waits for the "
			    "child: %s",
			    answer);
	free(answer);
}

static int raise_deadly(void *arg, FILE *answer)
{
	(void)arg;
	(void)answer;
	raise(SIGTERM);
	raise(SIGINT);
	raise(SIGHUP);
	raise(SIGTSTP);
	return 0;
}

Test(limit, keeps_signals_from_a_change_under_way)
{
	char *answer;

	cr_assert_eq(limit_call(raise_deadly, NULL, LONG, &answer), 0);
	free(answer);
}

/* --- a command -------------------------------------------------------------
 */

static char last_said[512];

static void keep(void *arg, const struct era_problem *problem)
{
	(void)arg;
	snprintf(last_said, sizeof(last_said), "%s", problem->text);
}

static int run(const char *command, unsigned int seconds)
{
	struct era_report report = { .problem = keep };

	*last_said = '\0';
	return command_run(command, seconds, &report);
}

Test(command, is_done_where_it_exits_with_0)
{
	cr_assert_eq(run("exit 0", LONG), 0);
	cr_assert_str_empty(last_said);
}

Test(command, that_fails_is_told_with_its_status)
{
	cr_assert_eq(run("exit 3", LONG), -ECANCELED);
	cr_assert_str_eq(last_said, "'exit 3' exited with 3");
	cr_assert_eq(run("kill -9 $$", LONG), -ECANCELED);
	cr_assert_str_eq(last_said, "'kill -9 $$' was ended by signal 9");
}

Test(command, has_nothing_to_read_and_prints_no_list)
{
	int fds[2];
	char byte;

	cr_assert_eq(pipe(fds), 0);
	cr_assert_geq(dup2(fds[0], STDIN_FILENO), 0);
	cr_assert_geq(dup2(fds[1], STDOUT_FILENO), 0);
	cr_assert_eq(write(fds[1], "y\n", 2), 2);
	cr_assert_eq(run("! read -r answer && echo words", LONG), 0);
	cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(read(fds[0], &byte, 1), 1);
	cr_assert_eq(read(fds[0], &byte, 1), 1);
	cr_assert_eq(read(fds[0], &byte, 1), -1, "its words are in the list");
}

/* A pipe that is at its end once all processes of the command are gone. */
static int open_witness(int *end)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(fcntl(fds[0], F_SETFD, FD_CLOEXEC), 0);
	*end = fds[1];
	return fds[0];
}

static void assert_all_gone(int witness, int end)
{
	char byte;

	close(end);
	cr_assert_eq(read(witness, &byte, 1), 0);
}

Test(command, that_takes_too_long_is_ended_with_all_it_has_started)
{
	int end, witness = open_witness(&end);

	cr_assert_eq(run("sleep 3600 & sleep 3600", 1), -ETIMEDOUT);
	cr_assert_not_null(strstr(last_said, "not over after 1 seconds"));
	assert_all_gone(witness, end);
}

Test(command, gets_the_time_to_put_things_back)
{
	char file[] = "/tmp/era-command-XXXXXX", command[256];
	int fd = mkstemp(file);
	struct stat st;

	cr_assert_geq(fd, 0);
	/* not the shell that is told, but a program that it has started */
	snprintf(command, sizeof(command),
		 "sh -c 'trap \"sleep 1; echo back >%s; exit\" TERM; "
		 "while :; do sleep 0.1; done'; :",
		 file);
	cr_assert_eq(run(command, 1), -ETIMEDOUT);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_size, 5);
	close(fd);
	unlink(file);
}

Test(command, that_does_not_end_when_told_is_made_to)
{
	int end, witness = open_witness(&end);

	cr_assert_eq(run("trap '' TERM; while :; do sleep 1; done", 1),
		     -ETIMEDOUT);
	assert_all_gone(witness, end);
}

/* A process of ours that runs a command for an hour, once that has begun. */
static pid_t fork_with_command(void)
{
	int ready[2];
	pid_t pid;
	char byte;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		dup2(ready[1], STDERR_FILENO);
		run("sleep 3600 & echo ready; sleep 3600", LONG);
		_exit(0);
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	return pid;
}

Test(command, does_not_outlive_us)
{
	int end, witness = open_witness(&end);
	pid_t pid = fork_with_command();

	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	assert_all_gone(witness, end);
}

Test(command, is_ended_by_the_signal_that_ends_us)
{
	int end, witness = open_witness(&end), status;
	pid_t pid = fork_with_command();

	kill(pid, SIGTERM);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM,
		  "it goes on, or has another status");
	assert_all_gone(witness, end);
}

/* --- names and numbers -----------------------------------------------------
 */

Test(name, is_plain_where_libdevmapper_leaves_it_as_it_is)
{
	cr_assert(live_is_plain_name("vg-data_1.2:3@4=5+6#7"));
	cr_assert(live_is_plain_name("a\\x20b"));
	cr_assert_not(live_is_plain_name("a b"));
	cr_assert_not(live_is_plain_name("a\\x2"));
	cr_assert_not(live_is_plain_name("a\\"));
	cr_assert_not(live_is_plain_name("quote'"));
	cr_assert_not(live_is_plain_name("\xe4"));
}

Test(name, of_a_device_that_is_none_is_its_numbers)
{
	char path[LIVE_PATH_MAX];

	live_path("4095:1048575", path);
	cr_assert_str_eq(path, "4095:1048575");
	cr_assert_not(live_is_suspended("4095:1048575"));
	cr_assert_eq(live_sectors("4095:1048575"), 0);
}
