# SPDX-License-Identifier: GPL-2.0-or-later
# Where the device can be closed for a moment.
dmsetup remove era
dmsetup create era --table "0 65536 era /dev/vg/era_meta /dev/vg/origin 128"
