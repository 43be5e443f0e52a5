/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Five ways of writing a range down, none of which holds more than one.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/decimal.h"
#include "format/ranges.h"
#include "format/report_json.h"

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
	p = stpcpy(p, ",\n  \"unit\": \"");
	p = stpcpy(p, unit_names[writer->unit]);
	p = stpcpy(p, "\",\n  \"block_size\": ");
	p += decimal_put(p, geometry->data_block_size);
	p = stpcpy(p, ",\n  \"nr_blocks\": ");
	p += decimal_put(p, geometry->nr_blocks);
	p = stpcpy(p, ",\n  \"current_era\": ");
	p += decimal_put(p, geometry->current_era);
	return stpcpy(p, ",\n  \"ranges\": [");
}

/* The device's name in JSON, for which no length is known beforehand. */
static int put_json_device(const struct range_writer *writer)
{
	char *name = report_json_quote(writer->device);
	int r = name ? output_puts(writer->out, "{\n  \"device\": ") : -ENOMEM;

	if (!r)
		r = output_puts(writer->out, name);
	free(name);
	return r;
}

static char *put_hex(char *p, uint64_t value)
{
	return p + sprintf(p, "0x%08" PRIX64, value);
}

/* What ddrescue reads first; it takes '#' for a comment. */
static char *put_mapfile_begin(char *p, const struct era_geometry *geometry)
{
	p = stpcpy(p, "# Mapfile. Created by era_invalidate " PACKAGE_VERSION
		      "\n# '+': written since the era that was asked for\n"
		      "# current_era: ");
	p += decimal_put(p, geometry->current_era);
	return stpcpy(p, "\n# current_pos  current_status\n"
			 "0x00000000     +\n"
			 "#      pos        size  status\n");
}

static char *put_area(char *p, uint64_t begin, uint64_t end, char status)
{
	if (begin == end)
		return p;
	p = put_hex(p, begin);
	p = stpcpy(p, "  ");
	p = put_hex(p, end - begin);
	*p++ = ' ';
	*p++ = ' ';
	*p++ = status;
	*p++ = '\n';
	return p;
}

/* A mapfile has no gaps: what was not written is "not tried". */
static char *put_mapfile(struct range_writer *writer, char *p, uint64_t begin,
			 uint64_t end)
{
	p = put_area(p, writer->next, begin, '?');
	writer->next = end;
	return put_area(p, begin, end, '+');
}

static int on_begin(struct era_range_visitor *visitor,
		    const struct era_geometry *geometry)
{
	struct range_writer *writer = (struct range_writer *)visitor;
	char *room, *p;

	if (writer->format == RANGES_JSON) {
		int r = put_json_device(writer);

		if (r)
			return r;
	}
	room = p = output_reserve(writer->out, OBJECT_ROOM);
	if (!room)
		return writer->out->error;
	writer->scale = unit_scale(writer->unit, geometry->data_block_size);
	writer->size = geometry->nr_blocks * writer->scale;
	if (writer->header) {
		p = stpcpy(p, "# current_era: ");
		p += decimal_put(p, geometry->current_era);
		*p++ = '\n';
	}
	if (writer->format == RANGES_XML)
		p = stpcpy(p, "<blocks>\n");
	else if (writer->format == RANGES_JSON)
		p = put_json_begin(p, writer, geometry);
	else if (writer->format == RANGES_CSV)
		p = stpcpy(p, "begin,length\n");
	else if (writer->format == RANGES_DDRESCUE)
		p = put_mapfile_begin(p, geometry);
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

static char *put_text(char *p, uint64_t begin, uint64_t length, char between)
{
	p += decimal_put(p, begin);
	*p++ = between;
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
	switch (writer->format) {
	case RANGES_XML:
		p = put_xml(room, begin, end);
		break;
	case RANGES_TEXT:
		p = put_text(room, from, length, ' ');
		break;
	case RANGES_CSV:
		p = put_text(room, from, length, ',');
		break;
	case RANGES_DDRESCUE:
		p = put_mapfile(writer, room, from, from + length);
		break;
	case RANGES_JSON:
	default:
		p = put_json(room, from, length, !writer->any);
	}
	writer->any = true;
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static int on_end(struct era_range_visitor *visitor)
{
	struct range_writer *writer = (struct range_writer *)visitor;
	char line[RANGE_ROOM];

	if (writer->format == RANGES_XML)
		return output_puts(writer->out, "</blocks>\n");
	/* last, so that a list that is cut off does not look complete */
	if (writer->format == RANGES_JSON)
		return output_puts(
			writer->out,
			writer->any ? "\n  ],\n  \"outcome\": \"sound\"\n}\n"
				    : "],\n  \"outcome\": \"sound\"\n}\n");
	if (writer->format == RANGES_DDRESCUE) {
		*put_area(line, writer->next, writer->size, '?') = '\0';
		return output_puts(writer->out, line);
	}
	return 0;
}

void range_writer_init(struct range_writer *writer, struct output *out,
		       enum range_format format, enum range_unit unit,
		       const char *device)
{
	*writer = (struct range_writer){
		.visitor = { .begin = on_begin,
			     .range = on_range,
			     .end = on_end },
		.out = out,
		.format = format,
		.unit = format == RANGES_DDRESCUE ? UNIT_BYTES : unit,
		.device = device,
	};
}
