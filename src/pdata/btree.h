/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking a btree of persistent data without trusting it.
 *
 * Contract: every node is checked (kind, checksum, place, entry counts, value
 * size, key order and bounds) before its contents are used. A node that fails
 * is reported with its path and the data blocks concerned, and its key range
 * is handed to lost(); the walk goes on with the rest. A block that is
 * reached a second time in the same pass is damage, so a pass never visits
 * more nodes than the device has blocks, whatever is on it.
 */
#ifndef PDATA_BTREE_H
#define PDATA_BTREE_H

#include "base/report.h"
#include "device/device.h"
#include "pdata/block.h"
#include "pdata/block_set.h"

/* A pass over the trees of one superblock. */
#define WALK_FIRST_SEEN 64

struct walk {
	struct era_device *device;
	struct era_report *report;
	uint64_t nr_blocks;	 /* pointers must be below this */
	struct block_set seen;	 /* reached in this pass */
	struct ref_counts *refs; /* counts every pointer, or NULL */
	uint64_t nr_faults;	 /* fatal problems found in this pass */
	/*
	 * Those among them that no rot makes: a block with the right checksum
	 * that is something else, because it has been used again.
	 */
	uint64_t nr_reused;
	uint64_t nr_seen; /* blocks in this pass, and the first of them */
	uint32_t first_seen[WALK_FIRST_SEEN];
};

int walk_init(struct walk *walk, struct era_device *device,
	      struct era_report *report, struct ref_counts *refs);
void walk_release(struct walk *walk);

/* Starts another pass: what was seen before may be reached again. */
void walk_next_pass(struct walk *walk);

/*
 * The same where nothing but this walk has set what was seen, for very many
 * passes: costs what the last one has seen, and not what the device has.
 */
void walk_next_small_pass(struct walk *walk);

/* Reports a fatal problem and counts it. */
void walk_fault(struct walk *walk, const struct era_where *where,
		struct era_data_range data, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Follows a pointer to block, for the first time in this pass: checks its
 * range and counts it. Returns false, with a fault at where, for a block out
 * of range or reached before. *counted says whether pointers below are to be
 * counted as well: those below a block shared with an earlier pass are not.
 */
bool walk_reference(struct walk *walk, uint64_t block,
		    const struct era_where *where, struct era_data_range data,
		    bool *counted);

/*
 * Checks a block that was read for kind, checksum and place; failed is the
 * errno of its read. Reports a fault and returns false where it is bad.
 */
bool walk_check_block(struct walk *walk, const uint8_t *data, uint8_t failed,
		      enum block_kind kind, const struct era_where *where,
		      struct era_data_range range);

struct btree {
	const char *role; /* of its nodes, for messages: "era array node" */
	uint64_t root;
	uint32_t value_size; /* of its leaves */

	/* Data blocks concerned by keys [a, b): [a * data_per_key,
	 * b * data_per_key) cut to data; all of data where it is 0. */
	struct era_data_range data;
	uint64_t data_per_key;

	/*
	 * A checked leaf with nr entries (node_key, node_value). counted as
	 * in walk_reference, for what the values point to. May be NULL.
	 */
	int (*leaf)(void *arg, struct walk *walk, const struct era_where *where,
		    const uint8_t *node, uint32_t nr, bool counted);
	/* keys [begin, end) may have been there and cannot be read; or NULL */
	int (*lost)(void *arg, uint64_t begin, uint64_t end);
	void *arg;
};

struct era_data_range btree_data(const struct btree *tree, uint64_t key_begin,
				 uint64_t key_end);

/*
 * Walks the whole tree in key order; parent is the block that names the root.
 * Returns 0 whatever was damaged, else -ENOMEM or what a callback returned.
 */
int btree_walk(struct walk *walk, const struct btree *tree,
	       const struct era_where *parent);

#define BTREE_MAX_DEPTH 16 /* three levels hold 252^3 array blocks */

/*
 * The nodes from root down to the leaf that covers key, at most
 * BTREE_MAX_DEPTH; stops early at damage. Returns their number. For messages.
 */
unsigned int btree_path(struct era_device *device, uint64_t root, uint64_t key,
			uint64_t path[BTREE_MAX_DEPTH]);

/*
 * The checks of a node that need no context: flags, entry counts, layout.
 * Returns NULL where it is sound, else what is wrong.
 */
const char *btree_node_fault(const uint8_t *node);

static inline uint32_t node_nr_entries(const uint8_t *node)
{
	return get_le32(node + NODE_NR_ENTRIES);
}

static inline bool node_is_leaf(const uint8_t *node)
{
	return get_le32(node + NODE_FLAGS) == NODE_LEAF;
}

/* Child i of an internal node. */
static inline uint64_t node_child(const uint8_t *node, uint32_t i)
{
	return get_le64(node_value(node, i, 8));
}

#endif
