/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shared part of the command lines.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/tool.h"

/* other suites' choice between read(2) and io_uring; there is one way here */
#define KEY_IO_ENGINE 0x300

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	switch (key) {
	case 'h':
		argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP);
		return 0;
	case 'v':
	case KEY_IO_ENGINE:
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* argp's own are --help, -?, --usage, --version and -V */
static const struct argp_option common_options[] = {
	{ NULL, 'h', NULL, 0, "Give this help list", -1 },
	/* what scripts for other suites pass */
	{ "verbose", 'v', NULL, OPTION_HIDDEN, NULL, -1 },
	{ "io-engine", KEY_IO_ENGINE, "NAME", OPTION_HIDDEN, NULL, -1 },
	{ 0 },
};

const struct argp tool_common_argp = { common_options, parse_common, NULL, NULL,
				       NULL,	       NULL,	     NULL };

const struct argp_child tool_argp_children[] = {
	{ &tool_common_argp, 0, NULL, 0 },
	{ 0 },
};

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "%s\n", PACKAGE_VERSION);
}

/*
 * A standard descriptor that is closed would go to the first file that is
 * opened, and messages would then be written over a device. Reads and writes
 * of what takes its place fail, as they would have.
 */
static void occupy_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		/* the lowest that is free is what open() returns */
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null",
			 fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(ERA_UNKNOWN); /* perhaps nobody to tell */
}

/*
 * glibc raises the size from which an allocation is a mapping of its own to
 * that of what was freed last, and so keeps large arrays' memory for good.
 */
static void give_memory_back(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
#endif
}

void tool_init(char **argv)
{
	give_memory_back();
	occupy_standard_descriptors();
	/* argp and getopt start some messages with what argv says */
	argv[0] = program_invocation_short_name;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* else the kernel does not keep for us how a child ended */
	signal(SIGCHLD, SIG_DFL);
	argp_err_exit_status = ERA_UNKNOWN;
	argp_program_version_hook = print_version;
	/* whoever packages it may have told configure.ac; else none is named */
	if (PACKAGE_BUGREPORT[0])
		argp_program_bug_address = PACKAGE_BUGREPORT;
}

/* argp ends the process on wrong usage, but not where there is no memory. */
void tool_parse(const struct argp *argp, int argc, char **argv, void *args)
{
	error_t r = argp_parse(argp, argc, argv, 0, NULL, args);

	if (r) {
		fprintf(stderr, "%s: error: %s\n", tool_name(), strerror(r));
		exit(ERA_UNKNOWN);
	}
}

const char *tool_name(void)
{
	return program_invocation_short_name;
}

