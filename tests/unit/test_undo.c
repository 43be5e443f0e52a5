/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Undo files: the device comes back bit for bit, and a file that is not whole
 * or not its own touches nothing.
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

#include "base/crc32c.h"
#include "base/endian.h"
#include "device/undo.h"
#include "fake_device.h"

TestSuite(undo, .timeout = 60);

#define NR_BLOCKS 40
#define SIZE (NR_BLOCKS * ERA_BLOCK_SIZE)
#define HEADER 24
#define RECORD (16 + ERA_BLOCK_SIZE)

struct fixture {
	struct fake_device fake;
	struct undo_log log;
	uint8_t before[SIZE];
	char directory[32];
	char path[64];
};

static void fixture_init(struct fixture *f)
{
	srand(15);
	strcpy(f->directory, "/tmp/era-undo-XXXXXX");
	cr_assert_not_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/undo", f->directory);
	fake_init(&f->fake, NR_BLOCKS);
	for (size_t i = 0; i < SIZE; i++)
		f->fake.data[i] = (uint8_t)rand();
	memcpy(f->before, f->fake.data, SIZE);
}

static void fixture_release(struct fixture *f)
{
	fake_release(&f->fake);
	unlink(f->path);
	rmdir(f->directory);
}

/* Writes some blocks, some of them more than once. */
static void change(struct fixture *f)
{
	uint8_t buf[3 * ERA_BLOCK_SIZE];

	memset(buf, 0x77, sizeof(buf));
	cr_assert_eq(era_device_write(&f->fake.device, 5, 3, buf), 0);
	cr_assert_eq(era_device_write(&f->fake.device, 30, 1, buf), 0);
	cr_assert_eq(era_device_write(&f->fake.device, 6, 2, buf), 0);
	cr_assert_eq(era_device_flush(&f->fake.device), 0);
	cr_assert_eq(era_device_write(&f->fake.device, 0, 1, buf), 0);
}

static void log_change(struct fixture *f)
{
	fixture_init(f);
	cr_assert_eq(undo_log_start(&f->log, &f->fake.device, f->path, NULL),
		     0);
	change(f);
	cr_assert_eq(undo_log_finish(&f->log), 0);
	cr_assert_eq(f->fake.device.io, &f->fake.io);
}

static off_t size_of(const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	return st.st_size;
}

Test(undo, brings_back_every_bit)
{
	struct fixture f;

	log_change(&f);
	cr_assert_neq(memcmp(f.fake.data, f.before, SIZE), 0);
	cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
	cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
	/* and once more */
	cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
	cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
	fixture_release(&f);
}

Test(undo, saves_each_block_once)
{
	struct fixture f;

	log_change(&f);
	/* of block 0 what it was to hold, too */
	cr_assert_eq(size_of(f.path), HEADER + 6 * RECORD);
	fixture_release(&f);
}

Test(undo, writes_the_superblock_back_first_and_flushes_it)
{
	struct fixture f;

	log_change(&f);
	f.fake.logging = true;
	fake_reset(&f.fake);
	cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
	cr_assert_eq(f.fake.log[0].offset, 0);
	cr_assert_eq(f.fake.log[0].len, ERA_BLOCK_SIZE);
	cr_assert_eq(f.fake.log[1].len, 0);
	cr_assert_eq(f.fake.log[f.fake.nr_log - 1].len, 0);
	fixture_release(&f);
}

Test(undo, does_not_overwrite_a_file)
{
	struct fake_report report;
	struct fixture f;

	log_change(&f);
	fake_report_init(&report);
	cr_assert_eq(undo_log_start(&f.log, &f.fake.device, f.path,
				    &report.report),
		     -EEXIST);
	cr_assert(strstr(report.fatal, "File exists"));
	fixture_release(&f);
}

Test(undo, its_file_is_for_nobody_else)
{
	struct fixture f;
	struct stat st;

	log_change(&f);
	cr_assert_eq(stat(f.path, &st), 0);
	cr_assert_eq(st.st_mode & 077, 0);
	fixture_release(&f);
}

Test(undo, nothing_is_overwritten_that_cannot_be_saved)
{
	uint8_t buf[ERA_BLOCK_SIZE] = { 0 };
	struct fixture f;
	int fd;

	fixture_init(&f);
	cr_assert_eq(undo_log_start(&f.log, &f.fake.device, f.path, NULL), 0);
	/* its file cannot be written any more */
	fd = open("/dev/full", O_WRONLY);
	cr_assert_geq(fd, 0);
	cr_assert_geq(dup2(fd, f.log.fd), 0);
	close(fd);
	cr_assert_eq(era_device_write(&f.fake.device, 7, 1, buf), -ENOSPC);
	cr_assert_eq(era_device_write(&f.fake.device, 8, 1, buf), -ENOSPC);
	cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
	cr_assert_eq(undo_log_finish(&f.log), -ENOSPC);
	fixture_release(&f);
}

