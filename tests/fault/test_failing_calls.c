/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each call to the device failing in turn, once or from then on: an error is
 * returned and reported, or the result is sound and complete. Calls that do
 * less than asked, or are interrupted, change nothing. A device that becomes
 * another while it is read, or forgets a write, is no reason to crash, and
 * what comes of it is not taken for whole.
 *
 *     test_failing_calls [IMAGE...]
 *     ERA_FAULT_STEP  tries every so many reads (default 97)
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/undo.h"
#include "jobs.h"

static uint64_t nr_tried;

enum job { IN_PLACE, TO_ANOTHER, RESTORE, UNPACK, UNDO };

static const char *const job_names[] = {
	[IN_PLACE] = "in place", [TO_ANOTHER] = "to another",
	[RESTORE] = "restore",	 [UNPACK] = "unpack",
	[UNDO] = "undo",
};

/* An image, and what the jobs take besides. */
struct subject {
	const struct image *image;
	const struct image *older; /* what a target holds before; sound */
	uint8_t *repaired;	   /* in place */
	char undo[64];		   /* of that; empty where nothing was done */
	char pack[64];
};

struct trial {
	const struct subject *subject;
	enum job job;
	enum fake_op op;
	bool on_target; /* whose calls fail */
	bool only;	/* once, or from then on */
	int error;
};

static int run(const struct trial *t, struct fake_device *source,
	       struct fake_device *target, struct era_report *report)
{
	enum era_repair_need need;

	switch (t->job) {
	case IN_PLACE:
		return job_in_place(source, t->subject->image, &need, report);
	case TO_ANOTHER:
		return job_repair_to(source, target, t->subject->image, report);
	case RESTORE:
		return job_restore(source, target, report);
	case UNPACK:
		return job_unpack(t->subject->pack, target, report);
	case UNDO:
		return undo_apply(t->subject->undo, &source->device, report);
	}
	return -EINVAL;
}

static bool holds(const struct fake_device *fake, const uint8_t *data)
{
	return !memcmp(fake->data, data,
		       fake->device.nr_blocks * ERA_BLOCK_SIZE);
}

static bool is_zero(const uint8_t *block)
{
	return !block[0] && !memcmp(block, block + 1, ERA_BLOCK_SIZE - 1);
}

/* A superblock that is all zero is not written: what stands there is invalid.
 */
