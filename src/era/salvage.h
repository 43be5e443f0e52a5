/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source of era_repair: everything that a metadata device still knows of
 * what was written when, reachable or not.
 *
 * Contract: no write is ever lost. Every doubt is resolved towards "written",
 * as narrowly as what is lost, and every such doubt is counted.
 */
#ifndef ERA_SALVAGE_H
#define ERA_SALVAGE_H

#include "era/correct.h"
#include "era/newer.h"
#include "era/witness.h"

struct era_salvage_options {
	/* what blocks cannot tell once the superblock is lost; 0: not given */
	struct era_geometry geometry;
	bool logical;	     /* fold even what is sound */
	bool drop_snapshot;  /* do not keep a metadata snapshot */
	bool reachable_only; /* unreferenced blocks are no newer history */
};

/* What a second proven state is drawn on for. */
enum era_second {
	ERA_SECOND_NONE,
	ERA_SECOND_OTHER, /* the other instance's last one, after a fork */
	ERA_SECOND_LATER, /* a later one than the superblock's */
	ERA_SECOND_OLDER, /* one of ours that fills the reachable one's holes */
};

struct era_salvage {
	struct era_device *device;
	struct era_report *report;
	struct era_salvage_options options;
	struct era_scan scan;
	struct era_substitutes corrected; /* damaged, but known all the same */

	struct era_metadata md; /* what is reachable, as far as it is sound */
	bool rebuilt_superblock;
	struct era_rebuilt rebuilt;
	uint64_t nr_faults;   /* tree nodes and array blocks lost */
	uint64_t nr_damaged;  /* places among them where nothing sound stands */
	uint64_t nr_reused;   /* and where something else does: used again */
	uint64_t nr_attached; /* blocks that the space map still knew of */
	uint32_t greatest_digested; /* era in the reachable era array */
	/* reachable blocks that were corrected: the trees', and whether the
	 * snapshot's, the superblock or the space map's are among them */
	uint64_t nr_corrected;
	bool snapshot_corrected;
	bool rest_corrected;
	/* bits past a bitset's end, which are to be written anew without */
	bool stray_bits;
	bool trees_sound; /* on the device, not only as corrected */
	/* sound trees, but not what the space map counts (era/accounts.h), or
	 * a snapshot whose blocks were used again */
	bool unaccounted;
	/* a newer history may lie where nothing could be read, and the user
	 * would not have it looked for */
	bool passed_over;
	struct era_metadata snapshot;
	bool has_snapshot;	    /* one is held, and is sound */
	bool lost_snapshot;	    /* one was held, and is not */
	struct block_set live;	    /* what the live trees take */
	struct block_set reachable; /* live, snapshot's and space map's */
	/* those among them that the snapshot alone leads to: what they say has
	 * to be in the live trees as well, like what an orphan says */
	struct block_set snapshot_only;

	struct era_commits commits;
	struct era_orphans orphans;
	struct era_newer newer;
	/* Two instances have written: the superblock is the one of a table
	 * loaded too early, the other's history lies among the orphans. */
	bool forked;
	/* what became of the superblock's own history, where that is known;
	 * ERA_KIND_NOTE: it is not */
	enum era_kind cause;
	/* a state beside the reachable one that a space map proves */
	enum era_second second_is;
	struct era_metadata second;

	/* Nothing is lost and nothing newer found: read as it lies there. */
	bool exact;
	struct era_geometry geometry; /* of the result */
	struct era_layers layers;     /* of the result, where not exact */
};

/*
 * Looks at the whole device and decides what it says. Damage is reported as
 * ERA_DAMAGED, what had to be assumed as ERA_ASSUMED. Returns 0 where a result
 * can be had, -EINVAL where an option is needed (reported, naming it),
 * -ENODATA where this is no dm-era metadata, or -ENOMEM.
 */
int era_salvage_open(struct era_salvage *salvage, struct era_device *device,
		     const struct era_salvage_options *options,
		     struct era_report *report);
void era_salvage_close(struct era_salvage *salvage);

/* Drives sink with the result. */
int era_salvage_read(struct era_salvage *salvage, struct era_visitor *sink);

/*
 * As era_salvage_read, and tells which data blocks orphans or assumptions
 * dated, window by window; raised may be NULL. In what is exact there are
 * none.
 */
int era_salvage_read_tell(struct era_salvage *salvage, struct era_visitor *sink,
			  era_raised_fn raised, void *arg);

/* Adds every block that the result's evidence lies in. */
int era_salvage_evidence(const struct era_salvage *salvage,
			 struct block_set *blocks);

#endif
