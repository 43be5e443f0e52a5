/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the functional tests do with libdmera:
 *   client check DEVICE...       counts and problems of each
 *   client dump FLAGS DEVICE     every part of a dump, a line each
 *   client superblock FLAGS DEVICE
 *   client fd FLAGS MODE DEVICE  the superblock by a descriptor open(2)ed with
 *                                MODE: r, w, rw, path, none, excl, lock, direct
 *   client inherited FLAGS FD    the same of one that somebody else has opened
 *   client threads NR DEVICE...  NR threads on one handle for each device
 *   client misuse DEVICE         calls that must fail, and how
 */
#define _GNU_SOURCE /* O_DIRECT, O_PATH */
#include <dmera.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void print_problem(void *arg, const struct dmera_problem *problem)
{
	(void)arg;
	printf("problem %d", (int)problem->severity);
	for (size_t i = 0; i < problem->nr_steps; i++)
		printf(" %s=%" PRIu64, problem->path[i].role,
		       problem->path[i].block);
	printf(": %s", problem->text);
	if (problem->data_end > problem->data_begin)
		printf(" [%" PRIu64 ", %" PRIu64 ")", problem->data_begin,
		       problem->data_end);
	putchar('\n');
}

static int check(const char *path)
{
	struct dmera_check_result result;
	struct dmera *era;
	int r = dmera_open(&era, path, 0, print_problem, NULL);

	if (!r)
		r = dmera_check(era, 0, &result);
	if (!r)
		printf("counts %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		       result.nr_notes, result.nr_non_fatal, result.nr_fatal);
	if (!r && result.error)
		printf("error %" PRId64 "\n", result.error);
	dmera_close(era);
	return r;
}

static int on_superblock(void *arg, const struct dmera_superblock *sb)
{
	(void)arg;
	return printf("superblock %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32
		      " %" PRIu64 "\n",
		      sb->data_block_size, sb->nr_blocks, sb->current_era,
		      sb->is_open, sb->metadata_snapshot) < 0;
}

static int on_begin(void *arg, uint32_t era, uint32_t nr_bits)
{
	(void)arg;
	return printf("writeset %" PRIu32 " %" PRIu32 "\n", era, nr_bits) < 0;
}

static int on_words(void *arg, uint32_t first_word, const uint64_t *words,
		    size_t nr_words)
{
	(void)arg;
	for (size_t i = 0; i < nr_words; i++)
		printf("word %zu %" PRIu64 "\n", first_word + i, words[i]);
	return 0;
}

static int on_eras(void *arg, uint32_t first_block, const uint32_t *eras,
		   size_t nr_eras)
{
	(void)arg;
	for (size_t i = 0; i < nr_eras; i++)
		printf("era %zu %" PRIu32 "\n", first_block + i, eras[i]);
	return 0;
}

static int on_end(void *arg)
{
	(void)arg;
	return puts("end") < 0;
}

static const struct dmera_visitor printer = {
	.superblock = on_superblock,
	.writeset_begin = on_begin,
	.writeset_words = on_words,
	.eras = on_eras,
	.end = on_end,
};

static int dump(unsigned int flags, const char *path)
{
	struct dmera *era;
	int r = dmera_open(&era, path, flags >> 4, NULL, NULL);

	if (!r)
		r = dmera_dump(era, flags & 15, &printer, NULL);
	dmera_close(era);
	return r;
}

static int superblock(unsigned int flags, const char *path)
{
	struct dmera_superblock sb;
	struct dmera *era;
	int r = dmera_open(&era, path, flags, NULL, NULL);

	if (!r)
		r = dmera_get_superblock(era, &sb);
	if (!r)
		on_superblock(NULL, &sb);
	dmera_close(era);
	return r;
}

/* By a descriptor, which works as before when all is done. */
static int by_fd(unsigned int flags, int fd)
{
	struct dmera_superblock sb;
	struct dmera *era;
	off_t at = lseek(fd, 512, SEEK_SET);
	int mode = fcntl(fd, F_GETFL);
	int r = dmera_open_fd(&era, fd, flags, print_problem, NULL);

	if (!r)
		r = dmera_get_superblock(era, &sb);
	if (!r)
		on_superblock(NULL, &sb);
	dmera_close(era);
	if (lseek(fd, 0, SEEK_CUR) != at || fcntl(fd, F_GETFL) != mode)
		puts("the descriptor is not what it was");
	return r;
}

static int open_and_read(unsigned int flags, const char *mode, const char *path)
{
	static const struct {
		const char *name;
		int mode;
	} modes[] = {
		{ "r", O_RDONLY },   { "w", O_WRONLY },
		{ "rw", O_RDWR },    { "path", O_PATH },
		{ "none", O_RDONLY }, { "excl", O_RDONLY | O_EXCL },
		{ "lock", O_RDWR },  { "direct", O_RDONLY | O_DIRECT },
	};
	int fd = -1, r;

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(modes[i].name, mode))
			fd = open(path, modes[i].mode);
	if (fd < 0)
		return -errno;
	if (!strcmp(mode, "lock") && flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	if (!strcmp(mode, "none"))
		close(fd);
	r = by_fd(flags, fd);
	close(fd);
	return r;
}

/* The handle lives on when the descriptor is closed. */
static int close_first(const char *path)
{
	struct dmera_superblock sb;
	struct dmera *era;
	int fd = open(path, O_RDONLY);
	int r = dmera_open_fd(&era, fd, 0, NULL, NULL);

	close(fd);
	if (!r)
		r = dmera_get_superblock(era, &sb);
	dmera_close(era);
	return r;
}

static int add_range(void *arg, uint32_t begin, uint32_t end)
{
	uint64_t *sum = arg;

	*sum = *sum * 31 + begin;
	*sum = *sum * 31 + end;
	return 0;
}

static void *use(void *arg)
{
	struct dmera_check_result result;
	struct dmera *era = arg;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < 20; i++)
		if (dmera_written_since(era, i % 5, add_range, &sum) ||
		    (i % 10 == 0 && dmera_check(era, 0, &result)))
			return NULL;
	return (void *)(uintptr_t)(sum | 1);
}

