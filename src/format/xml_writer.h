/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sink of era_dump: the XML form of metadata, to the byte as the suites
 * in use write it.
 */
#ifndef FORMAT_XML_WRITER_H
#define FORMAT_XML_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "era/visitor.h"
#include "format/output.h"

#define XML_WRITER_CACHE 256 /* ends of <era> lines kept, a power of two */

struct xml_era_tail {
	char text[32]; /* `" era="N"/>` and LF */
	uint32_t era;
	uint32_t len; /* 0: not formatted yet */
};

struct xml_writer {
	struct era_visitor visitor; /* the sink */
	struct output *out;
	bool compact;
	uint32_t nr_bits;   /* of the open writeset */
	uint32_t run_begin; /* compact: the open run of marked blocks */
	uint32_t run_end;
	uint32_t run_era; /* of the open run of <eras> */
	bool in_era_array;
	struct xml_era_tail tails[XML_WRITER_CACHE];
};

/*
 * compact: <marked/> for each run of written blocks, not <bit/> for each, and
 * <eras/> for each run of blocks of one era.
 */
void xml_writer_init(struct xml_writer *writer, struct output *out,
		     bool compact);

#endif
