# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of era(7), step by step as printed there.

All of it in a guest with a volume group, the tools included: the list is
made from a metadata snapshot while the device is in use.
"""

import random

from harness.initramfs import Archive, add_program
from recipe import in_guest, printed
from workload import MIB, eras_of_writes

GIB = 1 << 30
BLOCK = 128 * 512
NR_BLOCKS = 100 * GIB // BLOCK
VOLUME_GROUP = """
lvm vgcreate vg $ORIGIN
lvcreate -L 100G -n origin vg
(cd / && cpio -id </dev/vdc)
"""


def disk_with_tools(tools, disk):
    archive = Archive()
    for name in ("era_metadata_size", "era_invalidate"):
        add_program(archive, tools.directory / name)
    disk.write_bytes(archive.finish().ljust(disk.stat().st_size, b"\0"))


def blocks_of(lines):
    """The data blocks of lines of BEGIN LENGTH, in bytes."""
    blocks = set()
    for begin, length in (map(int, line.split()) for line in lines):
        assert begin % BLOCK == length % BLOCK == 0
        blocks.update(range(begin // BLOCK, (begin + length) // BLOCK))
    return blocks


def test_the_examples_of_era_7(boot, tools, seen):
    machine = boot(origin=101 * GIB, spares=(4 * MIB,))
    disk_with_tools(tools, machine.disks[2])
    rng = random.Random(60)
    guest = machine.run(
        VOLUME_GROUP + in_guest("era", "new-device")
        + f"NAME=era SIZE={100 * GIB}\nsee_era\n"
        + eras_of_writes(rng, NR_BLOCKS, eras=1)
        + "status() {\n" + in_guest("era", "first-backup") + "}\n"
        + 'event says "$(status)"\nsee_era\n'
        + eras_of_writes(rng, NR_BLOCKS, eras=2)
        + "backup() {\n" + in_guest("era", "next-backup") + "}\n"
        + "backup >/list\nevent snapshot\nsee_era\n"
        + "while read -r line; do event says $line; done </list\n"
        + eras_of_writes(rng, NR_BLOCKS, eras=1)
        + "dmsetup remove era")
    status, *listed = [event.removeprefix("says ")
                       for event in guest.events()
                       if event.startswith("says ")]
    assert blocks_of(listed) == (
        machine.history.written_before_snapshot_since(2))
    assert blocks_of(listed) < (
        machine.history.written_before_snapshot_since(1))
    assert status in printed("era")
    seen(f"a status as printed; {len(listed)} ranges from the snapshot of "
         "the live device, exactly what was written")
