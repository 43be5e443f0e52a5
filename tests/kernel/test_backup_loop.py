# SPDX-License-Identifier: GPL-2.0-or-later
"""The backup script of era(7), as printed there, on a device in use.

In the guest it runs with LVM's own snapshots. Before and after each of its
commands blocks are written, and all the while by somebody else; still each copy
is the data snapshot, byte for byte.
"""

from harness.initramfs import Archive, add_program
from recipe import in_guest
from workload import MIB

GIB = 1 << 30
NR_BLOCKS = 64  # of 64K
SCRIPT = """
lvm vgcreate vg $ORIGIN
ln -s lvm /sbin/lvremove
(cd / && cpio -id </dev/vdc)
lvcreate -Wn -Zn -L 4M -n era_meta vg
lvcreate -Wn -Zn -L 4M -n origin vg
dd if=/dev/zero of=/dev/vg/era_meta bs=1M count=4 conv=fsync status=none
dmsetup create era --table "0 8192 era /dev/vg/era_meta /dev/vg/origin 128"
mkdir /backup

# put_random BLOCK: one data block of the device
put_random() {
	head -c 65536 /dev/urandom | command dd of=/dev/mapper/era bs=64K \
		seek=$1 count=1 iflag=fullblock oflag=direct conv=notrunc \
		status=none
	echo $1 >>/written
}

# other: a block number, another one each time and in each process
other() {
	head -c 1 /dev/urandom | od -An -tu1 | awk '{ print $1 % 64 }'
}

# writes: what is written at each step
writes() {
	put_random $(other) 2>/dev/null
	put_random $(other) 2>/dev/null
}

# The commands of the script, each with writes before and after it.
dmsetup() { writes; command dmsetup "$@"; writes; }
lvcreate() { writes; command lvcreate "$@"; writes; }
era_invalidate() { writes; command era_invalidate "$@"; writes; }
dd() {
	writes
	[ ! -e /break ] || return 1
	command dd status=none "$@"
}
lvremove() {
	writes
	cmp /dev/vg/origin_snap /backup/copy
	! cmp -s /dev/mapper/era /backup/copy
	event same "$(wc -l </backup/list)"
	command lvremove "$@"
}

backup() {
""" + in_guest("era", "backup-loop") + """
}

# somebody else, who knows of no step
(while [ ! -e /stop ]; do
	put_random $(other) 2>/dev/null
	usleep 50000
done) &
writer=$!

for run in 1 2 3; do
	(backup)
	event saved $(cat /backup/era)
done

# one that breaks off in the midst of the copy keeps the saved era
touch /break
(backup) &
if wait $!; then
	event "a backup without a copy passed for one"
	exit 1
fi
rm /break
event kept $(cat /backup/era)
command lvremove -f vg/origin_snap
(backup)
event saved $(cat /backup/era)

touch /stop
wait $writer
event written $(wc -l </written)
command dmsetup remove era
era_check /dev/vg/era_meta
"""


def disk_with_tools(tools, disk):
    archive = Archive()
    for name in ("era_invalidate", "era_check"):
        add_program(archive, tools.directory / name)
    disk.write_bytes(archive.finish().ljust(disk.stat().st_size, b"\0"))


def test_each_copy_is_the_data_snapshot_whatever_is_written(boot, tools, seen):
    machine = boot(origin=2 * GIB, spares=(4 * MIB,))
    disk_with_tools(tools, machine.disks[2])
    guest = machine.run(SCRIPT)
    events = [line.split() for line in guest.events()]
    lists = [int(words[1]) for words in events if words[0] == "same"]
    saved = [int(words[1]) for words in events if words[0] == "saved"]
    kept = [int(words[1]) for words in events if words[0] == "kept"]
    written = next(int(words[1]) for words in events if words[0] == "written")
    assert len(lists) == 4 and lists[0] == 1  # every block, in one range
    assert saved == sorted(set(saved)) and len(saved) == 4
    assert kept == [saved[2]]
    seen(f"four copies identical to the data snapshot, {written} blocks "
         "written before, in and after each step")
