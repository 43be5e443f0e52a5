# SPDX-License-Identifier: GPL-2.0-or-later
set -e
last=$(cat /backup/era 2>/dev/null || echo 0)
dmsetup message era 0 checkpoint
next=$(dmsetup status era | cut -d' ' -f6)
lvcreate -s -L 1G -n origin_snap vg/origin
dmsetup message era 0 take_metadata_snap
trap 'dmsetup message era 0 drop_metadata_snap' EXIT
era_invalidate --metadata-snapshot --written-since $last --format=text -o /backup/list /dev/vg/era_meta
trap - EXIT
dmsetup message era 0 drop_metadata_snap
while read -r begin length; do
dd if=/dev/vg/origin_snap of=/backup/copy bs=64K skip=$begin seek=$begin count=$length conv=notrunc
done </backup/list
sync
lvremove -f vg/origin_snap
echo $next >/backup/era.new
sync
mv /backup/era.new /backup/era
