// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dm-bufio over a device in memory. Its lists of clean and dirty buffers, the
 * order in which they are written and the share of dirty ones at which that
 * begins are those of drivers/md/dm-bufio.c. Age and a lack of memory, which
 * have the kernel write buffers early and forget clean ones, come by chance.
 */
#include "shim.h"

#include <linux/list.h>
#include <linux/dm-bufio.h>

#include "disk.h"

#define DM_MSG_PREFIX "bufio"
#define NR_BUCKETS 1024
#define DIRTY_PER_CLEAN 3
#define MAX_CALLS 40000000 /* of a device in its life */

enum { CLEAN, DIRTY, NR_LISTS };

struct dm_buffer {
	struct list_head in_list;
	struct hlist_node in_bucket;
	struct dm_bufio_client *client;
	sector_t block;
	int list;
	int nr_holders;
	bool dirty;
	u8 *data;
	void *aux;
};

struct dm_bufio_client {
	struct disk *disk;
	unsigned int block_size, aux_size;
	void (*allocated)(struct dm_buffer *buffer);
	void (*about_to_write)(struct dm_buffer *buffer);
	struct list_head lists[NR_LISTS];
	unsigned long nr[NR_LISTS];
	struct hlist_head buckets[NR_BUCKETS];
};

struct dm_bufio_client *
dm_bufio_client_create(struct block_device *bdev, unsigned int block_size,
		       unsigned int reserved, unsigned int aux_size,
		       void (*allocated)(struct dm_buffer *),
		       void (*about_to_write)(struct dm_buffer *),
		       unsigned int flags)
{
	struct dm_bufio_client *c = calloc(1, sizeof(*c));

	(void)reserved;
	(void)flags;
	BUG_ON(block_size != DISK_BLOCK_SIZE);
	c->disk = bdev->disk;
	c->block_size = block_size;
	c->aux_size = aux_size;
	c->allocated = allocated;
	c->about_to_write = about_to_write;
	INIT_LIST_HEAD(&c->lists[CLEAN]);
	INIT_LIST_HEAD(&c->lists[DIRTY]);
	return c;
}

static struct hlist_head *bucket(struct dm_bufio_client *c, sector_t block)
{
	return &c->buckets[block % NR_BUCKETS];
}

static struct dm_buffer *find(struct dm_bufio_client *c, sector_t block)
{
	struct dm_buffer *b;

	hlist_for_each_entry(b, bucket(c, block), in_bucket)
		if (b->block == block)
			return b;
	return NULL;
}

static void move_to(struct dm_buffer *b, int list)
{
	struct dm_bufio_client *c = b->client;

	c->nr[b->list]--;
	c->nr[list]++;
	b->list = list;
	list_move(&b->in_list, &c->lists[list]);
}

static void write_one(struct dm_buffer *b)
{
	struct dm_bufio_client *c = b->client;

	if (!b->dirty)
		return;
	b->dirty = false;
	if (c->about_to_write)
		c->about_to_write(b);
	disk_write(c->disk, b->block, b->data);
}

/* Buffers stay in the dirty list until they are found to be written. */
static void write_all(struct dm_bufio_client *c)
{
	struct dm_buffer *b, *next;

	list_for_each_entry_safe_reverse(b, next, &c->lists[DIRTY], in_list) {
		if (b->dirty)
			write_one(b);
		else
			move_to(b, CLEAN);
	}
}

static void drop(struct dm_buffer *b)
{
	b->client->nr[b->list]--;
	hlist_del(&b->in_bucket);
	list_del(&b->in_list);
	free(b->data);
	free(b->aux);
	free(b);
}

/* The buffer that a list has at a random place, or a later one; none in use. */
static struct dm_buffer *pick(struct dm_bufio_client *c, int list)
{
	unsigned long skip = c->nr[list] ? disk_random(c->disk) % c->nr[list]
					 : 0;
	struct dm_buffer *b;

	list_for_each_entry(b, &c->lists[list], in_list) {
		if (skip) {
			skip--;
			continue;
		}
		if (!b->nr_holders && b->dirty == (list == DIRTY))
			return b;
	}
	return NULL;
}

static bool happens(struct disk *d, u32 rate)
{
	return rate && (disk_random(d) & 0xffff) < rate;
}

