/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The passes that follow the live trees'.
 */
#include "config.h"

#include "era/accounts.h"

static void end_pass(struct era_accounts *accounts, struct walk *walk)
{
	accounts->nr_faults += walk->nr_faults;
	accounts->nr_reused += walk->nr_reused;
	walk_next_pass(walk);
}

/* The superblock's copy cannot be read: by rot, or was its block used again? */
static void count_lost_copy(struct walk *walk, uint64_t block)
{
	uint8_t data[ERA_BLOCK_SIZE];

	walk->nr_faults++;
	if (!era_device_read(walk->device, block, 1, data) &&
	    block_identify(data, block) != BLOCK_UNKNOWN)
		walk->nr_reused++;
}

static int check_snapshot(struct walk *walk, const struct era_superblock *sb,
			  int (*snapshot)(void *arg,
					  const struct era_metadata *md),
			  void *arg)
{
	struct era_where where = { NULL, "superblock", sb->location };
	struct era_where at = { &where, "metadata snapshot superblock",
				sb->metadata_snap };
	struct era_superblock copy;
	struct era_metadata md;
	bool counted = true;
	int r;

	if (!sb->metadata_snap || !walk_reference(walk, sb->metadata_snap, &at,
						  ERA_NO_DATA, &counted))
		return 0;
	if (era_superblock_read(&copy, walk->device, sb->metadata_snap,
				walk->report)) {
		count_lost_copy(walk, sb->metadata_snap);
		return 0;
	}
	r = era_metadata_load(&md, walk, &copy, true);
	if (!r && snapshot)
		r = snapshot(arg, &md);
	era_metadata_release(&md);
	return r;
}

int era_accounts_check(struct era_accounts *accounts, struct walk *walk,
		       const struct era_superblock *sb,
		       int (*snapshot)(void *arg,
				       const struct era_metadata *md),
		       void *arg)
{
	struct era_where where = { NULL, "superblock", sb->location };
	int r;

	*accounts = (struct era_accounts){ .nr_faults = 0 };
	end_pass(accounts, walk);
	r = check_snapshot(walk, sb, snapshot, arg);
	end_pass(accounts, walk);
	if (!r)
		r = space_map_check(walk, &sb->space_map, &where,
				    !accounts->nr_faults, &accounts->space_map);
	if (!r && accounts->nr_faults)
		era_report(walk->report, ERA_NOTE, NULL, ERA_NO_DATA,
			   "reference counts were not compared: what is "
			   "damaged leads to an unknown number of blocks");
	return r;
}
