/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a confined process can and cannot do any more, tried in a child.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/confine.h"

TestSuite(confine, .timeout = 60);

static char directory[] = "/tmp/era-confine-XXXXXX";

static void enter_directory(void)
{
	int fd;

	if (syscall(444 /* landlock_create_ruleset */, NULL, 0, 1) < 1)
		cr_skip_test("this kernel has no Landlock");
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	fd = open("old", O_WRONLY | O_CREAT, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
}

static void leave_directory(void)
{
	if (chdir(directory))
		return;
	unlink("old");
	unlink("new");
	unlink("renamed");
	rmdir(directory);
}

/* The exit status of a confined child that does what attempt says. */
static int status_of(bool writes_files, int (*attempt)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		tool_confine(writes_files);
		_exit(attempt());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool is_denied(int result)
{
	return result < 0 && (errno == EACCES || errno == EPERM);
}

/* Each attempt returns 0 where all is as it should be, else its number. */
static int attempt_anything(void)
{
	char name[] = "true", *argv[] = { name, NULL };

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	execv("/bin/true", argv);
	if (errno != EACCES)
		return 2;
	if (!is_denied(mkdir("d", 0700)))
		return 3;
	if (!is_denied(symlink("old", "l")))
		return 4;
	if (!is_denied(mkfifo("f", 0600)))
		return 5;
	return 0;
}

static int attempt_reading(void)
{
	int fd = open("old", O_RDONLY);

	return fd < 0;
}

static int attempt_writing(void)
{
	if (!is_denied(open("old", O_WRONLY)))
		return 1;
	if (!is_denied(open("new", O_WRONLY | O_CREAT, 0600)))
		return 2;
	if (!is_denied(unlink("old")))
		return 3;
	if (!is_denied(rename("old", "renamed")))
		return 4;
	return 0;
}

static int attempt_result(void)
{
	int fd = open("new", O_WRONLY | O_CREAT | O_EXCL, 0600);

	return fd < 0 || write(fd, "x", 1) != 1 || rename("new", "renamed");
}

Test(confine, whoever_reads_can_only_read, .init = enter_directory,
     .fini = leave_directory)
{
	cr_assert_eq(status_of(false, attempt_anything), 0);
	cr_assert_eq(status_of(false, attempt_reading), 0);
#ifdef MEASURES_COVERAGE
	(void)attempt_writing; /* its own counts are to be written */
#else
	cr_assert_eq(status_of(false, attempt_writing), 0);
#endif
}

Test(confine, whoever_writes_can_write_files_and_nothing_else,
     .init = enter_directory, .fini = leave_directory)
{
	cr_assert_eq(status_of(true, attempt_anything), 0);
	cr_assert_eq(status_of(true, attempt_reading), 0);
	cr_assert_eq(status_of(true, attempt_result), 0);
	cr_assert_eq(access("renamed", F_OK), 0);
}
