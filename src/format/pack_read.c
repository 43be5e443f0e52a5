/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that each take the next chunk of the pack, and a set that sees to
 * it that no block is written twice.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/processors.h"
#include "format/pack_decode.h"
#include "format/pack_encode.h"
#include "format/pack_format.h"
#include "format/pack_inflate.h"
#include "format/pack_read.h"
#include "pdata/block.h"

#define RUN_BLOCKS 64u /* written in one call */

/* A thread's own things. */
struct worker {
	struct pack_reader *reader;
	struct pack_inflate in;
	uint64_t chunk;	  /* offset of its length */
	uint64_t block;	  /* the one being read */
	const char *text; /* what is wrong with it */
	uint8_t *run;	  /* neighbouring blocks to write */
	uint64_t run_first;
	size_t run_nr;
};

static int read_at(const struct pack_reader *reader, void *buf, size_t n,
		   uint64_t offset)
{
	uint8_t *p = buf;

	while (n) {
		ssize_t got = pread(reader->fd, p, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ENODATA;
		p += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

static int open_failed(struct pack_reader *reader, int err)
{
	era_report_kind(reader->report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
			ERA_NO_DATA, "cannot read %s: %s", reader->path,
			strerror(-err));
	return err;
}

static int measure(struct pack_reader *reader)
{
	struct stat st;
	off_t size;

	if (fstat(reader->fd, &st))
		return open_failed(reader, -errno);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		era_report_kind(
			reader->report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%s is neither a block device nor a regular file",
			reader->path);
		return -EINVAL;
	}
	size = lseek(reader->fd, 0, SEEK_END);
	if (size < 0)
		return open_failed(reader, -errno);
	reader->size = (uint64_t)size;
	return 0;
}

/* What is wrong with a header, or NULL. */
static const char *header_fault(const uint8_t *header)
{
	uint64_t nr_blocks = get_le64(header + PACK_HEADER_NR_BLOCKS);

	if (get_le64(header) != PACK_MAGIC)
		return "is not a pack of metadata";
	if (get_le64(header + PACK_HEADER_VERSION) != PACK_VERSION)
		return "is a pack of another version than 3";
	if (get_le64(header + PACK_HEADER_BLOCK_SIZE) != ERA_BLOCK_SIZE)
		return "is a pack of blocks that are not 4096 bytes";
	if (!nr_blocks)
		return "is a pack of a device without blocks";
	if (nr_blocks > PACK_MAX_BLOCKS)
		return "claims a device larger than 1 TiB";
	return NULL;
}

static int read_header(struct pack_reader *reader)
{
	uint8_t header[PACK_HEADER_SIZE] = { 0 };
	const char *fault;
	int r = read_at(reader, header, sizeof(header), 0);

	if (r && r != -ENODATA)
		return open_failed(reader, r);
	fault = header_fault(header);
	if (r && get_le64(header) == PACK_MAGIC)
		fault = "is a pack cut short in its header";
	if (fault) {
		era_report_kind(reader->report, ERA_KIND_BAD_INPUT, ERA_FATAL,
				NULL, ERA_NO_DATA, "%s %s", reader->path,
				fault);
		return -EINVAL;
	}
	reader->nr_blocks = get_le64(header + PACK_HEADER_NR_BLOCKS);
	return 0;
}

int pack_reader_open(struct pack_reader *reader, const char *path,
		     struct era_report *report)
{
	int r;

	memset(reader, 0, sizeof(*reader));
	reader->path = path;
	reader->report = report;
	pthread_mutex_init(&reader->lock, NULL);
	/* O_NONBLOCK: a FIFO is refused below, not waited for */
	reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (reader->fd < 0) {
		r = -errno;
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "cannot open %s: %s", path,
				strerror(-r));
	} else {
		r = measure(reader);
	}
	if (!r)
		r = read_header(reader);
	if (r)
		pack_reader_close(reader);
	return r;
}

void pack_reader_close(struct pack_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
	block_set_release(&reader->seen);
	pthread_mutex_destroy(&reader->lock);
}

/* Remembers err unless an earlier chunk has one. */
static void fail(struct worker *worker, int err)
{
	struct pack_reader *reader = worker->reader;

	pthread_mutex_lock(&reader->lock);
	if (!reader->error || worker->chunk < reader->error_offset) {
		reader->error = err;
		reader->error_offset = worker->chunk;
		reader->error_block = worker->block;
		reader->error_text = worker->text;
	}
	pthread_mutex_unlock(&reader->lock);
}

/*
 * Takes the next chunk: its offset in worker, its bytes in [*begin, *end).
 * False when there is none left, or somebody has failed.
 */
static bool take_chunk(struct worker *worker, uint64_t *begin, uint64_t *end)
{
	struct pack_reader *reader = worker->reader;
	uint8_t length[8];
	uint64_t left;
	bool taken = false;
	int r = 0;

	pthread_mutex_lock(&reader->lock);
	worker->chunk = reader->next_chunk;
	worker->block = UINT64_MAX;
	worker->text = NULL;
	left = reader->size - reader->next_chunk;
	if (!reader->error && left) {
		r = left < 8 ? -ENODATA
			     : read_at(reader, length, 8, worker->chunk);
		if (!r && get_le64(length) > left - 8)
			r = -ENODATA;
		if (!r) {
			*begin = worker->chunk + 8;
			*end = *begin + get_le64(length);
			reader->next_chunk = *end;
			taken = true;
		}
	}
	pthread_mutex_unlock(&reader->lock);
	if (r)
		fail(worker, r);
	return taken;
}

static int write_run(struct worker *worker)
{
	struct era_device *device = worker->reader->device;
	int r = 0;

	if (worker->run_nr && device)
		r = era_device_write(device, worker->run_first, worker->run_nr,
				     worker->run);
	worker->run_nr = 0;
	if (r)
		worker->text = "cannot be written";
	return r;
}

/* Marks a block as seen; false if it was, or is out of bounds. */
static bool claim(struct worker *worker)
{
	struct pack_reader *reader = worker->reader;
	bool fresh = false;

	if (worker->block >= reader->nr_blocks) {
		worker->text = "lies past the end of the device";
		return false;
	}
	pthread_mutex_lock(&reader->lock);
	if (!block_set_has(&reader->seen, worker->block)) {
		block_set_add(&reader->seen, worker->block);
		fresh = true;
	}
	pthread_mutex_unlock(&reader->lock);
	if (!fresh)
		worker->text = "is there twice";
	return fresh;
}

/* Room for the block being read: next in the run, or first of a new one. */
static int make_room(struct worker *worker, uint8_t **room)
{
	int r = 0;

	if (worker->run_nr == RUN_BLOCKS ||
	    worker->block != worker->run_first + worker->run_nr)
		r = write_run(worker);
	if (!worker->run_nr)
		worker->run_first = worker->block;
	*room = worker->run + worker->run_nr * ERA_BLOCK_SIZE;
	return r;
}

static int decode_record(struct worker *worker, uint8_t *room, bool known)
{
	struct pack_inflate *in = &worker->in;
	size_t len = in->filled - in->begin;
	ssize_t used;

	if (len > PACK_RECORD_MAX)
		len = PACK_RECORD_MAX;
	used = pack_decode(room, in->window + in->begin, len);
	if (used < 0) {
		worker->text =
			used == -ENODATA
				? "has too few or too many instructions"
				: "has an instruction that makes no sense";
		return -EINVAL;
	}
	in->begin += (size_t)used;
	if (known && !pack_is_known(room)) {
		worker->text = "has a wrong checksum";
		return -EINVAL;
	}
	return 0;
}

static int read_record(struct worker *worker, bool known)
{
	struct pack_reader *reader = worker->reader;
	struct pack_inflate *in = &worker->in;
	uint8_t *room;
	int r;

	if (in->filled - in->begin < 8)
		return -ENODATA;
	worker->block = get_le64(in->window + in->begin);
	in->begin += 8;
	if (!claim(worker))
		return -EINVAL;
	r = make_room(worker, &room);
	if (!r)
		r = decode_record(worker, room, known);
	if (r)
		return r;
	if (worker->block) {
		worker->run_nr++;
		return 0;
	}
	/* only one thread can have claimed block 0 */
	memcpy(reader->superblock, room, ERA_BLOCK_SIZE);
	reader->has_superblock =
		room[0] || memcmp(room, room + 1, ERA_BLOCK_SIZE - 1);
	return 0;
}

/* One zlib stream of records, from begin on; where it ends in *begin. */
static int read_stream(struct worker *worker, uint64_t *begin, uint64_t end,
		       bool known)
{
	struct pack_inflate *in = &worker->in;
	int r = pack_inflate_start(in, *begin, end);

	if (!r)
		r = pack_inflate_fill(in, PACK_RECORD_MAX + 8);
	while (!r && in->begin < in->filled) {
		r = read_record(worker, known);
		if (!r)
			r = pack_inflate_fill(in, PACK_RECORD_MAX + 8);
	}
	*begin = pack_inflate_end(in);
	return r;
}

static int read_chunk(struct worker *worker, uint64_t begin, uint64_t end)
{
	uint8_t magic[8];
	int r = read_stream(worker, &begin, end, true);

	if (!r && begin < end) {
		r = end - begin < 8 ? -EINVAL
				    : read_at(worker->reader, magic, 8, begin);
		if (!r && get_le64(magic) != PACK_DAMAGED_MAGIC)
			r = -EINVAL;
		begin += 8;
		if (!r)
			r = read_stream(worker, &begin, end, false);
		if (!r && begin < end)
			r = -EINVAL;
	}
	return r ? r : write_run(worker);
}

static void *work(void *arg)
{
	struct worker worker = { .reader = arg };
	uint64_t begin, end;
	int r = pack_inflate_init(&worker.in, worker.reader->fd);

	worker.run = malloc((size_t)RUN_BLOCKS * ERA_BLOCK_SIZE);
	if (!worker.run)
		r = -ENOMEM;
	if (r)
		fail(&worker, r);
	while (!r && take_chunk(&worker, &begin, &end)) {
		r = read_chunk(&worker, begin, end);
		if (r)
			fail(&worker, r);
	}
	free(worker.run);
	pack_inflate_release(&worker.in);
	return NULL;
}

static int report_error(struct pack_reader *reader)
{
	int err = reader->error;
	uint64_t at = reader->error_offset;

	if (!err)
		return 0;
	if (reader->error_text)
		era_report_kind(reader->report, ERA_KIND_BAD_INPUT, ERA_FATAL,
				NULL, ERA_NO_DATA,
				"%s, chunk at offset %" PRIu64
				": block %" PRIu64 " %s%s%s",
				reader->path, at, reader->error_block,
				reader->error_text, err == -EINVAL ? "" : ": ",
				err == -EINVAL ? "" : strerror(-err));
	else if (err == -ENODATA || err == -EINVAL)
		era_report_kind(reader->report, ERA_KIND_BAD_INPUT, ERA_FATAL,
				NULL, ERA_NO_DATA,
				"%s is %s, in the chunk at offset %" PRIu64,
				reader->path,
				err == -EINVAL ? "corrupt" : "cut short", at);
	else
		open_failed(reader, err);
	return err;
}

int pack_reader_run(struct pack_reader *reader, struct era_device *device)
{
	/* a thread costs more than a small pack */
	bool small = reader->size < 256 * 1024;
	unsigned int wanted = processors_usable(small ? 1 : PACK_MAX_THREADS);
	pthread_t threads[PACK_MAX_THREADS];
	unsigned int nr = 0;
	int r;

	reader->device = device;
	reader->next_chunk = PACK_HEADER_SIZE;
	reader->has_superblock = false;
	reader->error = 0;
	block_set_release(&reader->seen);
	r = block_set_init(&reader->seen, reader->nr_blocks);
	if (r)
		return open_failed(reader, r);
	while (nr + 1 < wanted &&
	       !pthread_create(&threads[nr], NULL, work, reader))
		nr++;
	work(reader);
	while (nr)
		pthread_join(threads[--nr], NULL);
	return report_error(reader);
}

int pack_reader_zero_rest(struct pack_reader *reader, struct era_device *device)
{
	uint64_t block = 1, end;
	int r = 0;

	/* what lies past the pack would look like a newer history, too */
	end = device->nr_blocks < MAX_METADATA_BLOCKS ? device->nr_blocks
						      : MAX_METADATA_BLOCKS;
	if (end > reader->nr_blocks)
		r = era_device_zero(device, reader->nr_blocks,
				    end - reader->nr_blocks);
	for (; block < reader->nr_blocks && !r; block = end) {
		bool seen = block_set_has(&reader->seen, block);

		for (end = block + 1;
		     end < reader->nr_blocks &&
		     block_set_has(&reader->seen, end) == seen;)
			end++;
		if (!seen)
			r = era_device_zero(device, block, end - block);
	}
	return r ? era_device_report(device, reader->report, "write", r) : 0;
}
