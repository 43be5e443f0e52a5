/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the roots of a state to its arrays, from the arrays to the units that
 * differ, and from these to the sum.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compare.h"
#include "base/grow.h"
#include "era/superblock.h"
#include "history/dates.h"
#include "pdata/array.h"

/* Data blocks that a block of the era array dates. */
#define UNIT 1018u
/* Those that a block of a bitset speaks of: 32 units. */
#define BITSET_UNIT (ARRAY_MAX_WORDS * 64u)

/* --- the units to be dated again ------------------------------------------ */

static void mark_dirty(struct era_dates *d, uint64_t unit)
{
	if (unit >= d->max_units || block_set_has(&d->dirty, unit))
		return;
	block_set_add(&d->dirty, unit);
	d->units[d->nr_units++] = (uint32_t)unit;
}

/* The units that a word of a bitset speaks of. */
static void mark_word(struct era_dates *d, uint32_t index, uint32_t word)
{
	uint64_t first = (uint64_t)index * BITSET_UNIT + (uint64_t)word * 64;

	mark_dirty(d, first / UNIT);
	mark_dirty(d, (first + 63) / UNIT);
}

/* Makes room for nr units at least. */
static int make_room(struct era_dates *d, uint32_t nr)
{
	struct block_set dirty;
	int r;

	if (nr <= d->max_units)
		return 0;
	if (list_resize(&d->latest, d->max_units, nr) ||
	    list_resize(&d->units, d->max_units, nr))
		return -ENOMEM;
	/* it is empty between steps */
	r = block_set_init(&dirty, nr);
	block_set_release(&d->dirty);
	d->dirty = dirty;
	d->max_units = r ? 0 : nr;
	return r;
}

/* --- the blocks of an array ----------------------------------------------- */

/* The values of an array block; NULL where it does not hold that many. */
static const uint8_t *get_values(struct era_dates *d, uint32_t block,
				 uint64_t nr)
{
	const uint8_t *data = era_reading_get(d->reading, block);

	if (!data || get_le32(data + ARRAY_NR_ENTRIES) != nr)
		return NULL;
	return data + ARRAY_VALUES;
}

/* How many values of nr are in the array block with this index. */
static uint64_t nr_values_in(uint64_t nr, uint32_t index, uint32_t max)
{
	uint64_t first = (uint64_t)index * max;

	if (first >= nr)
		return 0;
	return nr - first < max ? nr - first : max;
}

static const uint8_t *get_words(struct era_dates *d,
				const struct era_dated_writeset *ws,
				uint32_t index, bool before)
{
	uint32_t block;

	if (!before && index >= ws->slots.nr)
		return NULL;
	block = before ? slots_before(&ws->slots, index)
		       : ws->slots.blocks[index];
	return get_values(d, block,
			  nr_values_in(era_nr_words(ws->nr_bits), index,
				       ARRAY_MAX_WORDS));
}

/* --- the era array -------------------------------------------------------- */

static void set_latest(struct era_dates *d, uint32_t unit, uint32_t era)
{
	if (d->latest[unit] == d->greatest && d->nr_greatest)
		d->nr_greatest--;
	d->latest[unit] = era;
	if (era > d->greatest) {
		d->greatest = era;
		d->nr_greatest = 1;
	} else if (era == d->greatest) {
		d->nr_greatest++;
	}
}

static int look_at_unit(struct era_dates *d, uint32_t unit)
{
	uint64_t nr = nr_values_in(d->nr_blocks, unit, UNIT);
	uint32_t latest = 0;
	const uint8_t *eras;

	mark_dirty(d, unit);
	if (!nr) {
		set_latest(d, unit, 0);
		return 0;
	}
	eras = get_values(d, d->eras.blocks[unit], nr);
	if (!eras)
		return -EUCLEAN;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t era = get_le32(eras + i * 4);

		latest = latest < era ? era : latest;
	}
	set_latest(d, unit, latest);
	return 0;
}

/* After a fall of the greatest date: the greatest of those that are left. */
static void find_greatest(struct era_dates *d)
{
	if (d->nr_greatest)
		return;
	d->greatest = 0;
	for (uint32_t i = 0; i < d->eras.nr; i++)
		if (d->greatest < d->latest[i])
			d->greatest = d->latest[i];
	for (uint32_t i = 0; i < d->eras.nr; i++)
		d->nr_greatest += d->latest[i] == d->greatest;
	d->reading->work += d->eras.nr / 64;
}

