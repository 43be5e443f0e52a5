/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inflates part of a file, handing out what a reader of records needs: the
 * next bytes in one piece, never more than a bounded window of them.
 */
#ifndef FORMAT_PACK_INFLATE_H
#define FORMAT_PACK_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

struct pack_inflate {
	int fd;
	uint64_t offset; /* of what is read next */
	uint64_t end;	 /* of this part of the file */
	z_stream z;
	bool z_ready; /* z was initialized */
	bool ended;   /* the zlib stream is at its end */
	uint8_t *in;
	uint8_t *window;
	size_t begin; /* of the bytes in window, not yet used */
	size_t filled;
};

int pack_inflate_init(struct pack_inflate *in, int fd);
void pack_inflate_release(struct pack_inflate *in);

/* The next zlib stream is at offset, and ends before end. */
int pack_inflate_start(struct pack_inflate *in, uint64_t offset, uint64_t end);

/*
 * Makes at least want bytes available (or all up to the stream's end), at
 * in->window + in->begin, up to in->filled. want is at most
 * PACK_RECORD_MAX + 8. -EINVAL: corrupt; -ENODATA: cut short; or what read(2)
 * says.
 */
int pack_inflate_fill(struct pack_inflate *in, size_t want);

/* Where in the file the stream ended. */
uint64_t pack_inflate_end(const struct pack_inflate *in);

#endif
