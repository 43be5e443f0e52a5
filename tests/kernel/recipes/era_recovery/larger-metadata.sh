# SPDX-License-Identifier: GPL-2.0-or-later
# The metadata device is full: the same metadata on a larger one.
era_dump -o era.xml /dev/vg/era_meta
era_restore -i era.xml -o /dev/vg/new_meta
era_check /dev/vg/new_meta
