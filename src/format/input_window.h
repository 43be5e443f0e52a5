/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A window that slides over an input: its bytes lie in one piece, with zeroes
 * behind them, so that a lexer may look ahead without asking where it is.
 */
#ifndef FORMAT_INPUT_WINDOW_H
#define FORMAT_INPUT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "format/input.h"

#define INPUT_WINDOW_SIZE (256u * 1024)
#define INPUT_WINDOW_ZEROES 64u /* bytes after the last one that read as 0 */

struct input_window {
	struct input *in;
	char *buf;
	char *begin; /* the bytes not yet consumed */
	char *end;
	bool eof; /* nothing follows end */
};

int input_window_init(struct input_window *window, struct input *in);
void input_window_release(struct input_window *window);

/*
 * Reads more behind what is not consumed, which moves. Returns 0 (then there
 * is more, or eof is set, or the window was full) or a negative errno.
 */
int input_window_fill(struct input_window *window);

static inline size_t input_window_len(const struct input_window *window)
{
	return (size_t)(window->end - window->begin);
}

#endif
