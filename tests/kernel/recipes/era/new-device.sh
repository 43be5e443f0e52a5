# SPDX-License-Identifier: GPL-2.0-or-later
extents=$(era_metadata_size -b 64K -u 4M /dev/vg/origin)
lvcreate -l $extents -n era_meta vg
dd if=/dev/zero of=/dev/vg/era_meta bs=4M count=$extents
dmsetup create era --table "0 $(blockdev --getsz /dev/vg/origin) era /dev/vg/era_meta /dev/vg/origin 128"