static int threads(unsigned int nr, const char *path)
{
	pthread_t ids[64];
	struct dmera *era;
	void *first = NULL, *result;
	int r = dmera_open(&era, path, 0, NULL, NULL);

	for (unsigned int i = 0; i < nr && !r; i++)
		r = -pthread_create(&ids[i], NULL, use, era);
	for (unsigned int i = 0; i < nr && !r; i++) {
		pthread_join(ids[i], &result);
		first = i ? first : result;
		if (!result || result != first)
			r = -EILSEQ;
	}
	dmera_close(era);
	return r;
}

static int stop(void *arg, uint32_t begin, uint32_t end)
{
	(void)begin;
	(void)end;
	return *(int *)arg;
}

/* Says how often it is called, and calls the library on the way. */
static int nested(void *arg, uint32_t begin, uint32_t end)
{
	struct dmera_superblock sb;

	(void)end;
	return begin ? 0 : dmera_get_superblock(*(struct dmera **)arg, &sb);
}

/* Each pointer that may not be NULL. */
static void null_pointers(struct dmera *era, const char *path)
{
	struct dmera_superblock sb;
	struct dmera_check_result result;
	struct dmera_visitor none = { NULL };
	struct dmera *opened = era;

	printf("null path %d\n", dmera_open(&opened, NULL, 0, NULL, NULL));
	printf("null path's handle %d\n", opened == NULL);
	printf("null handle %d\n", dmera_open(NULL, path, 0, NULL, NULL));
	printf("null superblock %d\n", dmera_get_superblock(era, NULL));
	printf("superblock of null %d\n", dmera_get_superblock(NULL, &sb));
	printf("null range %d\n", dmera_written_since(era, 0, NULL, NULL));
	printf("since of null %d\n", dmera_written_since(NULL, 0, stop, NULL));
	printf("null result %d\n", dmera_check(era, 0, NULL));
	printf("check of null %d\n", dmera_check(NULL, 0, &result));
	printf("null visitor %d\n", dmera_dump(era, 0, NULL, NULL));
	printf("dump of null %d\n", dmera_dump(NULL, 0, &none, NULL));
}

static int misuse(const char *path)
{
	struct dmera *era, *second;
	struct dmera_check_result result;
	struct dmera_visitor none = { NULL };
	int answer = 4711;

	printf("flags %d\n", dmera_open(&era, path, 1u << 9, NULL, NULL));
	printf("handle %d\n", era == NULL);
	printf("missing %d\n",
	       dmera_open(&era, "/no/such/file", 0, NULL, NULL));
	printf("no fd %d\n", dmera_open_fd(&era, -1, 0, NULL, NULL));
	printf("fd flags %d\n", dmera_open_fd(&era, 0, 1u << 9, NULL, NULL));
	printf("fd handle %d\n", dmera_open_fd(NULL, 0, 0, NULL, NULL));
	printf("fd closed first %d\n", close_first(path));
	dmera_close(NULL);
	if (dmera_open(&era, path, 0, NULL, NULL))
		return 1;
	printf("second %d\n", dmera_open(&second, path, 0, NULL, NULL));
	printf("shared %d\n",
	       dmera_open(&second, path, DMERA_SNAPSHOT, NULL, NULL));
	printf("snapshot check %d\n", dmera_check(second, 0, &result));
	dmera_close(second);
	printf("check flags %d\n", dmera_check(era, 1u << 9, &result));
	printf("dump flags %d\n", dmera_dump(era, 1u << 9, &none, NULL));
	printf("dump nothing %d\n", dmera_dump(era, 0, &none, NULL));
	printf("stop %d\n", dmera_written_since(era, 0, stop, &answer));
	printf("nested %d\n", dmera_written_since(era, 0, nested, &era));
	null_pointers(era, path);
	dmera_close(era);
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 2 ? argv[1] : "";
	int r = 0;

	if (!strcmp(command, "misuse"))
		return misuse(argv[2]);
	if (!strcmp(command, "dump") && argc == 4)
		r = dump((unsigned int)atoi(argv[2]), argv[3]);
	else if (!strcmp(command, "superblock") && argc == 4)
		r = superblock((unsigned int)atoi(argv[2]), argv[3]);
	else if (!strcmp(command, "fd") && argc == 5)
		r = open_and_read((unsigned int)atoi(argv[2]), argv[3],
				  argv[4]);
	else if (!strcmp(command, "inherited") && argc == 4)
		r = by_fd((unsigned int)atoi(argv[2]), atoi(argv[3]));
	else if (!strcmp(command, "threads") && argc == 4)
		r = threads((unsigned int)atoi(argv[2]), argv[3]);
	else if (!strcmp(command, "check"))
		for (int i = 2; i < argc && !r; i++)
			r = check(argv[i]);
	else
		return 2;
	printf("returns %d\n", r);
	return 0;
}
