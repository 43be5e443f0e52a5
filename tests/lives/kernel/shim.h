/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Userspace stand-ins for what dm-era-target.c and persistent-data use of the
 * kernel, so that both compile as the distribution ships them. Each header of
 * the kernel that they include becomes one line that includes this file
 * (build). One thread runs it all: locks are nothing, a work queue runs when
 * device.c says so, and BUG() ends the device's life and not the program's.
 *
 * For little-endian hosts with longs of 64 bits.
 */
#ifndef LIVES_SHIM_H
#define LIVES_SHIM_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#define bsearch libc_bsearch /* dm-btree.c has a function of that name */
#include <stdlib.h>
#undef bsearch
#include <string.h>
#include <strings.h>
#include <sys/types.h>

typedef uint8_t u8, __u8;
typedef uint16_t u16, __u16, __le16;
typedef uint32_t u32, __u32, __le32;
typedef uint64_t u64, __u64, __le64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32, __s32;
typedef int64_t s64;
typedef u64 sector_t;
typedef unsigned int gfp_t, fmode_t, blk_mode_t;

/* --- the compiler ---------------------------------------------------------- */

#define __packed __attribute__((packed))
#define __aligned(x) __attribute__((aligned(x)))
#undef __always_inline /* libc's */
#define __always_inline inline __attribute__((always_inline))
#define __init
#define __exit
#define __acquires(x)
#define __releases(x)
#define __rcu
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) (*(volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define smp_store_release(p, v) (*(p) = (v))
#define smp_load_acquire(p) (*(p))
#define smp_mb() do { } while (0)
#define data_race(x) (x)
#define BUILD_BUG_ON(x)
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define __MINMAX(a, b, op, x, y) ({	\
	__typeof__(a) x = (a);		\
	__typeof__(b) y = (b);		\
	x op y ? x : y; })
#define min(a, b) __MINMAX(a, b, <, __min_a, __min_b)
#define max(a, b) __MINMAX(a, b, >, __max_a, __max_b)
#define min_t(t, a, b) __MINMAX((t)(a), (t)(b), <, __mint_a, __mint_b)
#define max_t(t, a, b) __MINMAX((t)(a), (t)(b), >, __maxt_a, __maxt_b)
#define swap(a, b) do {			\
	__typeof__(a) __swap = (a);	\
	(a) = (b);			\
	(b) = __swap;			\
} while (0)

/* --- modules, errors, messages --------------------------------------------- */

#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define MODULE_LICENSE(x)
#define MODULE_AUTHOR(x)
#define MODULE_DESCRIPTION(x)
#define THIS_MODULE NULL
#define __USED(f) static void *__use_##f __attribute__((unused)) = (void *)f
#define module_init(f) __USED(f)
#define module_exit(f) __USED(f)
#define module_dm(name) \
	static void *__use_##name __attribute__((unused)) = &name##_target

#define MAX_ERRNO 4095
#define IS_ERR(p) ((unsigned long)(p) >= (unsigned long)-MAX_ERRNO)
#define PTR_ERR(p) ((long)(p))
#define ERR_PTR(e) ((void *)(long)(e))

/* The device's life is over: what a kernel does whose thread has oopsed. */
void shim_bug(const char *file, int line) __attribute__((noreturn));
#define BUG() shim_bug(__FILE__, __LINE__)
#define BUG_ON(x) do { if (unlikely(x)) BUG(); } while (0)
#define WARN_ON(x) (!!(x))
#define WARN_ON_ONCE(x) (!!(x))

extern int shim_verbose;
#define __DMLOG(fmt, ...) do {					\
	if (shim_verbose)					\
		fprintf(stderr, DM_MSG_PREFIX ": " fmt "\n",	\
			##__VA_ARGS__);				\
} while (0)
#define DMERR(fmt, ...) __DMLOG(fmt, ##__VA_ARGS__)
#define DMERR_LIMIT(fmt, ...) __DMLOG(fmt, ##__VA_ARGS__)
#define DMWARN(fmt, ...) __DMLOG(fmt, ##__VA_ARGS__)
#define DMINFO(fmt, ...) __DMLOG(fmt, ##__VA_ARGS__)
#define DM_NAME "device-mapper"
#define scnprintf snprintf

/* --- memory ------------------------------------------------------------------ */

#define GFP_KERNEL 0
#define GFP_NOIO 0
#define GFP_NOFS 0
#define kmalloc(n, gfp) malloc(n)
#define kzalloc(n, gfp) calloc(1, n)
#define kmalloc_array(n, size, gfp) calloc(n, size)
#define kcalloc(n, size, gfp) calloc(n, size)
#define kvmalloc(n, gfp) malloc(n)
#define kmalloc_obj(x, ...) malloc(sizeof(x))
#define kzalloc_obj(x, ...) calloc(1, sizeof(x))
#define kvmalloc_obj(x, ...) malloc(sizeof(x))
#define kfree(p) free((void *)(p))
#define kvfree(p) free((void *)(p))
#define vzalloc(n) calloc(1, (n) ? (n) : 1)
#define vfree(p) free((void *)(p))

/* --- locks: one thread ------------------------------------------------------- */

typedef struct { int unused; } spinlock_t;
struct mutex { int unused; };
#define spin_lock_init(l) do { } while (0)
#define spin_lock(l) do { } while (0)
#define spin_unlock(l) do { } while (0)
#define mutex_init(l) do { } while (0)
#define mutex_lock(l) do { } while (0)
#define mutex_unlock(l) do { } while (0)
typedef struct { int counter; } atomic_t;
#define atomic_set(a, v) ((a)->counter = (v))
#define atomic_read(a) ((a)->counter)
#define rcu_assign_pointer(p, v) ((p) = (v))
#define rcu_dereference(p) (p)
#define rcu_dereference_raw(p) (p)
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)
#define synchronize_rcu() do { } while (0)
#define might_sleep() do { } while (0)
#define cond_resched() do { } while (0)

