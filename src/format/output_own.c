/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Results are known by how they begin. What other suites write in the same
 * form (era_dump, era_invalidate, thin_metadata_pack) begins alike.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/endian.h"
#include "format/input.h"
#include "format/output_own.h"
#include "format/pack_format.h"

#define HEAD 4096u

static bool begins(const char *text, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && !memcmp(text, with, n);
}

/* Lines of one number, as era_changed saves an era, or two: a list in text. */
static bool is_numbers(const char *text, size_t len)
{
	size_t digits = 0, numbers = 1;

	for (size_t i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9') {
			digits++;
			continue;
		}
		if (!digits || (text[i] != '\n' && text[i] != ' '))
			return false;
		numbers = text[i] == ' ' ? numbers + 1 : 1;
		if (numbers > 2)
			return false;
		digits = 0;
	}
	return true;
}

/* The second line of a map in text says how large its cells are. */
static bool is_map(const char *text, size_t len)
{
	const char *line = memchr(text, '\n', len);

	return line &&
	       begins(line + 1, len - (size_t)(line + 1 - text), "a cell is ");
}

/*
 * Whether a file that begins so is a result: XML, a list in any format, a map,
 * a pack. Of len bytes there are more where whole is false.
 */
static bool is_own(const void *head, size_t len, bool whole)
{
	static const char *const beginnings[] = {
		"<superblock ",	   "<blocks>",
		"<blocks/>",	   "{\n  \"device\": ",
		"begin,length",	   "# Mapfile. Created by era_",
		"# current_era: ",
	};
	/* as map_svg.c begins, but for the size */
	static const char svg[] =
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg ";
	static const char font[] =
		"font-family=\"DejaVu Sans, sans-serif\" "
		"font-size=\"12\" fill=\"#24242c\">\n<title>";

	if (len >= 8 && get_le64(head) == PACK_MAGIC)
		return true;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (begins(head, len, beginnings[i]))
			return true;
	if (begins(head, len, svg))
		return memmem(head, len, font, strlen(font));
	/* a part that ends within a line is cut where that begins */
	if (!whole)
		while (len && ((const char *)head)[len - 1] != '\n')
			len--;
	if (!whole && !len)
		return false;
	return is_numbers(head, len) || is_map(head, len);
}

/* Whether a gzip file of which len bytes were read is a result. */
static bool is_own_gzip(uint8_t *data, size_t len)
{
	uint8_t head[HEAD];
	z_stream stream = { .next_in = data,
			    .avail_in = (uInt)len,
			    .next_out = head,
			    .avail_out = sizeof(head) };
	int r;

	if (inflateInit2(&stream, INPUT_WINDOW_BITS_GZIP) != Z_OK)
		return false;
	r = inflate(&stream, Z_SYNC_FLUSH);
	inflateEnd(&stream);
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return false;
	return is_own(head, sizeof(head) - stream.avail_out, r == Z_STREAM_END);
}

static bool file_is_own(int fd)
{
	uint8_t head[HEAD];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return false;
	if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return is_own_gzip(head, (size_t)n);
	return is_own(head, (size_t)n, n < (ssize_t)sizeof(head));
}

int output_check_own(const char *path, struct era_report *report)
{
	struct stat st, out;
	bool own;
	int fd;

	if (!path || !strcmp(path, "-") || stat(path, &st) ||
	    !S_ISREG(st.st_mode) || !st.st_size)
		return 0;
	/* /dev/stdout: what the shell has opened is the shell's affair */
	if (!fstat(STDOUT_FILENO, &out) && out.st_dev == st.st_dev &&
	    out.st_ino == st.st_ino)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	own = fd >= 0 && file_is_own(fd);
	if (fd >= 0)
		close(fd);
	if (own)
		return 0;
	era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s is a file that these tools did not write (--force "
			"overwrites it)",
			path);
	return -EEXIST;
}
