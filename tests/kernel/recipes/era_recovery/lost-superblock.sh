# SPDX-License-Identifier: GPL-2.0-or-later
# Block 0 is gone, and with it what only it knows: the block size.
era_repair --block-size 128 -i /dev/vg/era_meta -o /dev/vg/new_meta
era_check /dev/vg/new_meta
