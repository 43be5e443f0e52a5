/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of layers, and the layers of loaded metadata.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/grow.h"
#include "era/layers.h"

int era_layers_add(struct era_layers *layers, const struct era_layer *layer)
{
	if (list_grow(&layers->layers, layers->nr + 1, &layers->max))
		return -ENOMEM;
	layers->layers[layers->nr++] = *layer;
	return 0;
}

uint32_t era_metadata_lost_era(const struct era_metadata *md)
{
	if (!md->writesets_lost && md->nr_writesets && !md->writesets[0].open)
		return md->writesets[0].era;
	return era_metadata_last_archived(md);
}

int era_layers_add_metadata(struct era_layers *layers,
			    const struct era_metadata *md, enum era_class trust,
			    enum era_class lost_class)
{
	struct era_layer layer = { .trust = trust,
				   .map = &md->eras,
				   .lost_era = era_metadata_lost_era(md),
				   .lost_class = lost_class };
	int r = era_layers_add(layers, &layer);

	for (size_t i = 0; i < md->nr_writesets && !r; i++) {
		const struct era_writeset *ws = &md->writesets[i];

		layer.map = &ws->words;
		layer.era = ws->era;
		layer.lost_era = ws->partial ? 0 : ws->era;
		/* stray bits past nr_bits speak of no block */
		layer.data = (struct era_data_range){ 0, ws->nr_bits };
		r = era_layers_add(layers, &layer);
	}
	layer = (struct era_layer){ .trust = lost_class,
				    .era = era_metadata_last_archived(md) };
	if (!r && md->writesets_lost)
		r = era_layers_add(layers, &layer);
	return r;
}

void era_layers_release(struct era_layers *layers)
{
	free(layers->layers);
	*layers = (struct era_layers){ .nr = 0 };
}
