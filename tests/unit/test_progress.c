/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the progress line says; when it says it is no matter for a test.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "base/progress.h"

#define MIB (UINT64_C(1) << 20)

TestSuite(progress, .timeout = 60);

static void expect_line(uint64_t done, uint64_t total, uint64_t ms,
			const char *want)
{
	struct progress progress = {
		.name = "tool", .fd = -1, .total = total, .done = done
	};
	char line[PROGRESS_LINE];

	progress_format(&progress, ms, line);
	cr_assert_str_eq(line, want, "%s", line);
}

Test(progress, gives_percent_rate_and_time_left)
{
	expect_line(100 * MIB, 400 * MIB, 2000,
		    "tool: 25 %, 50 MiB/s, 0:06 left");
	expect_line(MIB, 100000 * MIB, 1000,
		    "tool: 0 %, 1 MiB/s, 27:46:39 left");
}

Test(progress, gives_what_is_done_where_the_end_is_not_known)
{
	expect_line(100 * MIB, 0, 2000, "tool: 100 MiB, 50 MiB/s");
}

Test(progress, is_not_done_before_the_end)
{
	expect_line(500 * MIB, 400 * MIB, 2000,
		    "tool: 99 %, 250 MiB/s, 0:00 left");
}

Test(progress, is_silent_where_there_is_no_terminal)
{
	struct progress progress;
	int ends[2];
	char byte;

	cr_assert_eq(pipe(ends), 0);
	progress_start(&progress, "tool", ends[1]);
	progress.next = 0;
	progress_add(&progress, MIB);
	progress_finish(&progress);
	close(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 0);
}
