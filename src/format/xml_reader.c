/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lexer, then libxml2 for what it leaves.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/endian.h"
#include "format/input_window.h"
#include "format/pack_format.h"
#include "format/xml_document.h"
#include "format/xml_lexer.h"
#include "format/xml_parser.h"
#include "format/xml_reader.h"

/* An era superblock's magic (dm-era-target.c) and where it stands. */
#define SUPERBLOCK_MAGIC 2126579579u
#define SUPERBLOCK_MAGIC_OFFSET 32

/* Mistakes that deserve a better sentence than a parser's. */
static int check_start(struct input_window *window, const char *name,
		       struct era_report *report)
{
	const char *what = NULL;
	int r = 0;

	while (!r && !window->eof &&
	       input_window_len(window) < SUPERBLOCK_MAGIC_OFFSET + 4)
		r = input_window_fill(window);
	if (r)
		return r;
	if (window->begin == window->end)
		what = "is empty";
	else if (get_le32(window->begin + SUPERBLOCK_MAGIC_OFFSET) ==
		 SUPERBLOCK_MAGIC)
		what = "holds era metadata, not XML";
	else if (get_le64(window->begin) == PACK_MAGIC)
		what = "is a pack, not XML (era_metadata_unpack makes "
		       "metadata of it)";
	if (!what)
		return 0;
	era_report_kind(report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
			ERA_NO_DATA, "%s: line 1, column 1: the file %s", name,
			what);
	return -EINVAL;
}

static int read_document(struct input_window *window, const char *name,
			 struct xml_document *doc, bool lexer,
			 struct era_report *report)
{
	struct xml_mark mark = { .line = 1 };
	int r = check_start(window, name, report);

	if (!r && lexer)
		r = xml_lex(window, doc, &mark);
	if (r)
		return r;
	if (doc->place != XML_AFTER || !window->eof ||
	    window->begin != window->end)
		r = xml_parse(window, name, doc, &mark, report);
	return r ? r : xml_document_end(doc, report);
}

static int read_xml(struct input *in, const char *name,
		    struct era_visitor *sink, bool lexer,
		    struct era_report *report)
{
	struct input_window window = { 0 };
	struct xml_document *doc = malloc(sizeof(*doc));
	int r = doc ? input_window_init(&window, in) : -ENOMEM;

	if (r) {
		era_report_kind(report, ERA_KIND_SYSTEM, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s: out of memory", name);
	} else {
		xml_document_init(doc, sink);
		r = read_document(&window, name, doc, lexer, report);
	}
	input_window_release(&window);
	free(doc);
	return r;
}

int xml_read(struct input *in, const char *name, struct era_visitor *sink,
	     struct era_report *report)
{
	return read_xml(in, name, sink, true, report);
}

int xml_read_libxml2(struct input *in, const char *name,
		     struct era_visitor *sink, struct era_report *report)
{
	return read_xml(in, name, sink, false, report);
}
