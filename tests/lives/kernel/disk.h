/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A metadata device in memory that remembers each write and flush in order,
 * and beside them what happened to the data blocks: from the one follows what
 * a power cut can leave, from the other what is true.
 */
#ifndef LIVES_DISK_H
#define LIVES_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_BLOCK_SIZE 4096
#define DISK_FLUSH (-1)

enum event_type {
	EVENT_ARRIVED,	/* a write of a data block has reached the target */
	EVENT_RELEASED,	/* and is let through: now it must be known */
	EVENT_FAILED,	/* or comes to nothing */
	EVENT_ERA,	/* an era begins, at the earliest here */
	EVENT_REPORTED,	/* an era is told to a user */
	EVENT_SHRUNK,	/* the origin has lost the blocks from this one on */
	EVENT_SNAPSHOT,	/* a metadata snapshot is asked for */
	EVENT_FORMAT,	/* the kernel makes new metadata here */
};

struct event {
	uint32_t type;
	uint32_t value;
	uint64_t at; /* how long the log was */
};

struct disk {
	uint64_t nr_blocks;
	uint8_t *image;

	/* the log: blocks written, or DISK_FLUSH, and what was written */
	long len_log, room_log;
	int *blocks;
	uint8_t *contents;

	long nr_events, room_events;
	struct event *events;

	/* memory pressure: in 1/65536 of the calls of dm-bufio */
	uint64_t random;
	uint32_t write_early, evict;

	long lose_in; /* writes until one is lost; 0: none */
	long lost_at; /* the length of the log then, or -1 */
	int lost_block;

	bool off; /* the power is: nothing is written any more */
	long nr_calls; /* of dm-bufio: what runs for ever is a BUG */
};

struct disk *disk_new(uint64_t nr_blocks);
void disk_free(struct disk *d);
void disk_write(struct disk *d, uint64_t block, const void *content);
void disk_flush(struct disk *d);
void disk_event(struct disk *d, enum event_type type, uint32_t value);
/* moves the newest event in front of number i */
void disk_event_was_at(struct disk *d, long i);
void disk_drop_event(struct disk *d, long i);
uint32_t disk_random(struct disk *d);

/* What other programs and faults do to the device. */
void disk_set_pressure(struct disk *d, uint64_t seed, uint32_t write_early,
		       uint32_t evict);
void disk_lose(struct disk *d, long in);
/* another content, which is durable at once */
void disk_put(struct disk *d, uint64_t block, const void *content);
void disk_put_image(struct disk *d, const uint8_t *image);
/* how many writes a power cut at this length of the log may take back */
long disk_nr_unflushed(const struct disk *d, long at);
/* the power goes there; of those writes the ones that are named stay */
void disk_power_cut(struct disk *d, long at, const uint32_t *kept,
		    long nr_kept);
/* what a block held before entry i of the log; NULL: nothing */
const uint8_t *disk_before(const struct disk *d, long i);

#endif
