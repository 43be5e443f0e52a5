/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sources that read sound metadata: as it is, folded, and since an era.
 * Each ends with -EUCLEAN, reported, at an array block that is damaged.
 */
#ifndef ERA_READER_H
#define ERA_READER_H

#include "era/metadata.h"

/* Everything as it is on the device: each writeset, then the era array. */
int era_read(struct era_metadata *md, struct era_visitor *sink);

/* No writesets; each era is the last the data block was written in. */
int era_read_logical(struct era_metadata *md, struct era_visitor *sink);

/*
 * The data blocks that may have been written in era or later, by the era array,
 * every writeset and the open one. Returns -ERANGE, reported, where era has not
 * begun.
 */
int era_read_since(struct era_metadata *md, uint32_t era,
		   struct era_range_visitor *sink);

#endif
