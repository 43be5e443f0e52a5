/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * era_reload: another table for an era device, without losing a write and
 * without hanging its users.
 *
 * Where the users have a linear device over it, the new table gets a device of
 * its own, which the linear one is switched to: whoever asks the old one for
 * its status in between hangs alone (era_recovery(7)). A device that nobody
 * has open is removed and created. There is no third way that could not end in
 * the deadlock, so there is none here.
 *
 * From the moment that the new table is in use it has begun a new era on the
 * metadata, and the old instance must never be resumed: it would go on from a
 * past state. So what is undone after that moment goes through a new instance,
 * too.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "live/era_target.h"
#include "live/limit.h"
#include "live/lock.h"
#include "tools/tool.h"

#define KEY_ORIGIN 0x100
#define KEY_DRY_RUN 0x101
#define KEY_SHRINK 0x102

#define SUSPEND_SECONDS 60
#define RESUME_SECONDS 60
#define LOOK_SECONDS 5u /* for somebody who has it open for a moment */
#define REMOVE_SECONDS 10
#define PARAMS_MAX 96

struct arguments {
	const char *name;
	const char *origin;
	bool dry_run;
	bool shrink;
	bool quiet;
};

static const struct argp_option options[] = {
	{ "origin", KEY_ORIGIN, "DEVICE", 0,
	  "Use DEVICE as the origin; it must hold the data of the old one", 0 },
	{ "shrink", KEY_SHRINK, NULL, 0,
	  "Go on though the origin is smaller than the device; data past its "
	  "end is lost",
	  0 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0,
	  "Say what would be done, and do nothing", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages; the exit status tells",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case KEY_ORIGIN:
		args->origin = arg;
		return 0;
	case KEY_SHRINK:
		args->shrink = true;
		return 0;
	case KEY_DRY_RUN:
		args->dry_run = true;
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		tool_take_device(&args->name, arg, "changed", state);
		return 0;
	case ARGP_KEY_END:
		if (!args->name)
			argp_error(state, "no device given");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	options,
	parse,
	"NAME",
	"Changes the table of a dm-era device: to the size that its origin has "
	"now, or to another origin.",
	tool_argp_children,
	NULL,
	NULL
};

/* What is to be done. */
struct change {
	const struct arguments *args;
	struct era_report *report;
	struct live_era era;	/* as it is */
	struct live_info above; /* the linear device over it, if open_count */
	char new_name[LIVE_NAME_MAX], old_name[LIVE_NAME_MAX];
	char new_params[PARAMS_MAX], old_params[PARAMS_MAX];
	struct live_target new_table, old_table;
	struct live_target above_old, above_new; /* of the linear device */
	uint64_t above_offset;
	char above_old_params[PARAMS_MAX];
};

/*
 * What is said while devices are suspended is said afterwards: whoever reads
 * it, or the file that it goes to, may be waiting for them.
 */
struct held_reports {
	struct era_report report;
	struct {
		enum era_severity severity;
		enum era_kind kind;
		char text[1024];
	} list[16];
	size_t nr;
};

static void hold_report(void *arg, const struct era_problem *problem)
{
	struct held_reports *held = arg;

	if (held->nr == sizeof(held->list) / sizeof(*held->list))
		return;
	held->list[held->nr].severity = problem->severity;
	held->list[held->nr].kind = problem->kind;
	snprintf(held->list[held->nr].text, sizeof(held->list->text), "%s",
		 problem->text);
	held->nr++;
}

static void tell_held(const struct held_reports *held,
		      struct era_report *report)
{
	for (size_t i = 0; i < held->nr; i++)
		era_report_kind(report, held->list[i].kind,
				held->list[i].severity, NULL, ERA_NO_DATA, "%s",
				held->list[i].text);
}

/* --- what there is ---------------------------------------------------------
 */

static int look(struct change *c)
{
	struct live_era *era = &c->era;
	const char *name = c->args->name;
	int r = live_era_look(era, name, c->report);

	if (r)
		return r;
	if (!era->is_era)
		return tool_refuse(c->report, -EINVAL,
				   "%s: no era device in use", name);
	if (era->nr_targets > 1 || era->table.begin)
		return tool_refuse(c->report, -EINVAL,
				   "%s: its table has more than one target",
				   name);
	if (!live_is_plain_name(era->info.name))
		return tool_refuse(
			c->report, -EINVAL,
			"%s: has a name that libdevmapper would write "
			"otherwise: rename it first, see dmsetup(8)",
			name);
	if (era->info.read_only)
		return tool_refuse(c->report, -EROFS, "%s: is read-only", name);
	if (era->info.suspended)
		return tool_refuse(c->report, -EBUSY,
				   "%s: is suspended: see era_status(8)", name);
	if (era->info.inactive_table)
		return tool_refuse(
			c->report, -EBUSY,
			"%s: a new table was loaded while it is live: do "
			"not resume, dmsetup clear it",
			name);
	return 0;
}

/* The numbers of the origin to be, and its size. */
static int find_origin(struct change *c, char numbers[24], uint64_t *sectors)
{
	const char *path = c->args->origin;
	struct stat st;

	snprintf(numbers, 24, "%s", c->era.table.origin_numbers);
	if (path && (stat(path, &st) || !S_ISBLK(st.st_mode)))
		return tool_refuse(c->report, -ENOTBLK,
				   "%s: is no block device", path);
	if (path)
		snprintf(numbers, 24, "%u:%u", major(st.st_rdev),
			 minor(st.st_rdev));
	*sectors = live_sectors(numbers);
	if (!*sectors)
		return tool_refuse(c->report, -ENXIO,
				   "%s: its size is not known",
				   path ? path : c->era.table.origin);
	return 0;
}

static int plan_tables(struct change *c)
{
	const struct live_era_table *t = &c->era.table;
	char origin[24];
	uint64_t sectors = 0;
	int r = find_origin(c, origin, &sectors);

	if (r)
		return r;
	if (sectors < t->len && !c->args->shrink)
		return tool_refuse(
			c->report, -EINVAL,
			"%s: has %" PRIu64 " sectors, the device %" PRIu64
			": what is past the end would be lost (--shrink)",
			c->args->origin ? c->args->origin : t->origin, sectors,
			t->len);
	snprintf(c->old_params, sizeof(c->old_params), "%s %s %" PRIu32,
		 t->metadata_numbers, t->origin_numbers, t->block_size);
	snprintf(c->new_params, sizeof(c->new_params), "%s %s %" PRIu32,
		 t->metadata_numbers, origin, t->block_size);
	c->old_table = (struct live_target){ .len = t->len,
					     .type = "era",
					     .params = c->old_params };
	c->new_table = (struct live_target){ .len = sectors,
					     .type = "era",
					     .params = c->new_params };
	if ((size_t)snprintf(c->new_name, sizeof(c->new_name), "%s-new",
			     c->era.info.name) >= 128 ||
	    (size_t)snprintf(c->old_name, sizeof(c->old_name), "%s-old",
			     c->era.info.name) >= 128)
		return tool_refuse(c->report, -ENAMETOOLONG,
				   "%s: too long a name", c->era.info.name);
	return 0;
}

/* The one dm device that holds it, by its name; false where it is not one. */
static bool find_holder(const struct live_info *info, char *name, size_t size)
{
	char path[128];
	struct dirent *entry;
	unsigned int nr = 0;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path),
		 "/sys/dev/block/%" PRIu32 ":%" PRIu32 "/holders", info->major,
		 info->minor);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		FILE *file;

		if (*entry->d_name == '.')
			continue;
		nr++;
		snprintf(path, sizeof(path), "/sys/block/%.60s/dm/name",
			 entry->d_name);
		file = fopen(path, "re");
		found = file && fgets(name, (int)size, file);
		if (file)
			fclose(file);
		name[strcspn(name, "\n")] = '\0';
	}
	if (dir)
		closedir(dir);
	return found && nr == 1;
}

