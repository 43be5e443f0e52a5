/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Repair in place, repair to another device, restore, unpack and undo, each
 * with the power cut at every point: the device holds the old state or the new
 * one, or none that anybody takes for whole.
 *
 *     test_power_cut [IMAGE...]
 *     ERA_CRASH_SAMPLES  of each cut with too many states to try (default 6)
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/undo.h"
#include "era/check.h"
#include "jobs.h"
#include "power_cut.h"

/* One image's way from the old state to the new. */
struct way {
	const struct image *image;
	const char *what;
	const uint8_t *before, *after;
	bool bit_for_bit;   /* the new state need not be sound */
	struct dates dates; /* of the new state */
	/* of the state before the repair: its dates, if they can be read, and
	 * what era_check finds wrong */
	struct dates old;
	uint64_t old_faults;
	char undo[64]; /* file, or empty */
	/* of the file's durable part when the log's entry was made */
	uint64_t *undo_size;
	size_t nr_undo_size;
};

static bool is_superblock(const struct fake_device *state, const uint8_t *data)
{
	return !memcmp(state->data, data, ERA_BLOCK_SIZE);
}

static bool is_valid(struct fake_device *state)
{
	struct era_superblock sb;

	return !era_superblock_read(&sb, &state->device, 0, NULL);
}

static bool is_zero_superblock(const struct fake_device *state)
{
	for (size_t i = 0; i < ERA_BLOCK_SIZE; i++)
		if (state->data[i])
			return false;
	return true;
}

static bool is_same(const struct dates *a, const struct dates *b)
{
	return a->nr == b->nr &&
	       !memcmp(a->eras, b->eras, a->nr * sizeof(*a->eras));
}

/* The new superblock is there: so is all the rest. */
static void judge_new(const struct way *way, struct fake_device *state)
{
	struct dates dates;

	if (!is_clean(&state->device))
		failed(way->image, "%s: the new state is not sound", way->what);
	else if (!dates_read(&dates, &state->device))
		failed(way->image, "%s: the new state cannot be read",
		       way->what);
	else if (!is_same(&dates, &way->dates))
		failed(way->image, "%s: the new state has other dates",
		       way->what);
	else
		goto out;
	return;
out:
	dates_release(&dates);
}

static uint64_t nr_faults(struct fake_device *state)
{
	struct era_report quiet = { .problem = NULL };

	era_check(&state->device, 0, &quiet);
	return quiet.nr[ERA_FATAL] + quiet.nr[ERA_NON_FATAL];
}

/* The old state is whole where it was, and not only its superblock. */
static void judge_whole(const struct way *way, struct fake_device *state)
{
	struct dates dates;

	if (nr_faults(state) > way->old_faults)
		failed(way->image, "%s: cut short, the old state is damaged",
		       way->what);
	if (!way->old.eras)
		return;
	if (!dates_read(&dates, &state->device))
		failed(way->image, "%s: cut short, the old state is not whole",
		       way->what);
	else if (!is_same(&dates, &way->old))
		failed(way->image,
		       "%s: cut short, the old state has other "
		       "dates",
		       way->what);
	dates_release(&dates);
}

/* The old superblock is there: another repair still loses nothing. */
static void judge_old(const struct way *way, struct fake_device *state)
{
	struct dates dates;

	if (is_superblock(state, way->image->data))
		judge_whole(way, state);
	if (dates_salvage(&dates, &state->device, way->image))
		failed(way->image, "%s: cut short, it cannot be repaired",
		       way->what);
	else if (!dates_complete(&dates, way->image))
		failed(way->image, "%s: cut short, writes are lost", way->what);
	dates_release(&dates);
}

