/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole devices through repair to another and in place. What comes out must
 * be sound, and where what went in was sound, no date may have gone down.
 */
#include "config.h"

#include "era/check.h"
#include "era/reader.h"
#include "era/repair.h"
#include "sparse_image.h"

SPARSE_MUTATOR;

static const struct era_repair_told nobody = { NULL, NULL };

struct dates {
	struct era_visitor visitor;
	uint32_t *eras;
	uint32_t nr;
};

static int dates_superblock(struct era_visitor *v, const struct era_geometry *g)
{
	struct dates *dates = (struct dates *)v;

	dates->nr = g->nr_blocks;
	dates->eras = calloc(g->nr_blocks + 1u, sizeof(*dates->eras));
	return dates->eras ? 0 : -ENOMEM;
}

static int dates_eras(struct era_visitor *v, uint32_t first,
		      const uint32_t *eras, size_t nr)
{
	memcpy(((struct dates *)v)->eras + first, eras, nr * sizeof(*eras));
	return 0;
}

static bool is_sound(struct era_device *device)
{
	struct era_report quiet = { .problem = NULL };

	return !era_check(device, 0, &quiet) && !quiet.nr[ERA_FATAL];
}

/* The dates of a device that era_check passes; false for any other. */
static bool read_dates(struct dates *dates, struct era_device *device)
{
	struct era_metadata md;
	int r;

	*dates = (struct dates){ .visitor = { dates_superblock, sink_begin,
					      sink_words, sink_end, dates_eras,
					      sink_end } };
	if (!is_sound(device) ||
	    era_metadata_open(&md, device, false, NULL, NULL))
		return false;
	r = era_read_logical(&md, &dates->visitor);
	era_metadata_release(&md);
	return !r;
}

static void judge(struct era_device *result, const struct dates *before,
		  bool was_sound)
{
	struct dates after;

	if (!read_dates(&after, result))
		abort();
	if (was_sound && after.nr < before->nr)
		abort();
	for (uint32_t i = 0; was_sound && i < before->nr; i++)
		if (after.eras[i] < before->eras[i])
			abort();
	free(after.eras);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct era_salvage_options options = { .logical = false };
	static struct sparse_image image, target;
	enum era_repair_need need;
	struct era_salvage salvage;
	struct dates before;
	bool was_sound;

	if (!sparse_load(&image, data, len))
		return 0;
	/* what keeps a rebuilt geometry from growing beyond all bounds */
	options.geometry.data_block_size = 128;
	options.geometry.nr_blocks = 70000;
	was_sound = read_dates(&before, &image.device);
	sparse_init(&target, 1024);
	if (!era_salvage_open(&salvage, &image.device, &options, NULL)) {
		struct era_visitor sink = SINK;

		era_salvage_read(&salvage, &sink);
		if (!era_repair_to(&salvage, &target.device, &nobody, NULL))
			judge(&target.device, &before, was_sound);
		if (!era_repair_need(&salvage, &need) &&
		    need != ERA_REPAIR_NOTHING &&
		    !era_repair_in_place(&salvage, need, &nobody, NULL))
			judge(&image.device, &before, was_sound);
		era_salvage_close(&salvage);
	} else if (was_sound) {
		abort();
	}
	free(before.eras);
	sparse_release(&image);
	sparse_release(&target);
	return 0;
}
