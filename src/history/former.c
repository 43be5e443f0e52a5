/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "history/commits.h"
#include "history/former.h"

/* Where create_fresh_metadata() has its first space map's index. */
#define FORMAT_INDEX 1

/* Whether the first commit of all may still be there; as a rule it is not. */
static int has_format(const struct era_scan *scan, bool *has)
{
	struct era_commit first;
	int r;

	*has = false;
	if (era_scan_role(scan, FORMAT_INDEX) != ROLE_INDEX)
		return 0;
	r = era_commit_prove(&first, scan, FORMAT_INDEX);
	*has = !r && first.proof == ERA_PROVEN && !first.nr_blocks;
	return r;
}

/* Whether one activation has made the superblock's commit and the format. */
static bool comes_from_format(const struct era_commits *commits)
{
	const struct era_commit *list = commits->list;
	size_t i = commits->superblocks;

	if (i == ERA_NO_COMMIT)
		return false;
	while (list[i].edge == ERA_EDGE_NEXT && list[i].sure)
		i = list[i].before;
	return list[i].edge == ERA_EDGE_FORMAT &&
	       list[i].index_block == FORMAT_INDEX;
}

/* The last block that this activation has written, commits of which the
 * superblock was never written included. */
static uint64_t find_end(const struct era_commits *commits)
{
	size_t last = commits->superblocks, next;

	for (;;) {
		next = era_commits_after(commits, last, ERA_EDGE_NEXT);
		if (next == ERA_NO_COMMIT || next < last ||
		    !commits->list[next].sure)
			break;
		last = next;
	}
	return commits->list[last].index_block;
}

int era_forget_former(struct era_scan *scan, const struct era_superblock *sb)
{
	struct era_commits commits;
	bool has;
	int r = has_format(scan, &has);

	if (r || !has)
		return r;
	r = era_commits_load(&commits, scan, sb);
	if (!r && comes_from_format(&commits)) {
		uint64_t block = find_end(&commits) + 1;

		for (; block < scan->nr_blocks; block++)
			if (era_role_is_sound(era_scan_role(scan, block)))
				era_scan_tell(scan, block, ROLE_FORMER);
	}
	era_commits_release(&commits);
	return r;
}
