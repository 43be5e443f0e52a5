/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole devices through repair: to another device, in place, and in place cut
 * short and begun again. Whatever went in,
 *
 * - what comes out is sound and clean, and a repair of it finds nothing to do,
 *   but for a commit that seems to have been under way;
 * - both ways give the same dates;
 * - what is reachable and intact dates no data block later than the result;
 * - what is refused leaves no valid superblock on another device, and in place
 *   nothing written at all.
 *
 * And where a sound image was damaged in a way that a checksum shows, or an
 * older superblock put back and nothing else, no write is lost.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "era/check.h"
#include "era/fold.h"
#include "era/layers.h"
#include "era/repair.h"
#include "image.h"

enum {
	FLAG_NO_GEOMETRY = 1 << 0, /* the repair is not told */
	FLAG_LOGICAL = 1 << 1,
	FLAG_DROP_SNAPSHOT = 1 << 2,
	FLAG_REACHABLE_ONLY = 1 << 3,
	FLAG_SMALL_TARGET = 1 << 4,
};

static const struct era_repair_told nobody = { .raised = NULL };

/* What the dates of a result must reach, each of them NULL or so. */
struct bounds {
	const struct dates *truth;
	uint32_t *intact; /* of nr_intact data blocks */
	uint32_t nr_intact;
};

/* --- what is reachable and intact ------------------------------------------
 */

static int collect_window(void *arg, uint32_t first, const uint32_t *eras,
			  size_t nr)
{
	memcpy((uint32_t *)arg + first, eras, nr * sizeof(*eras));
	return 0;
}

/* Folds what is there, and lets what is lost date nothing. */
static void fold_intact(struct bounds *bounds, struct era_device *device,
			struct era_metadata *md)
{
	struct era_layers layers = { .nr = 0 };
	struct era_fold fold = { .device = device,
				 .nr_blocks = md->sb.geometry.nr_blocks,
				 .layers = &layers,
				 .window = collect_window };

	bounds->nr_intact = fold.nr_blocks;
	bounds->intact = calloc(fold.nr_blocks + 1u, sizeof(*bounds->intact));
	must(bounds->intact);
	fold.arg = bounds->intact;
	must(!era_layers_add_metadata(&layers, md, ERA_REACHABLE,
				      ERA_REACHABLE));
	for (size_t i = 0; i < layers.nr; i++) {
		struct era_layer *layer = &layers.layers[i];

		layer->lost_era = 0;
		if (!layer->map)
			layer->era = 0;
	}
	must(!era_fold(&fold));
	era_layers_release(&layers);
}

static void find_intact(struct bounds *bounds, struct era_device *device)
{
	struct era_superblock sb;
	struct era_metadata md;
	struct walk walk;

	if (era_superblock_read(&sb, device, 0, NULL))
		return;
	must(!walk_init(&walk, device, NULL, NULL));
	must(!era_metadata_load(&md, &walk, &sb, false));
	fold_intact(bounds, device, &md);
	era_metadata_release(&md);
	walk_release(&walk);
}

/* --- judging ----------------------------------------------------------------
 */

static void judge_dates(const struct dates *dates, const struct bounds *bounds)
{
	if (bounds->truth) {
		must(dates->nr >= bounds->truth->nr);
		for (uint32_t i = 0; i < bounds->truth->nr; i++)
			must(dates->eras[i] >= bounds->truth->eras[i]);
	}
	must(dates->nr >= bounds->nr_intact);
	for (uint32_t i = 0; i < bounds->nr_intact; i++)
		must(dates->eras[i] >= bounds->intact[i]);
}

/* Whether the check has a note on what it finds sound. */
static bool is_noted(struct era_device *device, unsigned int flags)
{
	struct era_report quiet = { .problem = NULL };

	must(!era_check(device, flags, &quiet));
	return quiet.nr[ERA_NOTE];
}

/* Takes the dates of a result. */
static void judge(struct dates *dates, struct era_device *device,
		  const struct era_salvage_options *options,
		  const struct bounds *bounds)
{
	unsigned int flags =
		options->reachable_only ? ERA_CHECK_REACHABLE_ONLY : 0;
	struct era_salvage again;
	enum era_repair_need need;

	must_be_clean(device, flags);
	must(dates_read(dates, device, false));
	judge_dates(dates, bounds);
	must(!era_salvage_open(&again, device, options, NULL));
	/*
	 * To the commit just made, one that lies can look like the next one,
	 * still under way. The check has but noted it, as lists count it in.
	 * Who asks for logical eras has them written anew each time.
	 */
	must(!era_repair_prepare(&again, &need));
	must(need == ERA_REPAIR_NOTHING || options->logical ||
	     (again.second_is == ERA_SECOND_LATER && is_noted(device, flags)));
	era_salvage_close(&again);
}

static bool is_refused(struct era_device *device)
{
	struct era_superblock sb;

	return era_superblock_read(&sb, device, 0, NULL) != 0;
}

/* Repairs to another device; false where it does not fit. */
static bool repair_to(struct image *image, struct era_salvage *salvage,
		      struct dates *dates, const struct bounds *bounds)
{
	struct era_report quiet = { .problem = NULL };
	struct fake_device target;
	int r;

