/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pack instructions to the metadata block that they make. Nothing of them is
 * trusted: what a block costs is bounded by the bytes it is made from.
 */
#ifndef FORMAT_PACK_DECODE_H
#define FORMAT_PACK_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "device/device.h"

/*
 * Runs the instructions at data until block is full. Returns the number of
 * bytes used, -ENODATA where they end too early, or -EINVAL for an unknown
 * instruction, a width or a count that makes no sense there, or more than a
 * block.
 */
ssize_t pack_decode(uint8_t block[ERA_BLOCK_SIZE], const uint8_t *data,
		    size_t len);

#endif
