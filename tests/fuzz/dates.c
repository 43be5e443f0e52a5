/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plain fold, and the contract of a visit.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dates.h"
#include "era/check.h"

void broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

static struct dates *to_dates(struct era_visitor *visitor)
{
	return (struct dates *)visitor;
}

static int take_superblock(struct era_visitor *v, const struct era_geometry *g)
{
	struct dates *d = to_dates(v);

	must(!d->eras && g->nr_blocks < ERA_MAX_NR_BLOCKS);
	d->geometry = *g;
	d->nr = g->nr_blocks;
	d->eras = calloc(d->nr + 1u, sizeof(*d->eras));
	must(d->eras);
	return 0;
}

static int take_begin(struct era_visitor *v, uint32_t era, uint32_t nr_bits)
{
	struct dates *d = to_dates(v);

	must(d->eras && !d->in_writeset && !d->in_eras);
	must(!d->any_writeset || era > d->era);
	d->any_writeset = d->in_writeset = true;
	d->era = era;
	d->nr_bits = nr_bits;
	d->next = 0;
	return 0;
}

static int take_words(struct era_visitor *v, uint32_t first,
		      const uint64_t *words, size_t nr)
{
	struct dates *d = to_dates(v);
	uint32_t nr_words = era_nr_words(d->nr_bits);

	must(d->in_writeset && first == d->next && nr <= nr_words - first);
	d->next += (uint32_t)nr;
	if (d->next == nr_words && nr)
		must(!(words[nr - 1] & ~era_last_word_mask(d->nr_bits)));
	for (size_t i = 0; i < nr; i++) {
		uint64_t word = words[i];

		for (; word; word &= word - 1) {
			uint64_t block = (first + i) * 64 +
					 (unsigned int)__builtin_ctzll(word);

			if (block < d->nr && d->eras[block] < d->era)
				d->eras[block] = d->era;
		}
	}
	return 0;
}

static int take_writeset_end(struct era_visitor *v)
{
	struct dates *d = to_dates(v);

	must(d->in_writeset && d->next == era_nr_words(d->nr_bits));
	d->in_writeset = false;
	d->next = 0;
	return 0;
}

static int take_eras(struct era_visitor *v, uint32_t first,
		     const uint32_t *eras, size_t nr)
{
	struct dates *d = to_dates(v);

	if (!d->in_eras)
		d->next = 0;
	must(d->eras && !d->in_writeset && first == d->next);
	must(nr <= d->nr - first);
	d->in_eras = true;
	d->next += (uint32_t)nr;
	for (size_t i = 0; i < nr; i++)
		if (d->eras[first + i] < eras[i])
			d->eras[first + i] = eras[i];
	return 0;
}

static int take_end(struct era_visitor *v)
{
	struct dates *d = to_dates(v);

	must(!d->in_writeset && !d->ended);
	must(!d->nr || (d->in_eras && d->next == d->nr));
	d->ended = true;
	return 0;
}

void dates_init(struct dates *dates)
{
	*dates = (struct dates){ .visitor = { take_superblock, take_begin,
					      take_words, take_writeset_end,
					      take_eras, take_end } };
}

void dates_release(struct dates *dates)
{
	free(dates->eras);
	dates->eras = NULL;
}

bool dates_read(struct dates *dates, struct era_device *device, bool snapshot)
{
	struct era_metadata md;
	int r;

	dates_init(dates);
	if (era_metadata_open(&md, device, snapshot, NULL, NULL))
		return false;
	r = era_read(&md, &dates->visitor);
	era_metadata_release(&md);
	must(r || dates->ended);
	return !r;
}

bool is_sound(struct era_device *device, unsigned int flags)
{
	struct era_report quiet = { .problem = NULL };

	return !era_check(device, flags, &quiet) && !quiet.nr[ERA_FATAL];
}

static void print_problem(void *arg, const struct era_problem *problem)
{
	char path[256];

	(void)arg;
	era_where_format(problem->where, path, sizeof(path));
	fprintf(stderr, "%s: %s: %s\n", era_severity_name(problem->severity),
		path, problem->text);
}

void must_be_clean(struct era_device *device, unsigned int flags)
{
	struct era_report report = { .problem = print_problem };

	must(!era_check(device, flags, &report) && !report.nr[ERA_FATAL] &&
	     !report.nr[ERA_NON_FATAL]);
}
