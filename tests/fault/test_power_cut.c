/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Repair in place, repair to another device, restore and undo, each with the
 * power cut at every point: the device holds the old state or the new one,
 * never a third.
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
#include "era/builder.h"
#include "era/reader.h"
#include "era/repair.h"
#include "power_cut.h"

static const struct era_repair_told nobody = { NULL, NULL };

/* One image's way from the old state to the new. */
struct way {
	const struct image *image;
	const char *what;
	const uint8_t *before, *after;
	struct dates dates;  /* of the new state */
	char undo[64];	     /* file, or empty */
	uint64_t *undo_size; /* of the file when the log's entry was made */
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

/* The new superblock is there: so is all the rest. */
static void judge_new(const struct way *way, struct fake_device *state)
{
	struct dates dates;

	if (!is_clean(&state->device))
		failed(way->image, "%s: the new state is not sound", way->what);
	else if (!dates_read(&dates, &state->device))
		failed(way->image, "%s: the new state cannot be read",
		       way->what);
	else if (dates.nr != way->dates.nr ||
		 memcmp(dates.eras, way->dates.eras,
			dates.nr * sizeof(*dates.eras)))
		failed(way->image, "%s: the new state has other dates",
		       way->what);
	else
		goto out;
	return;
out:
	dates_release(&dates);
}

/* The old superblock is there: another repair still loses nothing. */
static void judge_old(const struct way *way, struct fake_device *state)
{
	struct dates dates;

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
	if (is_zero_superblock(state) && !is_superblock(state, way->before))
		failed(way->image, "%s: the kernel would format it", way->what);
	else if (is_superblock(state, way->after))
		judge_new(way, state);
	else if (is_valid(state) && memcmp(state->data, way->before, size))
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

	power_cut_run(&cut);
	return cut.nr_states;
}

/* --- repair in place --------------------------------------------------------
 */

static int repair_in_place(struct fake_device *fake, const struct image *image,
			   enum era_repair_need *need)
{
	struct era_salvage salvage;
	int r = salvage_image(&salvage, &fake->device, image, false, NULL);

	if (r)
		return r;
	r = era_repair_need(&salvage, need);
	if (!r && *need != ERA_REPAIR_NOTHING)
		r = era_repair_in_place(&salvage, *need, &nobody, NULL);
	era_salvage_close(&salvage);
	return r;
}

/* Stands before the undo log's file and notes its size at each call. */
struct watch {
	struct era_io io;
	struct fake_device *fake;
	struct way *way;
	int fd;
};

static void note_size(const struct watch *watch)
{
	struct way *way = watch->way;

	way->undo_size = realloc(way->undo_size,
				 (way->nr_undo_size + 2) * sizeof(uint64_t));
	/* the first note is for a cut before the first call, too */
	way->undo_size[way->nr_undo_size++] =
		(uint64_t)lseek(watch->fd, 0, SEEK_END);
	way->undo_size[way->nr_undo_size] =
		way->undo_size[way->nr_undo_size - 1];
}

static ssize_t watch_readv(const struct era_io *io, int fd,
			   const struct iovec *iov, int nr_iov, off_t offset)
{
	const struct watch *w = (const struct watch *)io;

	return w->fake->io.readv(&w->fake->io, fd, iov, nr_iov, offset);
}

static ssize_t watch_write(const struct era_io *io, int fd, const void *data,
			   size_t len, off_t offset)
{
	const struct watch *w = (const struct watch *)io;

	note_size(w);
	return w->fake->io.write(&w->fake->io, fd, data, len, offset);
}

static int watch_sync(const struct era_io *io, int fd)
{
	const struct watch *w = (const struct watch *)io;

	note_size(w);
	return w->fake->io.sync(&w->fake->io, fd);
}

static int repair_with_undo(struct fake_device *fake, struct way *way,
			    enum era_repair_need *need)
{
	struct watch watch = {
		{ watch_readv, watch_write, watch_sync, NULL }, fake, way, -1
	};
	struct undo_log log;
	int r, finished;

