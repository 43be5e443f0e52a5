/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inputs: plain, gzip, and gzip that is not whole.
 */
#include "config.h"

#define ZLIB_CONST /* what is deflated is not changed */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "format/input.h"

TestSuite(input, .timeout = 60);

static char message[1024];
static unsigned int nr_problems;

static void on_problem(void *arg, const struct era_problem *problem)
{
	(void)arg;
	snprintf(message, sizeof(message), "%s", problem->text);
	nr_problems++;
}

static struct era_report report = { .problem = on_problem };

struct bytes {
	unsigned char data[8192];
	size_t len;
};

static void add(struct bytes *bytes, const void *data, size_t len)
{
	cr_assert_leq(bytes->len + len, sizeof(bytes->data));
	memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

static void add_gzip(struct bytes *bytes, const char *text)
{
	z_stream s = { 0 };

	cr_assert_eq(deflateInit2(&s, 9, Z_DEFLATED, 31, 8, 0), Z_OK);
	s.next_in = (const unsigned char *)text;
	s.avail_in = (unsigned int)strlen(text);
	s.next_out = bytes->data + bytes->len;
	s.avail_out = (unsigned int)(sizeof(bytes->data) - bytes->len);
	cr_assert_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
	bytes->len += s.total_out;
	deflateEnd(&s);
}

/* Reads all in steps of that size; what was read, or the error. */
static ssize_t read_all(const struct bytes *bytes, char *text, size_t step)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	struct input in;
	size_t len = 0;
	ssize_t n;
	int r;

	cr_assert_eq(write(fd, bytes->data, bytes->len), (ssize_t)bytes->len);
	lseek(fd, 0, SEEK_SET);
	r = input_open_fd(&in, fd, "x", &report);
	if (r)
		return r;
	while ((n = input_read(&in, text + len, step)) > 0)
		len += (size_t)n;
	if (n < 0)
		cr_assert_eq(input_read(&in, text, step), n);
	input_close(&in);
	text[len] = '\0';
	return n < 0 ? n : (ssize_t)len;
}

static void reads(const struct bytes *bytes, const char *expected)
{
	char text[8192];

	for (size_t step = 1; step < 20; step += 6) {
		cr_assert_eq(read_all(bytes, text, step),
			     (ssize_t)strlen(expected), "%s", message);
		cr_assert_str_eq(text, expected);
	}
	cr_assert_eq(nr_problems, 0);
}

static void refuses(const struct bytes *bytes, const char *expected)
{
	char text[8192];

	nr_problems = 0;
	cr_assert_eq(read_all(bytes, text, 7), -EINVAL);
	cr_assert_eq(nr_problems, 1);
	cr_assert(strstr(message, expected), "%s", message);
}

Test(input, reads_plain_bytes_of_any_number)
{
	static const char *const texts[] = {
		"", "a", "ab", "\x1f", "\x1f\x8c", "hello world"
	};

	for (size_t i = 0; i < 6; i++) {
		struct bytes bytes = { 0 };

		add(&bytes, texts[i], strlen(texts[i]));
		reads(&bytes, texts[i]);
	}
}

Test(input, finds_gzip_by_content)
{
	struct bytes bytes = { 0 };

	add_gzip(&bytes, "hello world");
	reads(&bytes, "hello world");
}

Test(input, reads_several_members)
{
	struct bytes bytes = { 0 };

	add_gzip(&bytes, "hello ");
	add_gzip(&bytes, "");
	add_gzip(&bytes, "world");
	reads(&bytes, "hello world");
}

Test(input, takes_zeroes_after_the_last_member)
{
	struct bytes bytes = { 0 };

	add_gzip(&bytes, "hello");
	add(&bytes, (char[512]){ 0 }, 512);
	reads(&bytes, "hello");
}

Test(input, refuses_gzip_cut_short)
{
	struct bytes bytes = { 0 };

	add_gzip(&bytes, "hello world");
	while (--bytes.len >= 2)
		refuses(&bytes, "cut short");
}

Test(input, refuses_a_second_member_cut_short)
{
	struct bytes bytes = { 0 };

	add_gzip(&bytes, "hello ");
	add_gzip(&bytes, "world");
	bytes.len--;
	refuses(&bytes, "cut short");
}

Test(input, refuses_gzip_with_a_wrong_checksum)
{
	struct bytes bytes = { 0 };

	add_gzip(&bytes, "hello world");
	bytes.data[bytes.len - 8] ^= 1;
	refuses(&bytes, "corrupt");
}

Test(input, refuses_what_follows_gzip_and_is_none)
{
	struct bytes bytes = { 0 };

	add_gzip(&bytes, "hello world");
	add(&bytes, "more", 4);
	refuses(&bytes, "what follows the gzip data");
}

Test(input, refuses_a_missing_file_and_a_directory)
{
	struct input in;

	cr_assert_eq(input_open(&in, "/nonexistent", &report), -ENOENT);
	cr_assert_str_eq(message, "/nonexistent: cannot read: No such file or "
				  "directory");
	cr_assert_eq(input_open(&in, "/tmp", &report), -EISDIR);
	cr_assert_str_eq(message, "/tmp: cannot read: Is a directory");
	cr_assert_eq(nr_problems, 2);
}
