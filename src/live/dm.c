/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libdevmapper's tasks in processes with a limit. The child turns the answer
 * into lines of text, the parent takes them apart.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/grow.h"
#include "live/dm.h"
#include "live/limit.h"

#define QUERY_SECONDS 10  /* what reaches no target takes no time */
#define CHANGE_SECONDS 60 /* reads metadata, and waits for udev */
#define UDEV_SECONDS 30
#define UDEV_POLL_MS 10
#define MAX_LOG 400

struct request {
	int type;	   /* DM_DEVICE_... */
	const char *name;  /* NULL: of no device */
	const char *words; /* a message, or the new name */
	const char *uuid;  /* the new one */
	const struct live_target *target;
	unsigned int seconds;
	bool inactive;
	bool asks_target; /* who asks one that is suspended is stuck */
	int (*answer)(struct dm_task *task, FILE *answer);
};

/* --- in the child ----------------------------------------------------------
 */

/* The first thing that libdevmapper had to say, and errno at that moment. */
static char log_text[MAX_LOG];
static int log_errno;

__attribute__((format(printf, 5, 6))) static void
keep_first(int level, const char *file, int line, int dm_errno, const char *fmt,
	   ...)
{
	enum { LEVEL = 7, ERROR = 3 };
	int err = dm_errno > 0 ? dm_errno : errno;
	va_list ap;

	(void)file;
	(void)line;
	if ((level & LEVEL) > ERROR || *log_text)
		return;
	log_errno = err;
	va_start(ap, fmt);
	vsnprintf(log_text, sizeof(log_text), fmt, ap);
	va_end(ap);
}

/* What is no character of a line becomes what dmsetup would make of it. */
static void put_word(FILE *answer, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (iscntrl(c))
			fprintf(answer, "\\x%02x", c);
		else
			putc(c, answer);
	}
}

static int answer_names(struct dm_task *task, FILE *answer)
{
	struct dm_names *names = dm_task_get_names(task);

	if (!names)
		return -EIO;
	if (!names->dev)
		return 0;
	for (;;) {
		put_word(answer, names->name);
		putc('\n', answer);
		if (!names->next)
			return 0;
		names = (void *)((char *)names + names->next);
	}
}

/* As it is in /dev/mapper; to be freed. */
static char *kernel_name(struct dm_task *task)
{
	const char *name;

	if (dm_get_name_mangling_mode() != DM_STRING_MANGLING_NONE)
		return dm_task_get_name_mangled(task);
	name = dm_task_get_name(task);
	return name ? dm_strdup(name) : NULL;
}

static int answer_info(struct dm_task *task, FILE *answer)
{
	char *name = kernel_name(task);
	const char *uuid = dm_task_get_uuid(task);
	struct dm_info info;

	if (!dm_task_get_info(task, &info) || !name) {
		dm_free(name);
		return -EIO;
	}
	if (!info.exists) {
		dm_free(name);
		return -ENXIO;
	}
	fprintf(answer, "%" PRIu32 " %" PRIu32 " %d %d %d %d %" PRId32 "\n",
		info.major, info.minor, info.suspended, info.live_table,
		info.inactive_table, info.read_only, info.open_count);
	put_word(answer, name);
	putc('\n', answer);
	put_word(answer, uuid ? uuid : "");
	putc('\n', answer);
	dm_free(name);
	return 0;
}

static int answer_targets(struct dm_task *task, FILE *answer)
{
	struct dm_info info;
	void *next = NULL;

	/* a device that is gone is no device without a target */
	if (!dm_task_get_info(task, &info) || !info.exists)
		return -ENXIO;
	do {
		uint64_t begin, len;
		char *type, *params;

		next = dm_get_next_target(task, next, &begin, &len, &type,
					  &params);
		if (!type)
			continue;
		fprintf(answer, "%" PRIu64 " %" PRIu64 " %s ", begin, len,
			type);
		put_word(answer, params ? params : "");
		putc('\n', answer);
	} while (next);
	return 0;
}

static bool waits_for_udev(int type)
{
	return type == DM_DEVICE_CREATE || type == DM_DEVICE_REMOVE ||
	       type == DM_DEVICE_RENAME || type == DM_DEVICE_RESUME;
}

