/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What kinds of problems there are, and what follows from each: the errno
 * value of a function that fails by it, the outcome that a tool ends with, and
 * what is to be done next. One table, because a script that goes by the exit
 * status, one that goes by JSON and a program that goes by errno values must
 * not be told different things.
 *
 * A kind says what sort of problem it is; how bad it is says its severity.
 */
#ifndef BASE_KIND_H
#define BASE_KIND_H

/* The exit status of every tool, and "outcome" in JSON */
enum era_outcome {
	ERA_SOUND = 0,	 /* sound, done, or the list is complete */
	ERA_UNSOUND = 1, /* not sound, or no complete list can be made */
	ERA_UNKNOWN = 2, /* it could not be looked at, or not be done */
};

enum era_kind {
	/* by severity, where nobody says more; see era_report() */
	ERA_KIND_NOTE,
	ERA_KIND_ASSUMED,
	ERA_KIND_WASTE,	 /* leaks, wrong totals, stray bits */
	ERA_KIND_DAMAGE, /* contradicts itself, or its checksums */
	/* what every checksum of is right */
	ERA_KIND_NEWER_HISTORY,	   /* an old state was written over it */
	ERA_KIND_OLD_SUPERBLOCK,   /* later commits than its own are there */
	ERA_KIND_LOST_WRITE,	   /* a block is older than what leads there */
	ERA_KIND_DROPPED_WRITESET, /* an open writeset was forgotten */
	/* not, not all, or not yet metadata of dm-era */
	ERA_KIND_NOT_ERA,
	ERA_KIND_UNFINISHED,
	ERA_KIND_CUT_OFF,
	ERA_KIND_VERSION,
	ERA_KIND_NO_SNAPSHOT,
	ERA_KIND_BAD_INPUT, /* XML, a pack or an undo file */
	/* could not be looked at, or not be done */
	ERA_KIND_UNREADABLE, /* blocks that the disk does not give */
	ERA_KIND_ACCESS,     /* absent, forbidden, no device */
	ERA_KIND_BUSY,
	ERA_KIND_CHANGED, /* while it was being read */
	ERA_KIND_USAGE,	  /* options that do not fit what is there */
	ERA_KIND_TARGET,  /* where the result was to go */
	ERA_KIND_SYSTEM,  /* no memory, a failing call */
};

#define ERA_NR_KINDS (ERA_KIND_SYSTEM + 1)

/* What is to be done next; in JSON its name is "advice_code" */
enum era_advice {
	ERA_ADVICE_NONE,
	ERA_ADVICE_REPAIR_IN_PLACE,
	ERA_ADVICE_REPAIR_TO_ANOTHER,
	ERA_ADVICE_COPY_WHAT_CAN_BE_READ,
	ERA_ADVICE_COPY_AGAIN,
	ERA_ADVICE_FIND_DEVICE,
	ERA_ADVICE_RELEASE_DEVICE,
	ERA_ADVICE_TRY_AGAIN,
	ERA_ADVICE_TAKE_SNAPSHOT,
	ERA_ADVICE_UPGRADE,
	ERA_ADVICE_CORRECT_CALL,
};

#define ERA_NR_ADVICES (ERA_ADVICE_CORRECT_CALL + 1)

/* "damage", "newer_history", ... */
const char *era_kind_name(enum era_kind kind);

/* A negative errno value; 0 for kinds that nothing fails by. */
int era_kind_error(enum era_kind kind);

/* What a function has failed by whose error nobody has put into words. */
enum era_kind era_kind_of_error(int err);

/* Of a fatal problem of this kind. */
enum era_outcome era_kind_outcome(enum era_kind kind);
enum era_advice era_kind_advice(enum era_kind kind);

/* "sound", "unsound", "unknown" */
const char *era_outcome_name(enum era_outcome outcome);

/* "repair_in_place", ... */
const char *era_advice_code(enum era_advice advice);

/*
 * The command to run next, with one %s for the device, or a sentence without
 * any; NULL where there is nothing to do.
 */
const char *era_advice_text(enum era_advice advice);

#endif
