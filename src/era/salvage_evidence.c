/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which blocks a repair in place must leave alone, so that one that is cut
 * short leaves the next one all it needs.
 */
#include "config.h"

#include "era/salvage_parts.h"

/* Adds the blocks of a proven state and of the space map that proves it. */
static int add_proven(const struct era_salvage *s,
		      const struct era_superblock *sb, struct block_set *blocks)
{
	struct era_where where = { NULL, "superblock", 0 };
	struct era_metadata md = { .nr_writesets = 0 };
	struct walk walk;
	int r = walk_init(&walk, s->device, NULL, NULL);

	if (!r)
		r = era_metadata_load(&md, &walk, sb, false);
	if (!r)
		block_set_merge(blocks, &walk.seen);
	if (!r) {
		walk_next_pass(&walk);
		r = space_map_check(&walk, &sb->space_map, &where, false, NULL);
	}
	if (!r)
		block_set_merge(blocks, &walk.seen);
	era_metadata_release(&md);
	walk_release(&walk);
	return r;
}

static int add_evidence_leaf(void *arg, uint64_t block, const uint8_t *node)
{
	struct block_set *blocks = arg;

	(void)node;
	block_set_add(blocks, block);
	return 0;
}

/* All blocks with meaning: without a superblock any of them may be needed. */
static int add_all_evidence(const struct era_salvage *s,
			    struct block_set *blocks)
{
	int r = 0;

	for (size_t i = 0; i < s->layers.nr; i++) {
		const struct array_map *map = s->layers.layers[i].map;

		for (size_t k = 0; map && k < map->nr_slots; k++)
			block_set_add(blocks, map->slots[k].block);
	}
	r = era_scan_each(&s->scan, ROLE_WRITESETS, NULL, add_evidence_leaf,
			  blocks);
	if (!r)
		r = era_scan_each(&s->scan, ROLE_POINTERS, NULL,
				  add_evidence_leaf, blocks);
	return r;
}

int era_salvage_evidence(const struct era_salvage *s, struct block_set *blocks)
{
	block_set_merge(blocks, &s->reachable);
	if (s->rebuilt_superblock && !s->rebuilt.proven)
		return add_all_evidence(s, blocks);
	if (s->rebuilt_superblock)
		return add_proven(s, &s->rebuilt.sb, blocks);
	if (s->second_is != ERA_SECOND_NONE)
		return add_proven(s, &s->second.sb, blocks);
	/* orphans alone tell of the fork: the next repair must see them, too */
	if (s->forked && !s->nr_reused)
		return add_all_evidence(s, blocks);
	return 0;
}
