/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at era devices, and judging what was seen.
 *
 * Nothing here can hang: what reaches no target returns at once, the target
 * is asked only where it was just seen not to be suspended, and everything
 * runs in a process with a limit of time.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/grow.h"
#include "era/size.h"
#include "era/superblock.h"
#include "live/limit.h"
#include "tools/status.h"

#define STATE_DIR "/run/dm-era"
/* A device that is suspended for a moment only is none that hangs. */
#define SETTLE_MS 2000
#define SETTLE_POLL_MS 100
#define BLOCKED_MS 500
#define SUPERBLOCK_TRIES 5

const char *status_level_name(enum status_level level)
{
	static const char *const names[] = { "ok", "warning", "critical",
					     "unknown" };

	return names[level];
}

static enum status_level status_worse(enum status_level a, enum status_level b)
{
	static const int order[] = { [STATUS_OK] = 0,
				     [STATUS_UNKNOWN] = 1,
				     [STATUS_WARNING] = 2,
				     [STATUS_CRITICAL] = 3 };

	return order[a] > order[b] ? a : b;
}

__attribute__((format(printf, 4, 5))) static void
add_problem(struct status_problems *problems, enum status_level level,
	    const char *advice, const char *fmt, ...)
{
	struct status_problem *p;
	va_list ap;

	problems->level = status_worse(problems->level, level);
	if (problems->nr == STATUS_MAX_PROBLEMS)
		return;
	p = &problems->list[problems->nr++];
	p->level = level;
	snprintf(p->advice, sizeof(p->advice), "%s", advice ? advice : "");
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

/* What calls report, as problems of the device of that name. */
struct reporter {
	struct era_report report;
	struct status_problems *problems;
	const char *name;
};

static void on_problem(void *arg, const struct era_problem *problem)
{
	struct reporter *to = arg;
	const char *text = problem->text;
	size_t len = to->name ? strlen(to->name) : 0;

	if (len && !strncmp(text, to->name, len) &&
	    !strncmp(text + len, ": ", 2))
		text += len + 2;
	if (problem->severity == ERA_FATAL)
		add_problem(to->problems, STATUS_UNKNOWN, NULL, "%s", text);
}

static void reporter_init(struct reporter *to, struct status_problems *problems,
			  const char *name)
{
	to->report = (struct era_report){ .problem = on_problem, .arg = to };
	to->problems = problems;
	to->name = name;
}

/* --- for how long ----------------------------------------------------------
 */

/*
 * The kernel does not say since when a device is suspended. So each look at
 * one that is leaves a file, or finds that of an earlier look.
 */
static void note_suspended(struct status_device *dev)
{
	const struct live_info *info = &dev->era.info;
	char path[sizeof(STATE_DIR) + LIVE_NAME_MAX + 16];
	struct timespec now;
	struct stat st;
	int fd;

	dev->suspended_for = -1;
	snprintf(path, sizeof(path),
		 STATE_DIR "/suspended.%" PRIu32 ":%" PRIu32 ".%s", info->major,
		 info->minor, info->name);
	if (!info->suspended) {
		unlink(path);
		return;
	}
	mkdir(STATE_DIR, 0755);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return;
	if (!fstat(fd, &st) && !clock_gettime(CLOCK_REALTIME, &now) &&
	    now.tv_sec >= st.st_mtim.tv_sec)
		dev->suspended_for = (long)(now.tv_sec - st.st_mtim.tv_sec);
	close(fd);
}

/* ", at each look for 70 seconds", where there was an earlier one */
static const char *for_how_long(const struct status_device *dev, char *buf,
				size_t size)
{
	*buf = '\0';
	if (dev->suspended_for > 0)
		snprintf(buf, size, ", at each look for %ld second%s",
			 dev->suspended_for,
			 dev->suspended_for == 1 ? "" : "s");
	return buf;
}

/* --- the superblock --------------------------------------------------------
 */

static int read_superblock(void *arg, FILE *answer)
{
	const char *path = arg;
	struct era_superblock sb;
	struct era_device device;
	int r = era_device_open(&device, path, ERA_DEVICE_SHARED, NULL, NULL);

	if (r)
		return r;
	/* the kernel may be writing it at this moment */
	for (int i = 0; i < SUPERBLOCK_TRIES; i++) {
		era_device_refresh(&device);
		r = era_superblock_read(&sb, &device, ERA_SUPERBLOCK_LOCATION,
					NULL);
		if (!r)
			break;
		limit_sleep(10);
	}
	era_device_close(&device);
	if (!r)
		fprintf(answer, "%" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu64,
			(uint64_t)sb.space_map.nr_allocated,
			(uint64_t)sb.space_map.nr_blocks,
			sb.geometry.current_era, (uint64_t)sb.metadata_snap);
	return r;
}

/* What the last commit has left, of a device that must not be asked. */
static void look_at_superblock(struct status_device *dev,
			       const struct status_options *options)
{
	struct live_era *era = &dev->era;
	char *answer;
	int r;

	if (live_is_suspended(era->table.metadata_numbers)) {
		add_problem(&dev->problems, STATUS_CRITICAL, "dmsetup resume",
			    "the metadata device %s is suspended, or what is "
			    "below it: whoever reads it waits",
			    era->table.metadata);
		return;
	}
	r = limit_call(read_superblock, era->table.metadata, options->timeout,
		       &answer);

	if (!r && answer &&
	    sscanf(answer, "%" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu64,
		   &era->used, &era->total, &era->era, &era->snapshot) == 4)
		dev->known = dev->from_superblock = true;
	else
		add_problem(&dev->problems, STATUS_WARNING, NULL,
			    "the superblock on %s cannot be read: %s",
			    era->table.metadata,
			    r == -ETIMEDOUT ? "no answer in time"
			    : r == -EUCLEAN ? "it is damaged"
					    : strerror(-r));
	free(answer);
}

/* --- judging ---------------------------------------------------------------
 */

static void judge_tables(struct status_device *dev, bool resume_hangs)
{
	struct live_era *era = &dev->era;
	struct status_problems *problems = &dev->problems;
	char since[64];

	for_how_long(dev, since, sizeof(since));
	if (era->info.suspended && resume_hangs)
		add_problem(problems, STATUS_CRITICAL,
			    "send it no message; reboot by force, see "
			    "\"Blocked in resume\" in era_recovery(7)",
			    "suspended%s, and a resume hangs on this host: "
			    "nothing brings the device back",
			    since);
	else if (era->info.suspended && era->info.inactive_table)
		add_problem(problems, STATUS_CRITICAL,
			    "ask it nothing; where anybody has, dmsetup clear "
			    "before the resume, see \"Blocked before resume\" "
			    "in era_recovery(7); else dmsetup resume",
			    "suspended%s, with a new table loaded: whoever "
			    "asks for its status now makes the resume hang",
			    since);
	else if (era->info.suspended)
		add_problem(problems, STATUS_CRITICAL, "dmsetup resume",
			    "suspended%s: its users wait", since);
	else if (!era->info.live_table)
		add_problem(problems, STATUS_WARNING, "dmsetup resume",
			    "not in use: its table waits for a resume");
	else if (era->next_is_era)
		add_problem(problems, STATUS_CRITICAL,
			    "do not resume; dmsetup clear, then suspend, load "
			    "and resume, or era_reload",
			    "a new table was loaded while the device is live: "
			    "a resume would fork its history and lose writes");
	else if (era->info.inactive_table)
		add_problem(problems, STATUS_WARNING,
			    "dmsetup clear, if nobody is about to resume",
			    "a table without era was loaded: from the next "
			    "resume on nothing would record writes");
}

static void judge_answer(struct status_device *dev,
			 const struct status_options *options)
{
	if (dev->era.answer == LIVE_ERA_FAILED)
		add_problem(
			&dev->problems, STATUS_CRITICAL,
			"see \"The metadata device is full\" in "
			"era_recovery(7)",
			"its metadata has failed: writes end with an error");
	if (dev->era.answer == LIVE_ERA_NO_ANSWER)
		add_problem(&dev->problems, STATUS_CRITICAL,
			    "load no table; if it is suspended by now, resume "
			    "it as it is",
			    "the target did not answer within %u second%s",
			    options->timeout, options->timeout == 1 ? "" : "s");
}

static void judge_room(struct status_device *dev,
		       const struct status_options *options)
{
	const struct live_era *era = &dev->era;
	const char *advice = "a larger metadata device, see era_recovery(7)";
	struct era_size size;
	uint64_t percent;

	if (!dev->known || !era->total || !era->table.block_size)
		return;
	era_size_worst_case(&size, (uint32_t)dev->nr_blocks, 1, true);
	dev->eras_left =
		(era->total - era->used) / size.parts[ERA_SIZE_WRITESET].each;
	percent = era->used * 100 / era->total;
	if (percent >= options->critical || !dev->eras_left)
		add_problem(&dev->problems, STATUS_CRITICAL, advice,
			    "%" PRIu64 " %% of the metadata device are in use, "
			    "there is room for %" PRIu64 " more eras",
			    percent, dev->eras_left);
	else if (percent >= options->warning)
		add_problem(&dev->problems, STATUS_WARNING, advice,
			    "%" PRIu64 " %% of the metadata device are in use, "
			    "there is room for %" PRIu64 " more eras",
			    percent, dev->eras_left);
}

/* --- looking ---------------------------------------------------------------
 */

/* Until it is not suspended, or has been so for long enough to say so. */
static int look_settled(struct live_era *era, const char *name,
			unsigned long long deadline, struct era_report *report)
{
	int r = live_era_look(era, name, report);

	while (!r && era->info.suspended && limit_now() < deadline) {
		limit_sleep(SETTLE_POLL_MS);
		r = live_era_look(era, name, report);
	}
	return r;
}

/*
 * A question to a target that cannot write its metadata would hang, and stay;
 * a question that hangs already needs no second one beside it.
 */
static bool may_ask(const struct live_era *era,
		    const struct status_options *options)
{
	return !options->superblock &&
	       !live_is_suspended(era->table.metadata_numbers);
}

static void look_further(struct status_device *dev,
			 const struct status_options *options)
{
	struct live_era *era = &dev->era;
	struct reporter to;

	if (!era->is_era)
		return;
	reporter_init(&to, &dev->problems, era->info.name);
	if (era->table.block_size)
		dev->nr_blocks = (era->table.len + era->table.block_size - 1) /
				 era->table.block_size;
	if (may_ask(era, options))
		live_era_ask(era, options->timeout, &to.report);
	dev->known = era->answer == LIVE_ERA_ANSWERED;
	if (!dev->known && era->answer != LIVE_ERA_FAILED)
		look_at_superblock(dev, options);
}

static int add_device(struct status *status, const struct status_device *dev)
{
	if (list_resize(&status->devices, status->nr_devices,
			status->nr_devices + 1))
		return -ENOMEM;
	status->devices[status->nr_devices++] = *dev;
	return 0;
}

/* asked: by this name, so that it is said what else it may be. */
static int look_at(struct status *status, const struct status_options *options,
		   const char *name, bool asked, unsigned long long deadline)
{
	struct status_device dev = { .suspended_for = -1 };
	struct reporter to;
	int r;

	reporter_init(&to, &dev.problems, name);
	r = look_settled(&dev.era, name, deadline, &to.report);
	/* a device that went away since it was listed is none of this host */
	if (r == -ENXIO && !asked)
		return 0;
	if (!r && !dev.era.is_era && !dev.era.next_is_era) {
		if (!asked)
			return 0;
		add_problem(&dev.problems, STATUS_UNKNOWN, NULL,
			    "not an era device");
	}
	if (r)
		snprintf(dev.era.info.name, sizeof(dev.era.info.name), "%s",
			 name);
	else
		look_further(&dev, options);
	return add_device(status, &dev);
}

static int look_at_named(struct status *status,
			 const struct status_options *options,
			 unsigned long long deadline)
{
	int r = 0;

	for (size_t i = 0; i < options->nr_names && !r; i++)
		r = look_at(status, options, options->names[i], true, deadline);
	return r;
}

static int look_at_all(struct status *status,
		       const struct status_options *options,
		       unsigned long long deadline)
{
	struct live_names names;
	struct reporter to;
	int r;

	reporter_init(&to, &status->problems, NULL);
	r = live_list(&names, &to.report);
	if (r)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < names.nr && !r; i++)
		r = look_at(status, options, names.list[i], false, deadline);
	live_names_release(&names);
	return r;
}

