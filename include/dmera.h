/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libdmera: reads the metadata of the Linux device-mapper era target.
 *
 * Link with what `pkg-config --cflags --libs dmera` prints. The manual,
 * section 3, is made from the comments below.
 */
#ifndef DMERA_H
#define DMERA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: dmera - read the metadata of dm-era devices
 *
 * The device-mapper era target records in which era each block of a device,
 * its origin, was last written. libdmera reads that record from the metadata
 * device, or from a file that holds a copy of one: which data blocks were
 * written since an era, whether the metadata is sound, and everything in it.
 *
 * It is exact after a crash: the writes of an era that was open when the host
 * went down count.
 *
 * Every function that can fail returns 0 or a negative errno value and says
 * what is wrong through the function given to dmera_open(). The library
 * prints nothing, changes nothing on the device, handles no signal and never
 * ends the process.
 *
 * These values say what is wrong with the metadata, whichever function returns
 * them:
 *
 * -EUCLEAN: the metadata is damaged; run era_repair(8).
 *
 * -ENOTUNIQ: an old state was written over a newer history, and writes are
 * forgotten; run era_repair(8).
 *
 * -ESTALE: the superblock is not that of the last commit, or has forgotten an
 * open writeset; run era_repair(8).
 *
 * -EMEDIUMTYPE: the device holds no metadata of dm-era.
 *
 * -EOVERFLOW: the device is cut off, for the metadata has more blocks than the
 * device; copy all of it.
 *
 * -EOPNOTSUPP: the library does not know this version of the metadata.
 *
 * -ENODATA: no metadata snapshot is held.
 *
 * Where a block cannot be read, the value is -EIO, or another one with which a
 * read fails.
 *
 * Any number of threads may use handles at the same time, also the same handle;
 * only dmera_close() must be alone. A callback runs on the thread that made
 * the call. It may itself call the library, also with the same handle, but not
 * dmera_close() of that handle. A callback must return: a longjmp() or a C++
 * exception out of it leaks what the call holds. After a fork() both processes
 * may use and close the handle; a file stays locked until both have closed it.
 *
 * No pointer may be NULL unless the function says so: otherwise the function
 * returns -EINVAL and calls nothing. An arg is handed on and never looked at.
 *
 * Data blocks are the tracking blocks of the origin, numbered from 0; nr_blocks
 * and data_block_size say how many there are and how large. Metadata blocks
 * have 4096 bytes and are numbered from 0, where the superblock is.
 *
 * Memory is bounded, whatever the size of the origin: a few megabytes and
 * three bytes for each metadata block.
 */

/* What the header describes; dmera_version() says it of the library. */
#define DMERA_VERSION "1.0.0"

/** struct dmera - an open metadata device */
struct dmera;

/** enum dmera_severity - how bad a problem is */
enum dmera_severity {
	DMERA_NOTE = 0,	     /* worth knowing, nothing is wrong */
	DMERA_NON_FATAL = 1, /* wrong, but neither kernel nor reader minds */
	DMERA_FATAL = 2	     /* wrong: data may be lost */
};

/** struct dmera_step - a metadata block on the way to a problem */
struct dmera_step {
	const char *role; /* "era array node", "writeset 7 array block" */
	uint64_t block;	  /* its number */
};

/** struct dmera_problem - one thing that is wrong */
struct dmera_problem {
	enum dmera_severity severity;
	const char *text; /* one sentence in English, no final full stop */
	/* the blocks that lead there, the superblock first */
	const struct dmera_step *path;
	size_t nr_steps;     /* 0: no block is concerned */
	uint64_t data_begin; /* the first data block concerned */
	uint64_t data_end;   /* one past the last; = data_begin: none is */
	const char *kind;    /* "damage", "newer_history": as in JSON */
	int error; /* what a function fails with by it, see dmera(3), or 0 */
};

/**
 * dmera_problem_fn - is told of a problem
 * @arg: as given to dmera_open()
 * @problem: lives, as all that it points to, until the function returns
 *
 * The call that has found the problem calls it, dmera_open() among them, on the
 * thread of that call. Where several threads use a handle, several can call it
 * at the same time. It must not close the handle, and must return.
 */
typedef void (*dmera_problem_fn)(void *arg,
				 const struct dmera_problem *problem);

/** enum dmera_open_flag - flags of dmera_open() and dmera_open_fd() */
enum dmera_open_flag {
	DMERA_SNAPSHOT = 1,	 /* read the metadata snapshot */
	DMERA_SHARED = 2,	 /* claim and lock nothing */
	DMERA_REACHABLE_ONLY = 4 /* do not look for a newer history */
};

