/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of kinds, and that of advice.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>

#include "base/kind.h"

static const struct kind_info {
	const char *name;
	int err;
	enum era_outcome outcome;
	enum era_advice advice;
} kinds[ERA_NR_KINDS] = {
	[ERA_KIND_NOTE] = { "note", 0, ERA_SOUND, ERA_ADVICE_NONE },
	[ERA_KIND_ASSUMED] = { "assumed", 0, ERA_SOUND, ERA_ADVICE_NONE },
	[ERA_KIND_WASTE] = { "waste", EUCLEAN, ERA_UNSOUND,
			     ERA_ADVICE_REPAIR_IN_PLACE },
	[ERA_KIND_DAMAGE] = { "damage", EUCLEAN, ERA_UNSOUND,
			      ERA_ADVICE_REPAIR_TO_ANOTHER },
	[ERA_KIND_NEWER_HISTORY] = { "newer_history", ENOTUNIQ, ERA_UNSOUND,
				     ERA_ADVICE_REPAIR_IN_PLACE },
	[ERA_KIND_OLD_SUPERBLOCK] = { "old_superblock", ESTALE, ERA_UNSOUND,
				      ERA_ADVICE_REPAIR_IN_PLACE },
	[ERA_KIND_LOST_WRITE] = { "lost_write", EUCLEAN, ERA_UNSOUND,
				  ERA_ADVICE_REPAIR_TO_ANOTHER },
	[ERA_KIND_DROPPED_WRITESET] = { "dropped_writeset", ESTALE, ERA_UNSOUND,
					ERA_ADVICE_REPAIR_IN_PLACE },
	[ERA_KIND_NOT_ERA] = { "not_era_metadata", EMEDIUMTYPE, ERA_UNSOUND,
			       ERA_ADVICE_FIND_DEVICE },
	[ERA_KIND_UNFINISHED] = { "unfinished", EUCLEAN, ERA_UNSOUND,
				  ERA_ADVICE_REPAIR_TO_ANOTHER },
	[ERA_KIND_CUT_OFF] = { "cut_off", EOVERFLOW, ERA_UNSOUND,
			       ERA_ADVICE_COPY_AGAIN },
	[ERA_KIND_VERSION] = { "unsupported_version", EOPNOTSUPP, ERA_UNKNOWN,
			       ERA_ADVICE_UPGRADE },
	[ERA_KIND_NO_SNAPSHOT] = { "no_snapshot", ENODATA, ERA_UNKNOWN,
				   ERA_ADVICE_TAKE_SNAPSHOT },
	[ERA_KIND_BAD_INPUT] = { "bad_input", EINVAL, ERA_UNSOUND,
				 ERA_ADVICE_NONE },
	[ERA_KIND_UNREADABLE] = { "unreadable", EIO, ERA_UNKNOWN,
				  ERA_ADVICE_COPY_WHAT_CAN_BE_READ },
	[ERA_KIND_ACCESS] = { "access", EACCES, ERA_UNKNOWN,
			      ERA_ADVICE_CORRECT_CALL },
	[ERA_KIND_BUSY] = { "busy", EBUSY, ERA_UNKNOWN,
			    ERA_ADVICE_RELEASE_DEVICE },
	[ERA_KIND_CHANGED] = { "changed", EAGAIN, ERA_UNKNOWN,
			       ERA_ADVICE_TRY_AGAIN },
	[ERA_KIND_USAGE] = { "usage", EINVAL, ERA_UNKNOWN,
			     ERA_ADVICE_CORRECT_CALL },
	[ERA_KIND_TARGET] = { "target", EIO, ERA_UNKNOWN,
			      ERA_ADVICE_CORRECT_CALL },
	[ERA_KIND_SYSTEM] = { "system", EIO, ERA_UNKNOWN,
			      ERA_ADVICE_TRY_AGAIN },
};

static const struct advice_info {
	const char *code;
	const char *text;
} advices[ERA_NR_ADVICES] = {
	[ERA_ADVICE_NONE] = { "none", NULL },
	[ERA_ADVICE_REPAIR_IN_PLACE] = { "repair_in_place",
					 "era_repair --undo FILE --in-place "
					 "%s" },
	[ERA_ADVICE_REPAIR_TO_ANOTHER] = { "repair_to_another",
					   "era_repair -i %s -o NEW_DEVICE" },
	[ERA_ADVICE_COPY_WHAT_CAN_BE_READ] = { "copy_what_can_be_read",
					       "ddrescue -d %s COPY MAPFILE, "
					       "then era_repair -i COPY -o "
					       "NEW_DEVICE" },
	[ERA_ADVICE_COPY_AGAIN] = { "copy_again",
				    "copy the whole metadata device again, "
				    "then era_check of that copy (%s is cut "
				    "off)" },
	[ERA_ADVICE_FIND_DEVICE] = { "find_device",
				     "dmsetup table (the metadata device is "
				     "the 4th field); if %s is it: "
				     "era_repair -i %s -o NEW_DEVICE" },
	[ERA_ADVICE_RELEASE_DEVICE] = { "release_device",
					"dmsetup remove the era device that "
					"holds %s, or read its metadata "
					"snapshot" },
	[ERA_ADVICE_TRY_AGAIN] = { "try_again",
				   "the same again when nobody writes to %s" },
	[ERA_ADVICE_TAKE_SNAPSHOT] = { "take_metadata_snapshot",
				       "dmsetup message NAME 0 "
				       "take_metadata_snap" },
	[ERA_ADVICE_UPGRADE] = { "upgrade", "a newer version of these tools" },
	[ERA_ADVICE_CORRECT_CALL] = { "correct_call", NULL },
};

const char *era_kind_name(enum era_kind kind)
{
	return kinds[kind].name;
}

int era_kind_error(enum era_kind kind)
{
	return -kinds[kind].err;
}

enum era_kind era_kind_of_error(int err)
{
	switch (err) {
	case -EUCLEAN:
		return ERA_KIND_DAMAGE;
	case -EBUSY:
		return ERA_KIND_BUSY;
	case -EACCES:
	case -EPERM:
	case -ENOENT:
		return ERA_KIND_ACCESS;
	default:
		return ERA_KIND_SYSTEM;
	}
}

enum era_outcome era_kind_outcome(enum era_kind kind)
{
	return kinds[kind].outcome;
}

enum era_advice era_kind_advice(enum era_kind kind)
{
	return kinds[kind].advice;
}

const char *era_outcome_name(enum era_outcome outcome)
{
	static const char *const names[] = {
		[ERA_SOUND] = "sound",
		[ERA_UNSOUND] = "unsound",
		[ERA_UNKNOWN] = "unknown",
	};

	return names[outcome];
}

const char *era_advice_code(enum era_advice advice)
{
	return advices[advice].code;
}

const char *era_advice_text(enum era_advice advice)
{
	return advices[advice].text;
}
