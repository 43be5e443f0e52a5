/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table whose columns are chosen by name, as lsblk and findmnt print it:
 * headings, columns as wide as their widest cell, numbers to the right.
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
	const char *name; /* upper case; its heading */
	bool left;	  /* to the left: text */
};

#define TABLE_MAX_COLUMNS 16

/* Which columns, in which order. */
struct table_choice {
	const struct table_column *columns;
	size_t nr_columns;
	size_t chosen[TABLE_MAX_COLUMNS];
	size_t nr_chosen;
};

/*
 * "ERA,SIZE" replaces the choice, "+SIZE" adds to it; letters of either case.
 * A name that is unknown is bad usage, and all are named.
 */
void table_choose(struct table_choice *choice, const char *list,
		  struct argp_state *state);

struct table {
	const struct table_choice *choice;
	char **cells; /* row by row */
	size_t nr_cells, max_cells;
	bool no_memory;
};

void table_init(struct table *table, const struct table_choice *choice);
void table_release(struct table *table);

/* Cells are added one after the other in the order of the choice. */
void table_add(struct table *table, const char *cell);

/* raw: cells apart by one blank each. Returns 0 or -ENOMEM. */
int table_print(const struct table *table, bool headings, bool raw,
		FILE *stream);

#endif