/* The units of the era array that changed. */
static int look_at_changes(struct era_dates *d, uint32_t nr_before)
{
	uint32_t nr = d->eras.nr;
	int r = 0;

	for (uint32_t i = 0; d->eras.fresh && i < nr && !r; i++)
		r = era_reading_is_over(d->reading) ? -E2BIG
						    : look_at_unit(d, i);
	for (size_t i = 0; i < d->eras.nr_changes && !r; i++)
		r = look_at_unit(d, d->eras.changes[i].index);
	/* the last one of either is the one that can be short */
	if (r || d->nr_blocks == d->nr_blocks_before || !nr_before || !nr)
		return r;
	r = look_at_unit(d, (nr_before < nr ? nr_before : nr) - 1);
	return r ? r : look_at_unit(d, nr - 1);
}

static int change_eras(struct era_dates *d, uint64_t root, uint64_t nr_values)
{
	uint32_t nr_before = d->eras.nr;
	uint32_t nr = array_nr_blocks(nr_values, 4);
	int r;

	d->nr_blocks_before = d->loaded ? d->nr_blocks : 0;
	d->nr_blocks = (uint32_t)nr_values;
	if (nr > d->reading->scan->nr_blocks)
		return -EUCLEAN;
	r = make_room(d, nr);
	if (!r && nr)
		r = slots_change(&d->eras, d->reading, root, nr);
	d->eras.root = root;
	if (!r)
		r = look_at_changes(d, nr_before);
	find_greatest(d);
	return r;
}

/* --- the writesets -------------------------------------------------------- */

/* What the writeset tree names. */
struct named {
	uint32_t era;
	uint32_t nr_bits;
	uint64_t root;
};

struct naming {
	struct named *list;
	size_t nr, max;
};

static int add_named(struct naming *naming, uint64_t era, const uint8_t *value,
		     uint64_t most)
{
	uint32_t nr_bits = get_le32(value);

	if (era > UINT32_MAX || nr_bits >= ERA_MAX_NR_BLOCKS ||
	    naming->nr >= most)
		return -EUCLEAN;
	if (naming->nr && naming->list[naming->nr - 1].era >= era)
		return -EUCLEAN;
	if (list_grow(&naming->list, naming->nr + 1, &naming->max))
		return -ENOMEM;
	naming->list[naming->nr++] =
		(struct named){ (uint32_t)era, nr_bits, get_le64(value + 4) };
	return 0;
}

static int name_all(struct era_dates *d, struct naming *naming, uint64_t root,
		    unsigned int depth)
{
	const struct era_scan *scan = d->reading->scan;
	enum era_role role = era_scan_role(scan, root);
	const uint8_t *data;
	uint8_t node[ERA_BLOCK_SIZE];
	int r = 0;

	if (era_reading_is_over(d->reading))
		return -E2BIG;
	if ((role != ROLE_INTERNAL && role != ROLE_WRITESETS) ||
	    depth >= BTREE_MAX_DEPTH)
		return -EUCLEAN;
	data = era_reading_get(d->reading, root);
	if (!data || (depth && !node_nr_entries(data)))
		return -EUCLEAN;
	memcpy(node, data, ERA_BLOCK_SIZE);
	for (uint32_t i = 0; i < node_nr_entries(node) && !r; i++)
		r = role == ROLE_INTERNAL
			    ? name_all(d, naming, node_child(node, i),
				       depth + 1)
			    : add_named(naming, node_key(node, i),
					node_value(node, i,
						   ERA_WRITESET_VALUE_SIZE),
					scan->nr_blocks);
	return r;
}

/* Both lists are by era, so that the next one is most often the same. */
static struct era_dated_writeset *
find_same(struct era_dates *d, const struct named *named, size_t *next)
{
	for (size_t i = 0; i < d->nr_writesets; i++) {
		size_t at = (*next + i) % d->nr_writesets;
		struct era_dated_writeset *ws = d->writesets[at];

		if (ws->was && !ws->is && ws->slots.root == named->root &&
		    ws->nr_bits == named->nr_bits) {
			*next = at + 1;
			return ws;
		}
	}
	d->reading->work += d->nr_writesets / 64;
	return NULL;
}

