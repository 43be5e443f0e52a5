/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The undo file around the repair.
 */
#include "config.h"

#include "device/undo.h"
#include "tools/in_place.h"

int tool_repair_in_place(struct era_salvage *salvage, enum era_repair_need need,
			 const char *undo, const struct era_repair_told *told,
			 struct era_report *report)
{
	struct undo_log log;
	int r = 0, finished;

	if (need == ERA_REPAIR_NOTHING)
		return 0;
	if (undo)
		r = undo_log_start(&log, salvage->device, undo, report);
	if (r)
		return r;
	r = era_repair_in_place(salvage, need, told, report);
	if (undo) {
		finished = undo_log_finish(&log);
		r = r ? r : finished;
	}
	return r;
}