/**
 * dmera_open() - open a metadata device
 * @handle: where the handle is stored; NULL where the call fails
 * @path: a block device or a file; the library keeps a copy of the name
 * @flags: 0, or any of DMERA_SNAPSHOT, DMERA_SHARED, DMERA_REACHABLE_ONLY
 * @problem: told of whatever fails with this handle, or NULL
 * @arg: first argument of problem(), may be NULL
 *
 * A block device is opened exclusively, and a file is locked against writers,
 * because what somebody is writing at the same time cannot be read.
 *
 * With DMERA_SNAPSHOT the handle reads the metadata snapshot; nothing else can
 * be read of a device in use. Nothing is locked then. With DMERA_SHARED nothing
 * is locked either, and the caller has to know that nobody writes.
 *
 * dmera_written_since(), dmera_check() and dmera_dump() with
 * DMERA_DUMP_LOGICAL also look for a newer history among unreferenced blocks:
 * if there is one, an old state was written over it, and writes are forgotten.
 * With DMERA_REACHABLE_ONLY they do not look for it: the caller knows that
 * these blocks are left from before the device was last formatted.
 *
 * dmera_open() reads no metadata, so a device whose metadata is damaged can be
 * opened and checked.
 *
 * Return: 0; -EBUSY where the device is in use; -EISDIR or -EINVAL for what is
 * neither a block device nor a file; -EINVAL for an unknown flag or a NULL
 * pointer; -ENOMEM; or what open(2) says.
 */
int dmera_open(struct dmera **handle, const char *path, unsigned int flags,
	       dmera_problem_fn problem, void *arg);

/**
 * dmera_open_fd() - open a metadata device by a file descriptor
 * @handle: where the handle is stored; NULL where the call fails
 * @fd: of a block device or a file; remains the caller's
 * @flags: as of dmera_open()
 * @problem: told of whatever fails with this handle, or NULL
 * @arg: first argument of problem(), may be NULL
 *
 * The library opens the device of the descriptor anew, by /proc/self/fd, and
 * goes on as dmera_open() does. It neither uses nor closes the descriptor: the
 * caller closes it, before or after the handle, and its file position, flags
 * and locks stay as they are.
 *
 * A device that the caller has claimed (O_EXCL), or a file that the caller has
 * locked (flock(2), LOCK_EX), by this descriptor is in use for the library,
 * too. Give DMERA_SHARED then, since nobody else writes.
 *
 * A process may be unable to open the device of a descriptor anew, if the
 * descriptor was handed to it. With DMERA_SHARED or DMERA_SNAPSHOT the library
 * then reads a duplicate of the descriptor, until dmera_close(). To read what
 * is on a block device, and not what its page cache holds, the descriptor must
 * have been opened with O_DIRECT; without that it is refused with -EACCES.
 *
 * Return: as of dmera_open(); -EBADF for what is no descriptor, or none to
 * read from; -EACCES for a block device that would be read from the page cache;
 * -ENOENT without /proc.
 */
int dmera_open_fd(struct dmera **handle, int fd, unsigned int flags,
		  dmera_problem_fn problem, void *arg);

/**
 * dmera_close() - close a metadata device
 * @handle: from dmera_open(), or NULL
 *
 * No other call with this handle may be under way, neither on another thread
 * nor on this one. So a callback must not close the handle of its own call.
 */
void dmera_close(struct dmera *handle);

/** struct dmera_superblock - what a superblock says */
struct dmera_superblock {
	uint8_t uuid[16];	  /* all zero where a kernel wrote it */
	uint32_t data_block_size; /* sectors of 512 bytes */
	uint32_t nr_blocks;	  /* data blocks, below 2^31 */
	uint32_t current_era;
	/*
	 * 1: an era is open, so the device was not shut down cleanly (or is
	 * in use); of a metadata snapshot always 0
	 */
	uint32_t is_open;
	uint64_t metadata_snapshot; /* its metadata block, or 0 */
	uint64_t nr_metadata_blocks;
	uint64_t nr_metadata_blocks_used;
	uint64_t reserved[8]; /* 0 */
};

/**
 * dmera_get_superblock() - read the superblock
 * @handle: from dmera_open()
 * @superblock: filled in where the call succeeds
 *
 * With DMERA_SNAPSHOT, uuid, data_block_size, nr_blocks and current_era are
 * those of the snapshot, which knows of writes in the eras below current_era.
 *
 * Return: 0; a value that dmera(3) lists, where the superblock is damaged, is
 * not of dm-era, or no metadata snapshot is held; -EINVAL for a NULL pointer;
 * or the errno value of a read.
 */
int dmera_get_superblock(struct dmera *handle,
			 struct dmera_superblock *superblock);

/**
 * dmera_range_fn - is given a range of data blocks
 * @arg: as given to dmera_written_since()
 * @begin: the first data block
 * @end: one past the last
 *
 * It must not close the handle, and must return: see dmera(3).
 *
 * Return: 0 to go on; any other value ends the call, which then returns it.
 */
typedef int (*dmera_range_fn)(void *arg, uint32_t begin, uint32_t end);

