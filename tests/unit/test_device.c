/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading and writing blocks through calls that fail, stop short and are
 * interrupted; and opening what is no device.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/endian.h"
#include "device/block_writer.h"
#include "fake_device.h"

TestSuite(device, .timeout = 60);
TestSuite(device_open, .timeout = 60);
TestSuite(block_writer, .timeout = 60);

/* Each block holds its own number throughout. */
static void init_numbered(struct fake_device *fake, uint64_t nr_blocks)
{
	fake_init(fake, nr_blocks);
	for (uint64_t at = 0; at < nr_blocks * ERA_BLOCK_SIZE; at += 8)
		put_le64(fake->data + at, at / ERA_BLOCK_SIZE);
}

static bool holds(const uint8_t *data, uint64_t number)
{
	for (size_t at = 0; at < ERA_BLOCK_SIZE; at += 8)
		if (get_le64(data + at) != number)
			return false;
	return true;
}

#define MAX_READ 700

static void read_and_compare(struct fake_device *fake, const uint32_t *blocks,
			     size_t nr)
{
	uint8_t *buf = malloc(MAX_READ * ERA_BLOCK_SIZE), failed[MAX_READ];

	memset(buf, 0xee, MAX_READ * ERA_BLOCK_SIZE);
	memset(failed, 0xee, MAX_READ);
	cr_assert_eq(era_device_read_blocks(&fake->device, blocks, nr, buf,
					    failed),
		     0);
	for (size_t i = 0; i < nr; i++) {
		bool exists = blocks[i] < fake->device.nr_blocks;

		cr_assert_eq(failed[i], exists ? 0 : ENXIO);
		cr_assert(holds(buf + i * ERA_BLOCK_SIZE,
				exists ? blocks[i] : 0));
	}
	if (nr < MAX_READ)
		cr_assert_eq(failed[nr], 0xee);
	free(buf);
}

Test(device, reads_blocks_in_any_order)
{
	static const uint32_t blocks[] = { 7, 3, 4, 19, 0, 8, 5, 1 };
	struct fake_device fake;

	init_numbered(&fake, 20);
	read_and_compare(&fake, blocks, 8);
	fake_release(&fake);
}

Test(device, reads_the_same_block_more_than_once)
{
	static const uint32_t blocks[] = { 4, 4, 5, 4, 5, 6, 4 };
	struct fake_device fake;

	init_numbered(&fake, 20);
	read_and_compare(&fake, blocks, 7);
	fake_release(&fake);
}

Test(device, reads_what_exists_beside_what_is_past_the_end)
{
	static const uint32_t blocks[] = { 18, 19, 20, 21, UINT32_MAX, 3 };
	struct fake_device fake;

	init_numbered(&fake, 20);
	read_and_compare(&fake, blocks, 6);
	fake_release(&fake);
}

Test(device, reads_no_blocks)
{
	struct fake_device fake;

	init_numbered(&fake, 20);
	cr_assert_eq(era_device_read_blocks(&fake.device, NULL, 0, NULL, NULL),
		     0);
	cr_assert_eq(fake.nr_calls[FAKE_READ], 0);
	fake_release(&fake);
}

Test(device, reads_any_mixture)
{
	struct fake_device fake;
	uint32_t blocks[MAX_READ];

	srand(3);
	init_numbered(&fake, 900);
	for (int round = 0; round < 60; round++) {
		size_t nr = (size_t)rand() % (MAX_READ - 1) + 1;

		fake_reset(&fake);
		fake.interrupt = round & 1;
		fake.most = round & 2 ? 5000 : 0;
		for (size_t i = 0; i < nr; i++)
			blocks[i] = i && rand() % 3 ? blocks[i - 1] + 1
						    : (uint32_t)rand() % 920;
		read_and_compare(&fake, blocks, nr);
	}
	fake_release(&fake);
}

Test(device, merges_neighbours_into_one_read)
{
	static const uint32_t blocks[] = { 12, 5, 4, 11, 3, 10 };
	struct fake_device fake;

	init_numbered(&fake, 20);
	read_and_compare(&fake, blocks, 6);
	cr_assert_eq(fake.nr_reads, 2);
	cr_assert_eq(fake.reads[0].offset, 3 * ERA_BLOCK_SIZE);
	cr_assert_eq(fake.reads[0].len, 3 * ERA_BLOCK_SIZE);
	cr_assert_eq(fake.reads[1].offset, 10 * ERA_BLOCK_SIZE);
	fake_release(&fake);
}

