/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three ways of writing a range down, none of which holds more than one.
 */
#include "config.h"

#include <string.h>

#include "format/decimal.h"
#include "format/ranges.h"

#define RANGE_ROOM 128	 /* bytes of the longest range */
#define OBJECT_ROOM 512	 /* of what stands before the first one in JSON */
#define SECTOR_SIZE 512u /* bytes */

static const char *const unit_names[] = {
	[UNIT_BLOCKS] = "blocks",
	[UNIT_SECTORS] = "sectors",
	[UNIT_BYTES] = "bytes",
};

static uint64_t unit_scale(enum range_unit unit, uint32_t block_size)
{
	switch (unit) {
	case UNIT_SECTORS:
		return block_size;
	case UNIT_BYTES:
		return (uint64_t)block_size * SECTOR_SIZE;
	case UNIT_BLOCKS:
	default:
		return 1;
	}
}

static char *put_json_begin(char *p, const struct range_writer *writer,
			    const struct era_geometry *geometry)
{
	p = stpcpy(p, "{\n  \"unit\": \"");
	p = stpcpy(p, unit_names[writer->unit]);
	p = stpcpy(p, "\",\n  \"block_size\": ");
	p += decimal_put(p, geometry->data_block_size);
	p = stpcpy(p, ",\n  \"nr_blocks\": ");
	p += decimal_put(p, geometry->nr_blocks);
	p = stpcpy(p, ",\n  \"current_era\": ");
	p += decimal_put(p, geometry->current_era);
	return stpcpy(p, ",\n  \"ranges\": [");
}

static int on_begin(struct era_range_visitor *visitor,
		    const struct era_geometry *geometry)
{
	struct range_writer *writer = (struct range_writer *)visitor;
	char *room = output_reserve(writer->out, OBJECT_ROOM);
	char *p = room;

	if (!room)
		return writer->out->error;
	writer->scale = unit_scale(writer->unit, geometry->data_block_size);
	if (writer->format == RANGES_XML)
		p = stpcpy(p, "<blocks>\n");
	else if (writer->format == RANGES_JSON)
		p = put_json_begin(p, writer, geometry);
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static char *put_xml(char *p, uint32_t begin, uint32_t end)
{
	if (end - begin == 1) {
		p = stpcpy(p, "  <block block=\"");
		p += decimal_put(p, begin);
		return stpcpy(p, "\"/>\n");
	}
	p = stpcpy(p, "  <range begin=\"");
	p += decimal_put(p, begin);
	p = stpcpy(p, "\" end=\"");
	p += decimal_put(p, end);
	return stpcpy(p, "\"/>\n");
}

static char *put_text(char *p, uint64_t begin, uint64_t length)
{
	p += decimal_put(p, begin);
	*p++ = ' ';
	p += decimal_put(p, length);
	*p++ = '\n';
	return p;
}

static char *put_json(char *p, uint64_t begin, uint64_t length, bool first)
{
	p = stpcpy(p, first ? "\n" : ",\n");
	p = stpcpy(p, "    { \"begin\": ");
	p += decimal_put(p, begin);
	p = stpcpy(p, ", \"length\": ");
	p += decimal_put(p, length);
	return stpcpy(p, " }");
}

static int on_range(struct era_range_visitor *visitor, uint32_t begin,
		    uint32_t end)
{
	struct range_writer *writer = (struct range_writer *)visitor;
	uint64_t from = begin * writer->scale;
	uint64_t length = (end - begin) * writer->scale;
	char *room = output_reserve(writer->out, RANGE_ROOM);
	char *p;

	if (!room)
		return writer->out->error;
	if (writer->format == RANGES_XML)
		p = put_xml(room, begin, end);
	else if (writer->format == RANGES_TEXT)
		p = put_text(room, from, length);
	else
		p = put_json(room, from, length, !writer->any);
	writer->any = true;
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static int on_end(struct era_range_visitor *visitor)
{
	struct range_writer *writer = (struct range_writer *)visitor;

	if (writer->format == RANGES_XML)
		return output_puts(writer->out, "</blocks>\n");
	if (writer->format == RANGES_JSON)
		return output_puts(writer->out,
				   writer->any ? "\n  ]\n}\n" : "]\n}\n");
	return 0;
}

void range_writer_init(struct range_writer *writer, struct output *out,
		       enum range_format format, enum range_unit unit)
{
	*writer = (struct range_writer){
		.visitor = { .begin = on_begin,
			     .range = on_range,
			     .end = on_end },
		.out = out,
		.format = format,
		.unit = unit,
	};
}
