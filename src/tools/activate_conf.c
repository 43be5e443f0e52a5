/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files in /etc/era: lines KEY=VALUE, blank ones, and those that begin with
 * a '#'.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/activate.h"

#define MIN_BLOCK_SIZE 8 /* sectors; a block size is a multiple of it */

bool activation_block_size(const char *text, uint32_t *sectors)
{
	unsigned long long value, unit = 1;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || value > UINT32_MAX)
		return false;
	switch (*end) {
	case 's':
		end++;
		break;
	case 'k':
	case 'K':
		unit = 2;
		end++;
		break;
	case 'm':
	case 'M':
		unit = 2048;
		end++;
		break;
	case 'g':
	case 'G':
		unit = 2097152;
		end++;
		break;
	}
	value *= unit;
	if (*end || !value || value > UINT32_MAX || value % MIN_BLOCK_SIZE)
		return false;
	*sectors = (uint32_t)value;
	return true;
}

static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

static bool take(struct activation *activation, const char *key,
		 const char *value)
{
	bool path = *value == '/' && strlen(value) < ACTIVATE_PATH_MAX;

	if (!strcasecmp(key, "metadata") && path)
		strcpy(activation->metadata, value);
	else if (!strcasecmp(key, "origin") && path)
		strcpy(activation->origin, value);
	else if (!strcasecmp(key, "block_size"))
		return activation_block_size(value, &activation->block_size);
	else
		/* for whoever makes an initramfs, not for us */
		return !strcasecmp(key, "initramfs");
	return true;
}

static int take_line(struct activation *activation, char *line)
{
	char *key = trim(line), *equals = strchr(key, '=');

	if (!*key || *key == '#')
		return 0;
	if (!equals)
		return -EINVAL;
	*equals = '\0';
	return take(activation, trim(key), trim(equals + 1)) ? 0 : -EINVAL;
}

static int read_lines(struct activation *activation, const char *path,
		      FILE *file, struct era_report *report)
{
	char line[ACTIVATE_PATH_MAX + 64];

	for (unsigned int nr = 1; fgets(line, sizeof(line), file); nr++) {
		if (!take_line(activation, line))
			continue;
		era_report_kind(
			report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
			ERA_NO_DATA,
			"%s: line %u is none of METADATA=/PATH, "
			"ORIGIN=/PATH, BLOCK_SIZE=SECTORS, INITRAMFS=yes",
			path, nr);
		return -EINVAL;
	}
	if (ferror(file) || (*activation->metadata && *activation->origin))
		return ferror(file) ? -EIO : 0;
	era_report_kind(report, ERA_KIND_BAD_INPUT, ERA_FATAL, NULL,
			ERA_NO_DATA, "%s: names no %s", path,
			*activation->metadata ? "ORIGIN" : "METADATA");
	return -EINVAL;
}

int activation_read(struct activation *activation, const char *path,
		    struct era_report *report)
{
	FILE *file = fopen(path, "re");
	int r = -errno;

	if (!file) {
		era_report_kind(report, era_kind_of_error(r), ERA_FATAL, NULL,
				ERA_NO_DATA, "%s: %s", path, strerror(-r));
		return r;
	}
	r = read_lines(activation, path, file, report);
	fclose(file);
	return r;
}
