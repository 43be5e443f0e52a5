/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole devices through era_check and every reader. What the check passes must
 * be read by all of them without an error; and all must tell the same: the
 * dates of a dump, of a logical dump, of a summary and of since(E).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "era/check.h"
#include "era/summary.h"
#include "era/whole.h"
#include "image.h"

/* Ranges held against the dates of a dump. */
struct since {
	struct era_range_visitor visitor;
	const struct dates *dates;
	uint32_t era;
	uint32_t next; /* first data block not yet compared */
	bool begun, ended;
};

static bool is_listed(const struct since *since, uint32_t block)
{
	return since->dates->eras[block] >= since->era;
}

static int since_begin(struct era_range_visitor *v,
		       const struct era_geometry *g)
{
	struct since *since = (struct since *)v;

	must(!since->begun && g->nr_blocks == since->dates->nr);
	since->begun = true;
	return 0;
}

static int since_range(struct era_range_visitor *v, uint32_t begin,
		       uint32_t end)
{
	struct since *since = (struct since *)v;

	must(since->begun && begin >= since->next && begin < end &&
	     end <= since->dates->nr);
	/* apart from the range before */
	must(!since->next || begin > since->next);
	for (uint32_t i = since->next; i < begin; i++)
		must(!is_listed(since, i));
	for (uint32_t i = begin; i < end; i++)
		must(is_listed(since, i));
	since->next = end;
	return 0;
}

static int since_end(struct era_range_visitor *v)
{
	struct since *since = (struct since *)v;

	for (uint32_t i = since->next; i < since->dates->nr; i++)
		must(!is_listed(since, i));
	since->ended = true;
	return 0;
}

static void compare_since(struct era_metadata *md, const struct dates *dates,
			  uint32_t era)
{
	struct since since = { .visitor = { since_begin, since_range,
					    since_end },
			       .dates = dates,
			       .era = era };

	/* an era that has not begun is an error and no empty list */
	if (era_metadata_check_era(md, era)) {
		must(era_read_since(md, era, &since.visitor) == -ERANGE);
		must(!since.begun);
		return;
	}
	must(!era_read_since(md, era, &since.visitor) && since.ended);
}

static void compare_logical(struct era_metadata *md, const struct dates *dates)
{
	struct dates logical;

	dates_init(&logical);
	must(!era_read_logical(md, &logical.visitor) && logical.ended);
	must(!logical.any_writeset && logical.nr == dates->nr);
	must(!memcmp(logical.eras, dates->eras,
		     dates->nr * sizeof(*dates->eras)));
	dates_release(&logical);
}

static void compare_summary(struct era_metadata *md, const struct dates *dates)
{
	struct era_summary summary;
	uint64_t sum = 0, nr;

	must(!era_summary_make(&summary, md, 64));
	for (size_t i = 0; i < summary.nr_lines; i++) {
		const struct era_summary_line *line = &summary.lines[i];

		must(line->first <= line->last);
		must(!i || line->first > summary.lines[i - 1].last);
		nr = 0;
		for (uint32_t b = 0; b < dates->nr; b++)
			nr += dates->eras[b] >= line->first &&
			      dates->eras[b] <= line->last;
		must(line->nr_blocks == nr);
		sum += nr;
	}
	must(sum == dates->nr);
	era_summary_release(&summary);
}

/* False where the metadata is refused. */
static bool read_all(struct era_device *device, bool snapshot)
{
	struct era_metadata md;
	struct dates dates;
	uint32_t last;

	if (!dates_read(&dates, device, snapshot)) {
		dates_release(&dates);
		return false;
	}
	must(!era_metadata_open(&md, device, snapshot, NULL, NULL));
	compare_logical(&md, &dates);
	compare_summary(&md, &dates);
	last = dates.nr ? dates.eras[dates.nr / 2] : 0;
	compare_since(&md, &dates, 0);
	compare_since(&md, &dates, last);
	compare_since(&md, &dates, last + 1);
	compare_since(&md, &dates, md.sb.geometry.current_era);
	era_metadata_release(&md);
	dates_release(&dates);
	return true;
}

/* Text must be there; paths must be printable. */
static void take_problem(void *arg, const struct era_problem *problem)
{
	char path[256];

	(void)arg;
	must(problem->text[0]);
	must(problem->data.begin <= problem->data.end);
	era_where_format(problem->where, path, sizeof(path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct era_report report = { .problem = take_problem },
			  reachable = { .problem = NULL };
	struct era_device *device;
	struct era_metadata md;
	struct image image;
	int whole;

	if (!image_load(&image, data, len))
		return 0;
	device = &image.fake.device;
	must(!era_check(device, 0, &report));
	must(!era_check(device, ERA_CHECK_REACHABLE_ONLY, &reachable));
	must(reachable.nr[ERA_FATAL] <= report.nr[ERA_FATAL]);
	must(read_all(device, false) || reachable.nr[ERA_FATAL]);
	read_all(device, true);
	whole = era_metadata_open_whole(&md, device, NULL);
	if (!whole)
		era_metadata_release(&md);
	must(!whole || report.nr[ERA_FATAL]);
	image_bound(&image, 100);
	image_release(&image);
	return 0;
}
