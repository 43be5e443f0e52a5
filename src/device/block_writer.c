/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The run of blocks under construction and its write.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/block_writer.h"

int block_writer_init(struct block_writer *writer, struct era_device *device)
{
	*writer = (struct block_writer){ .device = device };
	writer->buf = malloc(ERA_DEVICE_RUN * ERA_BLOCK_SIZE);
	return writer->buf ? 0 : -ENOMEM;
}

void block_writer_release(struct block_writer *writer)
{
	free(writer->buf);
	writer->buf = NULL;
}

int block_writer_finish(struct block_writer *writer)
{
	size_t nr = writer->nr;

	writer->nr = 0;
	if (!nr)
		return 0;
	return era_device_write(writer->device, writer->first, nr, writer->buf);
}

int block_writer_next(struct block_writer *writer, uint64_t block,
		      uint8_t **room)
{
	int r;

	if (writer->nr == ERA_DEVICE_RUN ||
	    block != writer->first + writer->nr) {
		r = block_writer_finish(writer);
		if (r)
			return r;
		writer->first = block;
	}
	*room = writer->buf + writer->nr++ * ERA_BLOCK_SIZE;
	memset(*room, 0, ERA_BLOCK_SIZE);
	return 0;
}
