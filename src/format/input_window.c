/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves what is left to the front and reads behind it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/input_window.h"

int input_window_init(struct input_window *window, struct input *in)
{
	*window = (struct input_window){ .in = in };
	window->buf = malloc(INPUT_WINDOW_SIZE + INPUT_WINDOW_ZEROES);
	if (!window->buf)
		return -ENOMEM;
	window->begin = window->end = window->buf;
	memset(window->end, 0, INPUT_WINDOW_ZEROES);
	return 0;
}

void input_window_release(struct input_window *window)
{
	free(window->buf);
	window->buf = NULL;
}

int input_window_fill(struct input_window *window)
{
	size_t len = input_window_len(window);
	ssize_t got;

	memmove(window->buf, window->begin, len);
	window->begin = window->buf;
	window->end = window->buf + len;
	memset(window->end, 0, INPUT_WINDOW_ZEROES);
	if (window->eof || len == INPUT_WINDOW_SIZE)
		return 0;
	got = input_read(window->in, window->end, INPUT_WINDOW_SIZE - len);
	if (got < 0)
		return (int)got;
	window->eof = got == 0;
	window->end += got;
	memset(window->end, 0, INPUT_WINDOW_ZEROES);
	return 0;
}
