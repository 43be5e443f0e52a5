/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Eras of data blocks by groups, for those who count them: a device is written
 * in runs, and where it is not, a branch for each era would go wrong each time.
 */
#ifndef ERA_GROUP_H
#define ERA_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#define ERA_GROUP 16u

/* Whether all eras of a group are the same. */
static inline bool era_group_is_one(const uint32_t *eras)
{
	uint32_t differs = 0;

	for (unsigned int i = 0; i < ERA_GROUP; i++)
		differs |= eras[i] ^ eras[0];
	return !differs;
}

#endif
