/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What era_activate is told: on its command line, or in a file.
 */
#ifndef TOOLS_ACTIVATE_H
#define TOOLS_ACTIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/report.h"

#define ACTIVATE_PATH_MAX 4096

struct activation {
	const char *name;
	char metadata[ACTIVATE_PATH_MAX];
	char origin[ACTIVATE_PATH_MAX];
	uint32_t block_size; /* sectors; 0: not given */
};

/*
 * A block size as the table has it, in sectors, or in bytes with a suffix:
 * 128, 64K. False where it is none that dm-era takes.
 */
bool activation_block_size(const char *text, uint32_t *sectors);

/* Reads a file such as /etc/era/NAME.conf. 0, or a negative errno, reported. */
int activation_read(struct activation *activation, const char *path,
		    struct era_report *report);

#endif