static uint64_t nr_array_blocks(const struct era_dates *d)
{
	uint64_t nr = d->eras.nr;

	for (size_t i = 0; i < d->nr_writesets; i++)
		nr += d->writesets[i]->slots.nr;
	return nr;
}

static int add_writeset(struct era_dates *d, const struct named *named,
			struct era_dated_writeset **added)
{
	struct era_dated_writeset *ws;
	uint32_t nr = array_nr_blocks(era_nr_words(named->nr_bits), 8);
	int r = 0;

	/* two states' blocks at a time: more than a device has are not whole */
	if (nr_array_blocks(d) + nr > 2 * d->reading->scan->nr_blocks)
		return -EUCLEAN;
	if (list_resize(&d->writesets, d->nr_writesets, d->nr_writesets + 1))
		return -ENOMEM;
	ws = calloc(1, sizeof(*ws));
	if (!ws)
		return -ENOMEM;
	d->writesets[d->nr_writesets++] = *added = ws;
	ws->slots.role = ROLE_WORDS;
	ws->nr_bits = named->nr_bits;
	if (nr)
		r = slots_change(&ws->slots, d->reading, named->root, nr);
	ws->slots.root = named->root;
	return r;
}

/* The writeset is one of the state at hand. */
static int take_writeset(struct era_dates *d, const struct named *named,
			 bool open, size_t *next)
{
	struct era_dated_writeset *ws = find_same(d, named, next);
	int r = 0;

	if (era_reading_is_over(d->reading))
		return -E2BIG;
	if (!ws)
		r = add_writeset(d, named, &ws);
	if (r)
		return r;
	ws->is = true;
	ws->is_open = open;
	ws->era = named->era;
	return 0;
}

static int change_archived(struct era_dates *d, uint64_t root, uint32_t *last)
{
	struct naming naming = { .nr = 0 };
	size_t next = 0;
	int r = 0;

	*last = 0;
	if (d->loaded && d->writeset_tree == root) {
		for (size_t i = 0; i < d->nr_writesets; i++) {
			struct era_dated_writeset *ws = d->writesets[i];

			ws->is = !ws->was_open;
			ws->is_open = false;
			d->inferred &= !ws->is;
			if (ws->is && *last < ws->era)
				*last = ws->era;
		}
		return 0;
	}
	r = name_all(d, &naming, root, 0);
	for (size_t i = 0; i < naming.nr && !r; i++)
		r = take_writeset(d, &naming.list[i], false, &next);
	if (naming.nr) {
		d->inferred = false;
		*last = naming.list[naming.nr - 1].era;
	}
	free(naming.list);
	d->writeset_tree = root;
	return r;
}

/* The bits of a bitset: the device's, unless it was of another size then. */
static uint32_t bitset_length(struct era_dates *d, uint64_t root)
{
	uint64_t words = slots_nr_values(d->reading, root);

	if (words == era_nr_words(d->nr_blocks) || words * 64 > UINT32_MAX)
		return d->nr_blocks;
	return (uint32_t)(words * 64);
}

static int change_open(struct era_dates *d, uint64_t root)
{
	struct named named = { .era = d->era, .root = root };
	size_t next = 0;

	if (!root)
		return 0;
	named.nr_bits = bitset_length(d, root);
	if (named.nr_bits >= ERA_MAX_NR_BLOCKS)
		return -EUCLEAN;
	/* within an era the open one changes, block by block */
	for (size_t i = 0; i < d->nr_writesets; i++) {
		struct era_dated_writeset *ws = d->writesets[i];

		if (ws->is || !ws->was_open || ws->era_before != d->era ||
		    ws->nr_bits != named.nr_bits || !ws->slots.nr)
			continue;
		ws->is = ws->is_open = true;
		ws->era = d->era;
		return slots_change(&ws->slots, d->reading, root, ws->slots.nr);
	}
	return take_writeset(d, &named, true, &next);
}

/* --- which units a writeset changes --------------------------------------- */