/* The block that the file's last record is of. */
static uint64_t last_block(const struct fixture *f)
{
	int fd = open(f->path, O_RDONLY);
	uint8_t block[8];

	cr_assert_eq(pread(fd, block, 8, size_of(f->path) - (off_t)RECORD), 8);
	close(fd);
	return get_le64(block);
}

Test(undo, a_file_without_the_superblock_is_refused)
{
	struct fixture f;

	log_change(&f);
	cr_assert_eq(truncate(f.path, size_of(f.path) % (off_t)RECORD), 0);
	cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), -EBADMSG);
	fixture_release(&f);
}

Test(undo, an_unfinished_last_record_is_of_no_account)
{
	for (off_t less = 1; less < (off_t)RECORD; less += 700) {
		struct fixture f;
		uint64_t last;

		log_change(&f);
		/* the write that the last record was made for did not happen */
		last = last_block(&f) * ERA_BLOCK_SIZE;
		memcpy(f.fake.data + last, f.before + last, ERA_BLOCK_SIZE);
		cr_assert_eq(truncate(f.path, size_of(f.path) - less), 0);
		cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
		cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
		fixture_release(&f);
	}
}

static void expect_refused(struct fixture *f, int err, const char *why)
{
	struct fake_report report;
	uint8_t now[SIZE];

	fake_report_init(&report);
	memcpy(now, f->fake.data, SIZE);
	cr_assert_eq(undo_apply(f->path, &f->fake.device, &report.report), err);
	cr_assert(strstr(report.fatal, why), "%s", report.fatal);
	cr_assert_eq(memcmp(now, f->fake.data, SIZE), 0);
}

Test(undo, a_damaged_file_is_refused_before_anything_is_written)
{
	struct fixture f;
	off_t size;
	int fd;

	log_change(&f);
	size = size_of(f.path);
	fd = open(f.path, O_RDWR);
	for (off_t at = 0; at < size; at += at < HEADER + 32 ? 1 : 397) {
		uint8_t byte;

		cr_assert_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 4;
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
		expect_refused(&f, -EBADMSG, "is damaged");
		byte ^= 4;
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
	cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
	cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
	fixture_release(&f);
}

/* Changes a record of the file, and makes its checksum right again. */
static void forge(const struct fixture *f, unsigned int number, size_t offset,
		  uint64_t value, size_t size)
{
	off_t at = HEADER + (off_t)number * RECORD;
	int fd = open(f->path, O_RDWR);
	uint8_t record[RECORD], bytes[8];

	put_le64(bytes, value);
	cr_assert_eq(pread(fd, record, RECORD, at), RECORD);
	memcpy(record + offset, bytes, size);
	put_le32(record + 8,
		 era_crc32c(era_crc32c(UINT32_MAX, record, 8), record + 12,
			    RECORD - 12));
	cr_assert_eq(pwrite(fd, record, RECORD, at), RECORD);
	close(fd);
}

Test(undo, a_record_that_no_repair_makes_is_refused)
{
	static const struct {
		const char *what;
		unsigned int number;
		size_t offset;
		uint64_t value;
		size_t size;
	} forgeries[] = {
		{ "an unknown kind", 2, 12, 2, 4 },
		{ "any other kind", 3, 12, UINT32_MAX, 4 },
		{ "a first record of another block", 0, 0, 7, 8 },
		{ "a first record that is not what was there", 0, 12, 1, 4 },
		{ "a block past the end", 1, 0, NR_BLOCKS, 8 },
		{ "a block far past the end", 1, 0, UINT64_MAX, 8 },
		{ "a block that 32 bits make small", 1, 0,
		  (UINT64_C(1) << 32) + 5, 8 },
		{ "a block saved twice", 1, 0, 6, 8 },
		{ "the superblock saved twice", 1, 0, 0, 8 },
		{ "the next of another block", 1, 12, 1, 4 },
	};

	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		struct fixture f;

		log_change(&f);
		forge(&f, forgeries[i].number, forgeries[i].offset,
		      forgeries[i].value, forgeries[i].size);
		expect_refused(&f, -EBADMSG, "is damaged");
		fixture_release(&f);
	}
}

