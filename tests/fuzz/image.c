/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images, their edits, and the mutator that makes edits.
 */
#include "config.h"

#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "era/salvage.h"
#include "image.h"
#include "pdata/block.h"

#define MAX_BASES 64
#define MAX_GROWTH 64u /* blocks */
#define NR_SMALL 8u

struct base {
	uint8_t *data;
	uint64_t nr_blocks;
	uint8_t *older; /* superblocks of earlier commits */
	size_t nr_older;
	/* blocks of a known kind: first those in use, block 0 before all */
	uint32_t *blocks;
	uint32_t nr_reachable, nr_known;
	bool has_room; /* blocks that no commit has used as yet */
	bool is_known; /* what is above has been found out */
	struct era_geometry geometry;
	struct dates truth; /* no eras where the image is not sound */
};

static struct base bases[MAX_BASES];
static size_t nr_bases;

static void *need(void *p)
{
	must(p);
	return p;
}

/* --- loading ------------------------------------------------------------- */

static uint8_t *read_file(const char *path, uint64_t *nr_blocks)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	*nr_blocks = 0;
	if (!file)
		return NULL;
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = need(malloc((size_t)size + 1));
	must(fread(data, 1, (size_t)size, file) == (size_t)size);
	fclose(file);
	*nr_blocks = (uint64_t)size / ERA_BLOCK_SIZE;
	return data;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[4096], self[4096];
	glob_t found;

	(void)argc;
	snprintf(self, sizeof(self), "%s", (*argv)[0]);
	snprintf(path, sizeof(path), "%.4000s/images/*.img", dirname(self));
	if (glob(path, 0, NULL, &found)) {
		fprintf(stderr, "no images: %s\n", path);
		exit(1);
	}
	for (size_t i = 0; i < found.gl_pathc && i < MAX_BASES; i++) {
		struct base *base = &bases[nr_bases++];
		uint64_t nr_older;

		base->data =
			need(read_file(found.gl_pathv[i], &base->nr_blocks));
		snprintf(path, sizeof(path), "%.4000s.older",
			 found.gl_pathv[i]);
		base->older = read_file(path, &nr_older);
		base->nr_older = nr_older;
	}
	must(nr_bases >= NR_SMALL);
	globfree(&found);
	return 0;
}

/* Which blocks there are to be edited, and what the image says as it is. */
static void get_to_know(struct base *base, struct era_device *device)
{
	struct era_salvage_options options = { .logical = false };
	struct era_salvage salvage;
	bool known;

	options.geometry.data_block_size = 128;
	must(!era_salvage_open(&salvage, device, &options, NULL));
	base->geometry = salvage.geometry;
	base->blocks =
		need(malloc((size_t)base->nr_blocks * sizeof(*base->blocks)));
	base->blocks[base->nr_known++] = 0;
	for (uint64_t i = 1; i < base->nr_blocks; i++)
		if (block_set_has(&salvage.reachable, i))
			base->blocks[base->nr_known++] = (uint32_t)i;
	base->nr_reachable = base->nr_known;
	for (uint64_t i = 1; i < base->nr_blocks; i++) {
		const uint8_t *data = base->data + i * ERA_BLOCK_SIZE;

		known = block_identify(data, i) != BLOCK_UNKNOWN;
		if (known && !block_set_has(&salvage.reachable, i))
			base->blocks[base->nr_known++] = (uint32_t)i;
		base->has_room |= salvage.scan.roles[i] == ROLE_ZERO;
	}
	era_salvage_close(&salvage);
	if (is_sound(device, 0))
		must(dates_read(&base->truth, device, false));
	base->is_known = true;
}

/* --- edits --------------------------------------------------------------- */

struct edit {
	uint8_t op, how;
	uint32_t block, where, value;
};

struct field {
	uint32_t offset, size;
};

static uint32_t pick(const struct base *base, uint32_t n)
{
	return base->blocks[n & 0x8000 ? n % base->nr_known
				       : n % base->nr_reachable];
}

static struct field superblock_field(uint32_t where)
{
	static const struct field fields[] = {
		{ 200, 8 }, { 208, 8 }, { 192, 8 }, { 188, 4 }, { 216, 8 },
		{ 184, 4 }, { 180, 4 }, { 60, 8 },  { 68, 8 },	{ 44, 8 },
		{ 52, 8 },  { 172, 4 }, { 176, 4 }, { 4, 4 },	{ 8, 8 },
		{ 32, 8 },  { 40, 4 },	{ 300, 8 },
	};