/* Why the device above does not do; NULL where it does. */
static const char *fault_of_above(struct change *c,
				  const struct live_targets *table)
{
	const struct live_target *t = table->list;
	const struct live_info *info = &c->era.info;
	unsigned int major_nr, minor_nr;
	uint64_t offset;

	if (c->above.suspended || c->above.inactive_table)
		return "somebody is changing the table of the device above it";
	if (!strncmp(c->above.uuid, "LVM-", 4))
		return "the device above it is LVM's, which knows its table "
		       "better";
	if (table->nr != 1 || strcmp(t->type, "linear") ||
	    sscanf(t->params, "%u:%u %" SCNu64, &major_nr, &minor_nr,
		   &offset) != 3 ||
	    major_nr != info->major || minor_nr != info->minor || t->begin)
		return "the device above it is not a linear one of one target";
	c->above_old = *t;
	snprintf(c->above_old_params, sizeof(c->above_old_params), "%s",
		 t->params);
	c->above_old.params = c->above_old_params;
	c->above_new = c->above_old;
	/* one that has all of it keeps that */
	if (!offset && t->len == c->era.table.len)
		c->above_new.len = c->new_table.len;
	c->above_offset = offset;
	if (offset + c->above_new.len > c->new_table.len)
		return "the device above it reaches past the new end";
	return NULL;
}

