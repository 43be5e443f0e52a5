/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC-32C, little-endian access, lists that grow, and the words of reports.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/grow.h"
#include "base/report.h"
#include "fake_device.h"

TestSuite(crc32c, .timeout = 60);
TestSuite(endian, .timeout = 60);
TestSuite(list, .timeout = 60);
TestSuite(report, .timeout = 60);

/* The published ones are inverted before and after, the kernel's are not. */
static uint32_t published(const void *data, size_t len)
{
	return ~era_crc32c(UINT32_MAX, data, len);
}

Test(crc32c, agrees_with_rfc_3720)
{
	static const uint8_t read_command[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00,
		0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00
	};
	uint8_t data[32];

	memset(data, 0, 32);
	cr_assert_eq(published(data, 32), 0x8a9136aau);
	memset(data, 0xff, 32);
	cr_assert_eq(published(data, 32), 0x62a8ab43u);
	for (uint8_t i = 0; i < 32; i++)
		data[i] = i;
	cr_assert_eq(published(data, 32), 0x46dd794eu);
	for (uint8_t i = 0; i < 32; i++)
		data[i] = 31 - i;
	cr_assert_eq(published(data, 32), 0x113fdb5cu);
	cr_assert_eq(published(read_command, 48), 0xd9963a56u);
}

Test(crc32c, agrees_with_the_check_value_of_the_catalogue)
{
	cr_assert_eq(published("123456789", 9), 0xe3069283u);
	cr_assert_eq(published("a", 1), 0xc1d04330u);
	cr_assert_eq(published("", 0), 0);
}

Test(crc32c, does_not_invert)
{
	cr_assert_eq(era_crc32c(0, "\0\0\0\0", 4), 0);
	cr_assert_eq(era_crc32c(UINT32_MAX, "", 0), UINT32_MAX);
	cr_assert_eq(era_crc32c(UINT32_MAX, "123456789", 9), ~0xe3069283u);
}

