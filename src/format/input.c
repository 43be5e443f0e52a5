/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plain bytes go from the kernel straight to the caller; gzip goes through a
 * buffer of ours and zlib.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/input.h"

#define BUF_SIZE (64u * 1024)

static int fail(struct input *in, int err, const char *what)
{
	in->error = err;
	era_report_kind(in->report,
			err == -EINVAL ? ERA_KIND_BAD_INPUT : ERA_KIND_ACCESS,
			ERA_FATAL, NULL, ERA_NO_DATA,
			"%s: %s (at offset %" PRIu64 ")", in->name, what,
			in->offset);
	return err;
}

static ssize_t read_some(struct input *in, void *buf, size_t n)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = in->fd, .events = POLLIN };
		ssize_t got = read(in->fd, buf, n);

		if (got >= 0) {
			in->offset += (uint64_t)got;
			in->eof = got == 0;
			return got;
		}
		if (errno == EAGAIN)
			poll(&poll_fd, 1, -1);
		else if (errno != EINTR)
			return fail(in, -errno, strerror(errno));
	}
}

/* Adds to what buf holds, which must leave room. */
static int fill(struct input *in)
{
	ssize_t got;

	if (in->begin == in->end)
		in->begin = in->end = 0;
	got = read_some(in, in->buf + in->end, BUF_SIZE - in->end);
	if (got < 0)
		return (int)got;
	in->end += (size_t)got;
	return 0;
}

static int detect_gzip(struct input *in)
{
	int r = 0;

	while (!r && in->end < 2 && !in->eof)
		r = fill(in);
	if (r)
		return r;
	/* NOLINTNEXTLINE(*UndefinedBinaryOperatorResult): fill() reads them */
	in->gzip = in->end >= 2 && in->buf[0] == 0x1f && in->buf[1] == 0x8b;
	in->in_member = in->gzip;
	if (in->gzip &&
	    inflateInit2(&in->stream, INPUT_WINDOW_BITS_GZIP) != Z_OK) {
		in->gzip = false;
		return fail(in, -ENOMEM, strerror(ENOMEM));
	}
	return 0;
}