/* A udev that does nothing more must not keep us for ever. */
static void wait_for_udev(uint32_t cookie)
{
	unsigned long long deadline = limit_now() + UDEV_SECONDS * 1000ull;
	int ready = 0;

	while (dm_udev_wait_immediate(cookie, &ready) && !ready) {
		if (limit_now() >= deadline) {
			dm_udev_complete(cookie);
			return;
		}
		limit_sleep(UDEV_POLL_MS);
	}
}

static bool fill_task(struct dm_task *task, const struct request *req)
{
	const struct live_target *t = req->target;

	if (req->name && !dm_task_set_name(task, req->name))
		return false;
	if (req->type == DM_DEVICE_TARGET_MSG &&
	    (!dm_task_set_sector(task, 0) ||
	     !dm_task_set_message(task, req->words)))
		return false;
	if (req->type == DM_DEVICE_RENAME &&
	    !(req->uuid ? dm_task_set_newuuid(task, req->uuid)
			: dm_task_set_newname(task, req->words)))
		return false;
	if (req->type == DM_DEVICE_CREATE && req->uuid && *req->uuid &&
	    !dm_task_set_uuid(task, req->uuid))
		return false;
	if (req->inactive && !dm_task_query_inactive_table(task))
		return false;
	if (req->type == DM_DEVICE_REMOVE)
		dm_task_retry_remove(task);
	return !t ||
	       dm_task_add_target(task, t->begin, t->len, t->type, t->params);
}

static int errno_of(struct dm_task *task)
{
	int err = task ? dm_task_get_errno(task) : 0;

	if (!err)
		err = log_errno;
	return err > 0 && err < 256 ? -err : -EIO;
}

/*
 * Right before the question, so that there is hardly a moment left for
 * somebody else to suspend the device.
 */
static int refuse_suspended(const struct request *req)
{
	struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
	struct dm_info info;
	int r = 0;

	if (!task || !dm_task_set_name(task, req->name) || !dm_task_run(task) ||
	    !dm_task_get_info(task, &info))
		r = errno_of(task);
	else if (!info.exists)
		r = -ENXIO;
	else if (info.suspended)
		r = -EBUSY;
	if (task)
		dm_task_destroy(task);
	return r;
}

static int run_as(const struct request *req, FILE *answer)
{
	struct dm_task *task = dm_task_create(req->type);
	bool udev = waits_for_udev(req->type);
	uint32_t cookie = 0;
	int r = req->asks_target ? refuse_suspended(req) : 0;

	if (r)
		udev = false;
	else if (!task || !fill_task(task, req) ||
		 (udev && !dm_task_set_cookie(task, &cookie, 0)) ||
		 !dm_task_run(task))
		r = errno_of(task);
	if (udev && cookie)
		wait_for_udev(cookie);
	if (udev)
		dm_task_update_nodes();
	if (!r && req->answer)
		r = req->answer(task, answer);
	if (task)
		dm_task_destroy(task);
	return r;
}

bool live_is_plain(unsigned char c)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789#+-.:=@_";

	return c && strchr(plain, c);
}

bool live_is_plain_name(const char *name)
{
	for (; *name; name++) {
		if (live_is_plain((unsigned char)*name))
			continue;
		if (strncmp(name, "\\x", 2) ||
		    !isxdigit((unsigned char)name[2]) ||
		    !isxdigit((unsigned char)name[3]))
			return false;
		name += 3;
	}
	return true;
}

/* Whether a name may stand for another one: it has more than the plainest. */
static bool is_odd(const char *name)
{
	while (live_is_plain((unsigned char)*name))
		name++;
	return *name;
}

/*
 * A name is first taken as dmsetup takes it, which writes what is no letter by
 * its number; a device may have been made without that. A device that was
 * found is not told the same a second time.
 */
static int run_task(void *arg, FILE *answer)
{
	const struct request *req = arg;
	char said[MAX_LOG];
	int r, again;

	dm_log_with_errno_init(keep_first);
	dm_set_name_mangling_mode(DM_STRING_MANGLING_AUTO);
	r = run_as(req, answer);
	if (r && req->type != DM_DEVICE_CREATE &&
	    (!req->name || is_odd(req->name))) {
		memcpy(said, log_text, sizeof(said));
		*log_text = '\0';
		dm_set_name_mangling_mode(DM_STRING_MANGLING_NONE);
		again = run_as(req, answer);
		if (again)
			memcpy(log_text, said, sizeof(log_text));
		r = again ? r : 0;
	}
	if (r)
		put_word(answer, log_text);
	return r;
}

