# SPDX-License-Identifier: GPL-2.0-or-later
# Before the device is activated again.
era_check /dev/vg/era_meta
era_repair --undo era_meta.undo --in-place /dev/vg/era_meta
era_check /dev/vg/era_meta