/* Those that are still there when looked for again: a moment is no hang. */
static void find_blocked(struct live_blocked_list *found)
{
	struct live_blocked_list again;
	size_t kept = 0;

	live_blocked_find(found);
	if (!found->nr)
		return;
	limit_sleep(BLOCKED_MS);
	live_blocked_find(&again);
	for (size_t i = 0; i < found->nr; i++)
		for (size_t j = 0; j < again.nr; j++)
			if (found->list[i].pid == again.list[j].pid)
				found->list[kept++] = again.list[j];
	found->nr = kept;
	live_blocked_release(&again);
}

/* Whether one of them hangs in a resume, which no device can be told from. */
static bool judge_blocked(struct status *status)
{
	const struct live_blocked_list *blocked = &status->blocked;
	bool hangs = false;

	for (size_t i = 0; i < blocked->nr; i++) {
		const struct live_blocked *p = &blocked->list[i];

		hangs = hangs || !strcmp(p->function, "dm_swap_table");
		add_problem(&status->problems, STATUS_CRITICAL, NULL,
			    "process %d (%s) hangs in %s", p->pid, p->command,
			    p->function);
	}
	return hangs;
}

/* Again, where a question of ours got no answer. */
static void find_our_own(struct status *status)
{
	for (size_t i = 0; i < status->nr_devices; i++) {
		if (status->devices[i].era.answer != LIVE_ERA_NO_ANSWER)
			continue;
		live_blocked_release(&status->blocked);
		find_blocked(&status->blocked);
		return;
	}
}

int status_look(struct status *status, const struct status_options *given)
{
	unsigned long long deadline = limit_now() + SETTLE_MS;
	struct status_options with = *given;
	const struct status_options *options = &with;
	bool resume_hangs;
	int r;

	*status = (struct status){ .devices = NULL };
	find_blocked(&status->blocked);
	/* which device they asked nobody can tell: no more of us are to hang */
	if (status->blocked.nr)
		with.superblock = true;
	r = options->nr_names ? look_at_named(status, options, deadline)
			      : look_at_all(status, options, deadline);
	find_our_own(status);
	resume_hangs = judge_blocked(status);
	status->level = status->problems.level;
	for (size_t i = 0; i < status->nr_devices; i++) {
		struct status_device *dev = &status->devices[i];

		if (dev->era.is_era || dev->era.next_is_era) {
			note_suspended(dev);
			judge_tables(dev, resume_hangs);
			judge_answer(dev, options);
			judge_room(dev, options);
		}
		status->level =
			status_worse(status->level, dev->problems.level);
	}
	return r;
}

void status_release(struct status *status)
{
	free(status->devices);
	live_blocked_release(&status->blocked);
}
