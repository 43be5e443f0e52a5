/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads XML from memory and writes down which calls reach the sink, for the
 * unit tests and the fuzzer alike.
 */
#ifndef TESTS_XML_TRACE_H
#define TESTS_XML_TRACE_H

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "format/xml_reader.h"

struct xml_trace {
	struct era_visitor visitor;
	FILE *stream;
	int fail_words; /* what writeset_words returns, if not 0 */

	/* the result */
	int r;
	char *calls;
	size_t calls_len;
	char message[1024]; /* of the last problem */
	unsigned int nr_problems;
};

static inline int trace_superblock(struct era_visitor *visitor,
				   const struct era_geometry *g)
{
	struct xml_trace *trace = (struct xml_trace *)visitor;

	fprintf(trace->stream, "superblock ");
	for (int i = 0; i < 16; i++)
		fprintf(trace->stream, "%02x", g->uuid[i]);
	fprintf(trace->stream, " %" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
		g->data_block_size, g->nr_blocks, g->current_era);
	return 0;
}

static inline int trace_writeset_begin(struct era_visitor *visitor,
				       uint32_t era, uint32_t nr_bits)
{
	struct xml_trace *trace = (struct xml_trace *)visitor;

	fprintf(trace->stream, "writeset %" PRIu32 " %" PRIu32 "\n", era,
		nr_bits);
	return 0;
}

static inline int trace_words(struct era_visitor *visitor, uint32_t first,
			      const uint64_t *words, size_t nr)
{
	struct xml_trace *trace = (struct xml_trace *)visitor;

	fprintf(trace->stream, "words %" PRIu32, first);
	for (size_t i = 0; i < nr; i++)
		fprintf(trace->stream, " %" PRIx64, words[i]);
	fprintf(trace->stream, "\n");
	return trace->fail_words;
}

static inline int trace_writeset_end(struct era_visitor *visitor)
{
	fprintf(((struct xml_trace *)visitor)->stream, "writeset_end\n");
	return 0;
}

static inline int trace_eras(struct era_visitor *visitor, uint32_t first,
			     const uint32_t *eras, size_t nr)
{
	struct xml_trace *trace = (struct xml_trace *)visitor;

	fprintf(trace->stream, "eras %" PRIu32, first);
	for (size_t i = 0; i < nr; i++)
		fprintf(trace->stream, " %" PRIu32, eras[i]);
	fprintf(trace->stream, "\n");
	return 0;
}

static inline int trace_end(struct era_visitor *visitor)
{
	fprintf(((struct xml_trace *)visitor)->stream, "end\n");
	return 0;
}

static inline void trace_problem(void *arg, const struct era_problem *problem)
{
	struct xml_trace *trace = arg;

	snprintf(trace->message, sizeof(trace->message), "%s", problem->text);
	/* what was completed is told as a note */
	trace->nr_problems += problem->severity == ERA_FATAL;
}

/*
 * What input_open_fd() can read: a file, or, where piece is not 0, a socket
 * of which each read gives a piece of that many bytes.
 */
static inline int trace_fd(const void *data, size_t len, size_t piece)
{
	const char *p = data;
	int fds[2];

	if (!piece) {
		fds[0] = memfd_create("xml", MFD_CLOEXEC);
		if (write(fds[0], data, len) != (ssize_t)len)
			abort();
		lseek(fds[0], 0, SEEK_SET);
		return fds[0];
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
		abort();
	for (size_t n; len; len -= n, p += n) {
		n = len < piece ? len : piece;
		if (send(fds[1], p, n, MSG_DONTWAIT) != (ssize_t)n)
			break; /* more pieces than fit: cut short, for both */
	}
	close(fds[1]);
	return fds[0];
}

typedef int (*xml_read_fn)(struct input *in, const char *name,
			   struct era_visitor *sink, struct era_report *report);

/* trace->stream is to be closed, and trace->calls then to be freed. */
static inline void trace_begin(struct xml_trace *trace)
{
	trace->visitor = (struct era_visitor){
		.superblock = trace_superblock,
		.writeset_begin = trace_writeset_begin,
		.writeset_words = trace_words,
		.writeset_end = trace_writeset_end,
		.eras = trace_eras,
		.end = trace_end,
	};
	trace->stream = open_memstream(&trace->calls, &trace->calls_len);
}

/* Runs read over data; free trace->calls afterwards. */
static inline void trace_read(struct xml_trace *trace, xml_read_fn read_fn,
			      const void *data, size_t len, size_t piece)
{
	struct era_report report = { .problem = trace_problem, .arg = trace };
	struct input in;

	trace_begin(trace);
	trace->r = input_open_fd(&in, trace_fd(data, len, piece), "x.xml",
				 &report);
	if (!trace->r) {
		trace->r = read_fn(&in, "x.xml", &trace->visitor, &report);
		input_close(&in);
	}
	fclose(trace->stream);
}

/*
 * Both readers over the same bytes. Returns NULL where they agree: the same
 * calls, or both refuse and say so once. (How far libxml2 gets before it
 * refuses, and with which words, depends on how the bytes reach it.)
 */
static inline const char *trace_compare(const void *data, size_t len,
					size_t piece)
{
	struct xml_trace lexer = { 0 }, libxml2 = { 0 };
	const char *what = NULL;

	trace_read(&lexer, xml_read, data, len, piece);
	trace_read(&libxml2, xml_read_libxml2, data, len, piece);
	if (lexer.r != libxml2.r)
		what = "results differ";
	else if (!lexer.r && strcmp(lexer.calls, libxml2.calls))
		what = "calls to the sink differ";
	else if (lexer.nr_problems != (lexer.r ? 1u : 0u) ||
		 libxml2.nr_problems != (libxml2.r ? 1u : 0u))
		what = "a failure is not reported once";
	if (what)
		fprintf(stderr, "%s:\nlexer: %d %s\n%s\nlibxml2: %d %s\n%s\n",
			what, lexer.r, lexer.message, lexer.calls, libxml2.r,
			libxml2.message, libxml2.calls);
	free(lexer.calls);
	free(libxml2.calls);
	return what;
}

#endif
