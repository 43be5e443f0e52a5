/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tools' command lines: any arguments, in a directory that holds sound
 * metadata (m), its XML (x) and its pack (p), and nothing else that a path
 * could name. A tool must come back with 0 or 1; where the usage was wrong it
 * must have touched nothing; what it reads it must not change.
 *
 * Input: u8 tool, then the arguments, each ended by a zero byte.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/kind.h"
#include "budget.h"
#include "dates.h"
#include "options.h"
#include "tools/confine.h"

#undef argp_parse
#undef argp_error
#undef argp_state_help

#define MAX_ARGS 24

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FOR_EACH_TOOL(f)                                                       \
	f(era_check) f(era_dump) f(era_invalidate) f(era_ls) f(era_map)        \
		f(era_metadata_pack) f(era_metadata_size)                      \
			f(era_metadata_unpack) f(era_repair) f(era_restore)

#define DECLARE(name) int name##_main(int argc, char **argv);
FOR_EACH_TOOL(DECLARE)

#define ENTRY(name) { #name, name##_main },
static const struct tool {
	const char *name;
	int (*main)(int argc, char **argv);
} tools[] = { FOR_EACH_TOOL(ENTRY) };

/* --- where the process would have ended ------------------------------------
 */

static jmp_buf after_parser, after_main;
static error_t (*real_parser)(int key, char *arg, struct argp_state *state);
static bool helped;

/* Wrong usage ends in here, so that argp can put its things away. */
static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (setjmp(after_parser))
		return EINVAL;
	return real_parser(key, arg, state);
}

error_t fuzz_argp_parse(const struct argp *argp, int argc, char **argv,
			unsigned int flags, int *arg_index, void *input)
{
	struct argp copy = *argp;
	error_t r;

	real_parser = copy.parser;
	copy.parser = parse;
	helped = false;
	r = argp_parse(&copy, argc, argv, flags | ARGP_NO_EXIT, arg_index,
		       input);
	if (r || helped)
		longjmp(after_main, 1);
	return 0;
}

void fuzz_argp_error(const struct argp_state *state, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	(void)state;
	va_start(ap, fmt);
	must(vsnprintf(text, sizeof(text), fmt, ap) > 0);
	va_end(ap);
	longjmp(after_parser, 1);
}

void fuzz_argp_state_help(const struct argp_state *state, FILE *stream,
			  unsigned int flags)
{
	argp_state_help(state, stream, flags);
	helped = true;
}

/* In place of what would hold for all runs to come: only what is promised. */
static bool may_write;

void tool_confine(bool writes_files)
{
	may_write = writes_files;
}

/* --- the directory ----------------------------------------------------------
 */

static struct kept {
	char name[2];
	uint8_t *data;
	size_t len;
	struct stat st;
} kept[] = { { .name = "m" }, { .name = "x" }, { .name = "p" } };

#define NR_KEPT (sizeof(kept) / sizeof(*kept))

static void load(struct kept *file)
{
	int fd = open(file->name, O_RDONLY | O_CLOEXEC);

	must(fd >= 0 && !fstat(fd, &file->st));
	file->len = (size_t)file->st.st_size;
	file->data = malloc(file->len);
	must(file->data &&
	     read(fd, file->data, file->len) == (ssize_t)file->len);
	close(fd);
}

static bool is_touched(const struct kept *file)
{
	struct stat st;

	return lstat(file->name, &st) || st.st_ino != file->st.st_ino ||
	       st.st_size != file->st.st_size ||
	       st.st_mtim.tv_sec != file->st.st_mtim.tv_sec ||
	       st.st_mtim.tv_nsec != file->st.st_mtim.tv_nsec;
}

static void put_back(struct kept *file)
{
	int fd;

	unlink(file->name);
	fd = open(file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	must(fd >= 0);
	must(write(fd, file->data, file->len) == (ssize_t)file->len);
	must(!fstat(fd, &file->st));
	close(fd);
}

/* Removes what is not kept; returns how many files that were. */
static unsigned int tidy(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;
	unsigned int nr = 0;

	must(dir);
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    (strchr("mxp", *name) && *name && !name[1]))
			continue;
		must(!unlink(name));
		nr++;
	}
	closedir(dir);
	return nr;
}

