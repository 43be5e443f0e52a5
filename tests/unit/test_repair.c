/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a repair in place puts its blocks, on a device that fails.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "era/builder.h"
#include "era/check.h"
#include "era/repair.h"
#include "fake_device.h"

TestSuite(repair, .timeout = 60);

#define NR_BLOCKS 40u /* metadata blocks */

/* Metadata of 2000 data blocks. */
static void sound_device(struct fake_device *fake)
{
	const struct era_geometry g = { .data_block_size = 128,
					.nr_blocks = 2000,
					.current_era = 3 };
	static const uint32_t eras[2000];
	struct era_builder builder;

	fake_init(fake, NR_BLOCKS);
	cr_assert_eq(era_builder_init(&builder, &fake->device, NULL), 0);
	cr_assert_eq(builder.visitor.superblock(&builder.visitor, &g), 0);
	cr_assert_eq(builder.visitor.eras(&builder.visitor, 0, eras, 2000), 0);
	cr_assert_eq(builder.visitor.end(&builder.visitor), 0);
	cr_assert_eq(era_builder_commit(&builder), 0);
	era_builder_release(&builder);
	fake_reset(fake);
}

/* An array block of it lost. */
static void damaged_device(struct fake_device *fake)
{
	sound_device(fake);
	/* block 1 is the first of the era array */
	memset(fake_block(fake, 1) + 100, 0xff, 400);
}

static int repair(struct fake_device *fake,
		  const struct era_salvage_options *options)
{
	const struct era_repair_told nobody = { .raised = NULL };
	struct era_report quiet = { .problem = NULL };
	enum era_repair_need need;
	struct era_salvage salvage;
	int r = era_salvage_open(&salvage, &fake->device, options, NULL);

	if (r)
		return r;
	r = era_repair_prepare(&salvage, &need);
	if (!r)
		return era_repair_in_place(&salvage, need, &nobody, &quiet);
	era_salvage_close(&salvage);
	return r;
}

static const struct era_salvage_options all = {
	/* nothing but the superblock tells it */
	.geometry = { .data_block_size = 128 },
};
static const struct era_salvage_options reachable = { .reachable_only = true };

/* Nothing is to be done; but that cannot be known, whichever read it is. */
Test(repair, is_no_success_where_the_device_is_gone)
{
	bool reached = true;

	for (uint64_t call = 0; reached; call++) {
		struct fake_device fake;
		int r;

		sound_device(&fake);
		fake.fail_from[FAKE_READ] = call;
		fake.error = ENODEV;
		r = repair(&fake, &all);
		reached = fake.nr_calls[FAKE_READ] > call;
		cr_assert_eq(!r, !reached, "read %d", (int)call);
		cr_assert_eq(fake.nr_calls[FAKE_WRITE], 0);
		fake_release(&fake);
	}
}

/* It would lie where nothing leads, and nobody could say what of. */
Test(repair, is_refused_where_a_block_cannot_be_read)
{
	for (uint64_t bad = 1; bad < NR_BLOCKS; bad++) {
		struct fake_device fake;

		damaged_device(&fake);
		fake.bad_block = bad;
		fake.error = EIO;
		cr_assert_eq(repair(&fake, &all), -EIO, "block %d", (int)bad);
		cr_assert_eq(fake.nr_calls[FAKE_WRITE], 0);
		fake_release(&fake);
	}
}

/* The disk puts another sector there when it is written. */
Test(repair, of_a_superblock_that_cannot_be_read)
{
	struct fake_report report;
	struct fake_device fake;

	damaged_device(&fake);
	fake.bad_block = 0;
	fake.error = EIO;
	cr_assert_eq(repair(&fake, &all), 0);
	fake_report_init(&report);
	cr_assert_eq(era_check(&fake.device, 0, &report.report), 0);
	cr_assert_eq(report.report.nr[ERA_FATAL], 0, "%s", report.fatal);
	fake_release(&fake);
}

Test(repair, takes_no_block_that_cannot_be_read)
{
	for (uint64_t bad = 1; bad < NR_BLOCKS; bad++) {
		struct fake_report report;
		struct fake_device fake;

		damaged_device(&fake);
		fake.bad_block = bad;
		fake.error = EIO;
		cr_assert_eq(repair(&fake, &reachable), 0, "block %d",
			     (int)bad);
		fake_report_init(&report);
		cr_assert_eq(era_check(&fake.device, ERA_CHECK_REACHABLE_ONLY,
				       &report.report),
			     0);
		cr_assert_eq(report.report.nr[ERA_FATAL], 0, "block %d: %s",
			     (int)bad, report.fatal);
		fake_release(&fake);
	}
}
