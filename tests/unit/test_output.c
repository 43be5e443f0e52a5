/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Outputs: complete or absent, and what is said when they fail.
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

#include "format/input.h"
#include "format/output.h"

static char dir[64];
static char message[1024];
static unsigned int nr_problems;

static void on_problem(void *arg, const struct era_problem *problem)
{
	(void)arg;
	snprintf(message, sizeof(message), "%s", problem->text);
	nr_problems++;
}

static struct era_report report = { .problem = on_problem };

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof(dir), "/tmp/era-output-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
}

static void tear_down(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(output, .init = set_up, .fini = tear_down, .timeout = 60);

/* Entries of the directory, hidden ones too. */
static int nr_files(void)
{
	FILE *f = popen("ls -A | wc -l", "r");
	int n = -1;

	cr_assert_eq(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void assert_holds(const char *path, const char *text)
{
	char buf[4096] = "";
	FILE *f = fopen(path, "r");

	cr_assert_not_null(f);
	cr_assert_lt(fread(buf, 1, sizeof(buf) - 1, f), sizeof(buf));
	fclose(f);
	cr_assert_str_eq(buf, text);
}

static void write_hello(const char *path)
{
	struct output out;

	cr_assert_eq(output_open(&out, path, &report), 0, "%s", message);
	cr_assert_eq(output_puts(&out, "hello\n"), 0);
	cr_assert_eq(output_finish(&out), 0, "%s", message);
	output_abandon(&out);
}

Test(output, a_file_appears_when_finished)
{
	struct output out;
	struct stat st;

	umask(027);
	cr_assert_eq(output_open(&out, "x", &report), 0);
	cr_assert_eq(output_puts(&out, "hello\n"), 0);
	cr_assert_eq(access("x", F_OK), -1);
	cr_assert_eq(output_finish(&out), 0);
	assert_holds("x", "hello\n");
	cr_assert_eq(nr_files(), 1);
	stat("x", &st);
	cr_assert_eq(st.st_mode & 07777, 0640);
}

Test(output, an_abandoned_file_leaves_nothing)
{
	struct output out;

	put("x", "old\n");
	cr_assert_eq(output_open(&out, "x", &report), 0);
	for (int i = 0; i < 100000; i++)
		output_puts(&out, "some line of text\n");
	cr_assert_eq(nr_files(), 2);
	output_abandon(&out);
	output_abandon(&out);
	cr_assert_eq(nr_files(), 1);
	assert_holds("x", "old\n");
}

Test(output, a_file_that_is_replaced_keeps_its_mode)
{
	struct stat st;

	put("x", "old\n");
	chmod("x", 0600);
	write_hello("x");
	assert_holds("x", "hello\n");
	stat("x", &st);
	cr_assert_eq(st.st_mode & 07777, 0600);
}

Test(output, a_link_stays_and_its_target_is_replaced)
{
	struct stat st;

	mkdir("sub", 0755);
	put("sub/x", "old\n");
	cr_assert_eq(symlink("x", "sub/link"), 0);
	cr_assert_eq(symlink("sub/link", "l"), 0);
	write_hello("l");
	assert_holds("sub/x", "hello\n");
	lstat("l", &st);
	cr_assert(S_ISLNK(st.st_mode));
	lstat("sub/link", &st);
	cr_assert(S_ISLNK(st.st_mode));
}

Test(output, a_link_to_nothing_yet_is_followed)
{
	cr_assert_eq(symlink("x", "l"), 0);
	write_hello("l");
	assert_holds("x", "hello\n");
}

Test(output, links_in_a_circle_are_an_error)
{
	struct output out;

	cr_assert_eq(symlink("a", "b"), 0);
	cr_assert_eq(symlink("b", "a"), 0);
	cr_assert_eq(output_open(&out, "a", &report), -ELOOP);
	cr_assert_eq(nr_problems, 1);
}

Test(output, a_file_of_somebody_else_in_a_sticky_directory_is_refused)
{
	struct output out;

	if (geteuid())
		cr_skip_test("needs root");
	chmod(dir, 01777);
	put("x", "old\n");
	cr_assert_eq(chown("x", 12345, 12345), 0);
	cr_assert_eq(output_open(&out, "x", &report), -EACCES);
	cr_assert_eq(nr_problems, 1);
	assert_holds("x", "old\n");
}

Test(output, devices_and_pipes_are_written_directly)
{
	struct stat st;
	int fd;

	write_hello("/dev/null");
	stat("/dev/null", &st);
	cr_assert(S_ISCHR(st.st_mode));

	cr_assert_eq(mkfifo("p", 0600), 0);
	fd = open("p", O_RDONLY | O_NONBLOCK);
	write_hello("p");
	lstat("p", &st);
	cr_assert(S_ISFIFO(st.st_mode));
	close(fd);
}

Test(output, dev_stdout_is_standard_output_whatever_it_is)
{
	struct stat before, after;
	int saved = dup(STDOUT_FILENO);
	int fd = open("x", O_WRONLY | O_CREAT | O_APPEND, 0600);

	cr_assert_eq(write(fd, "first\n", 6), 6);
	fstat(fd, &before);
	dup2(fd, STDOUT_FILENO);
	write_hello("/dev/stdout");
	write_hello("-");
	write_hello(NULL);
	dup2(saved, STDOUT_FILENO);
	stat("x", &after);
	cr_assert_eq(before.st_ino, after.st_ino);
	assert_holds("x", "first\nhello\nhello\nhello\n");
}

Test(output, a_directory_is_an_error)
{
	struct output out;

	mkdir("d", 0755);
	cr_assert_eq(output_open(&out, "d", &report), -EISDIR);
	cr_assert_str_eq(message, "d: cannot write: Is a directory");
	cr_assert_eq(output_open(&out, "none/x", &report), -ENOENT);
	cr_assert_eq(output_open(&out, "", &report), -ENOENT);
	cr_assert_eq(nr_problems, 3);
	/* what did not open may be finished and abandoned */
	cr_assert_lt(output_finish(&out), 0);
	output_abandon(&out);
}

Test(output, a_full_device_is_reported_once_with_the_offset)
{
	struct output out;
	int r = 0;

	cr_assert_eq(output_open(&out, "/dev/full", &report), 0);
	for (int i = 0; i < 100000 && !r; i++)
		r = output_puts(&out, "some line of text\n");
	cr_assert_eq(r, -ENOSPC);
	cr_assert_null(output_reserve(&out, 1));
	cr_assert_eq(output_finish(&out), -ENOSPC);
	cr_assert_eq(nr_problems, 1);
	cr_assert_str_eq(message, "/dev/full: cannot write at offset 0: No "
				  "space left on device");
}

Test(output, a_full_device_is_noticed_at_the_end)
{
	struct output out;

	cr_assert_eq(output_open(&out, "/dev/full", &report), 0);
	cr_assert_eq(output_puts(&out, "hello\n"), 0);
	cr_assert_eq(output_finish(&out), -ENOSPC);
	cr_assert_eq(nr_problems, 1);
}

Test(output, a_closed_pipe_ends_quietly)
{
	struct output out;
	int fds[2], r = 0;

	cr_assert_eq(pipe(fds), 0);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	cr_assert_eq(output_open(&out, NULL, &report), 0);
	close(fds[0]);
	for (int i = 0; i < 100000 && !r; i++)
		r = output_puts(&out, "some line of text\n");
	cr_assert_eq(r, -EPIPE);
	cr_assert_eq(output_finish(&out), -EPIPE);
	cr_assert_eq(nr_problems, 0);
}

Test(output, knows_the_file_it_would_replace)
{
	struct output out;
	int fd;

	put("x", "");
	put("y", "");
	cr_assert_eq(symlink("x", "l"), 0);
	fd = open("x", O_RDONLY);
	cr_assert_eq(output_open(&out, "l", &report), 0);
	cr_assert(output_is_same_file(&out, fd));
	output_abandon(&out);
	cr_assert_eq(output_open(&out, "y", &report), 0);
	cr_assert_not(output_is_same_file(&out, fd));
	output_abandon(&out);
	close(fd);
}

Test(output, a_signal_removes_the_temporary_file)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < 3; i++) {
		pid_t pid = fork();
		struct output out;
		int status;

		if (!pid) {
			signal(signals[i], SIG_DFL);
			if (output_open(&out, "x", NULL))
				_exit(1);
			for (int n = 0; n < 100000; n++)
				output_puts(&out, "some line of text\n");
			raise(signals[i]);
			_exit(2);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status));
		cr_assert_eq(WTERMSIG(status), signals[i]);
		cr_assert_eq(nr_files(), 0);
	}
}