static int check_file(const struct input *in)
{
	struct stat st;

	/* NOLINTNEXTLINE(*StdCLibraryFunctions): no fd < 0 gets here */
	if (fstat(in->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

int input_open_fd(struct input *in, int fd, const char *name,
		  struct era_report *report)
{
	int r = fd < 0 ? -errno : 0;

	*in = (struct input){ .report = report, .name = name, .fd = fd };
	if (!r)
		r = check_file(in);
	if (!r) {
		in->buf = malloc(BUF_SIZE);
		if (!in->buf)
			r = -ENOMEM;
	}
	if (r) {
		in->error = r;
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s: cannot read: %s", name,
				strerror(-r));
	} else {
		r = detect_gzip(in);
	}
	if (r)
		input_close(in);
	return r;
}

int input_open(struct input *in, const char *path, struct era_report *report)
{
	int fd;

	if (!path || !strcmp(path, "-")) {
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		return input_open_fd(in, fd, "standard input", report);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return input_open_fd(in, fd, path, report);
}

/*
 * Between members: padding with zeroes is legal (tapes), more members are,
 * anything else is not.
 */
static int begin_member(struct input *in)
{
	for (;;) {
		int r;

		while (in->begin < in->end && !in->buf[in->begin])
			in->begin++;
		if (in->begin < in->end)
			break;
		if (in->eof) {
			in->ended = true;
			return 0;
		}
		r = fill(in);
		if (r)
			return r;
	}
	if (in->buf[in->begin] != 0x1f)
		return fail(in, -EINVAL, "what follows the gzip data is none");
	inflateReset(&in->stream);
	in->in_member = true;
	return 0;
}

static ssize_t inflate_some(struct input *in, void *buf, size_t n)
{
	z_stream *s = &in->stream;
	int r;

	s->next_in = in->buf + in->begin;
	s->avail_in = (unsigned int)(in->end - in->begin);
	s->next_out = buf;
	s->avail_out = n < BUF_SIZE * 16 ? (unsigned int)n : BUF_SIZE * 16;
	n = s->avail_out;
	r = inflate(s, Z_NO_FLUSH);
	in->begin = in->end - s->avail_in;
	if (r == Z_STREAM_END)
		in->in_member = false;
	else if (r == Z_MEM_ERROR)
		return fail(in, -ENOMEM, strerror(ENOMEM));
	else if (r != Z_OK && r != Z_BUF_ERROR)
		return fail(in, -EINVAL, "the gzip data is corrupt");
	return (ssize_t)(n - s->avail_out);
}

static ssize_t read_gzip(struct input *in, void *buf, size_t n)
{
	ssize_t got = 0;
	int r;

	while (!got) {
		if (!in->in_member && !in->ended) {
			r = begin_member(in);
			if (r)
				return r;
		}
		if (in->ended)
			return 0;
		if (in->begin == in->end && !in->eof) {
			r = fill(in);
			if (r)
				return r;
		}
		/* zlib may still have bytes for us when there is no input */
		got = inflate_some(in, buf, n);
		if (!got && in->in_member && in->eof && in->begin == in->end)
			return fail(in, -EINVAL, "the gzip data is cut short");
	}
	return got;
}

ssize_t input_read(struct input *in, void *buf, size_t n)
{
	size_t ahead = in->end - in->begin;

	if (in->error)
		return in->error;
	if (!n)
		return 0;
	if (in->gzip)
		return read_gzip(in, buf, n);
	if (!ahead)
		return in->eof ? 0 : read_some(in, buf, n);
	if (ahead > n)
		ahead = n;
	memcpy(buf, in->buf + in->begin, ahead);
	in->begin += ahead;
	return (ssize_t)ahead;
}

static int cannot_keep(struct input *in, const char *dir, int err)
{
	in->error = -err;
	era_report_kind(
		in->report, ERA_KIND_SYSTEM, ERA_FATAL, NULL, ERA_NO_DATA,
		"%s: cannot be kept in %s to be read twice: %s (TMPDIR names "
		"another directory)",
		in->name, dir, strerror(err));
	return -err;
}

/* A file that has no name, or has none any more. */
static int open_nameless(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	char *path;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if (asprintf(&path, "%s/era.XXXXXX", dir) < 0) {
		errno = ENOMEM;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}

/* Copies what is read ahead, and then the rest. 0 or an errno of the write. */
static int copy_rest(struct input *in, int fd)
{
	int r = 0;

	while (!r) {
		while (in->begin < in->end) {
			ssize_t n = write(fd, in->buf + in->begin,
					  in->end - in->begin);

			if (n < 0 && errno != EINTR)
				return errno;
			in->begin += n < 0 ? 0 : (size_t)n;
		}
		if (in->eof)
			return 0;
		r = fill(in);
	}
	return 0; /* the read has been reported, and is in in->error */
}

int input_keep(struct input *in)
{
	const char *dir = secure_getenv("TMPDIR");
	int fd, err;

	if (in->error)
		return in->error;
	if (lseek(in->fd, 0, SEEK_CUR) >= 0)
		return 0;
	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open_nameless(dir);
	if (fd < 0)
		return cannot_keep(in, dir, errno);
	err = copy_rest(in, fd);
	if (!err && !in->error)
		in->offset = (uint64_t)lseek(fd, 0, SEEK_CUR);
	close(in->fd);
	in->fd = fd;
	if (err)
		return cannot_keep(in, dir, err);
	return in->error ? in->error : input_rewind(in);
}

int input_rewind(struct input *in)
{
	if (lseek(in->fd, -(off_t)in->offset, SEEK_CUR) < 0)
		return fail(in, -errno, strerror(errno));
	in->offset = 0;
	in->begin = in->end = 0;
	in->eof = in->ended = false;
	in->in_member = false; /* the next one begins with its header */
	return in->error;
}

void input_close(struct input *in)
{
	if (in->gzip)
		inflateEnd(&in->stream);
	in->gzip = false;
	free(in->buf);
	in->buf = NULL;
	in->begin = in->end = 0;
	in->eof = true;
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
}
