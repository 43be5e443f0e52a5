/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each call to the device failing in turn, once or from then on: an error is
 * returned and reported, or the result is sound and complete. Calls that do
 * less than asked, or are interrupted, change nothing.
 *
 *     test_failing_calls [IMAGE...]
 *     ERA_FAULT_STEP  tries every so many reads (default 97)
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "era/builder.h"
#include "era/repair.h"
#include "images.h"

static const struct era_repair_told nobody = { NULL, NULL };
static uint64_t nr_tried;

enum job { IN_PLACE, TO_ANOTHER };

static int run_in_place(struct fake_device *fake, const struct image *image,
			struct era_report *report)
{
	enum era_repair_need need;
	struct era_salvage salvage;
	int r = salvage_image(&salvage, &fake->device, image, false, report);

	if (r)
		return r;
	r = era_repair_need(&salvage, &need);
	if (!r && need != ERA_REPAIR_NOTHING)
		r = era_repair_in_place(&salvage, need, &nobody, report);
	era_salvage_close(&salvage);
	return r;
}

static int run_to(struct fake_device *source, struct fake_device *target,
		  const struct image *image, struct era_report *report)
{
	struct era_salvage salvage;
	int r = salvage_image(&salvage, &source->device, image, false, report);

	if (r)
		return r;
	r = era_repair_to(&salvage, &target->device, &nobody, report);
	era_salvage_close(&salvage);
	return r;
}

static void judge_sound(const struct image *image, struct fake_device *fake,
			const char *what)
{
	struct dates dates;

	if (!dates_read(&dates, &fake->device) || !is_clean(&fake->device))
		failed(image, "%s: done, but not sound", what);
	else if (!dates_complete(&dates, image))
		failed(image, "%s: done, but writes are lost", what);
	dates_release(&dates);
}

/* After an error in place: the next repair still finds all. */
static void judge_in_place(const struct image *image, struct fake_device *fake,
			   const char *what)
{
	struct dates dates;

	if (dates_salvage(&dates, &fake->device, image))
		failed(image, "%s: cannot be repaired any more", what);
	else if (!dates_complete(&dates, image))
		failed(image, "%s: failed, and writes are lost", what);
	dates_release(&dates);
}

static void judge_target(const struct image *image, struct fake_device *target,
			 bool last, const char *what)
{
	struct era_superblock sb;

	/* where the last flush fails the superblock may be there, and is so
	 * on top of all else */
	if (era_superblock_read(&sb, &target->device, 0, NULL))
		return;
	if (!last)
		failed(image, "%s: half of it is taken for whole", what);
	else
		judge_sound(image, target, what);
}

struct trial {
	const struct image *image;
	enum job job;
	enum fake_op op;
	bool on_target; /* whose calls fail */
	bool only;	/* once, or from then on */
	int error;
};

/* Returns whether the call of this number was reached. */
static bool try_call(const struct trial *t, uint64_t call)
{
	uint64_t size = t->image->nr_blocks * ERA_BLOCK_SIZE;
	struct fake_device source, target, *failing;
	struct fake_report report;
	bool reached, last;
	char what[96];
	int r;

	snprintf(what, sizeof(what), "%s, %s %llu of the %s%s: %s",
		 t->job == IN_PLACE ? "in place" : "to another",
		 t->op == FAKE_READ    ? "read"
		 : t->op == FAKE_WRITE ? "write"
				       : "flush",
		 (unsigned long long)call, t->on_target ? "target" : "source",
		 t->only ? "" : " and following",
		 t->error ? strerror(t->error) : "nothing done");
	fake_report_init(&report);
	fake_init(&source, t->image->nr_blocks);
	memcpy(source.data, t->image->data, size);
	fake_init(&target, t->image->nr_blocks);
	failing = t->on_target ? &target : &source;
	failing->error = t->error;
	if (t->only)
		failing->fail_only[t->op] = call;
	else
		failing->fail_from[t->op] = call;
	if (t->job == IN_PLACE)
		r = run_in_place(&source, t->image, &report.report);
	else
		r = run_to(&source, &target, t->image, &report.report);
	reached = failing->nr_calls[t->op] > call;
	last = failing->nr_calls[FAKE_SYNC] >= 3;
	failing->fail_only[t->op] = failing->fail_from[t->op] = NO_CALL;
	nr_tried += reached;
	if (reached && !r && t->op != FAKE_READ)
		failed(t->image, "%s: not noticed", what);
	if (r && !report.fatal[0])
		failed(t->image, "%s: not reported", what);
	if (!r)
		judge_sound(t->image, t->job == IN_PLACE ? &source : &target,
			    what);
	else if (t->job == IN_PLACE)
		judge_in_place(t->image, &source, what);
	else
		judge_target(t->image, &target, last, what);
	fake_release(&source);
	fake_release(&target);
	return reached;
}

static void try_all(struct trial t)
{
	uint64_t step = t.op == FAKE_READ ? setting("ERA_FAULT_STEP", 97) : 1;

	for (uint64_t call = random_below((uint32_t)step); try_call(&t, call);
	     call += step)
		;
}

static void try_image(const struct image *image)
{
	for (int only = 0; only < 2; only++) {
		try_all((struct trial){ image, IN_PLACE, FAKE_READ, false, only,
					EIO });
		try_all((struct trial){ image, IN_PLACE, FAKE_WRITE, false,
					only, EIO });
		try_all((struct trial){ image, IN_PLACE, FAKE_SYNC, false, only,
					EIO });
		try_all((struct trial){ image, TO_ANOTHER, FAKE_READ, false,
					only, EIO });
		try_all((struct trial){ image, TO_ANOTHER, FAKE_WRITE, true,
					only, ENOSPC });
		try_all((struct trial){ image, TO_ANOTHER, FAKE_SYNC, true,
					only, EIO });
		try_all((struct trial){ image, TO_ANOTHER, FAKE_WRITE, true,
					only, 0 });
	}
}

/* The same bytes, however slowly they come and go. */
static void try_slow(const struct image *image)
{
	uint64_t size = image->nr_blocks * ERA_BLOCK_SIZE;
	uint8_t *expected = malloc(size);

	for (int slow = 0; slow < 4; slow++) {
		struct fake_device fake;

		fake_init(&fake, image->nr_blocks);
		memcpy(fake.data, image->data, size);
		fake.interrupt = slow & 1;
		fake.most = slow & 2 ? 1000 : 0;
		fake.can_discard = !slow;
		if (run_in_place(&fake, image, NULL))
			failed(image, "slow in way %d: failed", slow);
		else if (!slow)
			memcpy(expected, fake.data, size);
		else if (memcmp(fake.data, expected, size))
			failed(image, "slow in way %d: another result", slow);
		nr_tried++;
		fake_release(&fake);
	}
	free(expected);
}

int main(int argc, char **argv)
{
	struct image *images;
	size_t nr = images_load(&images, argc, argv);

	for (size_t i = 0; i < nr; i++) {
		try_image(&images[i]);
		try_slow(&images[i]);
	}
	printf("failing calls tried on %zu images: %llu; %u bad\n", nr,
	       (unsigned long long)nr_tried, nr_failed);
	images_free(images, nr);
	free(images);
	return nr_failed != 0;
}