/* Those of all its bits: it came, went or is of another era now. */
static int mark_all(struct era_dates *d, const struct era_dated_writeset *ws)
{
	for (uint32_t i = 0; i < ws->slots.nr; i++) {
		uint32_t nr = (uint32_t)nr_values_in(era_nr_words(ws->nr_bits),
						     i, ARRAY_MAX_WORDS);
		const uint8_t *words = get_words(d, ws, i, false);

		if (!words)
			return -EUCLEAN;
		if (era_reading_is_over(d->reading))
			return -E2BIG;
		for (uint32_t k = 0; k < nr; k++)
			if (get_le64(words + k * 8))
				mark_word(d, i, k);
	}
	return 0;
}

/* Those of the bits that differ. */
static int mark_changes(struct era_dates *d,
			const struct era_dated_writeset *ws)
{
	for (size_t i = 0; i < ws->slots.nr_changes; i++) {
		uint32_t index = ws->slots.changes[i].index;
		uint32_t nr = (uint32_t)nr_values_in(era_nr_words(ws->nr_bits),
						     index, ARRAY_MAX_WORDS);
		uint8_t before[ARRAY_MAX_WORDS * 8];
		const uint8_t *words = get_words(d, ws, index, true);

		if (!words)
			return -EUCLEAN;
		memcpy(before, words, nr * 8);
		words = get_words(d, ws, index, false);
		if (!words)
			return -EUCLEAN;
		for (uint32_t k = 0; k < nr; k++)
			if (memcmp(before + k * 8, words + k * 8, 8))
				mark_word(d, index, k);
	}
	return 0;
}

static int mark_writesets(struct era_dates *d)
{
	int r = 0;

	for (size_t i = 0; i < d->nr_writesets && !r; i++) {
		struct era_dated_writeset *ws = d->writesets[i];

		if (!ws->is != !ws->was ||
		    (ws->is && ws->era != ws->era_before))
			r = mark_all(d, ws);
		else if (ws->is)
			r = mark_changes(d, ws);
	}
	return r;
}

/* --- dates ---------------------------------------------------------------- */

/* What is known of one unit. */
struct unit {
	uint64_t first; /* data block */
	uint32_t nr;
	uint32_t eras[UNIT];
};

/* Dates what a writeset marks; open: what was known before falls no more. */
static int date_writeset(struct era_dates *d,
			 const struct era_dated_writeset *ws, bool before,
			 struct unit *unit, struct unit *open)
{
	uint32_t era = before ? ws->era_before : ws->era;
	uint32_t index = (uint32_t)(unit->first / BITSET_UNIT);
	uint64_t base = (uint64_t)index * BITSET_UNIT;
	uint64_t end = unit->first + unit->nr;
	const uint8_t *words;

	if (end > ws->nr_bits)
		end = ws->nr_bits;
	if (unit->first >= end)
		return 0;
	words = get_words(d, ws, index, before);
	if (!words)
		return -EUCLEAN;
	for (uint64_t w = (unit->first - base) / 64; base + w * 64 < end; w++) {
		uint64_t word = get_le64(words + w * 8);

		for (; word; word &= word - 1) {
			uint64_t block =
				base + w * 64 + (uint64_t)__builtin_ctzll(word);
			uint64_t i = block - unit->first;

			if (block < unit->first || block >= end)
				continue;
			if (unit->eras[i] < era)
				unit->eras[i] = era;
			if (open && i < open->nr && open->eras[i] > era)
				open->eras[i] = era;
		}
	}
	return 0;
}

static int date_unit(struct era_dates *d, uint32_t number, bool before,
		     struct unit *unit, struct unit *known)
{
	uint32_t nr_blocks = before ? d->nr_blocks_before : d->nr_blocks;
	const uint8_t *eras;
	int r = 0;

	unit->first = (uint64_t)number * UNIT;
	unit->nr = (uint32_t)nr_values_in(nr_blocks, number, UNIT);
	if (!unit->nr)
		return 0;
	eras = get_values(d,
			  before ? slots_before(&d->eras, number)
				 : d->eras.blocks[number],
			  unit->nr);
	if (!eras)
		return -EUCLEAN;
	for (uint32_t i = 0; i < unit->nr; i++)
		unit->eras[i] = get_le32(eras + i * 4);
	for (size_t i = 0; i < d->nr_writesets && !r; i++) {
		const struct era_dated_writeset *ws = d->writesets[i];

		if (before ? ws->was : ws->is)
			r = date_writeset(d, ws, before, unit,
					  !before && ws->is_open ? known
								 : NULL);
	}
	return r;
}

