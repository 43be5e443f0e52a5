/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libdmera on a device that somebody else writes: what is announced is what is
 * given, whenever the device becomes another.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dmera/handle.h"
#include "era/builder.h"
#include "fake_device.h"

TestSuite(dmera, .timeout = 60);

#define NR_METADATA 64

/* A device whose data blocks were all written in one era. */
static void build(struct fake_device *fake, uint32_t nr_blocks, uint32_t era)
{
	struct era_geometry g = { .data_block_size = 128,
				  .nr_blocks = nr_blocks,
				  .current_era = era };
	uint32_t *eras = malloc(nr_blocks * sizeof(*eras));
	struct era_builder b;

	cr_assert_not_null(eras);
	for (uint32_t i = 0; i < nr_blocks; i++)
		eras[i] = era;
	fake_init(fake, NR_METADATA);
	cr_assert_eq(era_builder_init(&b, &fake->device, NULL), 0);
	cr_assert_eq(b.visitor.superblock(&b.visitor, &g), 0);
	cr_assert_eq(b.visitor.eras(&b.visitor, 0, eras, nr_blocks), 0);
	cr_assert_eq(b.visitor.end(&b.visitor), 0);
	cr_assert_eq(era_builder_commit(&b), 0);
	era_builder_release(&b);
	fake_reset(fake);
	free(eras);
}

/* What a dump said, and whether that fits together. */
struct told {
	struct dmera_superblock sb;
	uint32_t nr_eras;
	uint32_t other; /* eras of another device than was announced */
};

static int on_superblock(void *arg, const struct dmera_superblock *sb)
{
	struct told *told = arg;

	told->sb = *sb;
	return 0;
}

static int on_eras(void *arg, uint32_t first, const uint32_t *eras, size_t nr)
{
	struct told *told = arg;

	cr_assert_eq(first, told->nr_eras);
	cr_assert_leq(nr, told->sb.nr_blocks - first,
		      "more eras than were announced");
	told->nr_eras += (uint32_t)nr;
	for (size_t i = 0; i < nr; i++)
		told->other += eras[i] != told->sb.current_era;
	return 0;
}

static void dump_while_it_changes(unsigned int flags)
{
	static const struct dmera_visitor visitor = {
		.superblock = on_superblock, .eras = on_eras
	};
	struct fake_device large;
	bool reached = true;

	build(&large, 5000, 9);
	for (uint64_t at = 0; reached; at++) {
		char path[] = "fake";
		struct dmera handle = { .path = path };
		struct told told = { .nr_eras = 0 };
		struct fake_device now;
		int r;

		build(&now, 100, 3);
		now.becomes = large.data;
		now.becomes_at = at;
		handle.device = now.device;
		r = dmera_dump(&handle, flags, &visitor, &told);
		reached = now.nr_calls[FAKE_READ] > at;
		now.becomes = NULL;
		if (!r) {
			cr_assert_eq(told.nr_eras, told.sb.nr_blocks);
			cr_assert_eq(told.other, 0);
		}
		fake_release(&now);
	}
	fake_release(&large);
}

Test(dmera, a_dump_gives_what_it_has_announced)
{
	dump_while_it_changes(0);
}

Test(dmera, so_does_a_logical_dump)
{
	dump_while_it_changes(DMERA_DUMP_LOGICAL);
}