/* --- in the parent ---------------------------------------------------------
 */

#define CONTROL "/dev/mapper/control"

/* Why the device-mapper cannot be reached at all; 0 where it can be. */
static int explain_control(struct era_report *report)
{
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC), err = errno;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (err == EACCES || err == EPERM)
		era_report_kind(
			report, ERA_KIND_ACCESS, ERA_FATAL, NULL, ERA_NO_DATA,
			"no permission to use the device-mapper (%s): only "
			"root has it",
			CONTROL);
	else
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"this host has no device-mapper: %s: %s",
				CONTROL, strerror(err));
	return -err;
}

static int explain(const struct request *req, const char *what, int r,
		   const char *said, struct era_report *report)
{
	const char *name = req->name ? req->name : "device-mapper";

	if (r == -ETIMEDOUT)
		era_report_kind(report, ERA_KIND_BUSY, ERA_FATAL, NULL,
				ERA_NO_DATA,
				"%s: cannot %s: no answer within %u seconds",
				name, what, req->seconds);
	else if (r == -EBUSY && req->asks_target)
		era_report_kind(
			report, ERA_KIND_BUSY, ERA_FATAL, NULL, ERA_NO_DATA,
			"%s: is suspended, and whoever asks it anything "
			"waits until it is resumed",
			name);
	else if (explain_control(report))
		return r;
	else if (r == -ENXIO && req->name && !req->target)
		era_report_kind(report, ERA_KIND_ACCESS, ERA_FATAL, NULL,
				ERA_NO_DATA, "%s: no such device-mapper device",
				name);
	else
		era_report_kind(report, era_kind_of_error(r), ERA_FATAL, NULL,
				ERA_NO_DATA, "%s: cannot %s: %s", name, what,
				said && *said ? said : strerror(-r));
	return r;
}

/* what: a verb, for the message. text (may be NULL): the answer, to be freed */
static int ask(struct request *req, const char *what, char **text,
	       struct era_report *report)
{
	char *answer;
	int r;

	if (!req->seconds)
		req->seconds = QUERY_SECONDS;
	r = limit_call(run_task, req, req->seconds, &answer);
	if (r) {
		explain(req, what, r, answer, report);
	} else if (text) {
		*text = answer ? answer : strdup("");
		answer = NULL;
		r = *text ? 0 : -ENOMEM;
	}
	free(answer);
	return r;
}

/* The lines of text, one by one: cuts the next one off. */
static char *next_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

int live_reach(struct era_report *report)
{
	struct live_names names;
	int r = live_list(&names, report);

	if (!r)
		live_names_release(&names);
	return r;
}

int live_list(struct live_names *names, struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_LIST, .answer = answer_names };
	char *text, *at, *line;
	int r = ask(&req, "list devices", &text, report);

	*names = (struct live_names){ NULL, 0 };
	if (r)
		return r;
	at = text;
	while (!r && (line = next_line(&at))) {
		r = list_resize(&names->list, names->nr, names->nr + 1);
		if (r)
			break;
		names->list[names->nr] = strdup(line);
		r = names->list[names->nr] ? 0 : -ENOMEM;
		names->nr += !r;
	}
	free(text);
	if (r)
		live_names_release(names);
	return r;
}

void live_names_release(struct live_names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct live_names){ NULL, 0 };
}

static int take_info(struct live_info *info, char *text)
{
	int flags[4];
	const char *line = next_line(&text);

	if (!line || sscanf(line, "%" SCNu32 " %" SCNu32 " %d %d %d %d %d",
			    &info->major, &info->minor, &flags[0], &flags[1],
			    &flags[2], &flags[3], &info->open_count) != 7)
		return -EIO;
	info->suspended = flags[0];
	info->live_table = flags[1];
	info->inactive_table = flags[2];
	info->read_only = flags[3];
	line = next_line(&text);
	snprintf(info->name, sizeof(info->name), "%s", line ? line : "");
	line = line ? next_line(&text) : NULL;
	snprintf(info->uuid, sizeof(info->uuid), "%s", line ? line : "");
	return line ? 0 : -EIO;
}