static uint64_t sum_of(const struct unit *unit)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < unit->nr; i++)
		sum += unit->eras[i];
	return sum;
}

/* Dates the dirty units anew, and holds them against what they were. */
static int date_dirty(struct era_dates *d)
{
	struct unit before, after;
	int r = 0;

	if (d->nr_units)
		qsort(d->units, d->nr_units, sizeof(*d->units), compare_uint32);
	for (size_t i = 0; i < d->nr_units && !r; i++) {
		r = era_reading_is_over(d->reading) ? -E2BIG : 0;
		if (!r)
			r = date_unit(d, d->units[i], true, &before, NULL);
		if (r)
			break;
		d->sum -= sum_of(&before);
		r = date_unit(d, d->units[i], false, &after, &before);
		if (r)
			break;
		d->sum += sum_of(&after);
		for (uint32_t k = 0; k < after.nr && k < before.nr; k++) {
			d->rose |= after.eras[k] > before.eras[k];
			d->fell |= after.eras[k] < before.eras[k];
		}
		d->reading->work++;
	}
	return r;
}

/* --- one step ------------------------------------------------------------- */

static void release_writeset(struct era_dated_writeset *ws)
{
	slots_release(&ws->slots);
	free(ws);
}

static uint32_t open_length(const struct era_dates *d)
{
	uint32_t nr_bits = 0;

	for (size_t i = 0; i < d->nr_writesets; i++)
		if (d->writesets[i]->is_open)
			nr_bits = d->writesets[i]->nr_bits;
	return nr_bits;
}

/* The state at hand is the one before from now on. */
static void settle(struct era_dates *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->nr_writesets; i++) {
		struct era_dated_writeset *ws = d->writesets[i];

		if (!ws->is) {
			release_writeset(ws);
			continue;
		}
		slots_settle(&ws->slots);
		ws->was = true;
		ws->was_open = ws->is_open;
		ws->era_before = ws->era;
		ws->is = ws->is_open = false;
		d->writesets[kept++] = ws;
	}
	d->nr_writesets = kept;
	slots_settle(&d->eras);
	for (size_t i = 0; i < d->nr_units; i++)
		block_set_remove(&d->dirty, d->units[i]);
	d->nr_units = 0;
}

void era_dates_init(struct era_dates *dates, struct era_reading *reading)
{
	memset(dates, 0, sizeof(*dates));
	dates->reading = reading;
	dates->eras.role = ROLE_ERAS;
}

void era_dates_release(struct era_dates *dates)
{
	for (size_t i = 0; i < dates->nr_writesets; i++)
		release_writeset(dates->writesets[i]);
	free(dates->writesets);
	slots_release(&dates->eras);
	block_set_release(&dates->dirty);
	free(dates->latest);
	free(dates->units);
	era_dates_init(dates, dates->reading);
}

int era_dates_step(struct era_dates *dates, const struct era_roots *roots)
{
	uint64_t nr_values = slots_nr_values(dates->reading, roots->era_array);
	uint32_t last = 0;
	int r;

	if (nr_values >= ERA_MAX_NR_BLOCKS)
		return -EUCLEAN;
	/* right after a format there is nothing to compare with */
	if (!nr_values || !dates->nr_blocks)
		era_dates_release(dates);
	dates->inferred = true;
	dates->compared = dates->loaded;
	dates->rose = dates->fell = false;
	r = change_eras(dates, roots->era_array, nr_values);
	if (!r)
		r = change_archived(dates, roots->writeset_tree, &last);
	if (last < dates->greatest)
		last = dates->greatest;
	dates->era = last + !!roots->open;
	if (!r)
		r = change_open(dates, roots->open);
	if (!r)
		r = mark_writesets(dates);
	if (!r)
		r = date_dirty(dates);
	if (r) {
		era_dates_release(dates);
		return r;
	}
	dates->nr_open_bits = open_length(dates);
	dates->loaded = true;
	settle(dates);
	return 0;
}