	return fields[where % (sizeof(fields) / sizeof(*fields))];
}

/* Header, a key, a value or a part of one; mostly of entries there are. */
static struct field node_field(const uint8_t *node, uint32_t where)
{
	static const struct field header[] = { { NODE_FLAGS, 4 },
					       { NODE_NR_ENTRIES, 4 },
					       { NODE_MAX_ENTRIES, 4 },
					       { NODE_VALUE_SIZE, 4 } };
	uint32_t nr = get_le32(node + NODE_NR_ENTRIES) % 512 + 1;
	uint32_t max = get_le32(node + NODE_MAX_ENTRIES) % 512;
	uint32_t size = get_le32(node + NODE_VALUE_SIZE) % 16;
	uint32_t i = where / 8 % nr;

	if (where % 8 == 0)
		return header[where / 8 % 4];
	if (where % 8 < 4)
		return (struct field){ NODE_KEYS + i * 8, 8 };
	if (size == 12)
		return where % 2 ? (struct field){ NODE_KEYS + max * 8 + i * 12,
						   4 }
				 : (struct field){
					   NODE_KEYS + max * 8 + i * 12 + 4, 8
				   };
	return (struct field){ NODE_KEYS + max * 8 + i * size,
			       size == 4 ? 4 : 8 };
}

static struct field array_field(const uint8_t *data, uint32_t where)
{
	static const struct field header[] = { { ARRAY_MAX_ENTRIES, 4 },
					       { ARRAY_NR_ENTRIES, 4 },
					       { ARRAY_VALUE_SIZE, 4 } };
	uint32_t nr = get_le32(data + ARRAY_NR_ENTRIES) % 1024 + 1;
	uint32_t size = get_le32(data + ARRAY_VALUE_SIZE) == 8 ? 8 : 4;

	if (where % 4 == 0)
		return header[where / 4 % 3];
	return (struct field){ ARRAY_VALUES + where / 4 % nr * size, size };
}

static struct field field_of(const struct image *image, enum block_kind kind,
			     const uint8_t *data, uint32_t where)
{
	switch (kind) {
	case BLOCK_SUPERBLOCK:
		return superblock_field(where);
	case BLOCK_BTREE_NODE:
		return node_field(data, where);
	case BLOCK_ARRAY:
		return array_field(data, where);
	case BLOCK_INDEX: /* all of the first entry, some of the others */
		return where % 2 ? (struct field){ INDEX_ENTRIES +
							   where / 2 % 1020 * 4,
						   4 }
				 : (struct field){
					   INDEX_ENTRIES + where / 2 % 2 * 8, 8
				   };
	case BLOCK_BITMAP:
		return (struct field){
			BITMAP_COUNTS +
				where % ((uint32_t)image->base->nr_blocks / 4 +
					 1),
			1
		};
	case BLOCK_UNKNOWN:
		break;
	}
	return (struct field){ where % (ERA_BLOCK_SIZE - 8), 8 };
}

static uint64_t get_field(const uint8_t *data, struct field field)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < field.size; i++)
		value |= (uint64_t)data[field.offset + i] << 8 * i;
	return value;
}

