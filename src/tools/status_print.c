/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What era_status prints: one line that says all for a monitor, a table of
 * the devices, the problems with what to do; or all of it as JSON.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "format/human_size.h"
#include "tools/status.h"
#include "tools/table.h"

static const char *state_name(const struct live_era *era)
{
	if (!*era->info.name || (!era->is_era && !era->next_is_era))
		return "unknown";
	if (era->info.suspended)
		return "suspended";
	if (!era->info.live_table)
		return "no-table";
	if (era->info.inactive_table)
		return "new-table";
	if (era->answer == LIVE_ERA_FAILED)
		return "failed";
	if (era->answer == LIVE_ERA_NO_ANSWER)
		return "no-answer";
	return "live";
}

/* --- text ------------------------------------------------------------------
 */

enum column {
	COLUMN_NAME,
	COLUMN_STATE,
	COLUMN_SIZE,
	COLUMN_BLOCK,
	COLUMN_ERA,
	COLUMN_USED,
	COLUMN_LASTS,
	COLUMN_SNAPSHOT,
	COLUMN_ORIGIN,
	COLUMN_METADATA,
	COLUMN_NR,
};

static const struct table_column columns[COLUMN_NR] = {
	[COLUMN_NAME] = { "NAME", true },
	[COLUMN_STATE] = { "STATE", true },
	[COLUMN_SIZE] = { "SIZE", false },
	[COLUMN_BLOCK] = { "BLOCK", false },
	[COLUMN_ERA] = { "ERA", false },
	[COLUMN_USED] = { "USED%", false },
	[COLUMN_LASTS] = { "LASTS", false },
	[COLUMN_SNAPSHOT] = { "SNAPSHOT", true },
	[COLUMN_ORIGIN] = { "ORIGIN", true },
	[COLUMN_METADATA] = { "METADATA", true },
};

/* A cell of what the metadata says; "-" where that is not known. */
static const char *known_cell(const struct status_device *dev,
			      enum column column, char *buf, size_t size)
{
	const struct live_era *era = &dev->era;

	if (!dev->known)
		return "-";
	if (column == COLUMN_ERA)
		snprintf(buf, size, "%" PRIu32, era->era);
	else if (column == COLUMN_USED && era->total)
		snprintf(buf, size, "%" PRIu64, era->used * 100 / era->total);
	else if (column == COLUMN_LASTS)
		snprintf(buf, size, "%" PRIu64 " eras", dev->eras_left);
	else if (column == COLUMN_SNAPSHOT)
		return era->snapshot ? "held" : "-";
	return buf;
}

static const char *cell(const struct status_device *dev, enum column column,
			char *buf, size_t size)
{
	const struct live_era *era = &dev->era;
	const struct live_era_table *table =
		era->is_era ? &era->table : &era->next;

	snprintf(buf, size, "-");
	if (column == COLUMN_NAME)
		return era->info.name;
	if (column == COLUMN_STATE)
		return state_name(era);
	if (!era->is_era && !era->next_is_era)
		return buf;
	switch (column) {
	case COLUMN_SIZE:
		return human_size(buf, table->len * 512);
	case COLUMN_BLOCK:
		return human_size(buf, table->block_size * UINT64_C(512));
	case COLUMN_ORIGIN:
		return table->origin;
	case COLUMN_METADATA:
		return table->metadata;
	default:
		return known_cell(dev, column, buf, size);
	}
}

static int print_table(const struct status *status)
{
	struct table_choice choice = { .columns = columns,
				       .nr_columns = COLUMN_NR };
	struct table table;
	char buf[64];
	int r;

	for (size_t i = 0; i < COLUMN_NR; i++)
		choice.chosen[choice.nr_chosen++] = i;
	table_init(&table, &choice);
	for (size_t i = 0; i < status->nr_devices; i++)
		for (size_t j = 0; j < COLUMN_NR; j++)
			table_add(&table,
				  cell(&status->devices[i], (enum column)j, buf,
				       sizeof(buf)));
	putchar('\n');
	r = table_print(&table, true, false, stdout);
	table_release(&table);
	return r;
}

static void print_problems(const char *name,
			   const struct status_problems *problems)
{
	for (size_t i = 0; i < problems->nr; i++) {
		const struct status_problem *p = &problems->list[i];

		printf("%s: %s%s%s\n", status_level_name(p->level),
		       name ? name : "", name ? ": " : "", p->text);
		if (*p->advice)
			printf("    %s\n", p->advice);
	}
}

/* The first problem of the worst level, with its device. */
static const struct status_problem *worst(const struct status *status,
					  const char **name)
{
	*name = NULL;
	for (size_t i = 0; i < status->nr_devices; i++) {
		const struct status_device *dev = &status->devices[i];

		for (size_t j = 0; j < dev->problems.nr; j++) {
			if (dev->problems.list[j].level != status->level)
				continue;
			*name = dev->era.info.name;
			return &dev->problems.list[j];
		}
	}
	for (size_t j = 0; j < status->problems.nr; j++)
		if (status->problems.list[j].level == status->level)
			return &status->problems.list[j];
	return NULL;
}