Test(device, cuts_a_run_that_has_more_parts_than_a_call_takes)
{
	struct fake_device fake;
	uint32_t blocks[MAX_READ];

	init_numbered(&fake, MAX_READ);
	/* backwards: each block needs a part of its own */
	for (uint32_t i = 0; i < MAX_READ; i++)
		blocks[i] = MAX_READ - 1 - i;
	read_and_compare(&fake, blocks, MAX_READ);
	cr_assert_eq(fake.nr_reads, 2);
	fake_release(&fake);
}

Test(device, only_the_unreadable_block_of_a_run_fails)
{
	static const uint32_t blocks[] = { 3, 4, 5, 6, 7 };
	uint8_t buf[5 * ERA_BLOCK_SIZE], failed[5];
	struct fake_device fake;

	init_numbered(&fake, 20);
	fake.bad_block = 5;
	cr_assert_eq(era_device_read_blocks(&fake.device, blocks, 5, buf,
					    failed),
		     0);
	for (uint32_t i = 0; i < 5; i++) {
		cr_assert_eq(failed[i], i == 2 ? EIO : 0);
		cr_assert(holds(buf + i * ERA_BLOCK_SIZE, i == 2 ? 0 : i + 3));
	}
	cr_assert_eq(fake.device.error_offset, 5 * ERA_BLOCK_SIZE);
	cr_assert_eq(era_device_read_blocks(&fake.device, blocks, 5, buf, NULL),
		     -EIO);
	fake_release(&fake);
}

Test(device, a_read_goes_on_after_interrupts_and_short_reads)
{
	uint8_t buf[6 * ERA_BLOCK_SIZE];
	struct fake_device fake;

	init_numbered(&fake, 20);
	fake.interrupt = true;
	for (fake.most = 1000; fake.most < 10000; fake.most += 777) {
		memset(buf, 0xee, sizeof(buf));
		cr_assert_eq(era_device_read(&fake.device, 7, 6, buf), 0);
		for (uint64_t i = 0; i < 6; i++)
			cr_assert(holds(buf + i * ERA_BLOCK_SIZE, 7 + i));
	}
	fake_release(&fake);
}

Test(device, a_read_that_ends_early_is_an_error)
{
	uint8_t buf[ERA_BLOCK_SIZE];
	struct fake_device fake;

	init_numbered(&fake, 20);
	fake.fail_from[FAKE_READ] = 0;
	cr_assert_eq(era_device_read(&fake.device, 7, 1, buf), -EIO);
	cr_assert_eq(fake.device.error_offset, 7 * ERA_BLOCK_SIZE);
	fake_release(&fake);
}

Test(device, a_read_past_the_end_is_refused_without_a_call)
{
	uint8_t buf[2 * ERA_BLOCK_SIZE];
	struct fake_device fake;

	init_numbered(&fake, 20);
	cr_assert_eq(era_device_read(&fake.device, 19, 2, buf), -ENXIO);
	cr_assert_eq(era_device_read(&fake.device, 20, 1, buf), -ENXIO);
	cr_assert_eq(era_device_read(&fake.device, UINT64_MAX, 1, buf), -ENXIO);
	cr_assert_eq(fake.nr_calls[FAKE_READ], 0);
	fake_release(&fake);
}

Test(device, a_write_goes_on_after_interrupts_and_short_writes)
{
	uint8_t buf[3 * ERA_BLOCK_SIZE];
	struct fake_device fake;

	init_numbered(&fake, 20);
	fake.interrupt = true;
	fake.most = 1500;
	memset(buf, 0x5a, sizeof(buf));
	cr_assert_eq(era_device_write(&fake.device, 4, 3, buf), 0);
	cr_assert_arr_eq(fake_block(&fake, 4), buf, sizeof(buf));
	cr_assert(holds(fake_block(&fake, 3), 3));
	cr_assert(holds(fake_block(&fake, 7), 7));
	fake_release(&fake);
}

Test(device, a_write_that_fails_says_where)
{
	uint8_t buf[3 * ERA_BLOCK_SIZE] = { 0 };
	struct fake_report report;
	struct fake_device fake;

	init_numbered(&fake, 20);
	fake.most = ERA_BLOCK_SIZE;
	fake.fail_only[FAKE_WRITE] = 1;
	fake.error = ENOSPC;
	cr_assert_eq(era_device_write(&fake.device, 4, 3, buf), -ENOSPC);
	fake_report_init(&report);
	cr_assert_eq(era_device_report(&fake.device, &report.report, "write",
				       -ENOSPC),
		     -ENOSPC);
	cr_assert_str_eq(report.fatal, "memory: cannot write at offset 20480: "
				       "No space left on device");
	fake_release(&fake);
}

