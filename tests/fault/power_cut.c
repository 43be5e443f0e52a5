/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a log of writes and flushes to the states that a power cut can leave.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "power_cut.h"

/* All subsets are tried of so many blocks, samples of more. */
#define ALL_SUBSETS 5

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
		for (size_t n = 0; n < part.len; n += 512) {
			struct unit sector = { part.offset + n, 512,
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

/* The states after a cut before the flush that would save these units. */
static void cut_at(struct power_cut *cut, struct fake_device *state,
		   const uint8_t *flushed, const struct units *units, size_t at)
{
	unsigned int samples = cut->samples;

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
