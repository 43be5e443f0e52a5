/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choosing columns and lining them up.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "tools/table.h"

static size_t find_column(const struct table_choice *choice, const char *name,
			  size_t len)
{
	size_t i;

	for (i = 0; i < choice->nr_columns; i++)
		if (strlen(choice->columns[i].name) == len &&
		    !strncasecmp(choice->columns[i].name, name, len))
			break;
	return i;
}

static void refuse(const struct table_choice *choice, const char *name,
		   size_t len, struct argp_state *state)
{
	char names[256] = "";

	for (size_t i = 0; i < choice->nr_columns; i++) {
		strncat(names, i ? ", " : "",
			sizeof(names) - strlen(names) - 1);
		strncat(names, choice->columns[i].name,
			sizeof(names) - strlen(names) - 1);
	}
	argp_error(state, "unknown column '%.*s' (%s)", (int)len, name, names);
}

void table_choose(struct table_choice *choice, const char *list,
		  struct argp_state *state)
{
	if (*list == '+')
		list++;
	else
		choice->nr_chosen = 0;
	for (;;) {
		size_t len = strcspn(list, ",");
		size_t at = find_column(choice, list, len);

		if (at == choice->nr_columns)
			refuse(choice, list, len, state);
		if (choice->nr_chosen == TABLE_MAX_COLUMNS)
			argp_error(state, "too many columns");
		choice->chosen[choice->nr_chosen++] = at;
		if (!list[len])
			return;
		list += len + 1;
	}
}

void table_init(struct table *table, const struct table_choice *choice)
{
	*table = (struct table){ .choice = choice };
}

void table_release(struct table *table)
{
	for (size_t i = 0; i < table->nr_cells; i++)
		free(table->cells[i]);
	free(table->cells);
}

void table_add(struct table *table, const char *cell)
{
	char *copy = strdup(cell);

	if (!copy ||
	    list_grow(&table->cells, table->nr_cells + 1, &table->max_cells)) {
		free(copy);
		table->no_memory = true;
		return;
	}
	table->cells[table->nr_cells++] = copy;
}

static void print_row(const struct table *table, char *const *cells,
		      const size_t *widths, FILE *stream)
{
	const struct table_choice *choice = table->choice;

	for (size_t i = 0; i < choice->nr_chosen; i++) {
		const struct table_column *column =
			&choice->columns[choice->chosen[i]];
		const char *cell = cells ? cells[i] : column->name;
		bool last = i + 1 == choice->nr_chosen;

		/* nothing trails */
		if (column->left && last)
			fputs(cell, stream);
		else
			fprintf(stream, column->left ? "%-*s" : "%*s",
				(int)widths[i], cell);
		putc(last ? '\n' : ' ', stream);
	}
}

int table_print(const struct table *table, bool headings, bool raw,
		FILE *stream)
{
	const struct table_choice *choice = table->choice;
	size_t widths[TABLE_MAX_COLUMNS] = { 0 };

	if (table->no_memory)
		return -ENOMEM;
	for (size_t i = 0; i < choice->nr_chosen && headings && !raw; i++)
		widths[i] = strlen(choice->columns[choice->chosen[i]].name);
	for (size_t i = 0; i < table->nr_cells && !raw; i++) {
		size_t len = strlen(table->cells[i]);
		/* NOLINTNEXTLINE(*DivideZero): without columns, no cells */
		size_t *width = &widths[i % choice->nr_chosen];

		*width = *width < len ? len : *width;
	}
	if (headings)
		print_row(table, NULL, widths, stream);
	for (size_t i = 0; i < table->nr_cells; i += choice->nr_chosen)
		print_row(table, table->cells + i, widths, stream);
	return 0;
}
