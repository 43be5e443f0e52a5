# SPDX-License-Identifier: GPL-2.0-or-later
dmsetup message era 0 take_metadata_snap
era_invalidate --metadata-snapshot --written-since 2 --format=text --unit=bytes /dev/vg/era_meta
dmsetup message era 0 drop_metadata_snap
