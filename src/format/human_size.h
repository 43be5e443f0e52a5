/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes for a person to read, in as many digits as the eye takes in: "512B",
 * "64K", "9.9M", "1.2T", in powers of 1024 as lsblk(8) has them.
 */
#ifndef FORMAT_HUMAN_SIZE_H
#define FORMAT_HUMAN_SIZE_H

#include <stdint.h>

#define HUMAN_SIZE_MAX 24 /* bytes that any 64 bits and a letter take */

/* Rounded to the nearest; returns buf. */
char *human_size(char buf[HUMAN_SIZE_MAX], uint64_t bytes);

#endif