/* Text that a compressor cannot shrink to nothing, longer than any chunk. */
static uint32_t next_random(uint32_t *state)
{
	return *state = *state * 1664525u + 1013904223u;
}

static void write_much(const char *path, size_t nr_lines)
{
	struct output out;
	uint32_t state = 1;

	cr_assert_eq(output_open(&out, path, &report), 0);
	for (size_t i = 0; i < nr_lines; i++) {
		char line[32];

		snprintf(line, sizeof(line), "%u\n", next_random(&state));
		output_puts(&out, line);
	}
	cr_assert_eq(output_finish(&out), 0, "%s", message);
}

static void read_much(const char *path, size_t nr_lines)
{
	static char text[32 << 20];
	uint32_t state = 1;
	struct input in;
	size_t len = 0;
	char *p = text;
	ssize_t n;

	cr_assert_eq(input_open(&in, path, &report), 0);
	while ((n = input_read(&in, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	cr_assert_eq(n, 0, "%s", message);
	input_close(&in);
	for (size_t i = 0; i < nr_lines; i++) {
		char line[32];
		size_t line_len = (size_t)snprintf(line, sizeof(line), "%u\n",
						   next_random(&state));

		cr_assert_eq(memcmp(p, line, line_len), 0, "line %zu", i);
		p += line_len;
	}
	cr_assert_eq(p, text + len);
}

Test(output, many_chunks_arrive_in_order)
{
	write_much("x", 2000000);
	read_much("x", 2000000);
}

Test(output, gzip_is_one_member_that_gzip_reads)
{
	static const size_t sizes[] = { 0, 1, 20000, 1000000 };

	for (size_t i = 0; i < 4; i++) {
		write_much("x.gz", sizes[i]);
		read_much("x.gz", sizes[i]);
		cr_assert_eq(system("gzip -t x.gz"), 0);
	}
}
