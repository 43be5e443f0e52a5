/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source of era_repair: everything that a metadata device still knows of
 * what was written when, reachable or not.
 *
 * Contract: no write is ever lost. A data block that is in doubt counts as
 * written, no data block beyond those that the lost blocks dated is taken for
 * one in doubt, and each assumption is reported.
 */
#ifndef ERA_SALVAGE_H
#define ERA_SALVAGE_H

#include "era/correct.h"
#include "era/newer.h"
#include "era/witness.h"
#include "history/under_way.h"

struct era_salvage_options {
	/* what the user says of the geometry; 0: not given */
	struct era_geometry geometry;
	bool logical;	     /* fold even sound metadata */
	bool drop_snapshot;  /* do not keep a metadata snapshot */
	bool reachable_only; /* do not take orphans for a newer history */
};

/* Which proven state a salvage uses besides the reachable one. */
enum era_second {
	ERA_SECOND_NONE,
	ERA_SECOND_OTHER, /* the other instance's last state, after a fork */
	ERA_SECOND_LATER, /* a later state than the superblock's */
	ERA_SECOND_OLDER, /* an older state that fills holes */
};

struct era_salvage {
	struct era_device *device;
	struct era_report *report;
	struct era_salvage_options options;
	struct era_scan scan;
	struct era_substitutes corrected; /* blocks that could be corrected */

	struct era_metadata md; /* what is reachable, as far as it is sound */
	bool rebuilt_superblock;
	struct era_rebuilt rebuilt;
	uint64_t nr_faults;   /* tree nodes and array blocks that are lost */
	uint64_t nr_damaged;  /* of these: nothing sound is in their place */
	uint64_t nr_reused;   /* of these: another block is in their place */
	uint64_t nr_attached; /* blocks found again by the space map */
	uint32_t greatest_digested; /* era in the reachable era array */
	/* how many reachable tree blocks were corrected, and whether blocks of
	 * the snapshot, or of the superblock and the space map, were */
	uint64_t nr_corrected;
	bool snapshot_corrected;
	bool rest_corrected;
	/* a bitset has bits past its end; it is to be written without them */
	bool stray_bits;
	bool trees_sound; /* on the device, not only after correction */
	/* the trees are sound, but not what the space map counts
	 * (era/accounts.h), or the snapshot's blocks were reused */
	bool unaccounted;
	/* a newer history may lie where blocks could not be read, and the user
	 * has said reachable_only */
	bool passed_over;
	struct era_metadata snapshot;
	bool has_snapshot;	    /* a snapshot is held, and is sound */
	bool lost_snapshot;	    /* a snapshot was held, and is not sound */
	struct block_set live;	    /* blocks of the live trees */
	struct block_set reachable; /* live, the snapshot's, the space map's */
	/* Blocks of reachable to which only the snapshot leads. The live trees
	 * have to say all that these blocks say, as with orphans. */
	struct block_set snapshot_only;

	struct era_commits commits;
	struct era_under_way under_way;
	struct era_orphans orphans;
	struct era_newer newer;
	/* Two instances have written the device. The superblock is the early
	 * instance's, and the other's history lies among the orphans. */
	bool forked;
	/* what has happened to the superblock's own history; ERA_KIND_NOTE:
	 * that is not known */
	enum era_kind cause;
	/* a proven state besides the reachable one */
	enum era_second second_is;
	struct era_metadata second;

	/* Nothing is lost and nothing newer found: the result is md as it is */
	bool exact;
	struct era_geometry geometry; /* of the result */
	struct era_layers layers;     /* of the result, where not exact */
};

/*
 * Reads the whole device and decides what the result is. Reports damage as
 * ERA_DAMAGED and assumptions as ERA_ASSUMED. Returns 0 where there is a
 * result; -EINVAL, reported, where the user must give an option, which the
 * message names; -ENODATA where the device holds no dm-era metadata; or
 * -ENOMEM.
 */
int era_salvage_open(struct era_salvage *salvage, struct era_device *device,
		     const struct era_salvage_options *options,
		     struct era_report *report);
void era_salvage_close(struct era_salvage *salvage);

/* Drives sink with the result. */
int era_salvage_read(struct era_salvage *salvage, struct era_visitor *sink);

/*
 * As era_salvage_read(), and calls raised, which may be NULL, for the data
 * blocks that orphans or assumptions dated, window by window. An exact result
 * has no such data blocks.
 */
int era_salvage_read_tell(struct era_salvage *salvage, struct era_visitor *sink,
			  era_raised_fn raised, void *arg);

/* Adds to blocks every metadata block that the result draws on. */
int era_salvage_evidence(const struct era_salvage *salvage,
			 struct block_set *blocks);

#endif
