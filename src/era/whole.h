/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens metadata for callers that must not miss a write: a list made from a
 * state that has forgotten some writes would corrupt a backup without a sound.
 */
#ifndef ERA_WHOLE_H
#define ERA_WHOLE_H

#include "era/metadata.h"

/*
 * As era_metadata_open() without a snapshot. Also returns -EUCLEAN, reported,
 * where orphans know of a newer history (era/newer.h). Not for the snapshot of
 * a live device, for there the live state is newer by right.
 */
int era_metadata_open_whole(struct era_metadata *md, struct era_device *device,
			    struct era_report *report);

#endif
