/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seeds of the fuzzers of whole devices from images, gzipped or not:
 *
 *     make_seeds DIRECTORY [-n BLOCKS] IMAGE...
 *
 * A seed has all blocks that a check of the image reads, and of those that
 * nothing leads to the first so many (default 12).
 */
#include "config.h"

#include <unistd.h>
#include <zlib.h>

#include "era/check.h"
#include "sparse_image.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	(void)data;
	(void)max_size;
	return size;
}

/* Notes which blocks a check reads. */
struct noting {
	struct sparse_image image;
	bool read[SPARSE_MAX];
};

static ssize_t note_readv(const struct era_io *io, int fd,
			  const struct iovec *iov, int nr_iov, off_t offset)
{
	struct noting *noting = (struct noting *)(uintptr_t)io;
	size_t len = 0;

	for (int i = 0; i < nr_iov; i++)
		len += iov[i].iov_len;
	/* runs that long are the scan's, which reads everything */
	for (size_t n = 0; len < 64 * ERA_BLOCK_SIZE && n < len;
	     n += ERA_BLOCK_SIZE)
		noting->read[((uint64_t)offset + n) / ERA_BLOCK_SIZE] = true;
	return sparse_readv(io, fd, iov, nr_iov, offset);
}

static void put_block(FILE *to, uint64_t block, const uint8_t *data)
{
	uint8_t head[SPARSE_HEAD];
	enum block_kind kind = block_identify(data, block);
	size_t len = ERA_BLOCK_SIZE;

	while (len && !data[len - 1])
		len--;
	head[0] = (uint8_t)kind;
	sparse_put_le16(head + 1, block);
	sparse_put_le16(head + 3, len);
	fwrite(head, 1, sizeof(head), to);
	fwrite(data, 1, len, to);
}

static void make_seed(const char *directory, const char *path, unsigned int nr)
{
	static struct noting noting;
	struct sparse_image *image = &noting.image;
	struct era_report quiet = { .problem = NULL };
	const char *base = strrchr(path, '/');
	uint8_t data[ERA_BLOCK_SIZE], head[2];
	gzFile from = gzopen(path, "rb");
	char name[4096];
	FILE *to;

	memset(noting.read, 0, sizeof(noting.read));
	sparse_init(image, 0);
	while (from && image->device.nr_blocks < SPARSE_MAX &&
	       gzread(from, data, sizeof(data)) == (int)sizeof(data)) {
		uint64_t block = image->device.nr_blocks++;

		memcpy(sparse_block(image, block), data, sizeof(data));
	}
	gzclose(from);
	image->io.readv = note_readv;
	era_check(&image->device, 0, &quiet);
	snprintf(name, sizeof(name), "%s/%s-%u", directory,
		 base ? base + 1 : path, nr);
	to = fopen(name, "w");
	if (!to) {
		perror(name);
		exit(1);
	}
	sparse_put_le16(head, image->device.nr_blocks % SPARSE_MAX);
	fwrite(head, 1, sizeof(head), to);
	for (uint64_t i = 0; i < image->device.nr_blocks; i++) {
		const uint8_t *block = image->blocks[i];
		bool known = block_identify(block, i) != BLOCK_UNKNOWN;

		if (noting.read[i] || (known && nr)) {
			put_block(to, i, block);
			nr -= nr && !noting.read[i];
		}
	}
	fclose(to);
	sparse_release(image);
}

int main(int argc, char **argv)
{
	unsigned int nr = 12;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "-n") && i + 1 < argc)
			nr = (unsigned int)atoi(argv[++i]);
		else
			make_seed(argv[1], argv[i], nr);
	}
	return 0;
}
