/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * changed ERA DEVICE: offset and length in bytes of what was written in ERA or
 * later.
 *
 *     cc -o changed changed.c $(pkg-config --cflags --libs dmera)
 */
#include <dmera.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void problem(void *arg, const struct dmera_problem *problem)
{
	fprintf(stderr, "%s: %s\n", (const char *)arg, problem->text);
}

static int range(void *arg, uint32_t begin, uint32_t end)
{
	uint64_t size = *(uint64_t *)arg;

	printf("%" PRIu64 " %" PRIu64 "\n", begin * size, (end - begin) * size);
	return 0;
}

int main(int argc, char **argv)
{
	struct dmera_superblock sb;
	struct dmera *era;
	uint64_t size;
	int r;

	if (argc != 3 || dmera_open(&era, argv[2], 0, problem, argv[0]))
		return 1;
	r = dmera_get_superblock(era, &sb);
	if (!r) {
		size = sb.data_block_size * UINT64_C(512);
		r = dmera_written_since(era, strtoul(argv[1], NULL, 10), range,
					&size);
	}
	dmera_close(era);
	return r ? 1 : 0;
}