	snprintf(way->undo, sizeof(way->undo), "/tmp/era-undo-%d",
		 (int)getpid());
	fake->device.io = &watch.io;
	r = undo_log_start(&log, &fake->device, way->undo, NULL);
	if (r)
		return r;
	watch.fd = log.fd;
	r = repair_in_place(fake, way->image, need);
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
			    .dates = way->dates };
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
	struct fake_device fake;

	fake_init(&fake, image->nr_blocks);
	memcpy(fake.data, image->data, size);
	fake.logging = true;
	way.before = image->data;
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
	if (repair_in_place(&fake, image, &again) ||
	    again != ERA_REPAIR_NOTHING || fake.nr_log)
		failed(image, "a second repair finds something to do");
out:
	dates_release(&way.dates);
	unlink(way.undo);
	free(way.undo_size);
	free(after);
	fake_release(&fake);
	return nr;
}

/* --- to another device ------------------------------------------------------
 */

/* Repairs, or copies as a restore does where the image is sound. */
static int write_target(struct fake_device *source, struct fake_device *target,
			const struct image *image, bool restore)
{
	struct era_salvage salvage;
	struct era_builder builder;
	struct era_metadata md;
	int r;

	if (!restore) {
		r = salvage_image(&salvage, &source->device, image, false,
				  NULL);
		if (r)
			return r;
		r = era_repair_to(&salvage, &target->device, &nobody, NULL);
		era_salvage_close(&salvage);
		return r;
	}
	r = era_metadata_open(&md, &source->device, false, NULL, NULL);
	if (r)
		return r;
	r = era_builder_init(&builder, &target->device, NULL);
	if (!r)
		r = era_read(&md, &builder.visitor);
	if (!r)
		r = era_builder_commit(&builder);
	era_builder_release(&builder);
	era_metadata_release(&md);
	return r;
}

static uint64_t cut_target(const struct image *image, const struct image *older,
			   bool restore)
{
	struct way way = { .image = image,
			   .what = restore ? "restore" : "to another" };
	uint64_t size = image->nr_blocks * ERA_BLOCK_SIZE, nr = 0;
	uint8_t *after = malloc(size);
	struct fake_device source, target;

	fake_init(&source, image->nr_blocks);
	memcpy(source.data, image->data, size);
	fake_init(&target, image->nr_blocks);
	memcpy(target.data, older->data, size);
	target.logging = true;
	way.before = older->data;
	if (write_target(&source, &target, image, restore)) {
		failed(image, "%s: failed", way.what);
	} else if (!dates_read(&way.dates, &target.device) ||
		   !dates_complete(&way.dates, image)) {
		failed(image, "%s: the result is not sound", way.what);
	} else {
		memcpy(after, target.data, size);
		way.after = after;
		nr = cut_everywhere(&way, &target, judge_target);
	}
	dates_release(&way.dates);
	free(after);
	fake_release(&source);
	fake_release(&target);
	return nr;
}

int main(int argc, char **argv)
{
	uint64_t in_place = 0, undoing = 0, to_another = 0, restore = 0;
	const struct image *older = NULL;
	struct image *images;
	size_t nr = images_load(&images, argc, argv);

	for (size_t i = 0; i < nr; i++) {
		const struct image *image = &images[i];

		if (!older || (image->sound && !older->sound))
			older = image;
		in_place += cut_in_place(image, &undoing);
		to_another += cut_target(image, older, false);
		if (image->sound)
			restore += cut_target(image, older, true);
	}
	printf("states after a power cut on %zu images: in place %llu, undo "
	       "%llu, to another device %llu, restore %llu; %u bad\n",
	       nr, (unsigned long long)in_place, (unsigned long long)undoing,
	       (unsigned long long)to_another, (unsigned long long)restore,
	       nr_failed);
	images_free(images, nr);
	free(images);
	return nr_failed != 0;
}
