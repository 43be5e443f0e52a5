/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compresses the chunks of a pack on threads and writes them in order. What
 * is written depends on the records alone, not on threads or timing.
 */
#ifndef FORMAT_PACK_CHUNK_H
#define FORMAT_PACK_CHUNK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/pack_encode.h"
#include "format/pack_format.h"

/* A chunk is closed when its records reach this, so it has room for one more.
 */
#define PACK_CHUNK_SIZE (1024u * 1024)

/* Records: a block's number and its instructions, one after the other. */
struct pack_records {
	uint8_t *data;
	size_t len;
	size_t nr; /* records */
};

struct pack_chunk {
	struct pack_records known;
	struct pack_records damaged; /* a second stream, if any */
	uint8_t *out;
	size_t out_size;
	size_t out_len;
	int error;
	bool done;
};

struct pack_chunks {
	int fd;
	uint64_t offset;      /* bytes written to fd */
	pthread_mutex_t lock; /* of done and what follows, up to threads */
	pthread_cond_t changed;
	struct pack_chunk *chunks; /* number n is at n % nr_chunks */
	unsigned int nr_chunks;
	uint64_t nr_filled;
	uint64_t nr_taken;
	bool closing;
	uint64_t nr_written;
	bool started; /* threads, or the attempt */
	pthread_t threads[PACK_MAX_THREADS];
	unsigned int nr_threads;
};

/* Writes will go to fd, from where it stands, which is offset. */
int pack_chunks_init(struct pack_chunks *chunks, int fd, uint64_t offset);

/* Adds a block to the chunk being filled; 0 or what writing an older says. */
int pack_chunks_add(struct pack_chunks *chunks, uint64_t block,
		    const void *data, bool damaged);

/* Writes all that is left. chunks->offset tells where a write failed. */
int pack_chunks_finish(struct pack_chunks *chunks);

void pack_chunks_release(struct pack_chunks *chunks);

#endif