static char directory[] = "/tmp/fuzz_options.XXXXXX";

static void leave(void)
{
	for (size_t i = 0; i < NR_KEPT; i++)
		unlink(kept[i].name);
	tidy();
	must(!chdir("/") && !rmdir(directory));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char xml[] =
		"<superblock uuid=\"\" block_size=\"128\" nr_blocks=\"3\" "
		"current_era=\"4\"><writeset era=\"3\" nr_bits=\"3\">"
		"<marked block_begin=\"1\" len=\"2\"/></writeset><era_array>"
		"<era block=\"0\" era=\"1\"/><era block=\"1\" era=\"2\"/>"
		"<era block=\"2\" era=\"0\"/></era_array></superblock>";
	int fd, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* the corpora are relative to where the fuzzer was started */
	for (int i = 1; i < *argc; i++)
		if ((*argv)[i][0] != '-' && (*argv)[i][0] != '/')
			must(((*argv)[i] = realpath((*argv)[i], NULL)));
	must(null >= 0 && dup2(null, STDIN_FILENO) == STDIN_FILENO);
	close(null);
	must(mkdtemp(directory) && !chdir(directory));
	atexit(leave);
	fd = open("x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(write(fd, xml, sizeof(xml) - 1) == (ssize_t)sizeof(xml) - 1);
	close(fd);
	/* small, and there before: a new file would have 4 MiB */
	fd = open("m", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(!ftruncate(fd, 32 * ERA_BLOCK_SIZE));
	close(fd);
	must(!era_restore_main(6, (char *[]){ "era_restore", "-i", "x", "-o",
					      "m", "-q", NULL }));
	must(!era_metadata_pack_main(6,
				     (char *[]){ "era_metadata_pack", "-i", "m",
						 "-o", "p", "-q", NULL }));
	for (size_t i = 0; i < NR_KEPT; i++)
		load(&kept[i]);
	return 0;
}

/* Whether an argument names the file. */
static bool is_named(char **argv, char name)
{
	for (; *argv; argv++)
		if (**argv && (*argv)[strlen(*argv) - 1] == name)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char name[] = "fuzz_options";
	const struct tool *tool;
	char *argv[MAX_ARGS + 2], *text, *at;
	struct budget budget;
	size_t argc = 1;
	int status;

	if (!len)
		return 0;
	tool = &tools[data[0] % (sizeof(tools) / sizeof(*tools))];
	/* argp's --program-name has set it to an argument */
	program_invocation_short_name = name;
	text = calloc(1, len + 1);
	must(text);
	memcpy(text, data + 1, len - 1);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '/')
			text[i] = '_'; /* nothing beyond the directory */
	argv[0] = (char *)(uintptr_t)tool->name;
	for (at = text; at < text + len - 1 && argc <= MAX_ARGS;
	     at += strlen(at) + 1)
		if (strncmp(at, "--H", 3)) /* argp's --HANG */
			argv[argc++] = at;
	argv[argc] = NULL;
	if (setjmp(after_main)) {
		must(!tidy());
		for (size_t i = 0; i < NR_KEPT; i++)
			must(!is_touched(&kept[i]));
		free(text);
		return 0;
	}
	budget_begin(&budget, NULL);
	status = tool->main((int)argc, argv);
	budget_end(&budget, 0, BUDGET_MEMORY);
	must(status >= ERA_SOUND && status <= ERA_UNKNOWN);
	must(!tidy() || may_write);
	for (size_t i = 0; i < NR_KEPT; i++) {
		if (!is_touched(&kept[i]))
			continue;
		must(may_write && is_named(argv + 1, kept[i].name[0]));
		put_back(&kept[i]);
	}
	free(text);
	return 0;
}
