/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes chunks of bytes to a file descriptor in order, on threads of its own
 * from the second chunk on: one that writes, or, for gzip, one for each
 * processor that compresses. A chunk is a run of deflate blocks that refers
 * to no other chunk, so all of them together are one gzip member.
 */
#ifndef FORMAT_CHUNK_WRITER_H
#define FORMAT_CHUNK_WRITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_SIZE (256u * 1024)
#define CHUNK_WRITER_MAX_THREADS 16

struct chunk {
	char *data; /* CHUNK_SIZE */
	size_t len;
	bool last;
};

struct packer;

enum chunk_mode {
	CHUNK_DIRECT, /* no threads: writing costs nothing (/dev/null) */
	CHUNK_PLAIN,
	CHUNK_GZIP,
};

struct chunk_writer {
	int fd;
	enum chunk_mode mode;
	pthread_mutex_t lock; /* of what follows, up to threads */
	pthread_cond_t changed;
	struct chunk *chunks; /* chunk number n is at n % nr_chunks */
	unsigned int nr_chunks;
	uint64_t nr_filled;	/* chunks given by the caller */
	uint64_t nr_taken;	/* by a thread */
	uint64_t nr_done;	/* written */
	bool dropping;		/* write no more */
	bool closing;		/* no chunk will follow */
	int error;		/* negative errno */
	uint64_t offset;	/* bytes written to fd */
	uint32_t crc;		/* gzip: of all that is written */
	uint32_t raw_len;	/* gzip: bytes before compression, mod 2^32 */
	bool started;		/* threads, or the attempt */
	struct packer *packers; /* one for each thread */
	pthread_t threads[CHUNK_WRITER_MAX_THREADS];
	unsigned int nr_threads;
};

int chunk_writer_init(struct chunk_writer *writer, int fd,
		      enum chunk_mode mode);

/*
 * The next chunk to fill, waiting for a free one; NULL when writing has
 * failed or memory is short (writer->error, read by chunk_writer_error()).
 */
char *chunk_writer_next(struct chunk_writer *writer);

/* Hands over the chunk that chunk_writer_next() gave, with len bytes. */
void chunk_writer_submit(struct chunk_writer *writer, size_t len, bool last);

int chunk_writer_error(struct chunk_writer *writer);

/*
 * Waits until all is written, or, with drop, until nothing is being written;
 * ends the threads and frees everything. Returns the error, if any.
 */
int chunk_writer_release(struct chunk_writer *writer, bool drop);

#endif