static void pressure(struct dm_bufio_client *c)
{
	struct dm_buffer *b;

	BUG_ON(++c->disk->nr_calls > MAX_CALLS);
	if (happens(c->disk, c->disk->write_early)) {
		b = pick(c, DIRTY);
		if (b)
			write_one(b);
	}
	if (happens(c->disk, c->disk->evict)) {
		b = pick(c, CLEAN);
		if (b)
			drop(b);
	}
}

static struct dm_buffer *allocate(struct dm_bufio_client *c, sector_t block)
{
	struct dm_buffer *b = calloc(1, sizeof(*b));

	b->client = c;
	b->block = block;
	b->data = malloc(c->block_size);
	b->aux = calloc(1, c->aux_size);
	if (c->allocated)
		c->allocated(b);
	if (c->nr[DIRTY] > c->nr[CLEAN] * DIRTY_PER_CLEAN)
		write_all(c);
	b->list = CLEAN;
	c->nr[CLEAN]++;
	list_add(&b->in_list, &c->lists[CLEAN]);
	hlist_add_head(&b->in_bucket, bucket(c, block));
	return b;
}

enum how { READ, GET_CACHED, NEW, PREFETCH };

static void *get(struct dm_bufio_client *c, sector_t block, enum how how,
		 struct dm_buffer **result)
{
	struct dm_buffer *b;

	pressure(c);
	b = find(c, block);
	if (b && how == PREFETCH)
		return NULL;
	if (b) {
		move_to(b, b->dirty ? DIRTY : CLEAN);
	} else {
		if (how == GET_CACHED)
			return NULL;
		if (block >= c->disk->nr_blocks)
			return ERR_PTR(-EIO);
		b = allocate(c, block);
		if (how != NEW)
			memcpy(b->data,
			       c->disk->image + block * c->block_size,
			       c->block_size);
	}
	if (how == PREFETCH)
		return NULL;
	b->nr_holders++;
	*result = b;
	return b->data;
}

void *dm_bufio_read(struct dm_bufio_client *c, sector_t block,
		    struct dm_buffer **result)
{
	return get(c, block, READ, result);
}

void *dm_bufio_get(struct dm_bufio_client *c, sector_t block,
		   struct dm_buffer **result)
{
	return get(c, block, GET_CACHED, result);
}

void *dm_bufio_new(struct dm_bufio_client *c, sector_t block,
		   struct dm_buffer **result)
{
	return get(c, block, NEW, result);
}

void dm_bufio_prefetch(struct dm_bufio_client *c, sector_t block,
		       unsigned int nr)
{
	for (; nr; nr--)
		get(c, block++, PREFETCH, NULL);
}

void dm_bufio_release(struct dm_buffer *b)
{
	BUG_ON(!b->nr_holders);
	b->nr_holders--;
}

void dm_bufio_mark_buffer_dirty(struct dm_buffer *b)
{
	if (b->dirty)
		return;
	b->dirty = true;
	move_to(b, DIRTY);
}

int dm_bufio_write_dirty_buffers(struct dm_bufio_client *c)
{
	struct dm_buffer *b, *next;

	write_all(c);
	list_for_each_entry_safe_reverse(b, next, &c->lists[DIRTY], in_list)
		if (!b->dirty)
			move_to(b, CLEAN);
	disk_flush(c->disk);
	return 0;
}

void dm_bufio_client_reset(struct dm_bufio_client *c)
{
	(void)c;
	BUG(); /* dm-era never comes here */
}

void dm_bufio_client_destroy(struct dm_bufio_client *c)
{
	struct dm_buffer *b, *next;
	int list;

	write_all(c);
	for (list = 0; list < NR_LISTS; list++)
		list_for_each_entry_safe(b, next, &c->lists[list], in_list)
			drop(b);
	free(c);
}

unsigned int dm_bufio_get_block_size(struct dm_bufio_client *c)
{
	return c->block_size;
}

sector_t dm_bufio_get_device_size(struct dm_bufio_client *c)
{
	return c->disk->nr_blocks;
}

sector_t dm_bufio_get_block_number(struct dm_buffer *b)
{
	return b->block;
}

void *dm_bufio_get_block_data(struct dm_buffer *b)
{
	return b->data;
}

void *dm_bufio_get_aux_data(struct dm_buffer *b)
{
	return b->aux;
}

struct dm_bufio_client *dm_bufio_get_client(struct dm_buffer *b)
{
	return b->client;
}
