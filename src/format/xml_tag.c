/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One byte after the other: whatever comes often goes by its shape instead
 * (xml_shape.h). No function looks behind the end, for the NUL there is part
 * of nothing; where one stops, the cursor tells whether it was there.
 */
#include "config.h"

#include <string.h>

#include "format/xml_tag.h"

struct form {
	const char *name;
	const char *attributes[XML_TAG_MAX_VALUES + 1];
	bool is_leaf;
};

static const struct form forms[XML_NR_NAMES] = {
	[XML_NAME_SUPERBLOCK] = { "superblock",
				  { "uuid", "block_size", "nr_blocks",
				    "current_era" },
				  false },
	[XML_NAME_WRITESET] = { "writeset", { "era", "nr_bits" }, false },
	[XML_NAME_ERA_ARRAY] = { "era_array", { NULL }, false },
	[XML_NAME_BIT] = { "bit", { "block", "value" }, true },
	[XML_NAME_ERA] = { "era", { "block", "era" }, true },
	[XML_NAME_ERAS] = { "eras", { "block_begin", "len", "era" }, true },
	[XML_NAME_MARKED] = { "marked", { "block_begin", "len" }, true },
};

/* Of a cursor that does not go on. */
static enum xml_scan_result stuck(const struct xml_cursor *cursor)
{
	return cursor->at >= cursor->end ? XML_SCAN_MORE : XML_SCAN_NO;
}

/* On failure the cursor is where the bytes differ. */
static bool eat(struct xml_cursor *cursor, const char *text)
{
	for (; *text; text++, cursor->at++)
		if (*cursor->at != *text)
			return false;
	return true;
}

/*
 * Returns whether there was any. A CR counts with its LF alone: libxml2 takes
 * others, too, but counts its lines by LF.
 */
static bool skip_blanks(struct xml_cursor *cursor)
{
	const char *begin = cursor->at, *p = begin;

	for (;; p++) {
		if (*p == ' ' || *p == '\n' || *p == '\t')
			continue;
		if (*p == '\r' && p + 1 >= cursor->end && p < cursor->end)
			p = cursor->end; /* its LF may follow */
		else if (*p == '\r' && p[1] == '\n')
			continue;
		break;
	}
	cursor->at = p;
	return p != begin;
}

/* What follows a tag on its line, if it is blank: the next one begins there. */
static enum xml_scan_result skip_line_end(struct xml_cursor *cursor)
{
	const char *p = cursor->at;

	while (*p == ' ' || *p == '\t')
		p++;
	if (*p == '\r')
		p++;
	if (p >= cursor->end && !cursor->eof)
		return XML_SCAN_MORE;
	if (*p == '\n')
		cursor->at = p + 1;
	return XML_SCAN_OK;
}

/* --- tags ----------------------------------------------------------------- */

static struct xml_value scan_name(struct xml_cursor *cursor)
{
	const char *begin = cursor->at, *p = begin;

	while ((*p >= 'a' && *p <= 'z') || *p == '_')
		p++;
	cursor->at = p;
	return (struct xml_value){ begin, (size_t)(p - begin) };
}

static bool value_is(const struct xml_value *value, const char *text)
{
	return value->len == strlen(text) &&
	       !memcmp(value->p, text, value->len);
}

static bool find_form(const struct xml_value *name, enum xml_name *found)
{
	for (unsigned int i = 0; i < XML_NR_NAMES; i++) {
		if (value_is(name, forms[i].name)) {
			*found = (enum xml_name)i;
			return true;
		}
	}
	return false;
}

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
}

/* `="123"`, the quotes of either kind, and between them what needs no look. */
static bool scan_value(struct xml_cursor *cursor, struct xml_value *value)
{
	const char *p;
	char quote;

	skip_blanks(cursor);
	if (!eat(cursor, "="))
		return false;
	skip_blanks(cursor);
	quote = *cursor->at;
	if (quote != '"' && quote != '\'')
		return false;
	value->p = p = cursor->at + 1;
	while (is_plain(*p))
		p++;
	value->len = (size_t)(p - value->p);
	cursor->at = p;
	if (*p != quote)
		return false;
	cursor->at++;
	return true;
}

/* The attribute's own name is not read yet. */
static bool scan_attribute(struct xml_cursor *cursor, struct xml_tag *tag)
{
	const struct form *form = &forms[tag->name];
	struct xml_value name = scan_name(cursor);
	unsigned int a = 0;

	/* more may come of the name */
	if (!name.len || cursor->at >= cursor->end)
		return false;
	while (form->attributes[a] && !value_is(&name, form->attributes[a]))
		a++;
	if (!form->attributes[a] || tag->values[a].p)
		return false;
	tag->order[tag->nr_values++] = (uint8_t)a;
	return scan_value(cursor, &tag->values[a]);
}

/* From behind the name to behind the tag. */
static bool scan_attributes(struct xml_cursor *cursor, struct xml_tag *tag)
{
	const struct form *form = &forms[tag->name];
	bool blanks;

	for (;;) {
		blanks = skip_blanks(cursor);
		if (*cursor->at == '>' || *cursor->at == '/')
			break;
		if (!blanks || !scan_attribute(cursor, tag))
			return false;
	}
	tag->kind = *cursor->at == '/' ? XML_TAG_EMPTY : XML_TAG_START;
	return eat(cursor, tag->kind == XML_TAG_EMPTY ? "/>" : ">") &&
	       (tag->nr_values == XML_TAG_MAX_VALUES ||
		!form->attributes[tag->nr_values]);
}