/* --- bits, byte order, arithmetic -------------------------------------------- */

#define BITS_PER_LONG 64

static inline int test_bit(long n, const volatile unsigned long *a)
{
	return (a[n >> 6] >> (n & 63)) & 1;
}

static inline void set_bit(long n, volatile unsigned long *a)
{
	a[n >> 6] |= 1ul << (n & 63);
}

static inline void clear_bit(long n, volatile unsigned long *a)
{
	a[n >> 6] &= ~(1ul << (n & 63));
}

static inline int test_and_set_bit(long n, volatile unsigned long *a)
{
	int old = test_bit(n, a);

	set_bit(n, a);
	return old;
}

#define __set_bit set_bit
#define __clear_bit clear_bit
#define test_bit_le(n, a) test_bit(n, (const unsigned long *)(a))
#define __set_bit_le(n, a) set_bit(n, (unsigned long *)(a))
#define __clear_bit_le(n, a) clear_bit(n, (unsigned long *)(a))
#define __ffs(x) __builtin_ctzl(x)
#define ffz(x) __builtin_ctzl(~(x))

#define cpu_to_le16(x) ((u16)(x))
#define cpu_to_le32(x) ((u32)(x))
#define cpu_to_le64(x) ((u64)(x))
#define le16_to_cpu(x) ((u16)(x))
#define le32_to_cpu(x) ((u32)(x))
#define le64_to_cpu(x) ((u64)(x))

static inline void le32_add_cpu(__le32 *v, u32 n)
{
	*v += n;
}

static inline u32 hash_64(u64 v, unsigned int bits)
{
	return (u32)((v * 0x61C8864680B583EBull) >> (64 - bits));
}

#define do_div(n, base) ({		\
	u32 __base = (base);		\
	u32 __rest = (n) % __base;	\
	(n) = (n) / __base;		\
	__rest; })
#define sector_div(n, base) do_div(n, base)
#define div_u64(n, d) ((u64)(n) / (d))

u32 shim_crc32c(u32 crc, const void *data, size_t len);
#define crc32c(crc, data, len) shim_crc32c(crc, data, len)

/* --- lists: list.h is the kernel's -------------------------------------------- */

