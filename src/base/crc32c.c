/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-32C three ways: the CPU's own instruction on x86-64 (SSE4.2) and ARMv8,
 * and slicing-by-8 everywhere. The instruction has a latency of three cycles
 * and a throughput of one, so three independent streams run side by side and
 * are joined afterwards: CRC is linear, and moving a CRC over a fixed number
 * of zero bytes is four table look-ups.
 */
#include "config.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#include <asm/hwcap.h>
#include <arm_acle.h>
#endif

#include "base/crc32c.h"
#include "base/endian.h"

#define POLY 0x82f63b78u

/* Bytes of one of three streams: 3 * 1360 of a block's 4092 bytes. */
#define STREAM 1360

static uint32_t slice[8][256];
static uint32_t shift_stream[4][256]; /* a CRC moved over STREAM zero bytes */
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

/*
 * Moving a CRC is linear: each bit is moved by itself, and a byte's entry is
 * the sum of its bits'. This runs at every start, so it has to be short.
 */
static void make_shift_table(void)
{
	for (int k = 0; k < 4; k++) {
		shift_stream[k][0] = 0;
		for (uint32_t bit = 1; bit < 256; bit <<= 1) {
			uint32_t crc = bit << (8 * k);

			for (int n = 0; n < STREAM; n++)
				crc = (crc >> 8) ^ slice[0][crc & 0xff];
			for (uint32_t i = 0; i < bit; i++)
				shift_stream[k][bit + i] =
					shift_stream[k][i] ^ crc;
		}
	}
}

static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLY : 0);
		slice[0][i] = crc;
	}
	for (int k = 1; k < 8; k++)
		for (int i = 0; i < 256; i++)
			slice[k][i] = (slice[k - 1][i] >> 8) ^
				      slice[0][slice[k - 1][i] & 0xff];
	make_shift_table();
}

static uint32_t update_slicing(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	pthread_once(&tables_once, make_tables);
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v = get_le64(p) ^ crc;

		crc = slice[7][v & 0xff] ^ slice[6][(v >> 8) & 0xff] ^
		      slice[5][(v >> 16) & 0xff] ^ slice[4][(v >> 24) & 0xff] ^
		      slice[3][(v >> 32) & 0xff] ^ slice[2][(v >> 40) & 0xff] ^
		      slice[1][(v >> 48) & 0xff] ^ slice[0][v >> 56];
	}
	while (len--)
		crc = (crc >> 8) ^ slice[0][(crc ^ *p++) & 0xff];
	return crc;
}

static bool always(void)
{
	return true;
}

#if defined(__x86_64__) || defined(__aarch64__)

#if defined(__x86_64__)
#define HW_NAME "sse4.2"
#define HW_TARGET __attribute__((target("sse4.2")))

HW_TARGET static inline uint64_t hw_word(uint64_t crc, const uint8_t *p)
{
	return _mm_crc32_u64(crc, get_le64(p));
}

HW_TARGET static inline uint32_t hw_byte(uint32_t crc, uint8_t byte)
{
	return _mm_crc32_u8(crc, byte);
}

static bool hw_usable(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
#define HW_NAME "armv8-crc"
#if defined(__clang__)
#define HW_TARGET __attribute__((target("crc")))
#else
#define HW_TARGET __attribute__((target("+crc")))
#endif

HW_TARGET static inline uint64_t hw_word(uint64_t crc, const uint8_t *p)
{
	return __crc32cd((uint32_t)crc, get_le64(p));
}

HW_TARGET static inline uint32_t hw_byte(uint32_t crc, uint8_t byte)
{
	return __crc32cb(crc, byte);
}

static bool hw_usable(void)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32;
}
#endif

static uint32_t over_stream(uint32_t crc)
{
	return shift_stream[0][crc & 0xff] ^
	       shift_stream[1][(crc >> 8) & 0xff] ^
	       shift_stream[2][(crc >> 16) & 0xff] ^ shift_stream[3][crc >> 24];
}

HW_TARGET static uint32_t update_hw(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	pthread_once(&tables_once, make_tables);
	for (; len >= 3 * STREAM; len -= 3 * STREAM, p += 3 * STREAM) {
		uint64_t a = crc, b = 0, c = 0;

		for (size_t i = 0; i < STREAM; i += 8) {
			a = hw_word(a, p + i);
			b = hw_word(b, p + STREAM + i);
			c = hw_word(c, p + 2 * STREAM + i);
		}
		crc = over_stream(over_stream((uint32_t)a) ^ (uint32_t)b) ^
		      (uint32_t)c;
	}
	for (; len >= 8; len -= 8, p += 8)
		crc = (uint32_t)hw_word(crc, p);
	while (len--)
		crc = hw_byte(crc, *p++);
	return crc;
}
#endif

const struct era_crc32c_impl era_crc32c_impls[] = {
#if defined(__x86_64__) || defined(__aarch64__)
	{ HW_NAME, update_hw, hw_usable },
#endif
	{ "slicing-by-8", update_slicing, always },
	{ NULL, NULL, NULL },
};

static uint32_t (*best)(uint32_t crc, const void *data, size_t len);
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

static void pick_best(void)
{
	const struct era_crc32c_impl *impl = era_crc32c_impls;

	while (!impl->usable())
		impl++;
	best = impl->update;
}

uint32_t era_crc32c(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&best_once, pick_best);
	return best(crc, data, len);
}
