# SPDX-License-Identifier: GPL-2.0-or-later
# The order matters: suspend, then load, then resume. Nothing may ask for the
# device's status in between.
dmsetup suspend era
dmsetup load era --table "0 65536 era /dev/vg/era_meta /dev/vg/origin 128"
dmsetup resume era