Test(device, a_write_of_nothing_is_an_error_and_no_loop)
{
	uint8_t buf[ERA_BLOCK_SIZE] = { 0 };
	struct fake_device fake;

	init_numbered(&fake, 20);
	fake.fail_from[FAKE_WRITE] = 0;
	cr_assert_eq(era_device_write(&fake.device, 4, 1, buf), -EIO);
	fake_release(&fake);
}

Test(device, a_write_past_the_end_is_refused_without_a_call)
{
	uint8_t buf[2 * ERA_BLOCK_SIZE] = { 0 };
	struct fake_device fake;

	init_numbered(&fake, 20);
	cr_assert_eq(era_device_write(&fake.device, 19, 2, buf), -ENOSPC);
	cr_assert_eq(era_device_write(&fake.device, 1000, 1, buf), -ENOSPC);
	cr_assert_eq(fake.nr_calls[FAKE_WRITE], 0);
	fake_release(&fake);
}

Test(device, a_flush_is_repeated_when_interrupted_and_reported_when_it_fails)
{
	struct fake_device fake;

	init_numbered(&fake, 20);
	fake.interrupt = true;
	cr_assert_eq(era_device_flush(&fake.device), 0);
	cr_assert_eq(fake.nr_calls[FAKE_SYNC], 2);
	fake.interrupt = false;
	fake.fail_from[FAKE_SYNC] = 0;
	fake.error = EIO;
	cr_assert_eq(era_device_flush(&fake.device), -EIO);
	fake_release(&fake);
}

Test(device, zeroes_with_or_without_the_devices_help)
{
	for (int help = 0; help < 2; help++) {
		struct fake_device fake;

		init_numbered(&fake, 200);
		fake.can_discard = help;
		cr_assert_eq(era_device_zero(&fake.device, 10, 150), 0);
		for (uint64_t i = 0; i < 200; i++)
			cr_assert(holds(fake_block(&fake, i),
					i >= 10 && i < 160 ? 0 : i));
		cr_assert_eq(fake.nr_calls[FAKE_WRITE], help ? 0 : 3);
		cr_assert_eq(era_device_zero(&fake.device, 10, 0), 0);
		fake_release(&fake);
	}
}

/* --- opening ----------------------------------------------------------------
 */

static char directory[] = "/tmp/era-device-XXXXXX";
static char path[64];

static void make_file(void)
{
	int fd;

	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	/* a block and a half: only whole ones count */
	cr_assert_eq(ftruncate(fd, 3 * ERA_BLOCK_SIZE / 2), 0);
	close(fd);
}

static void remove_file(void)
{
	unlink(path);
	rmdir(directory);
}

Test(device_open, counts_whole_blocks, .init = make_file, .fini = remove_file)
{
	struct era_device device;

	cr_assert_eq(era_device_open(&device, path, 0, NULL, NULL), 0);
	cr_assert_eq(device.nr_blocks, 1);
	cr_assert_not(device.block_device);
	era_device_close(&device);
	era_device_close(&device);
}

Test(device_open, two_may_read_but_only_one_may_write, .init = make_file,
     .fini = remove_file)
{
	struct era_device a, b;
	struct fake_report report;

	fake_report_init(&report);
	cr_assert_eq(era_device_open(&a, path, 0, NULL, NULL), 0);
	cr_assert_eq(era_device_open(&b, path, 0, NULL, NULL), 0);
	era_device_close(&b);
	cr_assert_eq(era_device_open(&b, path, ERA_DEVICE_WRITE, NULL,
				     &report.report),
		     -EBUSY);
	cr_assert(strstr(report.fatal, "in use"));
	cr_assert_null(strstr(report.fatal, "snapshot"));
	era_device_close(&a);
	cr_assert_eq(era_device_open(&a, path, ERA_DEVICE_WRITE, NULL, NULL),
		     0);
	cr_assert_eq(era_device_open(&b, path, ERA_DEVICE_HINT_SNAPSHOT, NULL,
				     &report.report),
		     -EBUSY);
	cr_assert(strstr(report.fatal, "--metadata-snapshot"));
	cr_assert_eq(era_device_open(&b, path, ERA_DEVICE_SHARED, NULL, NULL),
		     0);
	era_device_close(&a);
	era_device_close(&b);
}