static void put_field(uint8_t *data, struct field field, uint64_t value)
{
	for (uint32_t i = 0; i < field.size; i++)
		data[field.offset + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t new_value(const struct image *image, const struct edit *edit,
			  uint64_t old)
{
	const uint64_t special[] = { 0,
				     1,
				     2,
				     3,
				     4,
				     8,
				     12,
				     84,
				     201,
				     251,
				     252,
				     253,
				     336,
				     508,
				     509,
				     510,
				     1017,
				     1018,
				     1019,
				     4096,
				     16320,
				     INT32_MAX,
				     0x80000000,
				     UINT32_MAX - 1,
				     UINT32_MAX,
				     UINT64_C(1) << 32,
				     INT64_MAX,
				     UINT64_C(1) << 63,
				     UINT64_MAX,
				     image->fake.device.nr_blocks,
				     edit->block,
				     MAX_METADATA_BLOCKS,
				     UINT64_MAX - 1 };

	switch (edit->how % 8) {
	case 0:
		return edit->value;
	case 1:
		return special[edit->value %
			       (sizeof(special) / sizeof(*special))];
	case 2:
		return old + 1 + edit->value % 4;
	case 3:
		return old - 1 - edit->value % 4;
	case 4:
		return old ^ UINT64_C(1) << edit->value % 64;
	case 5:
		return image->base->blocks[edit->value % image->base->nr_known];
	default:
		return pick(image->base, edit->value & 0x7fff);
	}
}

static void swap(uint8_t *a, uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = a[i];

		a[i] = b[i];
		b[i] = byte;
	}
}

/* Two entries change places: keys, values, or both. */
static void swap_entries(uint8_t *data, enum block_kind kind,
			 const struct edit *edit)
{
	uint32_t i = edit->where % 256, k = edit->value % 256;
	uint32_t max, size;

	if (kind == BLOCK_INDEX && i < INDEX_MAX_ENTRIES &&
	    k < INDEX_MAX_ENTRIES)
		swap(data + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE,
		     data + INDEX_ENTRIES + k * INDEX_ENTRY_SIZE,
		     INDEX_ENTRY_SIZE);
	if (kind == BLOCK_ARRAY)
		swap(data + ARRAY_VALUES + i * 8, data + ARRAY_VALUES + k * 8,
		     8);
	if (kind != BLOCK_BTREE_NODE)
		return;
	max = get_le32(data + NODE_MAX_ENTRIES);
	size = get_le32(data + NODE_VALUE_SIZE);
	if (btree_node_fault(data) || !node_nr_entries(data))
		return;
	i %= node_nr_entries(data);
	k %= node_nr_entries(data);
	if (edit->how % 3 != 1)
		swap(data + NODE_KEYS + i * 8, data + NODE_KEYS + k * 8, 8);
	if (edit->how % 3 != 2)
		swap(data + NODE_KEYS + max * 8 + i * size,
		     data + NODE_KEYS + max * 8 + k * size, size);
}

/* Mends number and checksum; keeps a run of the fuzzer short. */
static void seal(uint8_t *data, enum block_kind kind, uint32_t block)
{
	if (kind == BLOCK_UNKNOWN)
		return;
	if (kind == BLOCK_SUPERBLOCK)
		put_le32(data + 180, get_le32(data + 180) & 0x3ffff);
	block_seal(data, kind, block);
}

/* What no checksum shows. */
static void lie(struct image *image, const struct edit *edit)
{
	uint8_t *data = fake_block(&image->fake, edit->block);
	enum block_kind kind = block_identify(data, edit->block), other_kind;
	uint32_t other = pick(image->base, edit->value);
	uint8_t *other_data = fake_block(&image->fake, other);
	struct field field;

	image->nr_lies++;
	switch (edit->op % 16) {
	case 6: /* another block over this one */
		kind = block_identify(other_data, other);
		memmove(data, other_data, ERA_BLOCK_SIZE);
		break;
	case 7: /* change places */
		if (other == edit->block)
			return;
		other_kind = block_identify(other_data, other);
		swap(data, other_data, ERA_BLOCK_SIZE);
		seal(other_data, kind, other);
		kind = other_kind;
		break;
	case 8:
		swap_entries(data, kind, edit);
		break;
	case 9: /* another kind */
		kind = (enum block_kind)(edit->how % BLOCK_NR_KINDS);
		break;
	case 10: /* any byte */
		data[edit->where % ERA_BLOCK_SIZE] ^= (uint8_t)edit->value;
		break;
	default:
		field = field_of(image, kind, data, edit->where);
		if (field.offset + field.size > ERA_BLOCK_SIZE)
			return;
		put_field(data, field,
			  new_value(image, edit, get_field(data, field)));
	}
	seal(data, kind, edit->block);
}

/* --- shapes that cost whoever multiplies ----------------------------------*/

/* An edit whose operation is one of these makes many blocks at once. */
enum shape {
	SHAPE_NAMES = 0xfb, /* writeset leaves that name one root */
	SHAPE_PLACES,	    /* leaves that file one block everywhere */
	SHAPE_INDEXES,	    /* index blocks of one bitmap */
	SHAPE_LEVELS,	    /* nodes, all pointers of which lead to the next */
};

/* A block that is all zero, from the end on; 0 where there is none. */
static uint32_t free_block(struct image *image)
{
	struct era_device *device = &image->fake.device;
	static const uint8_t zero[ERA_BLOCK_SIZE];

	for (uint64_t i = device->nr_blocks; i-- > 1;)
		if (!memcmp(fake_block(&image->fake, i), zero, sizeof(zero)))
			return (uint32_t)i;
	if (device->nr_blocks >= image->base->nr_blocks + MAX_GROWTH)
		return 0;
	return (uint32_t)device->nr_blocks++;
}

/* A node of so many entries, whose keys ascend from first on. */
static void make_node(uint8_t *data, bool leaf, uint32_t value_size,
		      uint32_t nr, uint32_t first)
{
	uint32_t max = node_max_entries(value_size);

	memset(data, 0, ERA_BLOCK_SIZE);
	put_le32(data + NODE_FLAGS, leaf ? 2 : 1);
	put_le32(data + NODE_NR_ENTRIES, nr);
	put_le32(data + NODE_MAX_ENTRIES, max);
	put_le32(data + NODE_VALUE_SIZE, value_size);
	for (uint32_t i = 0; i < nr; i++)
		put_le64(data + NODE_KEYS + i * 8, first + i);
}

static void fill_node(uint8_t *data, const struct edit *edit, uint32_t number,
		      uint64_t target)
{
	bool names = edit->op == SHAPE_NAMES;
	uint32_t size = names ? 12 : 8, max = node_max_entries(size);
	uint8_t *values = data + NODE_KEYS + max * 8;

	make_node(data, edit->op != SHAPE_LEVELS, size, max,
		  edit->how & 1 ? number * max : edit->how / 2);
	for (uint32_t i = 0; i < max; i++) {
		/* of one length, or each of its own */
		if (names)
			put_le32(values + i * size,
				 edit->how & 2 ? 200000 - i : UINT32_C(200000));
		put_le64(values + i * size + (names ? 4 : 0), target);
	}
}

static void fill_index(uint8_t *data, uint64_t bitmap)
{
	memset(data, 0, ERA_BLOCK_SIZE);
	for (uint32_t i = 0; i < INDEX_MAX_ENTRIES; i++)
		put_le64(data + INDEX_ENTRIES + i * INDEX_ENTRY_SIZE, bitmap);
}

/* As many blocks as where says, all of which lead to the one of value. */
static void make_shape(struct image *image, const struct edit *edit)
{
	uint32_t target = pick(image->base, edit->value);

	image->nr_lies++;
	for (uint32_t i = 0; i <= edit->where % MAX_GROWTH; i++) {
		uint32_t block = free_block(image);
		uint8_t *data = fake_block(&image->fake, block);

		if (!block)
			return;
		if (edit->op == SHAPE_INDEXES)
			fill_index(data, target);
		else
			fill_node(data, edit, i, target);
		block_seal(data,
			   edit->op == SHAPE_INDEXES ? BLOCK_INDEX
						     : BLOCK_BTREE_NODE,
			   block);
		if (edit->op == SHAPE_LEVELS)
			target = block;
	}
}

static void put_older_superblock(struct image *image, uint32_t n)
{
	const struct base *base = image->base;
	uint8_t *data = image->fake.data;

	if (!base->nr_older)
		return;
	memcpy(data, base->older + n % base->nr_older * ERA_BLOCK_SIZE,
	       ERA_BLOCK_SIZE);
	/* of how far the device has grown since it cannot tell */
	if (get_le32(data + 180) == base->geometry.nr_blocks)
		image->nr_older++;
	else
		image->nr_lies++;
}

static void apply(struct image *image, const struct edit *edit)
{
	struct fake_device *fake = &image->fake;
	uint8_t *data = fake_block(fake, edit->block);

	if (edit->op >= SHAPE_NAMES && edit->op <= SHAPE_LEVELS) {
		make_shape(image, edit);
		return;
	}
	image->nr_damages++;
	switch (edit->op % 16) {
	case 0: /* rot */
		data[edit->where % ERA_BLOCK_SIZE] ^= (uint8_t)edit->value | 1;
		return;
	case 1:
		memset(data, 0, ERA_BLOCK_SIZE);
		return;
	case 2:
		fake->bad_block = edit->block;
		fake->error = EIO;
		return;
	case 3: /* written to the wrong place */
		memmove(data, fake_block(fake, pick(image->base, edit->value)),
			ERA_BLOCK_SIZE);
		return;
	case 4: /* shorter or longer */
		fake->device.nr_blocks =
			1 + edit->value % (image->base->nr_blocks + MAX_GROWTH);
		return;
	}
	image->nr_damages--;
	if (edit->op % 16 == 5)
		put_older_superblock(image, edit->value);
	else if (edit->op % 16 == 15)
		image->fail_write = edit->value % 128;
	else
		lie(image, edit);
}

/* For a look at an input with the tools: the device as a file. */
static void save(const struct image *image)
{
	const char *path = getenv("FUZZ_SAVE_IMAGE");
	FILE *file = path ? fopen(path, "wb") : NULL;

	if (!file)
		return;
	fwrite(image->fake.data, ERA_BLOCK_SIZE, image->fake.device.nr_blocks,
	       file);
	fclose(file);
}

bool image_load(struct image *image, const uint8_t *data, size_t len)
{
	struct base *base;

	if (len < EDIT_HEAD)
		return false;
	/* the small ones most of the time, which are the first */
	base = &bases[data[0] % (data[0] >= 0xf0 ? nr_bases : NR_SMALL)];
	*image = (struct image){ .base = base,
				 .flags = data[1],
				 .fail_write = UINT32_MAX };
	fake_init(&image->fake, base->nr_blocks + MAX_GROWTH);
	memcpy(image->fake.data, base->data, base->nr_blocks * ERA_BLOCK_SIZE);
	image->fake.device.nr_blocks = base->nr_blocks;
	if (!base->is_known)
		get_to_know(base, &image->fake.device);
	data += EDIT_HEAD;
	len -= EDIT_HEAD;
	for (; len >= EDIT_SIZE; len -= EDIT_SIZE, data += EDIT_SIZE) {
		struct edit edit = { data[0], data[1],
				     pick(base, data[2] | data[3] << 8u),
				     data[4] | (uint32_t)data[5] << 8,
				     data[6] | (uint32_t)data[7] << 8 };

		apply(image, &edit);
	}
	save(image);
	budget_begin(&image->budget, &image->fake.device);
	return true;
}

void image_release(struct image *image)
{
	fake_release(&image->fake);
}

const struct dates *image_truth(const struct image *image)
{
	return image->base->truth.eras ? &image->base->truth : NULL;
}

bool image_is_cut_off(const struct image *image)
{
	return image->fake.device.nr_blocks < image->base->nr_blocks;
}

bool image_has_room(const struct image *image)
{
	return image->base->has_room;
}

const struct era_geometry *image_geometry(const struct image *image)
{
	return &image->base->geometry;
}

void image_bound(const struct image *image, unsigned int times)
{
	budget_end(&image->budget,
		   times * image->fake.device.nr_blocks * ERA_BLOCK_SIZE,
		   BUDGET_MEMORY);
}

/* --- mutations ------------------------------------------------------------ */

/* Half of the time a whole edit comes, goes, moves or changes a field. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed)
{
	size_t nr = size < EDIT_HEAD ? 0 : (size - EDIT_HEAD) / EDIT_SIZE;
	uint64_t random = seed * UINT64_C(6364136223846793005) + 1442695041;
	uint8_t *at;

	random ^= random >> 29;
	if (size < EDIT_HEAD || random % 2)
		return LLVMFuzzerMutate(data, size, max_size);
	random >>= 1;
	at = data + EDIT_HEAD + (nr ? random / 8 % nr * EDIT_SIZE : 0);
	size = EDIT_HEAD + nr * EDIT_SIZE;
	switch (random % 8) {
	case 0: /* one edit fewer */
		if (!nr)
			break;
		memmove(at, at + EDIT_SIZE,
			(size_t)(data + size - at) - EDIT_SIZE);
		return size - EDIT_SIZE;
	case 1: /* another image, or other flags */
		data[random / 8 % 2] = (uint8_t)(random >> 16);
		return size;
	case 2:
	case 3: /* one field of an edit */
		if (!nr)
			break;
		at[random / 64 % EDIT_SIZE] = (uint8_t)(random >> 24);
		return size;
	}
	/* one more, at random */
	if (size + EDIT_SIZE > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memmove(at + EDIT_SIZE, at, (size_t)(data + size - at));
	for (unsigned int i = 0; i < EDIT_SIZE; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695041;
		at[i] = (uint8_t)(random >> 40);
	}
	/* now and then one that makes much of little */
	if (random >> 32 & 1)
		at[0] = (uint8_t)(SHAPE_NAMES + (random >> 33) % 4);
	return size + EDIT_SIZE;
}