/*
 * What looks for volumes or file systems opens a device for a moment. Whether
 * none but the device above has it open, now or soon.
 */
static bool is_left_alone(const struct change *c)
{
	unsigned long long end = limit_now() + LOOK_SECONDS * 1000;
	struct live_info info = c->era.info;

	while (info.open_count > 1 && limit_now() < end) {
		limit_sleep(50);
		if (live_info(c->era.info.name, &info, NULL))
			return false;
	}
	return info.open_count == 1;
}

static const char *find_above(struct change *c)
{
	struct live_targets table;
	char name[LIVE_NAME_MAX];
	const char *fault;

	if (!find_holder(&c->era.info, name, sizeof(name)))
		return "it is open, and not by one linear device over it";
	if (!is_left_alone(c))
		return "it is open by others than the device above it";
	if (live_info(name, &c->above, c->report) ||
	    live_table(name, false, &table, c->report))
		return "the device above it cannot be looked at";
	fault = table.nr ? fault_of_above(c, &table)
			 : "the device above it has no table";
	live_targets_release(&table);
	return fault;
}

/* --- doing it --------------------------------------------------------------
 */

/* Remove and create; the old table again where the new one is refused. */
static int change_closed(struct change *c)
{
	const char *name = c->era.info.name, *uuid = c->era.info.uuid;
	int r = live_remove(name, REMOVE_SECONDS, c->report);

	if (r)
		return r;
	r = live_create(name, uuid, &c->new_table, c->report);
	if (!r)
		return 0;
	if (live_create(name, uuid, &c->old_table, c->report))
		tool_refuse(
			c->report, r,
			"%s: is removed, and could not be created with its old "
			"table: 0 %" PRIu64 " era %s",
			name, c->old_table.len, c->old_params);
	else
		tool_refuse(c->report, r, "%s: is as it was", name);
	return r;
}

static int resume_both(struct change *c)
{
	int r = live_resume(c->era.info.name, RESUME_SECONDS, c->report);
	int above = live_resume(c->above.name, RESUME_SECONDS, c->report);

	return r ? r : above;
}

/* Leads the linear device, with its table so, to the device beside. */
static int switch_above(struct change *c, const struct live_target *table)
{
	struct live_target target = *table;
	char params[PARAMS_MAX];
	struct live_info info;
	int r = live_info(c->new_name, &info, c->report);

	if (r)
		return r;
	snprintf(params, sizeof(params), "%" PRIu32 ":%" PRIu32 " %" PRIu64,
		 info.major, info.minor, c->above_offset);
	target.params = params;
	r = live_load(c->above.name, &target, c->report);
	if (r)
		return r;
	r = live_resume(c->above.name, RESUME_SECONDS, c->report);
	/* so that going back finds it as it was; where it has gone it stays */
	if (r)
		live_clear(c->above.name, NULL);
	return r;
}

/* The table gets a device beside, and the linear one leads there. */
static int put_beside(struct change *c, const struct live_target *table,
		      const struct live_target *above)
{
	int r = live_create(c->new_name, NULL, table, c->report);

	return r ? r : switch_above(c, above);
}

static int remove_beside(struct change *c)
{
	int r = live_remove(c->new_name, REMOVE_SECONDS, NULL);

	if (r && r != -ENXIO)
		return tool_refuse(c->report, r, "%s: cannot be removed: %s",
				   c->new_name, strerror(-r));
	return 0;
}

/* The linear device leads to the new one: the old one is in nobody's way. */
static int take_name(struct change *c)
{
	const char *name = c->era.info.name;
	int r = live_rename(name, c->old_name, c->report);

	if (!r)
		r = live_rename(c->new_name, name, c->report);
	if (r)
		return tool_refuse(
			c->report, r,
			"its users are on the device %s now, which could "
			"not be given the name %s",
			c->new_name, name);
	if (live_remove(c->old_name, REMOVE_SECONDS, NULL))
		era_report(c->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "somebody has asked the old device for its status, "
			   "and hangs until the next reboot, as does the "
			   "removal of %s; nobody else does",
			   c->old_name);
	else if (*c->era.info.uuid)
		live_set_uuid(name, c->era.info.uuid, c->report);
	return 0;
}

