/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a result may take the place of a file: of one that these tools wrote
 * as a result, of an empty one, and of none that is anything else. A mistyped
 * name must not cost somebody's file.
 */
#ifndef FORMAT_OUTPUT_OWN_H
#define FORMAT_OUTPUT_OWN_H

#include <stddef.h>

#include "base/report.h"

/*
 * Looks at what path leads to (NULL, "-": nothing), through gzip. Returns 0, or
 * -EEXIST, reported: "(--force overwrites it)".
 */
int output_check_own(const char *path, struct era_report *report);

#endif