/* `</bit>` */
static bool scan_end_tag(struct xml_cursor *cursor, struct xml_tag *tag)
{
	struct xml_value name;

	if (!eat(cursor, "</"))
		return false;
	name = scan_name(cursor);
	if (!find_form(&name, &tag->name))
		return false;
	skip_blanks(cursor);
	tag->kind = XML_TAG_END;
	return eat(cursor, ">");
}

/* The end of an element that holds nothing, which its start does not say. */
static bool scan_leaf_end(struct xml_cursor *cursor, struct xml_tag *tag)
{
	struct xml_tag end;

	skip_blanks(cursor);
	if (!scan_end_tag(cursor, &end) || end.name != tag->name)
		return false;
	tag->kind = XML_TAG_EMPTY;
	return true;
}

static bool scan_start_tag(struct xml_cursor *cursor, struct xml_tag *tag)
{
	struct xml_value name;

	if (!eat(cursor, "<"))
		return false;
	name = scan_name(cursor);
	if (!find_form(&name, &tag->name) || !scan_attributes(cursor, tag))
		return false;
	return tag->kind != XML_TAG_START || !forms[tag->name].is_leaf ||
	       scan_leaf_end(cursor, tag);
}

enum xml_scan_result xml_scan_tag(struct xml_cursor *cursor,
				  struct xml_tag *tag)
{
	bool found;

	memset(tag, 0, sizeof(*tag));
	skip_blanks(cursor);
	if (cursor->at < cursor->end && cursor->at[0] == '<' &&
	    cursor->at[1] == '/')
		found = scan_end_tag(cursor, tag);
	else
		found = scan_start_tag(cursor, tag);
	return found ? skip_line_end(cursor) : stuck(cursor);
}

/* --- what else there is --------------------------------------------------- */

/*
 * From behind `<!--` to behind `-->`. Two hyphens stand in no comment. What
 * is not ASCII would have to be checked as libxml2 does.
 */
static bool scan_comment_text(struct xml_cursor *cursor)
{
	const char *p = cursor->at;

	while (!(p[0] == '-' && p[1] == '-')) {
		bool is_blank = *p == '\t' || *p == '\n' ||
				(p[0] == '\r' && p[1] == '\n');

		cursor->at = p;
		if (!is_blank && (*p < ' ' || *p > '~')) {
			/* its LF may follow */
			if (*p == '\r' && p + 1 == cursor->end)
				cursor->at = cursor->end;
			return false;
		}
		p++;
	}
	cursor->at = p;
	return eat(cursor, "-->");
}

enum xml_scan_result xml_scan_comment(struct xml_cursor *cursor)
{
	skip_blanks(cursor);
	if (!eat(cursor, "<!--") || !scan_comment_text(cursor))
		return stuck(cursor);
	return skip_line_end(cursor);
}

static bool is_utf8(const struct xml_value *encoding)
{
	static const char name[] = "utf-8";

	if (encoding->len != sizeof(name) - 1)
		return false;
	for (size_t i = 0; i < encoding->len; i++) {
		char c = encoding->p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c != name[i])
			return false;
	}
	return true;
}

/* From behind `<?xml` on. */
static bool scan_declaration(struct xml_cursor *cursor)
{
	struct xml_value value;
	bool blanks;

	if (!skip_blanks(cursor) || !eat(cursor, "version") ||
	    !scan_value(cursor, &value) || !value_is(&value, "1.0"))
		return false;
	blanks = skip_blanks(cursor);
	if (blanks && *cursor->at == 'e') {
		if (!eat(cursor, "encoding") || !scan_value(cursor, &value) ||
		    !is_utf8(&value))
			return false;
		blanks = skip_blanks(cursor);
	}
	if (blanks && *cursor->at == 's') {
		if (!eat(cursor, "standalone") || !scan_value(cursor, &value) ||
		    (!value_is(&value, "yes") && !value_is(&value, "no")))
			return false;
		skip_blanks(cursor);
	}
	return eat(cursor, "?>");
}

enum xml_scan_result xml_scan_prolog(struct xml_cursor *cursor)
{
	enum xml_scan_result result;
	struct xml_cursor next = *cursor;

	if (eat(&next, "\xef\xbb\xbf"))
		cursor->at = next.at;
	next = *cursor;
	if (eat(&next, "<?xml")) {
		*cursor = next;
		if (!scan_declaration(cursor))
			return stuck(cursor);
	}
	do {
		next = *cursor;
		result = xml_scan_comment(&next);
		if (result == XML_SCAN_OK)
			*cursor = next;
	} while (result == XML_SCAN_OK);
	return result == XML_SCAN_MORE ? result : XML_SCAN_OK;
}

enum xml_scan_result xml_scan_end(struct xml_cursor *cursor)
{
	skip_blanks(cursor);
	if (cursor->at < cursor->end)
		return XML_SCAN_NO;
	return cursor->eof ? XML_SCAN_OK : XML_SCAN_MORE;
}

/* --- values --------------------------------------------------------------- */

bool xml_value_number(const struct xml_value *value, uint32_t *number)
{
	uint64_t v = 0;

	for (size_t i = 0; i < value->len; i++) {
		char c = value->p[i];

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (uint64_t)(c - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)v;
	return value->len != 0;
}

bool xml_value_bool(const struct xml_value *value, uint32_t *number)
{
	*number = value_is(value, "true");
	return *number || value_is(value, "false");
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool xml_value_uuid(const struct xml_value *value, uint8_t uuid[16])
{
	memset(uuid, 0, 16);
	if (!value->len)
		return true;
	if (value->len != 32)
		return false;
	for (size_t i = 0; i < 32; i++) {
		int digit = hex_value(value->p[i]);

		if (digit < 0)
			return false;
		uuid[i / 2] = (uint8_t)(uuid[i / 2] << 4 | digit);
	}
	return true;
}
