/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a log of writes and flushes to the states that a power cut can leave.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "power_cut.h"

/* All subsets are tried of so many blocks or sectors, samples of more. */
#define ALL_SUBSETS 5

#define SECTOR 512 /* what a device writes whole, or not at all */

/* A part of a write that reaches the device or does not. */
struct unit {
	uint64_t offset;
	size_t len;
	const uint8_t *data; /* NULL: zeroes */
};

struct units {
	struct unit *unit;
	size_t nr, max;
};

static void apply(uint8_t *to, const struct unit *unit)
{
	if (unit->data)
		memcpy(to + unit->offset, unit->data, unit->len);
	else
		memset(to + unit->offset, 0, unit->len);
}

static void add_units(struct units *units, const struct fake_write *w)
{
	for (size_t done = 0; done < w->len;) {
		size_t n = w->len - done;

		/* a run of zeroes is one unit more or less */
		if (w->data && n > ERA_BLOCK_SIZE)
			n = ERA_BLOCK_SIZE;
		if (units->nr == units->max) {
			units->max = units->max ? units->max * 2 : 64;
			units->unit = realloc(
				units->unit, units->max * sizeof(*units->unit));
		}
		units->unit[units->nr++] =
			(struct unit){ w->offset + done, n,
				       w->data ? w->data + done : NULL };
		done += n;
	}
}

/* Flushed blocks, and those of the unflushed that pick says. */
static void try_state(struct power_cut *cut, struct fake_device *state,
		      const uint8_t *flushed, const struct units *units,
		      bool (*pick)(uint64_t subset, size_t i), uint64_t subset,
		      size_t at, bool torn)
{
	memcpy(state->data, flushed, state->device.nr_blocks * ERA_BLOCK_SIZE);
	for (size_t i = 0; i < units->nr; i++) {
		struct unit part = units->unit[i];

		if (!torn) {
			if (pick(subset, i))
				apply(state->data, &part);
			continue;
		}
		/* each of its sectors may or may not get there */
		for (size_t n = 0; n < part.len; n += SECTOR) {
			struct unit sector = { part.offset + n, SECTOR,
					       part.data ? part.data + n
							 : NULL };

			if (random_below(2))
				apply(state->data, &sector);
		}
	}
	fake_reset(state);
	cut->nr_states++;
	cut->judge(cut->arg, state, at);
}

static bool pick_bit(uint64_t subset, size_t i)
{
	return subset >> i & 1;
}

static bool pick_any(uint64_t subset, size_t i)
{
	(void)subset;
	(void)i;
	return random_below(2);
}

static bool pick_first(uint64_t subset, size_t i)
{
	return i < subset;
}

/* Whether a sector of a unit, at n in it, would change what is there. */
static bool changes(const uint8_t *flushed, const struct unit *unit, size_t n)
{
	static const uint8_t zeroes[SECTOR];

	return memcmp(flushed + unit->offset + n,
		      unit->data ? unit->data + n : zeroes, SECTOR);
}

/*
 * The sectors that make a difference, where they are few enough to try all
 * subsets of; as a rule those of a superblock that is written alone.
 */
static bool find_sectors(struct units *sectors, const uint8_t *flushed,
			 const struct units *units)
{
	for (size_t i = 0; i < units->nr; i++) {
		const struct unit *unit = &units->unit[i];

		for (size_t n = 0; n < unit->len; n += SECTOR) {
			if (!changes(flushed, unit, n))
				continue;
			if (sectors->nr == ALL_SUBSETS)
				return false;
			sectors->unit[sectors->nr++] =
				(struct unit){ unit->offset + n, SECTOR,
					       unit->data ? unit->data + n
							  : NULL };
		}
	}
	return true;
}

/* The states after a cut before the flush that would save these units. */
static void cut_at(struct power_cut *cut, struct fake_device *state,
		   const uint8_t *flushed, const struct units *units, size_t at)
{
	unsigned int samples = cut->samples;
	struct unit few[ALL_SUBSETS];
	struct units sectors = { few, 0, ALL_SUBSETS };

	if (find_sectors(&sectors, flushed, units)) {
		for (uint64_t s = 0; s < UINT64_C(1) << sectors.nr; s++)
			try_state(cut, state, flushed, &sectors, pick_bit, s,
				  at, false);
		return;
	}
	if (units->nr <= ALL_SUBSETS) {
		for (uint64_t s = 0; s < UINT64_C(1) << units->nr; s++)
			try_state(cut, state, flushed, units, pick_bit, s, at,
				  false);
	} else {
		/* one after the other */
		for (size_t i = 0; i <= units->nr; i++) {
			if (units->nr > samples &&
			    random_below((uint32_t)units->nr) > samples)
				continue;
			try_state(cut, state, flushed, units, pick_first, i, at,
				  false);
		}
		for (unsigned int i = 0; i < samples; i++)
			try_state(cut, state, flushed, units, pick_any, i, at,
				  false);
	}
	for (unsigned int i = 0; units->nr && i < samples; i++)
		try_state(cut, state, flushed, units, pick_any, i, at, true);
}

void power_cut_run(struct power_cut *cut)
{
	uint64_t nr_blocks = cut->wrote->device.nr_blocks;
	uint8_t *flushed = malloc(nr_blocks * ERA_BLOCK_SIZE);
	struct units units = { NULL, 0, 0 };
	struct fake_device state;

	fake_init(&state, nr_blocks);
	memcpy(flushed, cut->before, nr_blocks * ERA_BLOCK_SIZE);
	for (size_t at = 0; at < cut->wrote->nr_log; at++) {
		const struct fake_write *w = &cut->wrote->log[at];

		if (w->len) {
			add_units(&units, w);
			continue;
		}
		cut_at(cut, &state, flushed, &units, at);
		for (size_t i = 0; i < units.nr; i++)
			apply(flushed, &units.unit[i]);
		units.nr = 0;
	}
	/* what no flush has saved */
	cut_at(cut, &state, flushed, &units, cut->wrote->nr_log);
	free(units.unit);
	free(flushed);
	fake_release(&state);
}
