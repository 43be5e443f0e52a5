/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole devices through check and every reader; checksums are mended, so that
 * what lies behind them is reached.
 */
#include "config.h"

#include "era/check.h"
#include "era/reader.h"
#include "sparse_image.h"

SPARSE_MUTATOR;

static int take_geometry(struct era_range_visitor *v,
			 const struct era_geometry *g)
{
	(void)v;
	(void)g;
	return 0;
}

static int take_range(struct era_range_visitor *v, uint32_t begin, uint32_t end)
{
	(void)v;
	if (begin >= end)
		abort();
	return 0;
}

static int take_end(struct era_range_visitor *v)
{
	(void)v;
	return 0;
}

/* Text must be there; paths must be printable. */
static void take_problem(void *arg, const struct era_problem *problem)
{
	char path[256];

	(void)arg;
	if (!problem->text[0])
		abort();
	era_where_format(problem->where, path, sizeof(path));
}

static void read_all(struct era_device *device, bool snapshot,
		     struct era_report *report)
{
	struct era_range_visitor ranges = { take_geometry, take_range,
					    take_end };
	struct era_visitor sink = SINK;
	struct era_metadata md;

	if (era_metadata_open(&md, device, snapshot, NULL, report))
		return;
	era_read(&md, &sink);
	era_read_logical(&md, &sink);
	era_read_since(&md, md.sb.geometry.current_era / 2, &ranges);
	era_metadata_release(&md);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct era_report report = { .problem = take_problem };
	static struct sparse_image image;

	if (!sparse_load(&image, data, len))
		return 0;
	if (era_check(&image.device, 0, &report))
		abort();
	read_all(&image.device, false, &report);
	read_all(&image.device, true, &report);
	sparse_release(&image);
	return 0;
}
