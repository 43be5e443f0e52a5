/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The check of the public API.
 */
#include "config.h"

#include <errno.h>

#include "dmera/handle.h"
#include "dmera/visibility.h"
#include "era/check.h"

PUBLIC int dmera_check(struct dmera *handle, unsigned int flags,
		       struct dmera_check_result *result)
{
	unsigned int era_flags = 0;
	struct call call;
	int r;

	if (!handle || !result || flags & ~DMERA_CHECK_SUPERBLOCK_ONLY ||
	    handle->flags & DMERA_SNAPSHOT)
		return -EINVAL;
	if (flags & DMERA_CHECK_SUPERBLOCK_ONLY)
		era_flags |= ERA_CHECK_SUPERBLOCK_ONLY;
	if (handle->flags & DMERA_REACHABLE_ONLY)
		era_flags |= ERA_CHECK_REACHABLE_ONLY;
	call_init(&call, handle);
	r = era_check(&call.device, era_flags, &call.report);
	if (r)
		return r;
	*result = (struct dmera_check_result){
		.nr_notes = call.report.nr[ERA_NOTE],
		.nr_non_fatal = call.report.nr[ERA_NON_FATAL],
		.nr_fatal = call.report.nr[ERA_FATAL],
		.error = call.report.nr[ERA_FATAL] ? call_error(&call, -EUCLEAN)
						   : 0,
	};
	return 0;
}
