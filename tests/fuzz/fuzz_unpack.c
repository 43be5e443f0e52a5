/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packs to a device, as era_metadata_unpack does it: read twice, first to look
 * and then to write. Both must come to the same end, no block may be written
 * twice, and what was unpacked must come out the same once it is packed again.
 *
 * Input: where the first byte is odd, a pack as it is. Else it is put
 * together here, for random bytes are no zlib stream: u8 flags, le16 blocks of
 * the device, then records as they inflate (doc/pack.md).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/endian.h"
#include "budget.h"
#include "dates.h"
#include "format/pack_format.h"
#include "format/pack_read.h"
#include "format/pack_write.h"

#define MAX_BLOCKS 512u
/* a bit for each of 2^28 blocks, and what eight threads need (doc/pack.md) */
#define MAX_MEMORY (40u << 20)
#define FLAG_RAW 1
#define FLAG_GOOD 2 /* the records are said to be of good blocks */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void put(int fd, const void *data, size_t len)
{
	must(write(fd, data, len) == (ssize_t)len);
}

static void put_stream(int fd, const uint8_t *data, size_t len, bool alone)
{
	uLongf packed = compressBound((uLong)len);
	uint8_t *buf = malloc(packed);
	uint8_t head[8];

	must(buf && compress2(buf, &packed, data, (uLong)len, 1) == Z_OK);
	put_le64(head, alone ? packed : PACK_DAMAGED_MAGIC);
	put(fd, head, 8);
	put(fd, buf, packed);
	free(buf);
}

/* One chunk: a stream of good blocks, and perhaps one of damaged ones. */
static void put_chunk(int fd, const uint8_t *data, size_t len, bool good)
{
	uint8_t head[8];
	off_t at = lseek(fd, 0, SEEK_CUR), end;

	put_stream(fd, data, good ? len : 0, true);
	if (!good)
		put_stream(fd, data, len, false);
	end = lseek(fd, 0, SEEK_CUR);
	put_le64(head, (uint64_t)(end - at) - 8);
	must(pwrite(fd, head, 8, at) == 8);
}

static void assemble(int fd, const uint8_t *data, size_t len)
{
	uint8_t header[PACK_HEADER_SIZE];

	put_le64(header, PACK_MAGIC);
	put_le64(header + PACK_HEADER_VERSION, PACK_VERSION);
	put_le64(header + PACK_HEADER_BLOCK_SIZE, ERA_BLOCK_SIZE);
	put_le64(header + PACK_HEADER_NR_BLOCKS,
		 1 + (data[1] | data[2] << 8u) % MAX_BLOCKS);
	put(fd, header, sizeof(header));
	put_chunk(fd, data + 3, len - 3, data[0] & FLAG_GOOD);
}

static const char *path_of(int fd, char path[64])
{
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return path;
}

/* Packs the device and unpacks it to another; both must be the same. */
static void pack_again(struct fake_device *device)
{
	int fd = memfd_create("pack", MFD_CLOEXEC);
	struct pack_reader reader;
	struct fake_device other;
	struct pack_stats stats;
	char path[64];

	must(!pack_write(&device->device, fd, "pack", true, &stats, NULL));
	must(!pack_reader_open(&reader, path_of(fd, path), NULL));
	must(reader.nr_blocks == device->device.nr_blocks);
	fake_init(&other, reader.nr_blocks);
	must(!pack_reader_run(&reader, &other.device));
	if (reader.has_superblock)
		memcpy(other.data, reader.superblock, ERA_BLOCK_SIZE);
	must(!memcmp(other.data, device->data,
		     reader.nr_blocks * ERA_BLOCK_SIZE));
	fake_release(&other);
	pack_reader_close(&reader);
	close(fd);
}

static void unpack(struct pack_reader *reader)
{
	struct fake_device device;
	struct budget budget;
	int first = pack_reader_run(reader, NULL), second;

	if (reader->nr_blocks > MAX_BLOCKS)
		return;
	fake_init(&device, reader->nr_blocks);
	memset(device.data, 0xff, reader->nr_blocks * ERA_BLOCK_SIZE);
	budget_begin(&budget, &device.device);
	second = pack_reader_run(reader, &device.device);
	must(first == second);
	budget_end(&budget, reader->nr_blocks * ERA_BLOCK_SIZE, MAX_MEMORY);
	device.device.moved = NULL;
	if (!second) {
		must(!pack_reader_zero_rest(reader, &device.device));
		memset(device.data, 0, ERA_BLOCK_SIZE);
		if (reader->has_superblock)
			memcpy(device.data, reader->superblock, ERA_BLOCK_SIZE);
		pack_again(&device);
	}
	fake_release(&device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pack_reader reader;
	struct budget budget;
	char path[64];
	int fd;

	if (len < 3)
		return 0;
	budget_begin(&budget, NULL);
	fd = memfd_create("pack", MFD_CLOEXEC);
	if (data[0] & FLAG_RAW)
		put(fd, data + 1, len - 1);
	else
		assemble(fd, data, len);
	if (!pack_reader_open(&reader, path_of(fd, path), NULL)) {
		unpack(&reader);
		pack_reader_close(&reader);
	}
	budget_end(&budget, 0, MAX_MEMORY);
	close(fd);
	return 0;
}
