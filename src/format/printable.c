/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decodes UTF-8 by hand: what mbrtowc() takes for a character, and iswprint()
 * for a printable one, depends on the locale.
 */
#include "config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include "format/printable.h"

/* The bytes of the character that p begins with; 0 where it is no UTF-8. */
static unsigned int decode(const unsigned char *p, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int len = *p < 0x80	       ? 1
			   : (*p & 0xe0) == 0xc0 ? 2
			   : (*p & 0xf0) == 0xe0 ? 3
			   : (*p & 0xf8) == 0xf0 ? 4
						 : 0;
	uint32_t c = *p;

	if (len > 1)
		c &= 0x7fu >> len;
	/* the string's end is no byte of a character either */
	for (unsigned int i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*character = c;
	return len;
}

static bool is_harmless(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} harmful[] = {
		{ 0x00, 0x1f },	    { 0x7f, 0x9f },	/* C0; DEL and C1 */
		{ 0x061c, 0x061c }, { 0x200e, 0x200f }, /* direction marks */
		{ 0x2028, 0x2029 },			/* ends of lines */
		{ 0x202a, 0x202e }, { 0x2066, 0x2069 }, /* embeddings */
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, /* annotations */
		{ 0xe0000, 0xe007f },			/* invisible tags */
	};

	for (size_t i = 0; i < sizeof(harmful) / sizeof(harmful[0]); i++)
		if (c >= harmful[i].first && c <= harmful[i].last)
			return false;
	return true;
}

void printable_put(const char *s, FILE *stream)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p) {
		uint32_t c = 0;
		unsigned int len = decode(p, &c);

		if (len && is_harmless(c)) {
			fwrite(p, 1, len, stream);
		} else if (len < 2) {
			fprintf(stream, "\\x%02x", (unsigned int)*p);
			len = 1;
		} else {
			fprintf(stream,
				c > 0xffff ? "\\U%08" PRIx32
					   : "\\u%04" PRIx32,
				c);
		}
		p += len;
	}
}