struct list_head {
	struct list_head *next, *prev;
};
struct hlist_head {
	struct hlist_node *first;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
#define LIST_POISON1 ((void *)0x100)
#define LIST_POISON2 ((void *)0x122)

/* --- the block layer ----------------------------------------------------------- */

#define SECTOR_SHIFT 9
#define FMODE_READ 1
#define FMODE_WRITE 2
#define BLK_OPEN_READ 1
#define BLK_OPEN_WRITE 2
#define WRITE 1
#define REQ_PREFLUSH 2
#define BDEVNAME_SIZE 32

struct block_device {
	int bd_dev;
	struct disk *disk;
};
struct bvec_iter {
	sector_t bi_sector;
};
/* A write of one data block; who sent it learns when it is let through. */
struct bio {
	struct bio *bi_next;
	struct block_device *bi_bdev;
	unsigned int bi_opf;
	struct bvec_iter bi_iter;
	struct disk *disk;
	u32 data_block;
};
struct bio_list {
	struct bio *head, *tail;
};

static inline void bio_list_init(struct bio_list *l)
{
	l->head = l->tail = NULL;
}

static inline int bio_list_empty(const struct bio_list *l)
{
	return !l->head;
}

static inline void bio_list_add(struct bio_list *l, struct bio *bio)
{
	bio->bi_next = NULL;
	if (l->tail)
		l->tail->bi_next = bio;
	else
		l->head = bio;
	l->tail = bio;
}

static inline struct bio *bio_list_pop(struct bio_list *l)
{
	struct bio *bio = l->head;

	if (bio) {
		l->head = bio->bi_next;
		if (!l->head)
			l->tail = NULL;
		bio->bi_next = NULL;
	}
	return bio;
}

static inline void bio_list_merge(struct bio_list *l, struct bio_list *more)
{
	if (!more->head)
		return;
	if (l->tail)
		l->tail->bi_next = more->head;
	else
		l->head = more->head;
	l->tail = more->tail;
}

static inline void bio_list_merge_init(struct bio_list *l,
				       struct bio_list *more)
{
	bio_list_merge(l, more);
	bio_list_init(more);
}

#define bio_data_dir(bio) ((bio)->bi_opf & 1)
#define bio_set_dev(bio, dev) ((bio)->bi_bdev = (dev))
void shim_bio_released(struct bio *bio);
void shim_bio_failed(struct bio *bio);
#define submit_bio_noacct(bio) shim_bio_released(bio)
#define bio_io_error(bio) shim_bio_failed(bio)
struct blk_plug {
	int unused;
};
#define blk_start_plug(p) ((void)(p))
#define blk_finish_plug(p) ((void)(p))
#define format_dev_t(buffer, dev) sprintf(buffer, "%d", (int)(dev))
#define bdev_nr_sectors(bdev) 0

/* --- work: one ordered queue each, which runs when it is told to --------------- */

struct work_struct {
	void (*func)(struct work_struct *work);
};
struct workqueue_struct {
	struct work_struct *pending;
	long nr_runs;
};
int shim_run_one(struct workqueue_struct *queue);
void shim_drain(struct workqueue_struct *queue);
/* runs the queue of the device that the current call is about */
void shim_run_current(void);
#define WQ_MEM_RECLAIM 0
#define WQ_PERCPU 0
#define alloc_ordered_workqueue(name, flags) \
	((struct workqueue_struct *)calloc(1, sizeof(struct workqueue_struct)))
#define destroy_workqueue(q) do { shim_drain(q); free(q); } while (0)
#define drain_workqueue(q) shim_drain(q)
#define INIT_WORK(w, f) ((w)->func = (f))
#define queue_work(q, w) ((q)->pending = (w))
struct completion {
	int done;
};
#define init_completion(c) ((c)->done = 0)
#define complete(c) ((c)->done = 1)
#define wait_for_completion(c) \
	do { while (!(c)->done) shim_run_current(); } while (0)

/* --- the device mapper --------------------------------------------------------- */

struct dm_dev {
	struct block_device *bdev;
};
struct dm_target {
	u64 begin, len;
	const char *error;
	void *private;
	unsigned int num_flush_bios, num_discard_bios;
	bool flush_supported;
	u32 max_io_len;
};
typedef enum {
	STATUSTYPE_INFO, STATUSTYPE_TABLE, STATUSTYPE_IMA
} status_type_t;
struct queue_limits {
	unsigned int io_opt, io_min;
};
#define blk_limits_io_min(l, v) ((l)->io_min = (v))
#define blk_limits_io_opt(l, v) ((l)->io_opt = (v))
typedef int (*iterate_devices_callout_fn)(struct dm_target *ti,
					  struct dm_dev *dev, sector_t start,
					  sector_t len, void *data);
struct target_type {
	const char *name;
	unsigned int version[3];
	void *module;
	int (*ctr)(struct dm_target *ti, unsigned int argc, char **argv);
	void (*dtr)(struct dm_target *ti);
	int (*map)(struct dm_target *ti, struct bio *bio);
	void (*postsuspend)(struct dm_target *ti);
	int (*preresume)(struct dm_target *ti);
	void (*status)(struct dm_target *ti, status_type_t type,
		       unsigned int flags, char *result, unsigned int maxlen);
	int (*message)(struct dm_target *ti, unsigned int argc, char **argv,
		       char *result, unsigned int maxlen);
	int (*iterate_devices)(struct dm_target *ti,
			       iterate_devices_callout_fn fn, void *data);
	void (*io_hints)(struct dm_target *ti, struct queue_limits *limits);
};
static inline int dm_register_target(struct target_type *t)
{
	(void)t;
	return 0;
}
static inline void dm_unregister_target(struct target_type *t)
{
	(void)t;
}
int dm_get_device(struct dm_target *ti, const char *path, fmode_t mode,
		  struct dm_dev **dev);
static inline void dm_put_device(struct dm_target *ti, struct dm_dev *dev)
{
	(void)ti;
	free(dev);
}
static inline int dm_set_target_max_io_len(struct dm_target *ti, sector_t len)
{
	ti->max_io_len = len;
	return 0;
}
#define dm_div_up(n, size) (((n) + (size) - 1) / (size))
#define dm_sector_div_up(n, size) ({		\
	sector_t __sectors = ((n) + (size) - 1);	\
	sector_div(__sectors, (size));		\
	__sectors; })
#define dm_round_up(n, size) (dm_div_up((n), (size)) * (size))
#define dm_target_offset(ti, sector) ((sector) - (ti)->begin)
#define DM_MAPIO_SUBMITTED 0
#define DM_MAPIO_REMAPPED 1
#define DMEMIT(x...) \
	(sz += ((sz >= maxlen) ? 0 : scnprintf(result + sz, maxlen - sz, x)))

#endif
