/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sink of era_invalidate: ranges of data blocks as XML, as lines of text
 * or as JSON, written as they come.
 *
 * XML counts blocks, has <block block=""/> for one and <range begin="" end=""/>
 * (end exclusive) for more, each on a line of its own. Text has a line
 * "BEGIN LENGTH" for each range: what dd (skip=, count=), blkdiscard and
 * device-mapper tables want. JSON is an object:
 *   { "unit": "bytes", "block_size": 128, "nr_blocks": 512,
 *     "current_era": 3, "ranges": [ { "begin": 0, "length": 65536 } ] }
 * where block_size is in sectors of 512 bytes whatever the unit. In sectors
 * or bytes the last range may reach past the end of the origin, whose size
 * need not be a multiple of the block size.
 */
#ifndef FORMAT_RANGES_H
#define FORMAT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "era/visitor.h"
#include "format/decimal.h"
#include "format/output.h"

/* The rows of a table in ranges.c, which has all there is to a format. */
enum range_format {
	RANGES_XML,
	RANGES_TEXT,
	RANGES_JSON,
	RANGES_CSV,
	RANGES_DDRESCUE, /* a domain mapfile, always in bytes */
};

#define RANGES_NR_FORMATS (RANGES_DDRESCUE + 1)

enum range_unit {
	UNIT_BLOCKS,
	UNIT_SECTORS, /* of 512 bytes */
	UNIT_BYTES,
};

struct range_writer {
	struct era_range_visitor visitor; /* the sink */
	struct output *out;
	enum range_format format;
	enum range_unit unit;	  /* of text and JSON */
	bool header;		  /* of text and csv: say the current era */
	uint64_t scale;		  /* units a block */
	const char *device;	  /* of JSON and ddrescue: what is listed */
	uint64_t next;		  /* of ddrescue: what comes next, in bytes */
	uint64_t size;		  /* and the end of the device */
	bool any;		  /* a range has been written */
	struct decimal_near near; /* the last number */
};

/* As users name it. */
const char *range_format_name(enum range_format format);

/*
 * Why a format has no such unit, which somebody has asked for, or no header;
 * NULL where it has.
 */
const char *range_format_refuses_unit(enum range_format format,
				      enum range_unit unit);
const char *range_format_refuses_header(enum range_format format);

void range_writer_init(struct range_writer *writer, struct output *out,
		       enum range_format format, enum range_unit unit,
		       const char *device);

#endif
