# SPDX-License-Identifier: GPL-2.0-or-later
lvcreate -L $(era_metadata_size -b 64K -u M /dev/vg/data)M -n meta vg
dd if=/dev/zero of=/dev/vg/meta bs=4096 count=1
dmsetup create data-era --table "0 $(blockdev --getsz /dev/vg/data) era /dev/vg/meta /dev/vg/data 128"