/* The undo file as it was then brings the old state back bit for bit. */
static void judge_undo(const struct way *way, struct fake_device *state,
		       size_t at)
{
	uint64_t size = state->device.nr_blocks * ERA_BLOCK_SIZE;
	char cut[80];
	FILE *from, *to;
	char *buf;

	if (!way->undo[0])
		return;
	snprintf(cut, sizeof(cut), "%s-cut", way->undo);
	buf = malloc(way->undo_size[at]);
	from = fopen(way->undo, "r");
	to = fopen(cut, "w");
	fwrite(buf, 1, fread(buf, 1, way->undo_size[at], from), to);
	fclose(from);
	fclose(to);
	free(buf);
	if (undo_apply(cut, &state->device, NULL))
		failed(way->image, "%s: the undo file is refused", way->what);
	else if (memcmp(state->data, way->before, size))
		failed(way->image, "%s: undone, it is not as it was",
		       way->what);
	unlink(cut);
}

static void judge_in_place(void *arg, struct fake_device *state, size_t at)
{
	struct way *way = arg;

	if (is_superblock(state, way->after))
		judge_new(way, state);
	else if (is_superblock(state, way->before) || !is_valid(state))
		judge_old(way, state);
	else
		failed(way->image, "%s: a third superblock", way->what);
	if (is_zero_superblock(state) && !is_superblock(state, way->before))
		failed(way->image, "%s: the kernel would format it", way->what);
	judge_undo(way, state, at);
}

static void judge_target(void *arg, struct fake_device *state, size_t at)
{
	struct way *way = arg;
	uint64_t size = state->device.nr_blocks * ERA_BLOCK_SIZE;

	(void)at;
	if (!memcmp(state->data, way->before, size))
		return;
	if (is_zero_superblock(state))
		failed(way->image, "%s: the kernel would format it", way->what);
	else if (is_superblock(state, way->after) && way->bit_for_bit &&
		 is_valid(state)) {
		if (memcmp(state->data, way->after, size))
			failed(way->image,
			       "%s: the superblock is there, not "
			       "the rest",
			       way->what);
	} else if (is_superblock(state, way->after) && !way->bit_for_bit)
		judge_new(way, state);
	else if (is_valid(state))
		failed(way->image, "%s: half of it is taken for whole",
		       way->what);
}

/* Undoing: whatever is there, undoing once more gives the old state. */
static void judge_undoing(void *arg, struct fake_device *state, size_t at)
{
	struct way *way = arg;

	if (is_superblock(state, way->before))
		judge_new(way, state); /* before: the repaired one */
	else if (is_superblock(state, way->after) || !is_valid(state))
		judge_old(way, state);
	else
		failed(way->image, "%s: a third superblock", way->what);
	(void)at;
	if (undo_apply(way->undo, &state->device, NULL) ||
	    memcmp(state->data, way->after,
		   state->device.nr_blocks * ERA_BLOCK_SIZE))
		failed(way->image, "%s: undone twice, it is not as it was",
		       way->what);
}

static uint64_t cut_everywhere(struct way *way, const struct fake_device *fake,
			       void (*judge)(void *, struct fake_device *,
					     size_t))
{
	struct power_cut cut = { .wrote = fake,
				 .before = way->before,
				 .judge = judge,
				 .arg = way,
				 .samples = setting("ERA_CRASH_SAMPLES", 6) };

	if (fake->log[fake->nr_log - 1].len)
		failed(way->image, "%s: done, and not all of it is flushed",
		       way->what);
	power_cut_run(&cut);
	return cut.nr_states;
}

/* --- repair in place --------------------------------------------------------
 */

/*
 * Stands before fsync and fdatasync (-Wl,--wrap): the only file that is
 * flushed while a job runs is the undo file, up to its end.
 */
static uint64_t durable;

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fsync(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end > 0) /* the directory has no end that says anything */
		durable = (uint64_t)end;
	return __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	durable = (uint64_t)lseek(fd, 0, SEEK_END);
	return __real_fdatasync(fd);
}

/* Stands before the device and notes the undo file's size at each call. */
struct watch {
	struct era_io io;
	struct fake_device *fake;
	struct way *way;
};

