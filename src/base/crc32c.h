/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), the checksum of
 * every metadata block.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Continues crc over len bytes, without inversion before or after: the
 * kernel's crc32c() (lib/crc32c.c). dm's checksum of a block is
 * era_crc32c(0xffffffff, ...), XORed with a salt.
 * Picks the fastest implementation of this machine.
 */
uint32_t era_crc32c(uint32_t crc, const void *data, size_t len);

/* One way of computing it; all agree, which the unit tests hold them to. */
struct era_crc32c_impl {
	const char *name;
	uint32_t (*update)(uint32_t crc, const void *data, size_t len);
	bool (*usable)(void); /* on this machine */
};

/* The implementations compiled in, best first; ends with a NULL name. */
extern const struct era_crc32c_impl era_crc32c_impls[];

#endif