/* What a monitor shows of all the output. */
static void print_headline(const struct status *status)
{
	const struct status_problem *problem;
	size_t nr_bad = 0;
	const char *name;

	for (size_t i = 0; i < status->nr_devices; i++)
		nr_bad += status->devices[i].problems.level != STATUS_OK;
	printf("%s: ", status_level_name(status->level));
	problem = worst(status, &name);
	if (problem)
		printf("%s%s%s; ", name ? name : "", name ? ": " : "",
		       problem->text);
	printf("%zu era device%s", status->nr_devices,
	       status->nr_devices == 1 ? "" : "s");
	if (nr_bad)
		printf(", %zu with problems", nr_bad);
	putchar('\n');
}

int status_print_text(const struct status *status)
{
	int r = 0;

	print_headline(status);
	if (status->nr_devices)
		r = print_table(status);
	if (r)
		return r;
	if (status->level != STATUS_OK)
		putchar('\n');
	for (size_t i = 0; i < status->nr_devices; i++)
		print_problems(status->devices[i].era.info.name,
			       &status->devices[i].problems);
	print_problems(NULL, &status->problems);
	return 0;
}

/* --- JSON ------------------------------------------------------------------
 */

/* Names need not be UTF-8. */
static json_t *new_string(const char *s)
{
	char ascii[LIVE_NAME_MAX + 128];
	json_t *value = json_string(s);

	if (value)
		return value;
	snprintf(ascii, sizeof(ascii), "%s", s);
	for (char *p = ascii; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(ascii);
}

static json_t *new_problems(const struct status_problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; i < problems->nr; i++) {
		const struct status_problem *p = &problems->list[i];
		json_t *one = json_pack(
			"{s:s, s:o, s:s}", "level", status_level_name(p->level),
			"message", new_string(p->text), "advice", p->advice);

		if (json_array_append_new(list, one)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int add_table(json_t *object, const char *key,
		     const struct live_era_table *table, bool is_era)
{
	json_t *value = json_null();

	if (is_era)
		value = json_pack("{s:I, s:I, s:o, s:o}", "sectors",
				  (json_int_t)table->len, "block_size",
				  (json_int_t)table->block_size, "origin",
				  new_string(table->origin), "metadata",
				  new_string(table->metadata));
	return json_object_set_new(object, key, value);
}

/* What the metadata says; null where that is not known. */
static int add_known(json_t *object, const struct status_device *dev)
{
	const struct live_era *era = &dev->era;
	json_t *value = json_null();

	if (dev->known)
		value = json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:o}", "source",
			dev->from_superblock ? "superblock" : "target", "era",
			(json_int_t)era->era, "blocks_used",
			(json_int_t)era->used, "blocks", (json_int_t)era->total,
			"eras_left", (json_int_t)dev->eras_left, "snapshot",
			era->snapshot ? json_integer((json_int_t)era->snapshot)
				      : json_null());
	return json_object_set_new(object, "metadata_usage", value);
}

static json_t *new_device(const struct status_device *dev)
{
	const struct live_info *info = &dev->era.info;
	json_t *object =
		json_pack("{s:o, s:s, s:s, s:b, s:i, s:o, s:o}", "name",
			  new_string(info->name), "level",
			  status_level_name(dev->problems.level), "state",
			  state_name(&dev->era), "suspended", info->suspended,
			  "open_count", info->open_count, "suspended_seconds",
			  dev->suspended_for < 0
				  ? json_null()
				  : json_integer(dev->suspended_for),
			  "problems", new_problems(&dev->problems));

	if (!object)
		return NULL;
	if (add_table(object, "table", &dev->era.table, dev->era.is_era) ||
	    add_table(object, "new_table", &dev->era.next,
		      dev->era.next_is_era) ||
	    add_known(object, dev)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *new_blocked(const struct live_blocked_list *blocked)
{
	json_t *list = json_array();

	for (size_t i = 0; i < blocked->nr; i++) {
		const struct live_blocked *p = &blocked->list[i];
		json_t *one = json_pack("{s:i, s:o, s:s}", "pid", p->pid,
					"command", new_string(p->command),
					"function", p->function);

		if (json_array_append_new(list, one)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int status_print_json(const struct status *status)
{
	json_t *devices = json_array(), *root;
	int r = 0;

	for (size_t i = 0; i < status->nr_devices; i++)
		if (json_array_append_new(devices,
					  new_device(&status->devices[i]))) {
			json_decref(devices);
			return -ENOMEM;
		}
	root = json_pack("{s:s, s:o, s:o, s:o}", "level",
			 status_level_name(status->level), "devices", devices,
			 "blocked_processes", new_blocked(&status->blocked),
			 "problems", new_problems(&status->problems));
	if (!root)
		return -ENOMEM;
	if (json_dumpf(root, stdout, JSON_INDENT(2)) || putchar('\n') == EOF)
		r = -errno;
	json_decref(root);
	return r;
}