Test(device_open, refuses_what_is_no_device, .init = make_file,
     .fini = remove_file)
{
	char fifo[80], nothing[80];
	struct era_device device;

	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	snprintf(nothing, sizeof(nothing), "%s/nothing", directory);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	cr_assert_eq(era_device_open(&device, fifo, 0, NULL, NULL), -EINVAL);
	cr_assert_eq(era_device_open(&device, "/dev/null", 0, NULL, NULL),
		     -EINVAL);
	cr_assert_eq(era_device_open(&device, directory, 0, NULL, NULL),
		     -EISDIR);
	cr_assert_eq(era_device_open(&device, directory, ERA_DEVICE_WRITE, NULL,
				     NULL),
		     -EISDIR);
	cr_assert_eq(era_device_open(&device, nothing, 0, NULL, NULL), -ENOENT);
	unlink(fifo);
}

Test(device_open, a_new_file_grows_as_it_is_written, .init = make_file,
     .fini = remove_file)
{
	uint8_t buf[ERA_BLOCK_SIZE] = { 1 };
	struct era_device device;
	struct stat st;

	era_device_init_new(&device, path, open(path, O_RDWR | O_TRUNC), NULL);
	cr_assert_eq(device.nr_blocks, 0);
	cr_assert_eq(era_device_write(&device, 4, 1, buf), 0);
	cr_assert_eq(device.nr_blocks, 5);
	cr_assert_eq(era_device_read(&device, 4, 1, buf), 0);
	cr_assert_eq(buf[0], 1);
	cr_assert_eq(era_device_flush(&device), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_size, 5 * ERA_BLOCK_SIZE);
	era_device_close(&device);
}

/* --- the block writer -------------------------------------------------------
 */

static void write_numbered(struct block_writer *writer, uint64_t block)
{
	uint8_t *room;

	cr_assert_eq(block_writer_next(writer, block, &room), 0);
	for (size_t at = 0; at < ERA_BLOCK_SIZE; at++)
		cr_assert_eq(room[at], 0);
	for (size_t at = 0; at < ERA_BLOCK_SIZE; at += 8)
		put_le64(room + at, block);
}

Test(block_writer, neighbours_are_one_write)
{
	struct block_writer writer;
	struct fake_device fake;

	fake_init(&fake, 1000);
	cr_assert_eq(block_writer_init(&writer, &fake.device), 0);
	for (uint64_t block = 3; block < 40; block++)
		write_numbered(&writer, block);
	cr_assert_eq(fake.nr_calls[FAKE_WRITE], 0);
	write_numbered(&writer, 41);
	cr_assert_eq(fake.nr_calls[FAKE_WRITE], 1);
	cr_assert_eq(block_writer_finish(&writer), 0);
	cr_assert_eq(fake.nr_calls[FAKE_WRITE], 2);
	cr_assert_eq(block_writer_finish(&writer), 0);
	cr_assert_eq(fake.nr_calls[FAKE_WRITE], 2);
	for (uint64_t block = 0; block < 60; block++)
		cr_assert(holds(
			fake_block(&fake, block),
			(block >= 3 && block < 40) || block == 41 ? block : 0));
	cr_assert_eq(fake.nr_calls[FAKE_SYNC], 0);
	block_writer_release(&writer);
	fake_release(&fake);
}

Test(block_writer, a_long_run_is_written_in_parts)
{
	struct block_writer writer;
	struct fake_device fake;

	fake_init(&fake, 1000);
	cr_assert_eq(block_writer_init(&writer, &fake.device), 0);
	for (uint64_t block = 1; block < 1000; block++)
		write_numbered(&writer, block);
	cr_assert_eq(block_writer_finish(&writer), 0);
	for (uint64_t block = 0; block < 1000; block++)
		cr_assert(holds(fake_block(&fake, block), block));
	cr_assert_lt(fake.nr_calls[FAKE_WRITE], 10);
	block_writer_release(&writer);
	fake_release(&fake);
}

Test(block_writer, says_what_the_write_says)
{
	struct block_writer writer;
	struct fake_device fake;
	uint8_t *room;

	fake_init(&fake, 10);
	fake.fail_from[FAKE_WRITE] = 0;
	fake.error = EIO;
	cr_assert_eq(block_writer_init(&writer, &fake.device), 0);
	write_numbered(&writer, 1);
	cr_assert_eq(block_writer_next(&writer, 5, &room), -EIO);
	write_numbered(&writer, 9);
	cr_assert_eq(block_writer_finish(&writer), -EIO);
	block_writer_release(&writer);
	fake_release(&fake);
}
