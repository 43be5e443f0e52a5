/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One metadata block to pack instructions. Blocks of all kinds go through the
 * same encoder of 64-bit words, which finds equal, evenly rising and
 * neighbouring words by itself; only the era array has a form of its own.
 */
#ifndef FORMAT_PACK_ENCODE_H
#define FORMAT_PACK_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_ENCODED_MAX 8192u /* bytes that a block can become */

/*
 * Whether a block's checksum is that of a kind which the Rust suite packs:
 * those of block.h, and the superblocks of dm-thin and dm-cache.
 */
bool pack_is_known(const void *block);

/* Writes instructions for block to out; returns how many bytes. */
size_t pack_encode(uint8_t out[PACK_ENCODED_MAX], const void *block);

#endif
