/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A repair in place with an undo file, as era_repair and era_activate do it.
 */
#ifndef TOOLS_IN_PLACE_H
#define TOOLS_IN_PLACE_H

#include "era/repair.h"

/*
 * Does what need says to the salvage's device. What is overwritten is saved
 * first to the file undo, which must not exist, unless it is NULL. Returns 0
 * or a negative errno, reported.
 */
int tool_repair_in_place(struct era_salvage *salvage, enum era_repair_need need,
			 const char *undo, const struct era_repair_told *told,
			 struct era_report *report);

#endif
