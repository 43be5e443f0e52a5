# SPDX-License-Identifier: GPL-2.0-or-later
"""A metadata device that dm-era has open, and one that goes away.

All of it in a guest, the tools included.
"""

import random

from harness.initramfs import Archive, add_program
from workload import MIB, assert_complete, assert_exact, eras_of_writes

TOOLS = ("era_check", "era_dump", "era_invalidate", "era_ls", "era_map",
         "era_metadata_pack", "era_metadata_unpack", "era_repair",
         "era_restore")
# An image of a device with two eras, as a pack and as XML, to be written.
PREPARE = """
fails() {
	if "$@"; then
		return 1
	fi
}
(cd / && cpio -id </dev/vdc)
activate
write 3
checkpoint
deactivate
era_metadata_pack -i $METADATA -o /pack
era_dump -o /xml $METADATA
"""
REFUSED = """
refused() {
	fails "$@" >/out 2>/said
	grep -q "in use" /said
}
refused era_check $METADATA
refused era_dump $METADATA
refused era_dump -o /new $METADATA
refused era_invalidate --written-since 1 $METADATA
refused era_ls $METADATA
refused era_map $METADATA
refused era_metadata_pack -i $METADATA -o /new
refused era_metadata_unpack --force -i /pack -o $METADATA
refused era_repair --in-place $METADATA
refused era_repair -i $METADATA -o /new
refused era_restore -i /xml -o $METADATA
[ ! -e /new ]
"""
# Read from a pipe, so that it waits for the rest; by then all I/O fails.
GOES_AWAY = """
size=$(sectors $METADATA)
dmsetup create over --table "0 $size linear $METADATA 0"
mkfifo /fifo
TMPDIR=/ era_restore --force -i /fifo -o /dev/mapper/over 2>/said &
restoring=$!
exec 7>/fifo
head -c 150 /xml >&7
while dmsetup info -c --noheadings -o open over | grep -q 0; do sleep 0.1; done
fails era_check /dev/mapper/over
dmsetup load over --table "0 $size error"
dmsetup suspend over
dmsetup resume over
tail -c +151 /xml >&7
exec 7>&-
fails wait $restoring
grep -q "Input/output error" /said
fails era_check /dev/mapper/over
dmsetup remove over
"""


def disk_with_tools(tools, disk):
    archive = Archive()
    for name in TOOLS:
        add_program(archive, tools.directory / name)
    disk.write_bytes(archive.finish().ljust(disk.stat().st_size, b"\0"))


def test_a_device_in_use_is_refused(boot, tools, seen):
    machine = boot(spares=(16 * MIB,))
    disk_with_tools(tools, machine.disks[2])
    rng = random.Random(70)
    machine.run(PREPARE + "activate\n" + eras_of_writes(rng, 512, eras=2)
                + REFUSED + eras_of_writes(rng, 512, eras=2) + "deactivate")
    assert_exact(tools, machine, 512)
    seen("all tools say that the device is in use; era goes on, exact")


def test_a_device_that_goes_away_under_a_restore(boot, tools, seen):
    machine = boot(spares=(16 * MIB,))
    disk_with_tools(tools, machine.disks[2])
    # whole, or refused by a kernel and by tools; written again it is whole
    machine.run(PREPARE + GOES_AWAY + """
        era_check $METADATA ||
            fails dmsetup create era --table "$(era_table)"
        era_restore --force -i /xml -o $METADATA
        activate
        write 5
        deactivate
        """)
    assert_complete(tools, machine, 512)
    seen("an error, and nothing that a kernel takes for whole")