static void note_size(const struct watch *watch)
{
	struct way *way = watch->way;

	way->undo_size = realloc(way->undo_size,
				 (way->nr_undo_size + 2) * sizeof(uint64_t));
	/* the first note is for a cut before the first call, too */
	way->undo_size[way->nr_undo_size++] = durable;
	way->undo_size[way->nr_undo_size] =
		way->undo_size[way->nr_undo_size - 1];
}

static ssize_t watch_readv(const struct era_io *io, int fd,
			   const struct iovec *iov, int nr_iov, off_t offset)
{
	const struct watch *w = io->arg;

	return w->fake->io.readv(&w->fake->io, fd, iov, nr_iov, offset);
}

static ssize_t watch_write(const struct era_io *io, int fd, const void *data,
			   size_t len, off_t offset)
{
	const struct watch *w = io->arg;

	note_size(w);
	return w->fake->io.write(&w->fake->io, fd, data, len, offset);
}

static int watch_sync(const struct era_io *io, int fd)
{
	const struct watch *w = io->arg;

	note_size(w);
	return w->fake->io.sync(&w->fake->io, fd);
}

static int repair_with_undo(struct fake_device *fake, struct way *way,
			    enum era_repair_need *need)
{
	struct watch watch = { { watch_readv, watch_write, watch_sync, NULL,
				 &watch },
			       fake,
			       way };
	struct fake_report report;
	struct undo_log log;
	int r, finished;

	fake_report_init(&report);
	snprintf(way->undo, sizeof(way->undo), "/tmp/era-undo-%d",
		 (int)getpid());
	fake->device.io = &watch.io;
	r = undo_log_start(&log, &fake->device, way->undo, NULL);
	if (r)
		return r;
	r = job_in_place(fake, way->image, need, &report.report);
	finished = undo_log_finish(&log);
	fake->device.io = &fake->io;
	return r ? r : finished;
}

static uint64_t cut_undoing(struct way *way, struct fake_device *fake)
{
	struct way back = { .image = way->image,
			    .what = "undoing",
			    .before = way->after,
			    .after = way->before,
			    .dates = way->dates,
			    .old = way->old,
			    .old_faults = way->old_faults };
	uint8_t *repaired = malloc(fake->device.nr_blocks * ERA_BLOCK_SIZE);
	uint64_t nr;

	memcpy(repaired, fake->data, fake->device.nr_blocks * ERA_BLOCK_SIZE);
	back.before = repaired;
	snprintf(back.undo, sizeof(back.undo), "%s", way->undo);
	fake_reset(fake);
	if (undo_apply(way->undo, &fake->device, NULL) ||
	    memcmp(fake->data, way->before,
		   fake->device.nr_blocks * ERA_BLOCK_SIZE))
		failed(way->image, "undone, it is not as it was");
	nr = cut_everywhere(&back, fake, judge_undoing);
	free(repaired);
	return nr;
}

static uint64_t cut_in_place(const struct image *image, uint64_t *nr_undoing)
{
	struct way way = { .image = image, .what = "in place" };
	uint64_t size = image->nr_blocks * ERA_BLOCK_SIZE, nr = 0;
	enum era_repair_need need = ERA_REPAIR_NOTHING, again;
	uint8_t *after = malloc(size);
	struct fake_report report;
	struct fake_device fake;

	fake_report_init(&report);
	fake_init(&fake, image->nr_blocks);
	memcpy(fake.data, image->data, size);
	fake.logging = true;
	way.before = image->data;
	way.old_faults = nr_faults(&fake);
	if (!dates_read(&way.old, &fake.device))
		dates_release(&way.old);
	if (repair_with_undo(&fake, &way, &need)) {
		failed(image, "cannot be repaired in place");
		goto out;
	}
	memcpy(after, fake.data, size);
	way.after = after;
	if (!dates_read(&way.dates, &fake.device) ||
	    !dates_complete(&way.dates, image) || !is_clean(&fake.device)) {
		failed(image, "repaired in place it is not sound");
		goto out;
	}
	if (need == ERA_REPAIR_NOTHING && memcmp(after, image->data, size))
		failed(image, "was sound, and is not the same any more");
	if (need != ERA_REPAIR_NOTHING) {
		nr = cut_everywhere(&way, &fake, judge_in_place);
		*nr_undoing += cut_undoing(&way, &fake);
	}
	/* a second repair */
	memcpy(fake.data, after, size);
	fake_reset(&fake);
	if (job_in_place(&fake, image, &again, &report.report) ||
	    again != ERA_REPAIR_NOTHING || fake.nr_log)
		failed(image, "a second repair finds something to do");
out:
	dates_release(&way.old);
	dates_release(&way.dates);
	unlink(way.undo);
	free(way.undo_size);
	free(after);
	fake_release(&fake);
	return nr;
}

