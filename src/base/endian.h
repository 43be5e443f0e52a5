/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Little-endian fields at any address. All on-disk data is read and written
 * through these, so alignment, byte order and aliasing are settled here.
 */
#ifndef BASE_ENDIAN_H
#define BASE_ENDIAN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t get_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t get_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void put_le32(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

/* n little-endian values to host order; dst and src do not overlap */
static inline void get_le32_array(uint32_t *dst, const void *src, size_t n)
{
	memcpy(dst, src, n * sizeof(*dst));
#if BYTE_ORDER == BIG_ENDIAN
	for (size_t i = 0; i < n; i++)
		dst[i] = le32toh(dst[i]);
#endif
}

static inline void get_le64_array(uint64_t *dst, const void *src, size_t n)
{
	memcpy(dst, src, n * sizeof(*dst));
#if BYTE_ORDER == BIG_ENDIAN
	for (size_t i = 0; i < n; i++)
		dst[i] = le64toh(dst[i]);
#endif
}

static inline void put_le32_array(void *dst, const uint32_t *src, size_t n)
{
#if BYTE_ORDER == BIG_ENDIAN
	for (size_t i = 0; i < n; i++)
		put_le32((uint8_t *)dst + i * 4, src[i]);
#else
	memcpy(dst, src, n * sizeof(*src));
#endif
}

static inline void put_le64_array(void *dst, const uint64_t *src, size_t n)
{
#if BYTE_ORDER == BIG_ENDIAN
	for (size_t i = 0; i < n; i++)
		put_le64((uint8_t *)dst + i * 8, src[i]);
#else
	memcpy(dst, src, n * sizeof(*src));
#endif
}

#endif
