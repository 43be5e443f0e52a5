/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder of a metadata snapshot, and the socket to it: one errno comes
 * back for the taking and one for the dropping; a byte, or the end, asks for
 * the latter.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live/dm.h"
#include "live/limit.h"
#include "live/snapshot.h"

#define DROP_TRIES 3 /* where the device does not answer in time */
#define MARGIN_SECONDS 5

static void ignore_signals(void)
{
	static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
				      SIGPIPE };

	for (size_t i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
		signal(deadly[i], SIG_IGN);
}

static void tell(int fd, int r)
{
	int32_t answer = r;

	/* nobody is left to hear it where this fails */
	if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
		return;
}

static void hold(const struct live_snapshot *snapshot, int fd)
{
	ssize_t n;
	char byte;
	int r;

	/* what ends a terminal's processes, or a job's, is not for us */
	setsid();
	ignore_signals();
	/* whoever waits for the end of what we print waits for us alone */
	limit_leave_streams();
	r = live_message(snapshot->name, "take_metadata_snap",
			 snapshot->seconds, NULL);
	tell(fd, r);
	/* what the kernel does after we gave up waiting nobody can know */
	if (r && r != -ETIMEDOUT)
		_exit(0);
	do
		n = recv(fd, &byte, 1, 0);
	while (n < 0 && errno == EINTR);
	for (int i = 0; i < DROP_TRIES; i++) {
		r = live_message(snapshot->name, "drop_metadata_snap",
				 snapshot->seconds, NULL);
		if (r != -ETIMEDOUT && r != -EBUSY)
			break;
		limit_sleep(1000);
	}
	tell(fd, r);
	_exit(0);
}

/* What the holder says; it is given more time than it gives the device. */
static int hear(const struct live_snapshot *snapshot, unsigned int tries)
{
	unsigned long long deadline =
		limit_now() +
		(tries * (snapshot->seconds + 1ull) + MARGIN_SECONDS) * 1000;
	struct pollfd ready = { .fd = snapshot->fd, .events = POLLIN };
	int32_t answer;

	while (poll(&ready, 1, 100) <= 0)
		if (limit_now() >= deadline)
			return -ETIMEDOUT;
	if (recv(snapshot->fd, &answer, sizeof(answer), 0) != sizeof(answer))
		return -ECHILD;
	return answer;
}

static void let_go(struct live_snapshot *snapshot)
{
	close(snapshot->fd);
	snapshot->fd = -1;
	/* it ends by itself, once the kernel lets it */
	for (int i = 0; i < 100; i++) {
		if (waitpid(snapshot->holder, NULL, WNOHANG))
			return;
		limit_sleep(10);
	}
}

static int failed(const struct live_snapshot *snapshot, const char *what, int r,
		  struct era_report *report)
{
	const char *why = strerror(-r);

	if (r == -ETIMEDOUT)
		why = "no answer in time";
	else if (r == -EBUSY)
		why = "the device was suspended";
	else if (r == -ECHILD)
		why = "the process that was to hold it is gone";
	else if (r == -EINVAL)
		why = "the kernel refuses it; somebody else has just taken "
		      "or dropped one";
	era_report_kind(report, era_kind_of_error(r), ERA_FATAL, NULL,
			ERA_NO_DATA, "%s: the metadata snapshot was not %s: %s",
			snapshot->name, what, why);
	return r;
}

int live_snapshot_take(struct live_snapshot *snapshot, const char *name,
		       unsigned int seconds, struct era_report *report)
{
	int fds[2], r;

	*snapshot = (struct live_snapshot){ .name = name,
					    .fd = -1,
					    .seconds = seconds };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return failed(snapshot, "taken", -errno, report);
	snapshot->holder = fork();
	if (!snapshot->holder) {
		close(fds[0]);
		hold(snapshot, fds[1]);
	}
	r = snapshot->holder < 0 ? -errno : 0;
	close(fds[1]);
	snapshot->fd = fds[0];
	if (!r)
		r = hear(snapshot, 1);
	if (!r)
		return 0;
	let_go(snapshot);
	return failed(snapshot, "taken", r, report);
}

int live_snapshot_drop(struct live_snapshot *snapshot,
		       struct era_report *report)
{
	int r = send(snapshot->fd, "d", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;

	if (!r)
		r = hear(snapshot, DROP_TRIES);
	let_go(snapshot);
	return r ? failed(snapshot, "dropped", r, report) : 0;
}