int tool_refuse(struct era_report *report, int r, const char *fmt, ...)
{
	char text[TOOL_ADVICE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	era_report_kind(report, era_kind_of_error(r), ERA_FATAL, NULL,
			ERA_NO_DATA, "%s", text);
	return r;
}

void tool_put_into_words(int r, struct era_report *report)
{
	if (r && r != -EPIPE && !report->nr[ERA_FATAL])
		era_report_kind(report, era_kind_of_error(r), ERA_FATAL, NULL,
				ERA_NO_DATA, "%s", strerror(-r));
}

/* What was written to stdout by stdio counts, too, at any time. */
static int check_stdout(int r)
{
	if (fflush(stdout) && !r)
		return -errno;
	return ferror(stdout) && !r ? -EIO : r;
}

int tool_exit_status(int r, struct era_report *report)
{
	r = check_stdout(r);
	tool_put_into_words(r, report);
	return era_report_outcome(report, r);
}

char *tool_advice(enum era_advice advice, const char *device, char *buf,
		  size_t size)
{
	const char *text = era_advice_text(advice), *at;
	size_t used = 0;

	if (!text)
		return NULL;
	while ((at = strstr(text, "%s")) && used < size) {
		int n = snprintf(buf + used, size - used, "%.*s%s",
				 (int)(at - text), text, device);

		used += n < 0 ? 0 : (size_t)n;
		text = at + 2;
	}
	if (used < size)
		snprintf(buf + used, size - used, "%s", text);
	return buf;
}

int tool_exit_status_of(int r, const char *device, bool quiet,
			struct era_report *report)
{
	int status = tool_exit_status(r, report);
	enum era_kind kind = era_report_main_kind(report);
	char buf[TOOL_ADVICE_MAX];
	const char *next =
		tool_advice(era_kind_advice(kind), device, buf, sizeof(buf));

	if (status && next && !quiet)
		fprintf(stderr, "%s: next: %s\n", tool_name(), next);
	return status;
}

int tool_exit_status_json(int printed, enum era_outcome outcome,
			  struct era_report *report)
{
	int status = tool_exit_status(printed, report);

	return status ? status : (int)outcome;
}

static void count_progress(void *arg, uint64_t n)
{
	progress_add(arg, n);
}

void tool_progress_start(struct progress *progress, struct era_device *device,
			 uint64_t expected, bool quiet, const char *output)
{
	bool to_stdout = !output || !strcmp(output, "-");

	if (quiet || (to_stdout && isatty(STDOUT_FILENO)))
		progress_start(progress, tool_name(), -1);
	else
		progress_start(progress, tool_name(), STDERR_FILENO);
	progress_expect(progress, expected);
	device->moved = count_progress;
	device->moved_arg = progress;
}

void tool_progress_finish(struct progress *progress, struct era_device *device)
{
	device->moved = NULL;
	progress_finish(progress);
}

static bool parse_digits(const char *arg, uint64_t *value, const char **end)
{
	char *e;

	/* strtoull would take blanks and signs */
	if (*arg < '0' || *arg > '9')
		return false;
	errno = 0;
	*value = strtoull(arg, &e, 10);
	*end = e;
	return !errno;
}

uint64_t tool_parse_number(const char *arg, uint64_t max, const char *what,
			   struct argp_state *state)
{
	uint64_t value = 0;
	const char *end;

	if (!parse_digits(arg, &value, &end) || *end || value > max)
		argp_error(state,
			   "%s must be a number from 0 to %" PRIu64
			   ", not '%s'",
			   what, max, arg);
	return value;
}

unsigned int tool_parse_range(const char *arg, unsigned int min,
			      unsigned int max, const char *what,
			      struct argp_state *state)
{
	uint64_t n = tool_parse_number(arg, max, what, state);

	if (n < min && min == 1)
		argp_error(state, "%s must not be 0", what);
	else if (n < min)
		argp_error(state, "%s must be %u at least", what, min);
	return (unsigned int)n;
}

void tool_take_device(const char **device, const char *arg, const char *done,
		      struct argp_state *state)
{
	if (*device)
		argp_error(state, "only one device can be %s", done);
	*device = arg;
}

uint32_t tool_parse_era(const char *arg, uint32_t max, const char *what,
			struct argp_state *state)
{
	if (arg[0] == '+' && arg[1])
		arg++;
	return (uint32_t)tool_parse_number(arg, max, what, state);
}

/* What a suffix multiplies by; 0 for one that is unknown. */
static uint64_t multiplier(const char *suffix)
{
	static const char letters[] = "kmgtpe";
	uint64_t unit = 1024, m = 1;
	const char *letter;

	if (!*suffix)
		return 1;
	if (!strcmp(suffix, "b") || !strcmp(suffix, "s"))
		return 512;
	if (!strcmp(suffix, "B"))
		return 1;
	letter = strchr(letters, tolower((unsigned char)*suffix));
	if (!letter)
		return 0;
	if (!strcmp(suffix + 1, "B"))
		unit = 1000;
	else if (suffix[1] && strcmp(suffix + 1, "iB"))
		return 0;
	for (long i = letter - letters; i >= 0; i--)
		m *= unit;
	return m;
}

uint64_t tool_parse_size(const char *arg, uint64_t max, const char *what,
			 struct argp_state *state)
{
	uint64_t value = 1, m = 0;
	const char *end = arg;

	if (isalpha((unsigned char)*arg) || parse_digits(arg, &value, &end))
		m = multiplier(end);
	if (!m)
		argp_error(
			state,
			"%s must be a size such as 65536, 64K or 1G, not '%s'",
			what, arg);
	if (__builtin_mul_overflow(value, m, &value) || value > max)
		argp_error(state, "%s must be at most %" PRIu64 ", not '%s'",
			   what, max, arg);
	return value;
}

bool tool_is_device(const char *path, const struct era_device *device)
{
	struct stat a, b;

	if (stat(path, &a) || fstat(device->fd, &b))
		return false;
	if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode))
		return a.st_rdev == b.st_rdev;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int tool_new_file_open(struct output_file *file, const char *path,
		       struct era_report *report)
{
	int r = output_file_open(file, path, report);

	if (r || file->temp)
		return r;
	era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"metadata is written to a device or a file, not to %s",
			file->name);
	output_file_discard(file);
	return -EINVAL;
}

/* What was not there a moment ago nobody has asked to overwrite. */
static int open_absent(struct output_file *file, const char *path,
		       struct era_report *report)
{
	int r = tool_new_file_open(file, path, report);

	if (r)
		return r;
	file->is_new = true;
	if (!file->replaces)
		return 0;
	era_report_kind(report, ERA_KIND_TARGET, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s: something else was put in its place meanwhile",
			file->name);
	output_file_discard(file);
	return -ESTALE;
}

int tool_target_open(struct tool_target *target, const char *path,
		     struct era_report *report)
{
	struct stat st;
	int r;

	*target = (struct tool_target){ .device = { .fd = -1 } };
	if (!stat(path, &st))
		return era_device_open(&target->device, path, ERA_DEVICE_WRITE,
				       NULL, report);
	r = open_absent(&target->file, path, report);
	if (r)
		return r;
	target->is_new = true;
	era_device_init_new(&target->device, path, target->file.fd, NULL);
	return 0;
}

int tool_target_close(struct tool_target *target, int r,
		      struct era_report *report)
{
	if (!target->is_new)
		era_device_close(&target->device);
	else if (r)
		output_file_discard(&target->file);
	else
		r = output_file_commit(&target->file, report);
	return r;
}