/* --- in place where there is little room
 * --------------------------------------
 */

/* Blocks free beside what a tight device holds. */
#define SPARE 12

static void copy_densely(const struct image *image, struct fake_device *to,
			 uint64_t nr_blocks)
{
	struct fake_report report;
	struct fake_device from;

	fake_report_init(&report);
	fake_init(&from, image->nr_blocks);
	memcpy(from.data, image->data, image->nr_blocks * ERA_BLOCK_SIZE);
	fake_init(to, nr_blocks);
	if (job_restore(&from, to, &report.report))
		failed(image, "cannot be restored: %s", report.fatal);
	fake_release(&from);
}

static uint64_t nr_used(struct fake_device *fake)
{
	struct era_superblock sb;

	era_superblock_get(&sb, fake->data);
	return sb.space_map.nr_allocated;
}

/* Something that a repair in place has to do. */
static void damage(struct fake_device *fake, bool trees)
{
	struct era_superblock sb;
	struct era_scan scan;

	if (!trees) {
		era_superblock_get(&sb, fake->data);
		sb.space_map.nr_allocated++;
		era_superblock_put(fake->data, &sb);
		return;
	}
	if (era_scan_init(&scan, &fake->device))
		return;
	for (uint64_t block = 0; block < scan.nr_blocks; block++)
		if (era_scan_role(&scan, block) == ROLE_ERAS) {
			memset(fake_block(fake, block) + 100, 0x55, 1000);
			break;
		}
	era_scan_release(&scan);
}

/*
 * What kernels leave has free blocks in front of all that is in use, so that
 * it takes little to find one. Here the first block that seems to be free is
 * of the old state.
 */
static uint64_t cut_tight(const struct image *image, bool trees,
			  uint64_t *nr_undoing)
{
	struct image tight = *image;
	struct fake_device fake;
	uint64_t nr;

	copy_densely(image, &fake, image->nr_blocks);
	tight.nr_blocks = (trees ? 2 : 1) * nr_used(&fake) + SPARE;
	fake_release(&fake);
	copy_densely(image, &fake, tight.nr_blocks);
	damage(&fake, trees);
	tight.data = fake.data;
	tight.sound = false; /* not to the last count */
	snprintf(tight.name, sizeof(tight.name), "%.40s, tight%s", image->name,
		 trees ? " and damaged" : "");
	nr = cut_in_place(&tight, nr_undoing);
	fake_release(&fake);
	return nr;
}

/* --- to another device ------------------------------------------------------
 */

/* Blocks that a target has more than what is written to it. */
#define LARGER 40

enum job { TO_ANOTHER, RESTORE, UNPACK, NR_JOBS };

static const char *const job_names[] = { "to another", "restore", "unpack" };

static int write_target(enum job job, struct fake_device *target,
			const struct image *image)
{
	struct fake_report report;
	struct fake_device source;
	char pack[64];
	int r;

	fake_report_init(&report);
	fake_init(&source, image->nr_blocks);
	memcpy(source.data, image->data, image->nr_blocks * ERA_BLOCK_SIZE);
	if (job == TO_ANOTHER) {
		r = job_repair_to(&source, target, image, &report.report);
	} else if (job == RESTORE) {
		r = job_restore(&source, target, &report.report);
	} else {
		snprintf(pack, sizeof(pack), "/tmp/era-pack-%d", (int)getpid());
		make_pack(image, pack);
		r = job_unpack(pack, target, &report.report);
		unlink(pack);
	}
	fake_release(&source);
	return r;
}

