/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening metadata for those who must not miss a write: a list of what was
 * written, made from a state that has forgotten some of it, would corrupt a
 * backup without a sound.
 */
#ifndef ERA_WHOLE_H
#define ERA_WHOLE_H

#include "era/metadata.h"

/*
 * As era_metadata_open() of the live metadata, and refuses with -EUCLEAN,
 * reported, what a newer history contradicts (era/newer.h). Not for a live
 * device's snapshot: there, blocks that it does not lead to are newer by
 * right.
 */
int era_metadata_open_whole(struct era_metadata *md, struct era_device *device,
			    struct era_report *report);

#endif