static bool holds_packed(struct fake_device *fake, const struct image *image)
{
	struct era_superblock sb;

	if (!is_zero(image->data))
		return holds(fake, image->data);
	return era_superblock_read(&sb, &fake->device, 0, NULL) &&
	       !memcmp(fake->data + ERA_BLOCK_SIZE,
		       image->data + ERA_BLOCK_SIZE,
		       (image->nr_blocks - 1) * ERA_BLOCK_SIZE);
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

/* After an error on a target: what it held is untouched, or invalid. */
static void judge_target(const struct trial *t, struct fake_device *target,
			 bool last, const char *what)
{
	const struct image *image = t->subject->image;
	struct era_superblock sb;

	if (era_superblock_read(&sb, &target->device, 0, NULL) ||
	    holds(target, t->subject->older->data))
		return;
	/* where the last flush fails the superblock may be there, and is so
	 * on top of all else */
	if (!last)
		failed(image, "%s: half of it is taken for whole", what);
	else if (t->job == UNPACK && !holds_packed(target, image))
		failed(image, "%s: the superblock is there, not the rest",
		       what);
	else if (t->job != UNPACK)
		judge_sound(image, target, what);
}

static void judge(const struct trial *t, int r, struct fake_device *source,
		  struct fake_device *target, bool last, const char *what)
{
	const struct image *image = t->subject->image;

	if (is_zero(target->data) ||
	    (is_zero(source->data) && !is_zero(image->data)))
		failed(image, "%s: the kernel would format it", what);
	if (r && (t->job == IN_PLACE || t->job == UNDO))
		judge_in_place(image, source, what);
	else if (r)
		judge_target(t, target, last, what);
	else if (t->job == UNPACK && !holds_packed(target, image))
		failed(image, "%s: done, but not what was packed", what);
	else if (t->job == UNDO && !holds(source, image->data))
		failed(image, "%s: done, but not as it was", what);
	else if (t->job != UNPACK && t->job != UNDO)
		judge_sound(image, t->job == IN_PLACE ? source : target, what);
}

static void prepare(const struct trial *t, struct fake_device *source,
		    struct fake_device *target)
{
	const struct subject *s = t->subject;
	uint64_t size = s->image->nr_blocks * ERA_BLOCK_SIZE;

	fake_init(source, s->image->nr_blocks);
	memcpy(source->data, t->job == UNDO ? s->repaired : s->image->data,
	       size);
	fake_init(target, s->image->nr_blocks);
	memcpy(target->data, s->older->data, size);
}

/* Returns whether the call of this number was reached. */
static bool try_call(const struct trial *t, uint64_t call)
{
	static const char *const ops[] = { "read", "write", "flush",
					   "discard" };
	struct fake_device source, target, *failing;
	struct fake_report report;
	bool reached, last;
	char what[96];
	int r;

	snprintf(what, sizeof(what), "%s, %s %llu of the %s%s: %s",
		 job_names[t->job], ops[t->op], (unsigned long long)call,
		 t->on_target ? "target" : "source",
		 t->only ? "" : " and following",
		 t->error ? strerror(t->error) : "nothing done");
	fake_report_init(&report);
	prepare(t, &source, &target);
	failing = t->on_target ? &target : &source;
	failing->error = t->error;
	if (t->only)
		failing->fail_only[t->op] = call;
	else
		failing->fail_from[t->op] = call;
	r = run(t, &source, &target, &report.report);
	reached = failing->nr_calls[t->op] > call;
	last = failing->nr_calls[FAKE_SYNC] >= 3;
	failing->fail_only[t->op] = failing->fail_from[t->op] = NO_CALL;
	nr_tried += reached;
	if (reached && !r && (t->op == FAKE_WRITE || t->op == FAKE_SYNC))
		failed(t->subject->image, "%s: not noticed", what);
	if (r && !report.fatal[0])
		failed(t->subject->image, "%s: not reported", what);
	judge(t, r, &source, &target, last, what);
	fake_release(&source);
	fake_release(&target);
	return reached;
}

/* Calls of a kind that fail in one way, of a job. */
struct way {
	enum job job;
	enum fake_op op;
	bool on_target;
	int error;
	unsigned int step; /* 0: each call; else every so many steps */
};

static const struct way ways[] = {
	{ IN_PLACE, FAKE_READ, false, EIO, 1 },
	{ IN_PLACE, FAKE_READ, false, ENODEV, 5 }, /* pulled out */
	{ IN_PLACE, FAKE_READ, false, 0, 5 },	   /* shorter than it was */
	{ IN_PLACE, FAKE_WRITE, false, EIO, 0 },
	{ IN_PLACE, FAKE_WRITE, false, ENOSPC, 0 },
	{ IN_PLACE, FAKE_SYNC, false, EIO, 0 },
	{ TO_ANOTHER, FAKE_READ, false, EIO, 1 },
	{ TO_ANOTHER, FAKE_READ, true, EIO, 1 },
	{ TO_ANOTHER, FAKE_WRITE, true, ENOSPC, 0 },
	{ TO_ANOTHER, FAKE_WRITE, true, 0, 0 },
	{ TO_ANOTHER, FAKE_SYNC, true, EIO, 0 },
	{ TO_ANOTHER, FAKE_DISCARD, true, EIO, 0 },
	{ RESTORE, FAKE_READ, false, EIO, 1 },
	{ RESTORE, FAKE_READ, false, 0, 1 },
	{ RESTORE, FAKE_WRITE, true, ENOSPC, 0 },
	{ RESTORE, FAKE_WRITE, true, ENXIO, 0 },
	{ RESTORE, FAKE_SYNC, true, EIO, 0 },
	{ UNPACK, FAKE_WRITE, true, ENOSPC, 0 },
	{ UNPACK, FAKE_WRITE, true, 0, 0 },
	{ UNPACK, FAKE_SYNC, true, EIO, 0 },
	{ UNPACK, FAKE_DISCARD, true, EIO, 0 },
	{ UNDO, FAKE_READ, false, EIO, 0 },
	{ UNDO, FAKE_WRITE, false, EIO, 0 },
	{ UNDO, FAKE_SYNC, false, EIO, 0 },
};

static bool applies(const struct subject *s, enum job job)
{
	if (job == RESTORE)
		return s->image->sound;
	return job != UNDO || s->undo[0];
}

static void try_ways(const struct subject *s)
{
	for (size_t i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
		const struct way *way = &ways[i / 2];
		struct trial t = { s,	  way->job,  way->op, way->on_target,
				   i % 2, way->error };
		uint64_t step = 1;

		if (way->step)
			step = setting("ERA_FAULT_STEP", 97) * way->step;
		if (!applies(s, way->job))
			continue;
		for (uint64_t call = random_below((uint32_t)step);
		     try_call(&t, call); call += step)
			;
	}
}

/*
 * Another device in its place from some read on: whatever is read twice may
 * differ. What is written then cannot be complete, but has to be sound.
 */
static void try_changing(const struct subject *s, enum job job)
{
	uint64_t step = setting("ERA_FAULT_STEP", 97) / 2 + 1;
	bool reached = true;

	for (uint64_t call = 1; reached;
	     call += 1 + random_below((uint32_t)step)) {
		struct trial t = { s, job, FAKE_READ, false, true, 0 };
		struct fake_device source, target, *result;
		struct fake_report report;
		int r;

		fake_report_init(&report);
		prepare(&t, &source, &target);
		source.becomes = s->older->data;
		source.becomes_at = call;
		r = run(&t, &source, &target, &report.report);
		reached = source.nr_calls[FAKE_READ] > call;
		source.becomes = NULL;
		result = job == IN_PLACE ? &source : &target;
		nr_tried += reached;
		if (r && !report.fatal[0])
			failed(s->image,
			       "%s, another device from read %llu "
			       "on: not reported",
			       job_names[job], (unsigned long long)call);
		if (!r && !is_clean(&result->device))
			failed(s->image,
			       "%s, another device from read %llu "
			       "on: done, but not sound",
			       job_names[job], (unsigned long long)call);
		fake_release(&source);
		fake_release(&target);
	}
}

/* Nor may a list of what was written be taken for one, when it is both's. */
static void try_changing_list(const struct subject *s)
{
	bool reached = s->image->sound && s->image != s->older;

	for (uint64_t call = 1; reached; call++) {
		struct trial t = { s, RESTORE, FAKE_READ, false, true, 0 };
		struct fake_device source, target;
		struct dates dates;
		bool done;

		prepare(&t, &source, &target);
		source.becomes = s->older->data;
		source.becomes_at = call;
		done = dates_read(&dates, &source.device);
		reached = source.nr_calls[FAKE_READ] > call;
		nr_tried += reached;
		if (done && reached)
			failed(s->image,
			       "list, another device from read %llu on: done",
			       (unsigned long long)call);
		source.becomes = NULL;
		dates_release(&dates);
		fake_release(&source);
		fake_release(&target);
	}
}

/* A write that is said to be done and is not. */
static void try_forgetting(const struct subject *s)
{
	bool reached = true;

	for (uint64_t call = 0; reached; call++) {
		struct trial t = { s, TO_ANOTHER, FAKE_WRITE, true, true, 0 };
		struct fake_device source, target;
		struct fake_report report;
		char what[64];
		int r;

		snprintf(what, sizeof(what), "write %llu forgotten",
			 (unsigned long long)call);
		fake_report_init(&report);
		prepare(&t, &source, &target);
		/* old metadata could stand where the new is missing */
		memset(target.data + ERA_BLOCK_SIZE, 0,
		       (s->image->nr_blocks - 1) * ERA_BLOCK_SIZE);
		target.forget = call;
		r = run(&t, &source, &target, &report.report);
		reached = target.nr_calls[FAKE_WRITE] > call;
		target.forget = NO_CALL - 1;
		nr_tried += reached;
		judge(&t, r, &source, &target, false, what);
		fake_release(&source);
		fake_release(&target);
	}
}

/* The same bytes, however slowly they come and go. */
static void try_slow(const struct image *image)
{
	uint64_t size = image->nr_blocks * ERA_BLOCK_SIZE;
	uint8_t *expected = malloc(size);
	enum era_repair_need need;

	for (int slow = 0; slow < 4; slow++) {
		struct fake_report report;
		struct fake_device fake;

		fake_report_init(&report);
		fake_init(&fake, image->nr_blocks);
		memcpy(fake.data, image->data, size);
		fake.interrupt = slow & 1;
		fake.most = slow & 2 ? 1000 : 0;
		fake.can_discard = !slow;
		if (job_in_place(&fake, image, &need, &report.report))
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

/* Repairs with an undo file, so that there is something to be undone. */
static void subject_init(struct subject *s, const struct image *image,
			 const struct image *older)
{
	uint64_t size = image->nr_blocks * ERA_BLOCK_SIZE;
	enum era_repair_need need = ERA_REPAIR_NOTHING;
	struct fake_report report;
	struct fake_device fake;
	struct undo_log log;

	*s = (struct subject){ .image = image, .older = older };
	s->repaired = malloc(size);
	snprintf(s->pack, sizeof(s->pack), "/tmp/era-pack-%d", (int)getpid());
	snprintf(s->undo, sizeof(s->undo), "/tmp/era-undo-%d", (int)getpid());
	make_pack(image, s->pack);
	fake_report_init(&report);
	fake_init(&fake, image->nr_blocks);
	memcpy(fake.data, image->data, size);
	if (undo_log_start(&log, &fake.device, s->undo, NULL) ||
	    job_in_place(&fake, image, &need, &report.report) ||
	    undo_log_finish(&log)) {
		failed(image, "cannot be repaired in place");
		need = ERA_REPAIR_NOTHING;
	}
	if (need == ERA_REPAIR_NOTHING)
		s->undo[0] = '\0';
	memcpy(s->repaired, fake.data, size);
	fake_release(&fake);
}

static void subject_release(struct subject *s)
{
	unlink(s->pack);
	unlink(s->undo);
	free(s->repaired);
}

int main(int argc, char **argv)
{
	const struct image *older = NULL;
	struct image *images;
	size_t nr = images_load(&images, argc, argv);

	for (size_t i = 0; i < nr && !older; i++)
		older = images[i].sound ? &images[i] : NULL;
	if (!older) {
		fprintf(stderr, "one of the images must be sound: it is what "
				"devices become, and targets held before\n");
		return 1;
	}
	for (size_t i = 0; i < nr; i++) {
		struct subject s;

		subject_init(&s, &images[i], older);
		try_ways(&s);
		try_changing(&s, IN_PLACE);
		try_changing(&s, TO_ANOTHER);
		try_changing_list(&s);
		try_forgetting(&s);
		try_slow(&images[i]);
		subject_release(&s);
	}
	printf("failing calls tried on %zu images: %llu; %u bad\n", nr,
	       (unsigned long long)nr_tried, nr_failed);
	images_free(images, nr);
	free(images);
	return nr_failed != 0;
}
