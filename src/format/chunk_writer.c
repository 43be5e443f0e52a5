/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ring of chunks between the one that fills them and the threads that write
 * them. A thread takes the next chunk, compresses it if told to, waits for
 * its turn and writes it; so order needs no queue behind the threads.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/endian.h"
#include "base/processors.h"
#include "format/chunk_writer.h"

/*
 * Half again to thrice as fast as the 6 of gzip(1), for a tenth more bytes:
 * these texts are so regular that searching harder finds little.
 */
#define GZIP_LEVEL 2
#define GZIP_HEADER_SIZE 10
#define GZIP_TRAILER_SIZE 8
/* what Z_SYNC_FLUSH and Z_FINISH add to what deflateBound() says */
#define DEFLATE_SLACK 64

/* What one thread compresses with. */
struct packer {
	struct chunk_writer *writer;
	z_stream stream;
	unsigned char *buf;
	size_t size;
};

/* Holds nothing unless the writer compresses. */
static int packer_init(struct packer *packer, struct chunk_writer *writer)
{
	*packer = (struct packer){ .writer = writer };
	if (writer->mode != CHUNK_GZIP)
		return 0;
	if (deflateInit2(&packer->stream, GZIP_LEVEL, Z_DEFLATED, -15, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	packer->size = deflateBound(&packer->stream, CHUNK_SIZE) +
		       DEFLATE_SLACK + GZIP_HEADER_SIZE + GZIP_TRAILER_SIZE;
	packer->buf = malloc(packer->size);
	if (!packer->buf) {
		deflateEnd(&packer->stream);
		return -ENOMEM;
	}
	return 0;
}

static void packer_release(struct packer *packer)
{
	if (packer->buf)
		deflateEnd(&packer->stream);
	free(packer->buf);
}

/* Fills packer->buf behind room for a header; returns the bytes, or 0. */
static size_t packer_run(struct packer *packer, const struct chunk *chunk)
{
	z_stream *s = &packer->stream;
	int flush = chunk->last ? Z_FINISH : Z_SYNC_FLUSH;
	int r;

	deflateReset(s);
	s->next_in = (unsigned char *)chunk->data;
	s->avail_in = (unsigned int)chunk->len;
	s->next_out = packer->buf + GZIP_HEADER_SIZE;
	s->avail_out = (unsigned int)(packer->size - GZIP_HEADER_SIZE -
				      GZIP_TRAILER_SIZE);
	r = deflate(s, flush);
	if (r != (chunk->last ? Z_STREAM_END : Z_OK) || s->avail_in ||
	    !s->avail_out)
		return 0;
	return (size_t)(s->next_out - packer->buf) - GZIP_HEADER_SIZE;
}

/* Non-blocking descriptors exist: a shell's job may share one with us. */
static int wait_writable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	while (poll(&poll_fd, 1, -1) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int write_all(struct chunk_writer *writer, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(writer->fd, p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			writer->offset += (uint64_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			int r = wait_writable(writer->fd);

			if (r)
				return r;
		} else if (n == 0) {
			return -EIO; /* or it would be tried for ever */
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* In the order of chunks: the header before the first, the sums at the end. */
static int write_packed(struct chunk_writer *writer, struct packer *packer,
			const struct chunk *chunk, size_t len, uint32_t crc)
{
	static const unsigned char header[GZIP_HEADER_SIZE] = {
		0x1f, 0x8b, Z_DEFLATED, 0, 0, 0, 0, 0, 0, 3 /* Unix */
	};
	unsigned char *begin = packer->buf + GZIP_HEADER_SIZE;
	unsigned char *end = begin + len;

	if (!len)
		return -ENOMEM;
	if (!writer->nr_done) {
		begin = packer->buf;
		memcpy(begin, header, sizeof(header));
	}
	writer->crc =
		(uint32_t)crc32_combine(writer->crc, crc, (z_off_t)chunk->len);
	writer->raw_len += (uint32_t)chunk->len;
	if (chunk->last) {
		put_le32(end, writer->crc);
		put_le32(end + 4, writer->raw_len);
		end += GZIP_TRAILER_SIZE;
	}
	return write_all(writer, begin, (size_t)(end - begin));
}

/* Called in turn, without the lock; nobody else touches what it changes. */
static int write_chunk(struct chunk_writer *writer, struct packer *packer,
		       const struct chunk *chunk, size_t len, uint32_t crc)
{
	if (writer->mode == CHUNK_GZIP)
		return write_packed(writer, packer, chunk, len, crc);
	return write_all(writer, chunk->data, chunk->len);
}

/* Works on the chunk numbered turn; called with the lock held. */
static void do_chunk(struct chunk_writer *writer, struct packer *packer,
		     uint64_t turn)
{
	struct chunk *chunk = &writer->chunks[turn % writer->nr_chunks];
	bool dropping = writer->dropping;
	uint32_t crc = 0;
	size_t len = 0;
	int r = 0;

	if (!dropping && writer->mode == CHUNK_GZIP) {
		pthread_mutex_unlock(&writer->lock);
		len = packer_run(packer, chunk);
		crc = (uint32_t)crc32(0, (unsigned char *)chunk->data,
				      (unsigned int)chunk->len);
		pthread_mutex_lock(&writer->lock);
	}
	while (writer->nr_done != turn)
		pthread_cond_wait(&writer->changed, &writer->lock);
	if (!writer->dropping) {
		pthread_mutex_unlock(&writer->lock);
		r = write_chunk(writer, packer, chunk, len, crc);
		pthread_mutex_lock(&writer->lock);
	}
	if (r && !writer->error) {
		writer->error = r;
		writer->dropping = true;
	}
	writer->nr_done++;
	pthread_cond_broadcast(&writer->changed);
}

static void *run_thread(void *arg)
{
	struct packer *packer = arg;
	struct chunk_writer *writer = packer->writer;

	pthread_mutex_lock(&writer->lock);
	for (;;) {
		while (writer->nr_taken == writer->nr_filled &&
		       !writer->closing)
			pthread_cond_wait(&writer->changed, &writer->lock);
		if (writer->nr_taken == writer->nr_filled)
			break;
		do_chunk(writer, packer, writer->nr_taken++);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

static unsigned int wanted_threads(enum chunk_mode mode)
{
	if (mode == CHUNK_DIRECT)
		return 0;
	if (mode == CHUNK_PLAIN)
		return 1;
	return processors_usable(CHUNK_WRITER_MAX_THREADS);
}

/* Fewer threads than wanted will do, and none at all. */
static void start_threads(struct chunk_writer *writer)
{
	unsigned int wanted = wanted_threads(writer->mode);
	sigset_t all, old;

	writer->started = true;
	/* signals are for the thread that the program knows of */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (writer->nr_threads < wanted) {
		unsigned int nr = writer->nr_threads;
		struct packer *packer = &writer->packers[nr];

		if (nr && packer_init(packer, writer))
			break;
		if (pthread_create(&writer->threads[nr], NULL, run_thread,
				   packer)) {
			if (nr)
				packer_release(packer);
			break;
		}
		writer->nr_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int chunk_writer_init(struct chunk_writer *writer, int fd, enum chunk_mode mode)
{
	unsigned int nr_threads = wanted_threads(mode);
	int r = -ENOMEM;

	*writer = (struct chunk_writer){ .fd = fd, .mode = mode };
	/* one to fill, one that waits, and one in each thread's hands */
	writer->nr_chunks = nr_threads + 2;
	writer->chunks = calloc(writer->nr_chunks, sizeof(*writer->chunks));
	writer->packers = calloc(nr_threads + 1, sizeof(*writer->packers));
	if (writer->chunks && writer->packers)
		r = packer_init(&writer->packers[0], writer);
	if (r) {
		free(writer->chunks);
		free(writer->packers);
		return r;
	}
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->changed, NULL);
	return 0;
}

char *chunk_writer_next(struct chunk_writer *writer)
{
	struct chunk *chunk;
	char *data = NULL;

	pthread_mutex_lock(&writer->lock);
	while (writer->nr_filled - writer->nr_done == writer->nr_chunks)
		pthread_cond_wait(&writer->changed, &writer->lock);
	chunk = &writer->chunks[writer->nr_filled % writer->nr_chunks];
	if (!chunk->data)
		chunk->data = malloc(CHUNK_SIZE);
	if (!chunk->data && !writer->error)
		writer->error = -ENOMEM;
	if (!writer->error)
		data = chunk->data;
	pthread_mutex_unlock(&writer->lock);
	return data;
}

void chunk_writer_submit(struct chunk_writer *writer, size_t len, bool last)
{
	struct chunk *chunk;

	/* a result of one chunk is not worth a thread */
	if (!last && !writer->started)
		start_threads(writer);
	pthread_mutex_lock(&writer->lock);
	chunk = &writer->chunks[writer->nr_filled++ % writer->nr_chunks];
	chunk->len = len;
	chunk->last = last;
	if (writer->nr_threads)
		pthread_cond_broadcast(&writer->changed);
	else
		do_chunk(writer, &writer->packers[0], writer->nr_taken++);
	pthread_mutex_unlock(&writer->lock);
}

int chunk_writer_error(struct chunk_writer *writer)
{
	int r;

	pthread_mutex_lock(&writer->lock);
	r = writer->error;
	pthread_mutex_unlock(&writer->lock);
	return r;
}

int chunk_writer_release(struct chunk_writer *writer, bool drop)
{
	pthread_mutex_lock(&writer->lock);
	writer->closing = true;
	writer->dropping |= drop;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	for (unsigned int i = 0; i < writer->nr_threads; i++)
		pthread_join(writer->threads[i], NULL);

	packer_release(&writer->packers[0]);
	for (unsigned int i = 1; i < writer->nr_threads; i++)
		packer_release(&writer->packers[i]);
	for (unsigned int i = 0; i < writer->nr_chunks; i++)
		free(writer->chunks[i].data);
	free(writer->packers);
	free(writer->chunks);
	pthread_mutex_destroy(&writer->lock);
	pthread_cond_destroy(&writer->changed);
	return writer->error;
}
