# SPDX-License-Identifier: GPL-2.0-or-later
# The damaged device is only read.
era_repair -i /dev/vg/era_meta -o /dev/vg/new_meta
era_check /dev/vg/new_meta
