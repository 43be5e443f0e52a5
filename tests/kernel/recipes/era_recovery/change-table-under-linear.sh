# SPDX-License-Identifier: GPL-2.0-or-later
# The users have /dev/mapper/data open, which is a linear device over era.
# The new table gets a device of its own, so that a status that blocks on the
# old one holds up nobody.
dmsetup suspend data
dmsetup suspend era
dmsetup create era-new --table "0 65536 era /dev/vg/era_meta /dev/vg/origin 128"
dmsetup load data --table "0 65536 linear /dev/mapper/era-new 0"
dmsetup resume data
dmsetup remove era
dmsetup rename era-new era