/*
 * The new table's instance may have written. What goes on with the old table is
 * a third one, in a device beside as well, so that whoever asks the suspended
 * device hangs nobody. Where that fails, too, it is loaded in its place.
 */
static void go_back(struct change *c)
{
	const char *name = c->era.info.name;
	int r = remove_beside(c);

	if (!r && !put_beside(c, &c->old_table, &c->above_old)) {
		r = take_name(c);
	} else {
		if (!r)
			r = remove_beside(c);
		if (!r)
			r = live_load(name, &c->old_table, c->report);
		if (!r)
			r = resume_both(c);
		if (r)
			tool_refuse(
				c->report, r,
				"%s and %s are suspended, and could not be put "
				"back: see \"CHANGING A TABLE\" in "
				"era_recovery(7)",
				name, c->above.name);
	}
	if (!r)
		tool_refuse(c->report, -ECANCELED,
			    "%s: goes on with its old table", name);
}

static int change_suspended(struct change *c)
{
	const char *name = c->era.info.name;
	int r = live_suspend(c->above.name, SUSPEND_SECONDS, c->report);

	if (r) {
		/* where it was only late */
		live_resume(c->above.name, RESUME_SECONDS, NULL);
		return r;
	}
	r = live_suspend(name, SUSPEND_SECONDS, c->report);
	if (r) {
		resume_both(c);
		return r;
	}
	r = put_beside(c, &c->new_table, &c->above_new);
	if (r) {
		go_back(c);
		return r;
	}
	return take_name(c);
}

static int change_under_linear(struct change *c)
{
	struct held_reports held = { .report = { .problem = hold_report } };
	struct era_report *report = c->report;
	int r;

	held.report.arg = &held;
	c->report = &held.report;
	/* our own program may lie on what is suspended */
	mlockall(MCL_CURRENT | MCL_FUTURE);
	r = change_suspended(c);
	munlockall();
	c->report = report;
	tell_held(&held, report);
	return r;
}

/* --- what to do where we do not --------------------------------------------
 */

static int explain(struct change *c, const char *fault)
{
	const char *name = c->era.info.name;

	tool_refuse(
		c->report, -EBUSY,
		"%s: %s: its table is not changed, since whoever asked for its "
		"status meanwhile would make it hang for ever",
		name, fault);
	if (!c->args->quiet)
		fprintf(stderr,
			"%s: close it, or where nothing can ask, neither vgs "
			"nor a monitor:\n"
			"%s:     dmsetup suspend '%s'\n"
			"%s:     dmsetup load '%s' --table \"0 %" PRIu64
			" era %s\"\n"
			"%s:     dmsetup resume '%s'\n",
			tool_name(), tool_name(), name, tool_name(), name,
			c->new_table.len, c->new_params, tool_name(), name);
	return -EBUSY;
}

static void say(const struct change *c, const char *how)
{
	if (!c->args->quiet)
		printf("%s: %s0 %" PRIu64 " era %s\n", c->era.info.name, how,
		       c->new_table.len, c->new_params);
}

static int change(struct change *c)
{
	bool closed = !c->era.info.open_count;
	const char *fault = closed ? NULL : find_above(c);
	struct live_info info;
	int r;

	if (fault)
		return explain(c, fault);
	if (!closed && (!live_info(c->new_name, &info, NULL) ||
			!live_info(c->old_name, &info, NULL)))
		return tool_refuse(
			c->report, -EEXIST,
			"%s or %s is left from an earlier change: remove "
			"it first",
			c->new_name, c->old_name);
	if (c->args->dry_run) {
		say(c, closed ? "would be removed and created: "
			      : "would be changed under the linear device: ");
		return 0;
	}
	r = closed ? change_closed(c) : change_under_linear(c);
	if (!r)
		say(c, "");
	return r;
}

static int run(const struct arguments *args, struct era_report *report)
{
	struct change c = { .args = args, .report = report };
	int r = look(&c), lock;

	if (r)
		return r;
	lock = live_lock(c.era.info.name, report);
	if (lock < 0)
		return lock;
	/* none ends or stops us while a device is suspended */
	limit_hold_signals(NULL);
	/* again, now that no other of our tools is at work on it */
	r = look(&c);
	if (!r)
		r = plan_tables(&c);
	if (!r)
		r = change(&c);
	close(lock);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments args = { .name = NULL };
	struct report_text text;

	tool_init(argv);
	tool_parse(&argp, argc, argv, &args);
	report_text_init(&text, stderr, tool_name(), args.quiet);
	return tool_exit_status(run(&args, &text.report), &text.report);
}
