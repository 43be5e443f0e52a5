/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * changed ERA DEVICE: first block and length of what was written since ERA.
 *	cc -o changed changed.c $(pkg-config --cflags --libs dmera)
 */
#include <ctype.h>
#include <dmera.h>
#include <errno.h>
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

/* An era is a number: a list since another one, such as 0, misleads. */
static int parse_era(const char *text, uint32_t *era)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno ||
	    value > UINT32_MAX)
		return -EINVAL;
	*era = (uint32_t)value;
	return 0;
}

int main(int argc, char **argv)
{
	struct dmera *device;
	uint32_t era;
	int r;

	if (argc != 3 || parse_era(argv[1], &era)) {
		fprintf(stderr, "usage: %s ERA DEVICE\n", argv[0]);
		return 2;
	}
	r = dmera_open(&device, argv[2], 0, problem, argv[0]);
	if (r)
		return 2;
	r = dmera_written_since(device, era, range, stdout);
	dmera_close(device);
	if (fclose(stdout))
		r = -EIO;
	return r ? 1 : 0; /* not 0: what was printed is not all */
}
