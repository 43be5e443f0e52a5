// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drives the kernel's dm-era target, which is included unmodified, through the
 * methods that the device mapper calls. A device here is one table with one
 * target; two of them over one disk are a table that is loaded beside the live
 * one. The worker runs only when it is told to, step by step.
 */
#include "shim.h"

#include "dm-era-target.c"

#include <setjmp.h>
#include <signal.h>

#include "disk.h"

#define OOPS (-9999)
#define MAX_RUNS 20000000 /* of a worker in its life */

int shim_verbose;

/* The call under way, and where it ends should it oops. */
static struct {
	struct disk *disk;
	struct workqueue_struct *queue;
	bool armed;
	sigjmp_buf oops;
	char why[256];
} call;

struct device {
	struct dm_target target;
	struct disk *disk;
	bool dead;	/* it has oopsed: nobody waits for anything any more */
	bool live;	/* resumed */
};

/* --- what the shim leaves open ------------------------------------------------ */

void shim_bug(const char *file, int line)
{
	snprintf(call.why, sizeof(call.why), "BUG at %s:%d", file, line);
	if (!call.armed)
		abort();
	siglongjmp(call.oops, 1);
}

static void bad_access(int sig)
{
	if (!call.armed) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	snprintf(call.why, sizeof(call.why), "signal %d", sig);
	siglongjmp(call.oops, 1);
}