Test(undo, a_fifo_is_not_waited_for)
{
	struct fixture f;

	log_change(&f);
	cr_assert_eq(unlink(f.path), 0);
	cr_assert_eq(mkfifo(f.path, 0600), 0);
	expect_refused(&f, -EINVAL, "no regular file");
	fixture_release(&f);
}

Test(undo, a_file_of_another_device_is_refused)
{
	struct fixture f;

	log_change(&f);
	f.fake.device.nr_blocks--;
	expect_refused(&f, -ENXIO, "another size");
	f.fake.device.nr_blocks++;
	fixture_release(&f);
}

Test(undo, a_device_that_was_written_since_is_left_alone)
{
	struct fixture f;

	log_change(&f);
	/* a kernel has gone on from the repaired state */
	f.fake.data[184]++;
	expect_refused(&f, -ESTALE, "was written since");
	f.fake.data[184]--;
	cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
	cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
	fixture_release(&f);
}

Test(undo, a_copy_of_the_file_that_was_cut_short_is_refused)
{
	struct fixture f;

	log_change(&f);
	cr_assert_eq(truncate(f.path, size_of(f.path) - (off_t)RECORD), 0);
	expect_refused(&f, -ESTALE, "was written since");
	fixture_release(&f);
}

Test(undo, a_torn_superblock_is_put_back)
{
	for (unsigned int sectors = 0; sectors < 256; sectors += 5) {
		struct fixture f;

		log_change(&f);
		for (size_t i = 0; i < 8; i++)
			if (sectors >> i & 1)
				memcpy(f.fake.data + i * 512,
				       f.before + i * 512, 512);
		cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
		cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
		fixture_release(&f);
	}
}

Test(undo, a_superblock_that_cannot_be_read_is_put_back)
{
	struct fixture f;

	log_change(&f);
	f.fake.bad_block = 0;
	cr_assert_eq(undo_apply(f.path, &f.fake.device, NULL), 0);
	cr_assert_eq(memcmp(f.fake.data, f.before, SIZE), 0);
	fixture_release(&f);
}

Test(undo, no_file_is_left_where_nothing_was_overwritten)
{
	struct fixture f;

	fixture_init(&f);
	cr_assert_eq(undo_log_start(&f.log, &f.fake.device, f.path, NULL), 0);
	cr_assert_eq(access(f.path, F_OK), 0);
	cr_assert_eq(undo_log_finish(&f.log), 0);
	cr_assert_eq(access(f.path, F_OK), -1);
	/* nor where the superblock cannot be saved */
	f.fake.bad_block = 0;
	cr_assert_eq(undo_log_start(&f.log, &f.fake.device, f.path, NULL),
		     -EIO);
	cr_assert_eq(f.fake.device.io, &f.fake.io);
	cr_assert_eq(access(f.path, F_OK), -1);
	fixture_release(&f);
}

Test(undo, what_is_no_undo_file_is_refused)
{
	struct fixture f;

	log_change(&f);
	cr_assert_eq(truncate(f.path, 10), 0);
	expect_refused(&f, -EBADMSG, "not an undo file");
	cr_assert_eq(truncate(f.path, 0), 0);
	expect_refused(&f, -EBADMSG, "not an undo file");
	cr_assert_eq(unlink(f.path), 0);
	expect_refused(&f, -ENOENT, "No such file");
	fixture_release(&f);
}

Test(undo, a_write_that_fails_is_reported)
{
	struct fake_report report;
	struct fixture f;

	log_change(&f);
	f.fake.fail_from[FAKE_WRITE] = f.fake.nr_calls[FAKE_WRITE] + 2;
	f.fake.error = EIO;
	fake_report_init(&report);
	cr_assert_eq(undo_apply(f.path, &f.fake.device, &report.report), -EIO);
	cr_assert(strstr(report.fatal, "cannot write at offset"));
	fixture_release(&f);
}

Test(undo, an_unreadable_block_does_not_keep_it_from_being_overwritten)
{
	uint8_t buf[ERA_BLOCK_SIZE];
	struct fixture f;

	fixture_init(&f);
	memset(buf, 0x11, sizeof(buf));
	cr_assert_eq(undo_log_start(&f.log, &f.fake.device, f.path, NULL), 0);
	f.fake.bad_block = 9;
	cr_assert_eq(era_device_write(&f.fake.device, 9, 1, buf), 0);
	f.fake.bad_block = NO_CALL;
	cr_assert_eq(undo_log_finish(&f.log), 0);
	fixture_release(&f);
}
