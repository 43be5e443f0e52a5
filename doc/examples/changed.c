/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * changed ERA DEVICE: first block and length of what was written since ERA.
 *	cc -o changed changed.c $(pkg-config --cflags --libs dmera)
 */
#include <dmera.h>
#include <stdio.h>
#include <stdlib.h>

static void problem(void *arg, const struct dmera_problem *problem)
{
	fprintf(stderr, "%s: %s\n", (const char *)arg, problem->text);
}

static int range(void *arg, uint32_t begin, uint32_t end)
{
	return fprintf(arg, "%u %u\n", begin, end - begin) < 0;
}

int main(int argc, char **argv)
{
	struct dmera *era;
	int r;

	if (argc != 3 || dmera_open(&era, argv[2], 0, problem, argv[0]))
		return 1;
	r = dmera_written_since(era, strtoul(argv[1], NULL, 10), range, stdout);
	dmera_close(era);
	return r || fclose(stdout);
}
