# SPDX-License-Identifier: GPL-2.0-or-later
# Before the device is activated again.
era_check /dev/vg/era_meta
era_repair --in-place --undo era_meta.undo /dev/vg/era_meta
era_check /dev/vg/era_meta
