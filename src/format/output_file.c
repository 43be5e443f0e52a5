/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chooses between writing directly and beside the name, finds the name that
 * a link leads to, and sees to it that no temporary file outlives us.
 *
 * The temporary file has a name (and is not O_TMPFILE) because only a name
 * can be renamed over a file that exists, and works on every file system.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "format/output_file.h"

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP };
#define NR_DEADLY (sizeof(deadly) / sizeof(deadly[0]))

/*
 * The temporary files that exist, for the signal handler: the one thing that
 * cannot be passed to it. Changed only with those signals blocked.
 */
static struct output_file *temps;

static int failed(struct era_report *report, const char *name, const char *what,
		  int err)
{
	era_report_kind(
		report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
		"%s: %s: %s", name, what,
		err == ESTALE ? "something else was put in its place meanwhile"
			      : strerror(err));
	return -err;
}

static void remove_temps(int signal_number)
{
	for (struct output_file *file = temps; file; file = file->next_temp)
		unlink(file->temp);
	/* the handler is gone already (SA_RESETHAND): die as told */
	raise(signal_number);
}

static void block_deadly(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaddset(&set, deadly[i]);
	pthread_sigmask(SIG_BLOCK, &set, old);
}

/* A signal that is ignored (nohup) or that the program handles stays so. */
static void install_handler(void)
{
	struct sigaction action = { .sa_handler = remove_temps,
				    .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaddset(&action.sa_mask, deadly[i]);
	for (size_t i = 0; i < NR_DEADLY; i++) {
		if (!sigaction(deadly[i], NULL, &old) &&
		    !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL)
			sigaction(deadly[i], &action, NULL);
	}
}

static void forget_temp(struct output_file *file)
{
	struct output_file **at = &temps;
	sigset_t old;

	block_deadly(&old);
	while (*at && *at != file)
		at = &(*at)->next_temp;
	if (*at)
		*at = file->next_temp;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	free(file->temp);
	file->temp = NULL;
}

/* A name that nobody else has, beside path; honours the umask. */
static int create_temp(struct output_file *file, mode_t mode)
{
	int err = EEXIST;

	for (int i = 0; i < 100 && err == EEXIST; i++) {
		uint64_t random;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -EIO;
		if (asprintf(&file->temp, "%.*s.%.200s.%08" PRIx32,
			     (int)path_dir_len(file->path), file->path,
			     file->path + path_dir_len(file->path),
			     (uint32_t)random) < 0) {
			file->temp = NULL;
			return -ENOMEM;
		}
		file->fd = open(file->temp,
				O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (file->fd >= 0)
			return 0;
		err = errno;
		free(file->temp);
		file->temp = NULL;
	}
	return -err;
}

/* With signals blocked, so that no moment is left for one between the two. */
static int create_and_remember_temp(struct output_file *file, mode_t mode)
{
	sigset_t old;
	int r;

	install_handler();
	block_deadly(&old);
	r = create_temp(file, mode);
	if (!r) {
		file->next_temp = temps;
		temps = file;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* The new file belongs to whom the old one did and opens to no one else. */
static void copy_owner_and_mode(int fd, const struct stat *old)
{
	mode_t mode = old->st_mode & 0777;

	if (fchown(fd, old->st_uid, old->st_gid) &&
	    fchown(fd, (uid_t)-1, old->st_gid))
		mode &= ~(mode_t)070 | (mode_t)(mode << 3);
	/* modes are no reason to fail: the file is then private */
	if (fchmod(fd, mode))
		return;
}

static int is_trap(const char *name, struct era_report *report)
{
	era_report_kind(
		report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
		"%s: belongs to somebody else, in a directory that all may "
		"write to: not written to",
		name);
	return -EACCES;
}

static int not_found(const char *name, const char *what, int err,
		     struct era_report *report)
{
	return err == EPERM ? is_trap(name, report)
			    : failed(report, name, what, err);
}

/* Beside what the name leads to, which may not exist yet. */
static int open_beside(struct output_file *file, const char *path,
		       struct era_report *report)
{
	const char *what = "cannot create";
	struct path_end end;
	int r = path_find(&end, path);

	if (r)
		return not_found(path, what, -r, report);
	if (end.exists && !S_ISREG(end.st.st_mode)) {
		/* it was one, or was not there, a moment ago */
		what = "cannot write";
		r = -ESTALE;
	} else if (end.exists &&
		   faccessat(end.dir, end.path + path_dir_len(end.path), W_OK,
			     AT_EACCESS)) {
		/* renaming must not do what writing would be refused */
		what = "cannot write";
		r = -errno;
	}
	if (!r) {
		file->path = end.path;
		file->replaces = end.exists;
		end.path = NULL;
		r = create_and_remember_temp(
			file, end.exists ? end.st.st_mode & 0777 : 0666);
	}
	if (!r && end.exists)
		copy_owner_and_mode(file->fd, &end.st);
	path_release(&end);
	if (!r)
		return 0;
	free(file->path);
	file->path = NULL;
	return failed(report, path, what, -r);
}

/* What is neither a file nor absent: a FIFO, a terminal. */
static int open_directly(struct output_file *file, const char *path,
			 struct era_report *report)
{
	struct path_end end;
	int r = path_find(&end, path);

	if (r)
		return not_found(path, "cannot open", -r, report);
	if (end.exists && S_ISBLK(end.st.st_mode)) {
		era_report_kind(
			report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s: is a block device, and only metadata is written "
			"to devices: name a file",
			path);
		r = -EINVAL;
	} else if (end.exists && S_ISDIR(end.st.st_mode)) {
		r = failed(report, path, "cannot write", EISDIR);
	} else if (end.exists && S_ISREG(end.st.st_mode)) {
		/* it would be written over from its start */
		r = failed(report, path, "cannot write", ESTALE);
	} else {
		file->fd = path_open(&end, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (file->fd < 0)
			r = failed(report, path, "cannot open", -file->fd);
	}
	path_release(&end);
	return r;
}

static int open_stdout(struct output_file *file, struct era_report *report)
{
	file->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (file->fd < 0)
		return failed(report, file->name, "cannot write", errno);
	return 0;
}

static bool is_stdout(const struct stat *st)
{
	struct stat out;

	return !fstat(STDOUT_FILENO, &out) && out.st_dev == st->st_dev &&
	       out.st_ino == st->st_ino;
}

int output_file_open(struct output_file *file, const char *path,
		     struct era_report *report)
{
	bool standard = !path || !strcmp(path, "-");
	struct stat st;
	int r;

	*file = (struct output_file){ .name = path, .fd = -1 };
	if (standard)
		file->name = "standard output";
	r = standard ? fstat(STDOUT_FILENO, &st) : stat(path, &st);
	if (r && (standard || errno != ENOENT))
		return failed(report, file->name, "cannot write", errno);
	if (!r) {
		file->has_target = true;
		file->target_dev = st.st_dev;
		file->target_ino = st.st_ino;
	}
	/* /dev/stdout leads here too, whatever it is at the moment */
	if (standard || (!r && is_stdout(&st)))
		return open_stdout(file, report);
	if (!r && !S_ISREG(st.st_mode))
		return open_directly(file, path, report);
	return open_beside(file, path, report);
}

static int close_file(struct output_file *file)
{
	int fd = file->fd;

	file->fd = -1;
	/* EINTR: it is closed all the same (close(2)) */
	return close(fd) && errno != EINTR ? -errno : 0;
}

/*
 * Puts the file in its place, where the name still leads there: a link can have
 * been put in its way, or given away, while the file was written.
 */
static int put_in_place(const struct output_file *file)
{
	struct path_end end;
	bool same;

	if (path_find(&end, file->name))
		return -ESTALE;
	same = !strcmp(end.path, file->path) && !(file->is_new && end.exists);
	path_release(&end);
	if (!same)
		return -ESTALE;
	return rename(file->temp, file->path) ? -errno : 0;
}

int output_file_commit(struct output_file *file, struct era_report *report)
{
	const char *what = "cannot write";
	int r = 0, closed;

	if (file->temp && fsync(file->fd))
		r = -errno;
	closed = close_file(file);
	if (!r)
		r = closed;
	if (!r && file->temp) {
		what = "cannot rename";
		r = put_in_place(file);
	}
	if (!r && file->temp) {
		what = "cannot flush the directory";
		forget_temp(file);
		r = path_sync_dir(file->path);
	}
	if (r && r != -EPIPE)
		failed(report, file->name, what, -r);
	output_file_discard(file);
	return r;
}

void output_file_discard(struct output_file *file)
{
	if (file->fd >= 0)
		close_file(file);
	if (file->temp) {
		unlink(file->temp);
		forget_temp(file);
	}
	free(file->path);
	file->path = NULL;
}
