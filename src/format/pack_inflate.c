/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * zlib, a buffer of input and a window of output.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/pack_format.h"
#include "format/pack_inflate.h"

#define IN_SIZE (64u * 1024)
#define WINDOW_SIZE (4 * PACK_RECORD_MAX)

int pack_inflate_init(struct pack_inflate *in, int fd)
{
	*in = (struct pack_inflate){ .fd = fd };
	in->in = malloc(IN_SIZE);
	in->window = malloc(WINDOW_SIZE);
	if (!in->in || !in->window || inflateInit(&in->z) != Z_OK)
		return -ENOMEM;
	in->z_ready = true;
	return 0;
}

void pack_inflate_release(struct pack_inflate *in)
{
	if (in->z_ready)
		inflateEnd(&in->z);
	free(in->in);
	free(in->window);
}

int pack_inflate_start(struct pack_inflate *in, uint64_t offset, uint64_t end)
{
	in->offset = offset;
	in->end = end;
	in->begin = in->filled = 0;
	in->ended = false;
	in->z.avail_in = 0;
	return inflateReset(&in->z) == Z_OK ? 0 : -EINVAL;
}

static int read_more(struct pack_inflate *in)
{
	uint64_t left = in->end - in->offset;
	size_t want = left < IN_SIZE ? (size_t)left : IN_SIZE;
	ssize_t n;

	if (!want)
		return -ENODATA;
	do
		n = pread(in->fd, in->in, want, (off_t)in->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (!n)
		return -ENODATA;
	in->offset += (uint64_t)n;
	in->z.next_in = in->in;
	in->z.avail_in = (uInt)n;
	return 0;
}

/* Inflates until the window is full, the input used up or the stream over. */
static int inflate_some(struct pack_inflate *in)
{
	int r;

	in->z.next_out = in->window + in->filled;
	in->z.avail_out = (uInt)(WINDOW_SIZE - in->filled);
	r = inflate(&in->z, Z_NO_FLUSH);
	in->filled = WINDOW_SIZE - in->z.avail_out;
	if (r == Z_STREAM_END)
		in->ended = true;
	if (r == Z_STREAM_END || r == Z_OK || r == Z_BUF_ERROR)
		return 0;
	return r == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
}

int pack_inflate_fill(struct pack_inflate *in, size_t want)
{
	int r = 0;

	if (in->ended || in->filled - in->begin >= want)
		return 0;
	memmove(in->window, in->window + in->begin, in->filled - in->begin);
	in->filled -= in->begin;
	in->begin = 0;
	while (!r && !in->ended && in->filled < WINDOW_SIZE) {
		if (!in->z.avail_in)
			r = read_more(in);
		if (!r)
			r = inflate_some(in);
	}
	return r;
}

uint64_t pack_inflate_end(const struct pack_inflate *in)
{
	return in->offset - in->z.avail_in;
}
