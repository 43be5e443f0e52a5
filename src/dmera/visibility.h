/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the shared library exports: the rest is compiled hidden.
 */
#ifndef DMERA_VISIBILITY_H
#define DMERA_VISIBILITY_H

#define PUBLIC __attribute__((visibility("default")))

#endif
