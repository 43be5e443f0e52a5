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

static char *begin_json(char *p, const struct range_writer *writer,
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
static char *begin_mapfile(char *p, const struct range_writer *writer,
			   const struct era_geometry *geometry)
{
	(void)writer;
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
static char *put_mapfile(char *p, struct range_writer *writer, uint64_t begin,
			 uint64_t end)
{
	p = put_area(p, writer->next, begin, '?');
	writer->next = end;
	return put_area(p, begin, end, '+');
}

static char *end_mapfile(char *p, const struct range_writer *writer)
{
	return put_area(p, writer->next, writer->size, '?');
}

static char *begin_xml(char *p, const struct range_writer *writer,
		       const struct era_geometry *geometry)
{
	(void)writer;
	(void)geometry;
	return stpcpy(p, "<blocks>\n");
}

static char *put_xml(char *p, struct range_writer *writer, uint64_t begin,
		     uint64_t end)
{
	if (end - begin == 1) {
		p = stpcpy(p, "  <block block=\"");
		p += decimal_put_near(p, begin, &writer->near);
		return stpcpy(p, "\"/>\n");
	}
	p = stpcpy(p, "  <range begin=\"");
	p += decimal_put_near(p, begin, &writer->near);
	p = stpcpy(p, "\" end=\"");
	p += decimal_put_near(p, end, &writer->near);
	return stpcpy(p, "\"/>\n");
}

static char *end_xml(char *p, const struct range_writer *writer)
{
	(void)writer;
	return stpcpy(p, "</blocks>\n");
}

static char *put_line(char *p, struct range_writer *writer, uint64_t begin,
		      uint64_t end, char between)
{
	p += decimal_put_near(p, begin, &writer->near);
	*p++ = between;
	p += decimal_put(p, end - begin);
	*p++ = '\n';
	return p;
}

static char *put_text(char *p, struct range_writer *writer, uint64_t begin,
		      uint64_t end)
{
	return put_line(p, writer, begin, end, ' ');
}

static char *begin_csv(char *p, const struct range_writer *writer,
		       const struct era_geometry *geometry)
{
	(void)writer;
	(void)geometry;
	return stpcpy(p, "begin,length\n");
}

static char *put_csv(char *p, struct range_writer *writer, uint64_t begin,
		     uint64_t end)
{
	return put_line(p, writer, begin, end, ',');
}

static char *put_json(char *p, struct range_writer *writer, uint64_t begin,
		      uint64_t end)
{
	p = stpcpy(p, writer->any ? ",\n" : "\n");
	p = stpcpy(p, "    { \"begin\": ");
	p += decimal_put_near(p, begin, &writer->near);
	p = stpcpy(p, ", \"length\": ");
	p += decimal_put(p, end - begin);
	return stpcpy(p, " }");
}

/* The outcome is last, so that a list that is cut off does not look whole. */
static char *end_json(char *p, const struct range_writer *writer)
{
	return stpcpy(p, writer->any ? "\n  ],\n  \"outcome\": \"sound\"\n}\n"
				     : "],\n  \"outcome\": \"sound\"\n}\n");
}

/*
 * All there is to a format. What writes may leave out begin and end, and puts
 * a range, in the writer's unit, into RANGE_ROOM bytes. A new row needs its
 * name in --help (tools/list.c), in the manual and in completions/, too.
 */
static const struct {
	const char *name;
	char *(*begin)(char *p, const struct range_writer *writer,
		       const struct era_geometry *geometry);
	char *(*range)(char *p, struct range_writer *writer, uint64_t begin,
		       uint64_t end);
	char *(*end)(char *p, const struct range_writer *writer);
	const char *why; /* it refuses a unit */
	enum range_unit unit;
	bool names_device;     /* before all else */
	bool has_header;       /* where it is asked for */
	bool has_one_unit;     /* the one above */
	bool refuses_its_unit; /* even by name */
} formats[RANGES_NR_FORMATS] = {
	[RANGES_XML] = { .name = "xml",
			 .begin = begin_xml,
			 .range = put_xml,
			 .end = end_xml,
			 .has_one_unit = true,
			 .unit = UNIT_BLOCKS,
			 .refuses_its_unit = true,
			 .why = "XML always counts blocks, --unit is for "
				"--format=text, csv and json" },
	[RANGES_TEXT] = { .name = "text",
			  .range = put_text,
			  .has_header = true },
	[RANGES_JSON] = { .name = "json",
			  .begin = begin_json,
			  .range = put_json,
			  .end = end_json,
			  .names_device = true },
	[RANGES_CSV] = { .name = "csv",
			 .begin = begin_csv,
			 .range = put_csv,
			 .has_header = true },
	[RANGES_DDRESCUE] = { .name = "ddrescue",
			      .begin = begin_mapfile,
			      .range = put_mapfile,
			      .end = end_mapfile,
			      .has_one_unit = true,
			      .unit = UNIT_BYTES,
			      .why = "a mapfile of ddrescue is in bytes" },
};

const char *range_format_name(enum range_format format)
{
	return formats[format].name;
}

const char *range_format_refuses_unit(enum range_format format,
				      enum range_unit unit)
{
	if (!formats[format].has_one_unit ||
	    (unit == formats[format].unit && !formats[format].refuses_its_unit))
		return NULL;
	return formats[format].why;
}

const char *range_format_refuses_header(enum range_format format)
{
	return formats[format].has_header
		       ? NULL
		       : "--header is for --format=text and csv (json and "
			 "ddrescue have the era)";
}

static int on_begin(struct era_range_visitor *visitor,
		    const struct era_geometry *geometry)
{
	struct range_writer *writer = (struct range_writer *)visitor;
	char *room, *p;

	if (formats[writer->format].names_device) {
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
	if (formats[writer->format].begin)
		p = formats[writer->format].begin(p, writer, geometry);
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static int on_range(struct era_range_visitor *visitor, uint32_t begin,
		    uint32_t end)
{
	struct range_writer *writer = (struct range_writer *)visitor;
	char *room = output_reserve(writer->out, RANGE_ROOM);
	char *p;

	if (!room)
		return writer->out->error;
	p = formats[writer->format].range(room, writer, begin * writer->scale,
					  end * writer->scale);
	writer->any = true;
	output_advance(writer->out, (size_t)(p - room));
	return 0;
}

static int on_end(struct era_range_visitor *visitor)
{
	struct range_writer *writer = (struct range_writer *)visitor;
	char line[RANGE_ROOM];

	if (!formats[writer->format].end)
		return 0;
	*formats[writer->format].end(line, writer) = '\0';
	return output_puts(writer->out, line);
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
		.unit = formats[format].has_one_unit ? formats[format].unit
						     : unit,
		.device = device,
	};
}
