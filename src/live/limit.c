/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls with a limit: fork, a pipe for the answer, poll.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/grow.h"
#include "live/limit.h"

#define MAX_ANSWER (16u << 20) /* bytes; a list of all devices has fewer */
#define POLL_MS 5	       /* how often a child that ends is looked at */
#define MAX_FDS 1024	       /* where the kernel cannot close all at once */

unsigned long long limit_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long long)now.tv_sec * 1000 +
	       (unsigned long long)now.tv_nsec / 1000000;
}

void limit_sleep(unsigned int ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

void limit_leave_streams(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (fd < 0 || dup2(fd, i) < 0)
			close(i);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Of those that are no standard ones. */
static void close_range_of(unsigned int first, unsigned int last)
{
#ifdef SYS_close_range
	if (!syscall(SYS_close_range, first, last, 0u))
		return;
#endif
	for (; first <= last && first < MAX_FDS; first++)
		close((int)first);
}

static void keep_only(int fd)
{
	const unsigned int first = STDERR_FILENO + 1, kept = (unsigned int)fd;

	limit_leave_streams();
	if (kept > first)
		close_range_of(first, kept - 1);
	close_range_of(kept + 1, UINT_MAX);
}

static void run_child(int (*call)(void *arg, FILE *answer), void *arg, int fd)
{
	FILE *answer;
	int r;

	keep_only(fd);
	answer = fdopen(fd, "w");
	r = answer ? call(arg, answer) : -errno;

	if (answer && fclose(answer) && !r)
		r = -errno;
	/* what the parent has not yet printed is for the parent to print */
	_exit(-r & 0xff);
}

struct buffer {
	char *text;
	size_t len, size;
};

/* One read; 0 at the end, 1 where there may be more, or a negative errno. */
static int read_more(int fd, struct buffer *buf)
{
	ssize_t n;

	if (buf->len >= MAX_ANSWER ||
	    list_grow(&buf->text, buf->len + 4096, &buf->size))
		return -ENOMEM;
	n = read(fd, buf->text + buf->len, buf->size - buf->len - 1);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	buf->len += (size_t)n;
	buf->text[buf->len] = '\0';
	return n > 0;
}

/* 0 once the child has closed the pipe, or a negative errno. */
static int read_answer(int fd, struct buffer *buf, unsigned long long deadline)
{
	int r = 1;

	while (r > 0) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		unsigned long long now = limit_now();

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&ready, 1, (int)(deadline - now)) > 0)
			r = read_more(fd, buf);
	}
	return r;
}

/* What the child has returned, without waiting for one that cannot end. */
static int reap(pid_t pid, unsigned long long deadline)
{
	int status;
	pid_t done;

	while (!(done = waitpid(pid, &status, WNOHANG)) ||
	       (done < 0 && errno == EINTR)) {
		if (limit_now() >= deadline)
			return -ETIMEDOUT;
		limit_sleep(POLL_MS);
	}
	if (done < 0 || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

void limit_hold_signals(sigset_t *old)
{
	static const int deadly[] = { SIGINT,  SIGTERM, SIGHUP,	 SIGQUIT,
				      SIGALRM, SIGUSR1, SIGUSR2, SIGTSTP,
				      SIGTTIN, SIGTTOU, SIGXCPU, SIGVTALRM };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
		sigaddset(&set, deadly[i]);
	sigprocmask(SIG_BLOCK, &set, old);
}

int limit_call(int (*call)(void *arg, FILE *answer), void *arg,
	       unsigned int seconds, char **answer)
{
	unsigned long long deadline = limit_now() + seconds * 1000ull;
	struct buffer buf = { NULL, 0, 0 };
	sigset_t old;
	int fds[2], r;
	pid_t pid;

	*answer = NULL;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	limit_hold_signals(&old);
	pid = fork();
	if (!pid) {
		close(fds[0]);
		run_child(call, arg, fds[1]);
	}
	r = pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(fds[1]);
	if (!r) {
		r = read_answer(fds[0], &buf, deadline);
		if (!r)
			r = reap(pid, deadline);
		else
			r = r == -ETIMEDOUT ? r : -EIO;
		if (r == -ETIMEDOUT || r == -EIO) {
			kill(pid, SIGKILL);
			/* it may be gone at once, and then leaves nothing */
			reap(pid, limit_now() + 10 * POLL_MS);
		}
	}
	close(fds[0]);
	*answer = buf.text;
	return r;
}
