/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packs: read twice, first to look and then to a device in memory, as
 * era_metadata_unpack does. Both must come to the same end.
 */
#include "config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "format/pack_read.h"
#include "sparse_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct sparse_image image;
	struct pack_reader reader;
	char path[64];
	int fd = memfd_create("pack", MFD_CLOEXEC), first;

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!pack_reader_open(&reader, path, NULL)) {
		first = pack_reader_run(&reader, NULL);
		sparse_init(&image, SPARSE_MAX);
		if (reader.nr_blocks <= SPARSE_MAX) {
			image.device.nr_blocks = reader.nr_blocks;
			if (!pack_reader_run(&reader, &image.device) != !first)
				abort();
			if (!first)
				pack_reader_zero_rest(&reader, &image.device);
		}
		sparse_release(&image);
		pack_reader_close(&reader);
	}
	close(fd);
	return 0;
}