/**
 * dmera_written_since() - which data blocks were written since an era
 * @handle: from dmera_open()
 * @era: the first era of interest; every block counts as written since era 0
 * @range: given each range
 * @arg: first argument of range(), may be NULL
 *
 * Ranges ascend, do not overlap and do not touch. They are given as they are
 * found. If the call fails later, the ranges given so far are right but not
 * all, and a caller that copies blocks must not take them for the whole list.
 *
 * An era later than the current one is an error, and so is, of a metadata
 * snapshot, its current_era or a later one: it was saved from another device,
 * or before this one was formatted anew.
 *
 * Return: 0 after the last range; -ERANGE for such an era; a value that
 * dmera(3) lists, where no list can be complete; -EINVAL for a NULL pointer;
 * -ENOMEM; the errno value of a read; or what range() returned.
 */
int dmera_written_since(struct dmera *handle, uint32_t era,
			dmera_range_fn range, void *arg);

/** enum dmera_check_flag - flags of dmera_check() */
enum dmera_check_flag {
	DMERA_CHECK_SUPERBLOCK_ONLY = 1 /* and nothing that it leads to */
};

/** struct dmera_check_result - how many problems a check found */
struct dmera_check_result {
	uint64_t nr_notes;
	uint64_t nr_non_fatal;
	uint64_t nr_fatal;    /* 0: sound */
	int64_t error;	      /* that of the worst, see dmera(3); 0: sound */
	uint64_t reserved[4]; /* 0 */
};

/**
 * dmera_check() - prove that metadata is sound
 * @handle: from dmera_open(), without DMERA_SNAPSHOT
 * @flags: 0 or DMERA_CHECK_SUPERBLOCK_ONLY
 * @result: filled in where the call succeeds
 *
 * Follows every pointer from the superblock and from that of a metadata
 * snapshot, compares the space map with the pointers, and looks for traces of a
 * newer history. All problems are told, not only the first; of more than 10,000
 * problems of one severity the rest is only counted.
 *
 * Return: 0 where the check could be carried out, whatever it found; -EINVAL
 * for unknown flags, a NULL pointer or a handle with DMERA_SNAPSHOT; or
 * -ENOMEM.
 */
int dmera_check(struct dmera *handle, unsigned int flags,
		struct dmera_check_result *result);

/**
 * struct dmera_visitor - is given everything in metadata
 *
 * The functions are called in this order, each part in ascending batches
 * without gaps: superblock; for each writeset by ascending era, the open one
 * last, writeset_begin, writeset_words as often as needed, writeset_end; then
 * eras as often as needed; end. A member that is NULL is passed over. A
 * function returns 0 to go on; any other value ends the call, which then
 * returns this value.
 */
struct dmera_visitor {
	int (*superblock)(void *arg, const struct dmera_superblock *superblock);
	int (*writeset_begin)(void *arg, uint32_t era, uint32_t nr_bits);
	/*
	 * Word i is of the data blocks (first_word + i) * 64 and up, lowest
	 * bit first; bits past nr_bits are 0.
	 */
	int (*writeset_words)(void *arg, uint32_t first_word,
			      const uint64_t *words, size_t nr_words);
	int (*writeset_end)(void *arg);
	/* entry i: the era that data block first_block + i was last written in,
	 * or 0: never, as far as the era array knows */
	int (*eras)(void *arg, uint32_t first_block, const uint32_t *eras,
		    size_t nr_eras);
	int (*end)(void *arg);
	void *reserved[4]; /* NULL */
};

/** enum dmera_dump_flag - flags of dmera_dump() */
enum dmera_dump_flag {
	DMERA_DUMP_LOGICAL = 1 /* the last era of each block, no writesets */
};

/**
 * dmera_dump() - give a visitor everything
 * @handle: from dmera_open()
 * @flags: 0 or DMERA_DUMP_LOGICAL
 * @visitor: what is called
 * @arg: first argument of each function of the visitor, may be NULL
 *
 * The superblock that the visitor is given belongs to the same read as all the
 * rest, even if somebody writes the device meanwhile: there are as many eras as
 * its nr_blocks says.
 *
 * With DMERA_DUMP_LOGICAL there are no writesets: each entry of eras is the
 * last era in which the data block was written, by the era array and all
 * writesets.
 *
 * Return: 0 after the end; a value that dmera(3) lists, where the metadata is
 * damaged, is not of dm-era, no metadata snapshot is held or, with
 * DMERA_DUMP_LOGICAL, a newer history contradicts it; -EINVAL for an unknown
 * flag or a NULL pointer; -ENOMEM; the errno value of a read; or what the
 * visitor returned.
 */
int dmera_dump(struct dmera *handle, unsigned int flags,
	       const struct dmera_visitor *visitor, void *arg);

/**
 * dmera_version() - the version of the library
 *
 * Return: such as "1.0.0"; not to be freed.
 */
const char *dmera_version(void);

#ifdef __cplusplus
}
#endif

#endif