	fake_init(&target, image->flags & FLAG_SMALL_TARGET
				   ? 32
				   : image->fake.device.nr_blocks + 512);
	r = era_repair_to(salvage, &target.device, &nobody, &quiet);
	must(!r || r == -ENOSPC || r == -EIO);
	if (r)
		must(is_refused(&target.device));
	else
		judge(dates, &target.device, &salvage->options, bounds);
	fake_release(&target);
	return !r;
}

/*
 * Repairs in place, after an attempt that was cut short where the input says
 * so. False where it is refused.
 */
static bool repair_in_place(struct image *image,
			    const struct era_salvage_options *options,
			    struct dates *dates, const struct bounds *bounds)
{
	struct fake_device *fake = &image->fake;
	struct era_report quiet = { .problem = NULL };
	struct era_salvage_options after;
	struct era_salvage salvage;
	enum era_repair_need need;
	uint64_t fail_write = image->fail_write;
	uint8_t before[ERA_BLOCK_SIZE];
	uint64_t nr_writes;
	int r;

	memcpy(before, fake_block(fake, 0), sizeof(before));
	for (;;) {
		/* a superblock that was not told of is an error at most */
		if (era_salvage_open(&salvage, &fake->device, options, NULL))
			return false;
		if (fail_write != UINT32_MAX) {
			fake->fail_from[FAKE_WRITE] = fail_write;
			fake->error = EIO;
		}
		nr_writes = fake->nr_calls[FAKE_WRITE];
		r = era_repair_prepare(&salvage, &need);
		if (r) {
			must(r == -EIO && fake->bad_block != NO_CALL);
			era_salvage_close(&salvage);
			return false;
		}
		r = era_repair_in_place(&salvage, need, &nobody, &quiet);
		nr_writes = fake->nr_calls[FAKE_WRITE] - nr_writes;
		if (fail_write == UINT32_MAX || !r)
			break;
		fake->fail_from[FAKE_WRITE] = NO_CALL;
		fail_write = UINT32_MAX;
		if (!nr_writes)
			return false;
	}
	/* leftovers can contradict the result: then the old state is back */
	if (r == -EUCLEAN) {
		must(!memcmp(before, fake_block(fake, 0), sizeof(before)));
		return false;
	}
	if (r) {
		must(r == -ENOSPC || r == -EIO);
		must(!nr_writes);
		return false;
	}
	/* one that cannot be read stays so: in doubt for ever */
	after = *options;
	if (fake->bad_block != NO_CALL)
		after.reachable_only = true;
	judge(dates, &fake->device, &after, bounds);
	return true;
}

static void set_options(const struct image *image,
			struct era_salvage_options *options)
{
	*options = (struct era_salvage_options){
		.logical = image->flags & FLAG_LOGICAL,
		.drop_snapshot = image->flags & FLAG_DROP_SNAPSHOT,
		.reachable_only = image->flags & FLAG_REACHABLE_ONLY,
	};
	if (!(image->flags & FLAG_NO_GEOMETRY))
		options->geometry = *image_geometry(image);
	else
		options->geometry.data_block_size = 128;
}

/* Whether what was written is known, and all of it must be found. */
static bool knows_truth(const struct image *image,
			const struct era_salvage *salvage)
{
	/* nothing else tells that there was more */
	if (salvage->rebuilt_superblock && image_is_cut_off(image))
		return false;
	if (image->nr_lies ||
	    image->flags & (FLAG_NO_GEOMETRY | FLAG_REACHABLE_ONLY))
		return false;
	return !image->nr_older ||
	       (!image->nr_damages && image_has_room(image));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dates there = { .eras = NULL }, here = { .eras = NULL };
	struct bounds bounds = { .truth = NULL };
	struct era_salvage_options options;
	struct era_salvage salvage;
	struct image image;
	bool repaired;
	int r;

	if (!image_load(&image, data, len))
		return 0;
	set_options(&image, &options);
	r = era_salvage_open(&salvage, &image.fake.device, &options, NULL);
	must(!r || r == -EIO || r == -EINVAL || r == -ENODATA);
	must(!r || image.nr_damages || image.nr_lies || image.nr_older);
	if (!r) {
		if (knows_truth(&image, &salvage))
			bounds.truth = image_truth(&image);
		/* a fork drops what the other instance has used again */
		if (!salvage.forked && !salvage.rebuilt_superblock)
			find_intact(&bounds, &image.fake.device);
		repaired = repair_to(&image, &salvage, &there, &bounds);
		image_bound(&image, 1000);
		if (repair_in_place(&image, &options, &here, &bounds) &&
		    repaired && image.fail_write == UINT32_MAX) {
			must(here.nr == there.nr);
			must(!memcmp(here.eras, there.eras,
				     here.nr * sizeof(*here.eras)));
			must(here.geometry.current_era ==
			     there.geometry.current_era);
		}
	}
	image_bound(&image, 2000);
	dates_release(&there);
	dates_release(&here);
	free(bounds.intact);
	image_release(&image);
	return 0;
}