/* Whether the job has done what it is for. */
static bool is_done(struct way *way, struct fake_device *target)
{
	uint64_t size = way->image->nr_blocks * ERA_BLOCK_SIZE;

	if (!way->bit_for_bit)
		return dates_read(&way->dates, &target->device) &&
		       dates_complete(&way->dates, way->image);
	for (size_t i = 0; i < (size_t)LARGER * ERA_BLOCK_SIZE; i++)
		if (target->data[size + i])
			return false;
	/* a superblock that is all zero stays invalid */
	return !memcmp(target->data + ERA_BLOCK_SIZE,
		       way->image->data + ERA_BLOCK_SIZE,
		       size - ERA_BLOCK_SIZE) &&
	       (!memcmp(target->data, way->image->data, ERA_BLOCK_SIZE) ||
		!is_valid(target));
}

static uint64_t cut_target(const struct image *image, const struct image *older,
			   enum job job)
{
	struct way way = { .image = image,
			   .what = job_names[job],
			   .bit_for_bit = job == UNPACK };
	uint64_t nr_blocks = image->nr_blocks + LARGER, nr = 0;
	uint8_t *before = malloc(nr_blocks * ERA_BLOCK_SIZE);
	uint8_t *after = malloc(nr_blocks * ERA_BLOCK_SIZE);
	struct fake_device target;

	fake_init(&target, nr_blocks);
	memcpy(target.data, older->data, image->nr_blocks * ERA_BLOCK_SIZE);
	/* what is past the end of the other must not be left, either */
	memcpy(target.data + image->nr_blocks * ERA_BLOCK_SIZE,
	       older->data + ERA_BLOCK_SIZE, LARGER * ERA_BLOCK_SIZE);
	memcpy(before, target.data, nr_blocks * ERA_BLOCK_SIZE);
	target.logging = true;
	way.before = before;
	if (write_target(job, &target, image)) {
		failed(image, "%s: failed", way.what);
	} else if (!is_done(&way, &target)) {
		failed(image, "%s: the result is not what it should be",
		       way.what);
	} else {
		memcpy(after, target.data, nr_blocks * ERA_BLOCK_SIZE);
		way.after = after;
		nr = cut_everywhere(&way, &target, judge_target);
	}
	dates_release(&way.dates);
	free(before);
	free(after);
	fake_release(&target);
	return nr;
}

int main(int argc, char **argv)
{
	uint64_t in_place = 0, tight = 0, undoing = 0, to[NR_JOBS] = { 0 };
	const struct image *older = NULL;
	struct image *images;
	size_t nr = images_load(&images, argc, argv);

	for (size_t i = 0; i < nr; i++) {
		const struct image *image = &images[i];

		if (!older || (image->sound && !older->sound))
			older = image;
		in_place += cut_in_place(image, &undoing);
		for (int trees = 0; trees < 2 && image->sound; trees++)
			tight += cut_tight(image, trees, &undoing);
		for (enum job job = 0; job < NR_JOBS; job++)
			if (job != RESTORE || image->sound)
				to[job] += cut_target(image, older, job);
	}
	printf("states after a power cut on %zu images: in place %llu, with "
	       "little room %llu, undo %llu, to another device %llu, restore "
	       "%llu, unpack %llu; "
	       "%u bad\n",
	       nr, (unsigned long long)in_place, (unsigned long long)tight,
	       (unsigned long long)undoing, (unsigned long long)to[TO_ANOTHER],
	       (unsigned long long)to[RESTORE], (unsigned long long)to[UNPACK],
	       nr_failed);
	images_free(images, nr);
	free(images);
	return nr_failed != 0;
}