int live_info(const char *name, struct live_info *info,
	      struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_INFO,
			       .name = name,
			       .answer = answer_info };
	char *text;
	int r = ask(&req, "look at it", &text, report);

	*info = (struct live_info){ .name = "" };
	if (r)
		return r;
	r = take_info(info, text);
	free(text);
	return r;
}

static int add_target(struct live_targets *targets, const char *line)
{
	struct live_target *t;
	int at = 0;

	if (list_resize(&targets->list, targets->nr, targets->nr + 1))
		return -ENOMEM;
	t = &targets->list[targets->nr];
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %15s %n", &t->begin, &t->len,
		   t->type, &at) != 3)
		return -EIO;
	t->params = strdup(line + at);
	targets->nr += !!t->params;
	return t->params ? 0 : -ENOMEM;
}

static int ask_targets(struct request *req, const char *what,
		       struct live_targets *targets, struct era_report *report)
{
	char *text, *at, *line;
	int r;

	*targets = (struct live_targets){ NULL, 0 };
	req->answer = answer_targets;
	r = ask(req, what, &text, report);
	if (r)
		return r;
	at = text;
	while (!r && (line = next_line(&at)))
		r = add_target(targets, line);
	free(text);
	if (r)
		live_targets_release(targets);
	return r;
}

int live_table(const char *name, bool inactive, struct live_targets *targets,
	       struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_TABLE,
			       .name = name,
			       .inactive = inactive };

	return ask_targets(&req, "read its table", targets, report);
}

int live_status(const char *name, unsigned int seconds,
		struct live_targets *targets, struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_STATUS,
			       .name = name,
			       .seconds = seconds,
			       .asks_target = true };

	return ask_targets(&req, "read its status", targets, report);
}

void live_targets_release(struct live_targets *targets)
{
	for (size_t i = 0; i < targets->nr; i++)
		free(targets->list[i].params);
	free(targets->list);
	*targets = (struct live_targets){ NULL, 0 };
}

int live_message(const char *name, const char *message, unsigned int seconds,
		 struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_TARGET_MSG,
			       .name = name,
			       .words = message,
			       .seconds = seconds,
			       .asks_target = true };

	return ask(&req, message, NULL, report);
}

int live_create(const char *name, const char *uuid,
		const struct live_target *target, struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_CREATE,
			       .name = name,
			       .uuid = uuid,
			       .target = target,
			       .seconds = CHANGE_SECONDS };

	return ask(&req, "create it", NULL, report);
}

int live_remove(const char *name, unsigned int seconds,
		struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_REMOVE,
			       .name = name,
			       .seconds = seconds };

	return ask(&req, "remove it", NULL, report);
}

int live_rename(const char *name, const char *to, struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_RENAME,
			       .name = name,
			       .words = to,
			       .seconds = CHANGE_SECONDS };

	return ask(&req, "rename it", NULL, report);
}

int live_set_uuid(const char *name, const char *uuid, struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_RENAME,
			       .name = name,
			       .uuid = uuid,
			       .seconds = CHANGE_SECONDS };

	return ask(&req, "give it its UUID", NULL, report);
}

int live_load(const char *name, const struct live_target *target,
	      struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_RELOAD,
			       .name = name,
			       .target = target,
			       .seconds = CHANGE_SECONDS };

	return ask(&req, "load a table", NULL, report);
}

int live_clear(const char *name, struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_CLEAR, .name = name };

	return ask(&req, "drop the table that was loaded", NULL, report);
}

int live_suspend(const char *name, unsigned int seconds,
		 struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_SUSPEND,
			       .name = name,
			       .seconds = seconds };

	return ask(&req, "suspend it", NULL, report);
}

int live_resume(const char *name, unsigned int seconds,
		struct era_report *report)
{
	struct request req = { .type = DM_DEVICE_RESUME,
			       .name = name,
			       .seconds = seconds };

	return ask(&req, "resume it", NULL, report);
}
