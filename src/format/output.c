/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The face of an output: fills chunks, and says what went wrong.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "format/output.h"

static enum chunk_mode choose_mode(const struct output_file *file)
{
	size_t len = strlen(file->name);
	struct stat st;

	if (len > 3 && !strcmp(file->name + len - 3, ".gz"))
		return CHUNK_GZIP;
	/* /dev/null and terminals: nothing to gain from a thread */
	if (!fstat(file->fd, &st) && S_ISCHR(st.st_mode))
		return CHUNK_DIRECT;
	return CHUNK_PLAIN;
}

/*
 * In a pipe of the usual 64 KiB both ends do little but wake each other. So
 * much anybody may have, unless /proc/sys/fs/pipe-max-size says less; then it
 * works as it is.
 */
static void widen_pipe(int fd)
{
#ifdef F_SETPIPE_SZ
	struct stat st;

	if (!fstat(fd, &st) && S_ISFIFO(st.st_mode))
		fcntl(fd, F_SETPIPE_SZ, 1 << 20);
#else
	(void)fd;
#endif
}

int output_open(struct output *out, const char *path, struct era_report *report)
{
	int r;

	*out = (struct output){ .report = report };
	r = output_file_open(&out->file, path, report);
	if (!r) {
		widen_pipe(out->file.fd);
		r = chunk_writer_init(&out->writer, out->file.fd,
				      choose_mode(&out->file));
		if (r)
			era_report_kind(report, ERA_KIND_SYSTEM, ERA_FATAL,
					NULL, ERA_NO_DATA, "%s: out of memory",
					out->file.name);
	}
	if (r)
		output_file_discard(&out->file);
	out->is_open = !r;
	out->error = r;
	return r;
}

bool output_is_same_file(const struct output *out, int fd)
{
	struct stat st;

	return out->file.has_target && !fstat(fd, &st) &&
	       st.st_dev == out->file.target_dev &&
	       st.st_ino == out->file.target_ino;
}

static void fail(struct output *out, int err)
{
	if (out->error)
		return;
	out->error = err;
	/* whoever read our pipe has had enough */
	if (err == -EPIPE)
		return;
	era_report_kind(out->report, ERA_KIND_TARGET, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%s: cannot write at offset %" PRIu64 ": %s",
			out->file.name, out->writer.offset, strerror(-err));
}

/* Gives the chunk away if it is full, and gets one. */
static int next_chunk(struct output *out, size_t n)
{
	if (out->error)
		return out->error;
	if (out->chunk && out->used + n > CHUNK_SIZE) {
		chunk_writer_submit(&out->writer, out->used, false);
		out->chunk = NULL;
	}
	if (!out->chunk) {
		out->used = 0;
		out->chunk = chunk_writer_next(&out->writer);
		if (!out->chunk)
			fail(out, chunk_writer_error(&out->writer));
	}
	return out->error;
}

char *output_reserve(struct output *out, size_t n)
{
	if (!out->chunk || out->used + n > CHUNK_SIZE) {
		if (next_chunk(out, n))
			return NULL;
	}
	return out->chunk + out->used;
}

static int write_bytes(struct output *out, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		size_t part = n < OUTPUT_RESERVE_MAX ? n : OUTPUT_RESERVE_MAX;
		char *room = output_reserve(out, part);

		if (!room)
			return out->error;
		memcpy(room, p, part);
		output_advance(out, part);
		p += part;
		n -= part;
	}
	return out->error;
}

int output_puts(struct output *out, const char *s)
{
	return write_bytes(out, s, strlen(s));
}

int output_finish(struct output *out)
{
	int r;

	if (!out->is_open)
		return out->error;
	out->is_open = false;
	/* the last chunk may be empty: gzip needs it to end */
	if (!next_chunk(out, 0))
		chunk_writer_submit(&out->writer, out->used, true);
	out->chunk = NULL;
	r = chunk_writer_release(&out->writer, out->error != 0);
	if (r)
		fail(out, r);
	if (out->error)
		output_file_discard(&out->file);
	else
		out->error = output_file_commit(&out->file, out->report);
	return out->error;
}

void output_abandon(struct output *out)
{
	if (!out->is_open)
		return;
	out->is_open = false;
	out->chunk = NULL;
	chunk_writer_release(&out->writer, true);
	output_file_discard(&out->file);
}
