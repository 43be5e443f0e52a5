/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The comparison is a fold of which only the raises are looked at.
 */
#include "config.h"

#include "era/beyond.h"
#include "era/fold.h"

static int note_raised(void *arg, enum era_class trust, uint32_t begin,
		       uint32_t end, uint32_t era)
{
	struct era_beyond *beyond = arg;

	if (trust != ERA_ORPHAN)
		return 0;
	beyond->nr_data_blocks += end - begin;
	beyond->in_watched |= era == beyond->watched;
	if (beyond->greatest < era)
		beyond->greatest = era;
	return 0;
}

int era_beyond(struct era_beyond *beyond, struct era_device *device,
	       uint32_t nr_blocks, const struct era_layers *layers)
{
	struct era_fold fold = { .device = device,
				 .nr_blocks = nr_blocks,
				 .layers = layers,
				 .raised = note_raised,
				 .arg = beyond };
	int r;

	*beyond = (struct era_beyond){ .watched = beyond->watched };
	r = era_fold(&fold);
	beyond->lowest = fold.lowest_raise;
	return r;
}

int era_metadata_beyond(struct era_beyond *beyond,
			const struct era_metadata *base,
			const struct era_metadata *top, uint32_t nr_blocks)
{
	struct era_layers layers = { .nr = 0 };
	int r = era_layers_add_metadata(&layers, base, ERA_REACHABLE,
					ERA_REACHABLE);

	if (!r)
		r = era_layers_add_metadata(&layers, top, ERA_ORPHAN,
					    ERA_ASSUMPTION);
	if (!r)
		r = era_beyond(beyond, base->device, nr_blocks, &layers);
	era_layers_release(&layers);
	return r;
}
