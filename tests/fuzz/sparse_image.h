/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzers of whole devices share: an input that is a list of blocks,
 * each with the kind whose checksum it is to get, and the device in memory
 * that it describes. Without this nothing would get past the checksums.
 *
 * Input: le16 blocks of the device (0: 4096); then, for each block, u8 kind
 * (enum block_kind; 0: the bytes as they are; bit 7: a wrong checksum), le16
 * number, le16 length, and so many bytes of contents, zeroes following.
 */
#ifndef TESTS_SPARSE_IMAGE_H
#define TESTS_SPARSE_IMAGE_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"
#include "pdata/block.h"

#define SPARSE_MAX 4096u /* blocks */
#define SPARSE_HEAD 5u	 /* bytes before a block's contents */
#define SPARSE_BROKEN 0x80

struct sparse_image {
	struct era_io io; /* first */
	struct era_device device;
	uint8_t *blocks[SPARSE_MAX]; /* NULL: zeroes */
	pthread_mutex_t lock;
};

static inline uint32_t sparse_le16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static inline void sparse_put_le16(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static inline uint8_t *sparse_block(struct sparse_image *image, uint64_t block)
{
	uint8_t *data;

	pthread_mutex_lock(&image->lock);
	if (!image->blocks[block])
		image->blocks[block] = calloc(1, ERA_BLOCK_SIZE);
	data = image->blocks[block];
	pthread_mutex_unlock(&image->lock);
	if (!data)
		abort();
	return data;
}

static ssize_t sparse_readv(const struct era_io *io, int fd,
			    const struct iovec *iov, int nr_iov, off_t offset)
{
	struct sparse_image *image = (struct sparse_image *)(uintptr_t)io;
	uint64_t at = (uint64_t)offset;
	ssize_t done = 0;

	(void)fd;
	for (int i = 0; i < nr_iov; i++) {
		/* the library reads whole blocks */
		for (size_t n = 0; n < iov[i].iov_len; n += ERA_BLOCK_SIZE) {
			uint64_t block = at / ERA_BLOCK_SIZE;
			uint8_t *to = (uint8_t *)iov[i].iov_base + n;

			if (block >= image->device.nr_blocks)
				abort();
			if (image->blocks[block])
				memcpy(to, image->blocks[block],
				       ERA_BLOCK_SIZE);
			else
				memset(to, 0, ERA_BLOCK_SIZE);
			at += ERA_BLOCK_SIZE;
			done += ERA_BLOCK_SIZE;
		}
	}
	return done;
}

static ssize_t sparse_write(const struct era_io *io, int fd, const void *data,
			    size_t len, off_t offset)
{
	struct sparse_image *image = (struct sparse_image *)(uintptr_t)io;

	(void)fd;
	for (size_t n = 0; n < len; n += ERA_BLOCK_SIZE) {
		uint64_t block = ((uint64_t)offset + n) / ERA_BLOCK_SIZE;

		if (block >= image->device.nr_blocks)
			abort();
		memcpy(sparse_block(image, block), (const char *)data + n,
		       ERA_BLOCK_SIZE);
	}
	return (ssize_t)len;
}

static int sparse_sync(const struct era_io *io, int fd)
{
	(void)io;
	(void)fd;
	return 0;
}

static int sparse_discard(const struct era_io *io, int fd, off_t offset,
			  off_t len, bool block_device)
{
	struct sparse_image *image = (struct sparse_image *)(uintptr_t)io;
	uint64_t end = (uint64_t)(offset + len) / ERA_BLOCK_SIZE;

	(void)fd;
	(void)block_device;
	if (end > image->device.nr_blocks)
		abort();
	for (uint64_t i = (uint64_t)offset / ERA_BLOCK_SIZE; i < end; i++)
		if (image->blocks[i])
			memset(image->blocks[i], 0, ERA_BLOCK_SIZE);
	return 0;
}

static inline void sparse_init(struct sparse_image *image, uint64_t nr_blocks)
{
	memset(image, 0, sizeof(*image));
	image->io = (struct era_io){ sparse_readv, sparse_write, sparse_sync,
				     sparse_discard };
	image->device = (struct era_device){ .io = &image->io,
					     .path = "memory",
					     .fd = -1,
					     .nr_blocks = nr_blocks };
	pthread_mutex_init(&image->lock, NULL);
}

static inline void sparse_release(struct sparse_image *image)
{
	for (size_t i = 0; i < SPARSE_MAX; i++)
		free(image->blocks[i]);
}

/* Bytes of the entry at p, of which there are left; 0 at the end. */
static inline size_t sparse_entry(const uint8_t *p, size_t left)
{
	size_t len;

	if (left < SPARSE_HEAD)
		return 0;
	len = sparse_le16(p + 3);
	if (len > ERA_BLOCK_SIZE || len > left - SPARSE_HEAD)
		return 0;
	return SPARSE_HEAD + len;
}

/* Takes the device that the input describes. False where it describes none. */
static inline bool sparse_load(struct sparse_image *image, const uint8_t *data,
			       size_t len)
{
	size_t at = 2, n;

	if (len < 2)
		return false;
	n = sparse_le16(data);
	sparse_init(image, n && n < SPARSE_MAX ? n : SPARSE_MAX);
	for (; (n = sparse_entry(data + at, len - at)); at += n) {
		uint32_t kind = data[at] & 7,
			 block = sparse_le16(data + at + 1);
		uint8_t *to;

		if (block >= image->device.nr_blocks)
			continue;
		to = sparse_block(image, block);
		memset(to, 0, ERA_BLOCK_SIZE);
		memcpy(to, data + at + SPARSE_HEAD, n - SPARSE_HEAD);
		/* as many data blocks as a run has the time for */
		if (kind == BLOCK_SUPERBLOCK)
			put_le32(to + 180, get_le32(to + 180) & 0x3ffff);
		if (kind && kind < BLOCK_NR_KINDS)
			block_seal(to, (enum block_kind)kind, block);
		if (data[at] & SPARSE_BROKEN)
			to[1000] ^= 1;
	}
	return true;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed);

/* Sets a field of a block's contents where it is stored. */
static inline void sparse_poke(uint8_t *entry, size_t n, uint32_t offset,
			       unsigned int seed)
{
	static const uint32_t special[] = {
		0,    1,    2,		3,	    251,       252,
		253,  508,  509,	510,	    1017,      1018,
		1019, 4096, 0x7fffffff, 0x80000000, UINT32_MAX
	};
	uint8_t *p = entry + SPARSE_HEAD + offset;
	uint32_t value;

	if (SPARSE_HEAD + offset + 4 > n)
		return;
	switch (seed % 4) {
	case 0:
		value = special[seed / 4 %
				(sizeof(special) / sizeof(*special))];
		break;
	case 1:
		value = get_le32(p) + 1;
		break;
	case 2:
		value = get_le32(p) - 1;
		break;
	default:
		value = seed / 4 % 64; /* a block, likely one that exists */
	}
	put_le32(p, value);
}

/* A field that matters, by kind. */
static inline uint32_t sparse_field(uint32_t kind, unsigned int seed)
{
	static const uint8_t superblock[] = { 44,  52,	60,  68,  172, 180,
					      184, 188, 192, 200, 208, 216 };
	static const uint8_t node[] = { 4, 16, 20, 24 };
	static const uint8_t array[] = { 4, 8, 12, 24 };

	switch (kind) {
	case BLOCK_SUPERBLOCK:
		return superblock[seed % sizeof(superblock)];
	case BLOCK_BTREE_NODE:
		if (seed % 3 == 0)
			return node[seed / 3 % sizeof(node)];
		/* a key, or a value of a leaf of 8 or of 12 bytes */
		return seed % 3 == 1 ? 32 + seed / 3 % 8 * 8
		       : seed & 64   ? 32 + 252 * 8 + seed / 3 % 8 * 8
				     : 32 + 201 * 8 + seed / 3 % 8 * 12 + 4;
	case BLOCK_ARRAY:
		return array[seed % sizeof(array)];
	case BLOCK_INDEX:
		return 16 + seed % 4 * 4;
	default:
		return 16 + seed % 64 * 4;
	}
}

/* Half of the time a change that knows what it changes. */
static inline size_t sparse_mutate(uint8_t *data, size_t size, size_t max_size,
				   unsigned int seed)
{
	size_t nr = 0, at, n, pick;

	for (at = 2; at < size && (n = sparse_entry(data + at, size - at));
	     at += n)
		nr++;
	if (!nr || seed % 2)
		return LLVMFuzzerMutate(data, size, max_size);
	seed /= 2;
	pick = seed % nr;
	for (at = 2; pick; at += sparse_entry(data + at, size - at))
		pick--;
	n = sparse_entry(data + at, size - at);
	seed /= 7;
	switch (seed % 8) {
	case 0: /* somewhere else */
		sparse_put_le16(data + at + 1, seed / 8 % 128);
		break;
	case 1: /* damaged, or whole again */
		data[at] ^= SPARSE_BROKEN;
		break;
	case 2: /* gone */
		memmove(data + at, data + at + n, size - at - n);
		return size - n;
	case 3: /* once more, for another place */
		if (size + n > max_size)
			break;
		memmove(data + at + n, data + at, size - at);
		sparse_put_le16(data + at + 1, seed / 8 % 1024);
		return size + n;
	default:
		sparse_poke(data + at, n, sparse_field(data[at] & 7, seed / 8),
			    seed / 64);
	}
	return size;
}

#define SPARSE_MUTATOR                                                         \
	size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,             \
				       size_t max_size, unsigned int seed)     \
	{                                                                      \
		return sparse_mutate(data, size, max_size, seed);              \
	}                                                                      \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)

/* Sinks that take everything. */
#include "era/visitor.h"

static inline int sink_superblock(struct era_visitor *v,
				  const struct era_geometry *g)
{
	(void)v;
	(void)g;
	return 0;
}

static inline int sink_begin(struct era_visitor *v, uint32_t era,
			     uint32_t nr_bits)
{
	(void)v;
	(void)era;
	(void)nr_bits;
	return 0;
}

static inline int sink_words(struct era_visitor *v, uint32_t first,
			     const uint64_t *words, size_t nr)
{
	static volatile uint64_t sum;

	(void)v;
	for (size_t i = 0; i < nr; i++)
		sum = sum + words[i] + first;
	return 0;
}

static inline int sink_end(struct era_visitor *v)
{
	(void)v;
	return 0;
}

static inline int sink_eras(struct era_visitor *v, uint32_t first,
			    const uint32_t *eras, size_t nr)
{
	static volatile uint64_t sum;

	(void)v;
	for (size_t i = 0; i < nr; i++)
		sum = sum + eras[i] + first;
	return 0;
}

#define SINK                                                                   \
	{                                                                      \
		sink_superblock, sink_begin, sink_words, sink_end, sink_eras,  \
			sink_end                                               \
	}

#endif