__attribute__((constructor)) static void catch_bad_accesses(void)
{
	static char stack[65536];
	stack_t on = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = {
		.sa_handler = bad_access, .sa_flags = SA_ONSTACK,
	};

	sigaltstack(&on, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
}

u32 shim_crc32c(u32 crc, const void *data, size_t len)
{
	static u32 table[8][256];
	const u8 *p = data;
	int i, k;

	if (!table[0][1]) {
		for (i = 0; i < 256; i++) {
			u32 c = i;

			for (k = 0; k < 8; k++)
				c = c >> 1 ^ (c & 1 ? 0x82F63B78 : 0);
			table[0][i] = c;
		}
		for (i = 0; i < 256; i++)
			for (k = 1; k < 8; k++)
				table[k][i] = table[k - 1][i] >> 8 ^
					table[0][table[k - 1][i] & 0xff];
	}
	for (; len >= 8; len -= 8, p += 8) {
		u32 low, high;

		memcpy(&low, p, 4);
		memcpy(&high, p + 4, 4);
		low ^= crc;
		crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^
		      table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
		      table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
		      table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
	}
	for (; len; len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return crc;
}

int shim_run_one(struct workqueue_struct *queue)
{
	struct work_struct *work = queue->pending;

	if (!work)
		return 0;
	if (++queue->nr_runs > MAX_RUNS)
		BUG();
	queue->pending = NULL;
	work->func(work);
	return 1;
}

void shim_drain(struct workqueue_struct *queue)
{
	while (shim_run_one(queue))
		;
}

void shim_run_current(void)
{
	if (!shim_run_one(call.queue))
		BUG(); /* it would wait for ever */
}

void shim_bio_released(struct bio *bio)
{
	disk_event(bio->disk, EVENT_RELEASED, bio->data_block);
	free(bio);
}

void shim_bio_failed(struct bio *bio)
{
	disk_event(bio->disk, EVENT_FAILED, bio->data_block);
	free(bio);
}

int dm_get_device(struct dm_target *ti, const char *path, fmode_t mode,
		  struct dm_dev **dev)
{
	struct {
		struct dm_dev dev;
		struct block_device bdev;
	} *both = calloc(1, sizeof(*both));

	(void)ti;
	(void)path;
	(void)mode;
	both->bdev.disk = call.disk;
	both->dev.bdev = &both->bdev;
	*dev = &both->dev;
	return 0;
}

/* --- calls --------------------------------------------------------------------- */

static struct era *era_of(struct device *dev)
{
	return dev->target.private;
}

static void begin(struct device *dev)
{
	call.disk = dev->disk;
	call.queue = era_of(dev) ? era_of(dev)->wq : NULL;
	call.armed = true;
}

static void end(void)
{
	call.armed = false;
}

/* Where the rest of the function oopses it returns OOPS from here. */
#define OOPS_ENDS(dev) do {			\
	if ((dev)->dead)			\
		return OOPS;			\
	begin(dev);				\
	if (sigsetjmp(call.oops, 1)) {		\
		end();				\
		(dev)->dead = true;		\
		return OOPS;			\
	}					\
} while (0)

static bool is_blank(const struct disk *d)
{
	long i;

	for (i = 0; i < DISK_BLOCK_SIZE; i++)
		if (d->image[i])
			return false;
	return true;
}

struct device *device_create(struct disk *d, u32 block_size, u64 nr_blocks,
			     int *error);
struct device *device_create(struct disk *d, u32 block_size, u64 nr_blocks,
			     int *error)
{
	char size[24], metadata[] = "metadata", origin[] = "origin";
	char *argv[] = { metadata, origin, size };
	struct device *dev = calloc(1, sizeof(*dev));

	dev->disk = d;
	dev->target.len = nr_blocks * block_size;
	if (is_blank(d))
		disk_event(d, EVENT_FORMAT, 0);
	begin(dev);
	if (sigsetjmp(call.oops, 1)) {
		*error = OOPS;
	} else {
		sprintf(size, "%u", block_size);
		*error = era_ctr(&dev->target, ARRAY_SIZE(argv), argv);
	}
	end();
	if (!*error)
		return dev;
	free(dev);
	return NULL;
}

/* An era that begins in a call begins, at the earliest, with it. */
static void note_new_era(struct device *dev, u32 era_before, long nr_before)
{
	u32 era = era_of(dev)->md->current_era;

	if (era == era_before)
		return;
	disk_event(dev->disk, EVENT_ERA, era);
	disk_event_was_at(dev->disk, nr_before);
}

int device_resume(struct device *dev);
int device_resume(struct device *dev)
{
	long nr_events = dev->disk->nr_events;
	struct era_metadata *md;
	u32 era, nr_blocks;
	int r;

	OOPS_ENDS(dev);
	md = era_of(dev)->md;
	era = md->current_era;
	nr_blocks = calc_nr_blocks(era_of(dev));
	if (nr_blocks < md->nr_blocks)
		disk_event(dev->disk, EVENT_SHRUNK, nr_blocks);
	r = era_preresume(&dev->target);
	note_new_era(dev, era, nr_events);
	dev->live = !r;
	end();
	return r;
}

int device_suspend(struct device *dev);
int device_suspend(struct device *dev)
{
	OOPS_ENDS(dev);
	era_postsuspend(&dev->target);
	dev->live = false;
	end();
	return 0;
}

int device_message(struct device *dev, char *message);
int device_message(struct device *dev, char *message)
{
	bool snapshot = !strcmp(message, "take_metadata_snap");
	long nr_events = dev->disk->nr_events;
	u32 era;
	int r;

	OOPS_ENDS(dev);
	era = era_of(dev)->md->current_era;
	/* what was released before it was asked for is in it */
	if (snapshot)
		disk_event(dev->disk, EVENT_SNAPSHOT, 0);
	r = era_message(&dev->target, 1, &message, NULL, 0);
	if (snapshot && r)
		disk_drop_event(dev->disk, nr_events);
	note_new_era(dev, era, nr_events + (snapshot && !r));
	end();
	return r;
}

/* What `dmsetup status` tells; from then on a user can ask for that era. */
int device_status(struct device *dev, u32 *era);
int device_status(struct device *dev, u32 *era)
{
	unsigned long long used, total;
	unsigned int block_size;
	char text[128];

	OOPS_ENDS(dev);
	era_status(&dev->target, STATUSTYPE_INFO, 0, text, sizeof(text));
	end();
	if (sscanf(text, "%u %llu/%llu %u", &block_size, &used, &total,
		   era) != 4)
		return -EIO;
	disk_event(dev->disk, EVENT_REPORTED, *era);
	return 0;
}

/* How many metadata blocks are free, and whether a snapshot is held; nobody
   is told. */
int device_room(struct device *dev, u64 *nr_free, u64 *snapshot);
int device_room(struct device *dev, u64 *nr_free, u64 *snapshot)
{
	struct metadata_stats stats;
	int r;

	OOPS_ENDS(dev);
	r = metadata_get_stats(era_of(dev)->md, &stats);
	end();
	*nr_free = stats.total - stats.used;
	*snapshot = stats.snap;
	return r;
}

/* Writes of one data block each arrive together. */
int device_send(struct device *dev, const u32 *data_blocks, long nr);
int device_send(struct device *dev, const u32 *data_blocks, long nr)
{
	long i;

	OOPS_ENDS(dev);
	if (!dev->live) {
		end();
		return -EAGAIN;
	}
	for (i = 0; i < nr; i++) {
		struct bio *bio = calloc(1, sizeof(*bio));

		bio->bi_opf = WRITE;
		bio->disk = dev->disk;
		bio->data_block = data_blocks[i];
		bio->bi_iter.bi_sector = (u64)data_blocks[i] *
			era_of(dev)->sectors_per_block;
		disk_event(dev->disk, EVENT_ARRIVED, data_blocks[i]);
		if (era_map(&dev->target, bio) == DM_MAPIO_REMAPPED)
			shim_bio_released(bio);
	}
	end();
	return 0;
}

/* Runs the worker until no write waits any more. */
int device_finish_writes(struct device *dev);
int device_finish_writes(struct device *dev)
{
	OOPS_ENDS(dev);
	while (!bio_list_empty(&era_of(dev)->deferred_bios) &&
	       shim_run_one(era_of(dev)->wq))
		;
	end();
	return 0;
}

/* Runs the worker that often, or until it has nothing to do. */
long device_work(struct device *dev, long steps);
long device_work(struct device *dev, long steps)
{
	long nr = 0;

	OOPS_ENDS(dev);
	while (nr < steps && shim_run_one(era_of(dev)->wq))
		nr++;
	end();
	return nr;
}

int device_is_dead(struct device *dev);
int device_is_dead(struct device *dev)
{
	return dev->dead;
}

int device_remove(struct device *dev);
int device_remove(struct device *dev)
{
	OOPS_ENDS(dev);
	era_dtr(&dev->target);
	end();
	free(dev);
	return 0;
}

/* The machine is gone, and the device with it. What has oopsed is in no state
   to be freed. */
void device_abandon(struct device *dev);
void device_abandon(struct device *dev)
{
	if (dev->dead)
		return;
	dev->disk->off = true;
	era_of(dev)->wq->pending = NULL;
	device_remove(dev);
	dev->disk->off = false;
}

const char *device_why_dead(void);
const char *device_why_dead(void)
{
	return call.why;
}

void device_set_verbose(int verbose);
void device_set_verbose(int verbose)
{
	shim_verbose = verbose;
}