/* The definition, bit by bit. */
static uint32_t by_bit(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

Test(crc32c, implementations_agree_at_all_lengths_and_alignments)
{
	uint8_t data[8 + 600];

	srand(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
	for (size_t at = 0; at < 8; at++) {
		for (size_t len = 0; len <= 600; len++) {
			uint32_t seed = (uint32_t)rand();
			uint32_t want = by_bit(seed, data + at, len);
			const struct era_crc32c_impl *impl = era_crc32c_impls;

			for (; impl->name; impl++)
				if (impl->usable())
					cr_assert_eq(impl->update(seed,
								  data + at,
								  len),
						     want, "%s at %zu, %zu",
						     impl->name, at, len);
		}
	}
}

Test(crc32c, implementations_agree_where_streams_begin_and_end)
{
	static const size_t edges[] = { 1360, 2720, 4080, 4092, 8160, 12240 };
	size_t room = 12240 + 64;
	uint8_t *data = malloc(room);

	srand(2);
	for (size_t i = 0; i < room; i++)
		data[i] = (uint8_t)rand();
	for (size_t e = 0; e < 6; e++) {
		for (size_t len = edges[e] - 9; len < edges[e] + 10; len++) {
			size_t at = len % 8;
			uint32_t want = by_bit(UINT32_MAX, data + at, len);
			const struct era_crc32c_impl *impl = era_crc32c_impls;

			for (; impl->name; impl++)
				if (impl->usable())
					cr_assert_eq(impl->update(UINT32_MAX,
								  data + at,
								  len),
						     want, "%s, %zu",
						     impl->name, len);
			cr_assert_eq(era_crc32c(UINT32_MAX, data + at, len),
				     want);
		}
	}
	free(data);
}

Test(crc32c, can_be_continued_anywhere)
{
	uint8_t data[9000];
	uint32_t whole;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	whole = era_crc32c(UINT32_MAX, data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut += 97)
		cr_assert_eq(era_crc32c(era_crc32c(UINT32_MAX, data, cut),
					data + cut, sizeof(data) - cut),
			     whole);
}

Test(crc32c, last_implementation_is_usable_everywhere)
{
	const struct era_crc32c_impl *impl = era_crc32c_impls;

	while (impl[1].name)
		impl++;
	cr_assert(impl->usable());
}

Test(endian, bytes_are_in_little_order_at_any_address)
{
	uint8_t data[16];

	for (size_t at = 0; at < 8; at++) {
		memset(data, 0xee, sizeof(data));
		put_le32(data + at, 0x01020304u);
		cr_assert_arr_eq(data + at, "\4\3\2\1", 4);
		cr_assert_eq(get_le32(data + at), 0x01020304u);
		put_le64(data + at, UINT64_C(0x0102030405060708));
		cr_assert_arr_eq(data + at, "\10\7\6\5\4\3\2\1", 8);
		cr_assert_eq(get_le64(data + at), UINT64_C(0x0102030405060708));
		cr_assert_eq(data[at + 8 < 16 ? at + 8 : 0],
			     at + 8 < 16 ? 0xee : data[0]);
	}
}

Test(endian, arrays_go_both_ways)
{
	uint32_t small[3] = { 1, 0x80000000u, UINT32_MAX }, small_back[3];
	uint64_t large[2] = { 1, UINT64_C(1) << 63 }, large_back[2];
	uint8_t data[1 + 16];

	put_le32_array(data + 1, small, 3);
	cr_assert_arr_eq(data + 1, "\1\0\0\0\0\0\0\x80\xff\xff\xff\xff", 12);
	get_le32_array(small_back, data + 1, 3);
	cr_assert_arr_eq(small_back, small, sizeof(small));
	put_le64_array(data + 1, large, 2);
	cr_assert_arr_eq(data + 1, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80", 16);
	get_le64_array(large_back, data + 1, 2);
	cr_assert_arr_eq(large_back, large, sizeof(large));
}

/* The list of 0, 1, ... as one that is filled one by one. */
static uint32_t *fill(size_t nr, size_t *max)
{
	uint32_t *list = NULL;

	*max = 0;
	for (size_t i = 0; i < nr; i++) {
		cr_assert_eq(list_grow(&list, i + 1, max), 0);
		cr_assert_geq(*max, i + 1);
		list[i] = (uint32_t)i;
	}
	return list;
}

Test(list, keeps_its_entries_while_it_grows)
{
	size_t max;
	uint32_t *list = fill(1000, &max);

	for (uint32_t i = 0; i < 1000; i++)
		cr_assert_eq(list[i], i);
	free(list);
}

Test(list, moves_seldom_when_filled_one_by_one)
{
	size_t max = 0, nr_moves = 0;
	char *list = NULL;

	for (size_t i = 0; i < 1u << 20; i++) {
		size_t before = max;

		cr_assert_eq(list_grow(&list, i + 1, &max), 0);
		nr_moves += max != before;
	}
	cr_assert_leq(nr_moves, 20);
	cr_assert_leq(max, 1u << 21);
	free(list);
}

Test(list, takes_as_many_at_once_as_are_asked_for)
{
	uint64_t *list = NULL;
	size_t max = 0;

	cr_assert_eq(list_grow(&list, 12345, &max), 0);
	cr_assert_eq(max, 12345);
	list[12344] = 1;
	cr_assert_eq(list_grow(&list, 12345, &max), 0);
	cr_assert_eq(max, 12345);
	free(list);
}

Test(list, stays_as_it_was_when_its_bytes_cannot_be_counted)
{
	size_t max, last;
	uint32_t *list = fill(8, &max), *before = list;

	last = max;
	cr_assert_eq(list_grow(&list, SIZE_MAX / 4 + 1, &max), -ENOMEM);
	cr_assert_eq(list_resize(&list, 8, SIZE_MAX / 4 + 2), -ENOMEM);
	cr_assert_eq(list, before);
	cr_assert_eq(max, last);
	/* twice as many cannot be counted, either */
	max = SIZE_MAX - 1;
	cr_assert_eq(list_grow(&list, SIZE_MAX, &max), -ENOMEM);
	cr_assert_eq(max, SIZE_MAX - 1);
	for (uint32_t i = 0; i < 8; i++)
		cr_assert_eq(list[i], i);
	free(list);
}

Test(list, resized_has_zeroes_past_what_it_had)
{
	size_t max;
	uint32_t *list = fill(5, &max);

	cr_assert_eq(list_resize(&list, 5, 300), 0);
	for (uint32_t i = 0; i < 300; i++)
		cr_assert_eq(list[i], i < 5 ? i : 0);
	cr_assert_eq(list_resize(&list, 300, 3), 0);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(list[i], i);
	/* one without entries is a list all the same */
	cr_assert_eq(list_resize(&list, 3, 0), 0);
	cr_assert_not_null(list);
	free(list);
}

static const struct era_where superblock = { NULL, "superblock", 0 };
static const struct era_where node = { &superblock, "era array node", 12 };
static const struct era_where leaf = { &node, "array block", UINT64_MAX };

Test(report, a_path_leads_from_the_superblock)
{
	char buf[128];

	cr_assert_str_eq(era_where_format(&leaf, buf, sizeof(buf)),
			 "superblock 0 -> era array node 12 -> array block "
			 "18446744073709551615");
	cr_assert_str_eq(era_where_format(NULL, buf, sizeof(buf)), "");
}

Test(report, a_path_is_cut_to_the_room_there_is)
{
	char whole[128], buf[128];

	era_where_format(&leaf, whole, sizeof(whole));
	for (size_t size = 1; size < sizeof(buf); size++) {
		memset(buf, '#', sizeof(buf));
		era_where_format(&leaf, buf, size);
		cr_assert_lt(strlen(buf), size);
		cr_assert_eq(strncmp(buf, whole, strlen(buf)), 0);
		for (size_t i = size; i < sizeof(buf); i++)
			cr_assert_eq(buf[i], '#');
	}
}

Test(report, problems_are_counted_by_severity)
{
	struct fake_report fake;

	fake_report_init(&fake);
	for (int severity = 0; severity < ERA_NR_SEVERITIES; severity++)
		for (int i = 0; i <= severity; i++)
			era_report(&fake.report, (enum era_severity)severity,
				   &leaf, ERA_NO_DATA, "number %d", i);
	for (int severity = 0; severity < ERA_NR_SEVERITIES; severity++)
		cr_assert_eq(fake.report.nr[severity], (uint64_t)severity + 1);
	cr_assert_str_eq(fake.text, "number 4");
}

Test(report, counts_without_a_printer_and_drops_without_a_report)
{
	struct era_report report = { .problem = NULL };

	era_report(&report, ERA_FATAL, NULL, ERA_NO_DATA, "nobody hears");
	cr_assert_eq(report.nr[ERA_FATAL], 1);
	era_report(NULL, ERA_FATAL, NULL, ERA_NO_DATA, "nobody counts");
}

Test(report, a_long_sentence_is_cut)
{
	struct fake_report fake;
	char text[2000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	fake_report_init(&fake);
	era_report(&fake.report, ERA_NOTE, NULL, ERA_NO_DATA, "%s", text);
	cr_assert_eq(strlen(fake.text), 511);
}

Test(report, each_severity_has_a_name_of_its_own)
{
	for (int a = 0; a < ERA_NR_SEVERITIES; a++)
		for (int b = 0; b < a; b++)
			cr_assert_str_neq(
				era_severity_name((enum era_severity)a),
				era_severity_name((enum era_severity)b));
}

/* A kind that has no place among those that decide would be taken for damage.
 */
Test(report, each_kind_decides_where_it_is_alone)
{
	for (int i = ERA_KIND_DAMAGE; i < ERA_NR_KINDS; i++) {
		enum era_kind kind = (enum era_kind)i;
		struct era_report report = { .problem = NULL };

		era_report_kind(&report, kind, ERA_FATAL, NULL, ERA_NO_DATA,
				"alone");
		cr_assert_eq(era_report_main_kind(&report), kind, "%s",
			     era_kind_name(kind));
		cr_assert_eq(era_report_outcome(&report, -EUCLEAN),
			     era_kind_outcome(kind), "%s", era_kind_name(kind));
	}
}
