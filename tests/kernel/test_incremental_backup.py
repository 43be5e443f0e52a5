# SPDX-License-Identifier: GPL-2.0-or-later
"""What it is all for: an incremental backup across a crash.

A full copy; writes; a crash; repair; the list; only what is listed is
copied.  Then the copy and the origin must be the same, byte for byte.
"""

import random
import shutil

import pytest

from workload import SECTOR, eras_of_writes


def copy_listed(machine, backup, blocks):
    """Copies the listed data blocks from the origin, and nothing else."""
    size = machine.block_size * SECTOR
    with open(machine.origin, "rb") as origin, open(backup, "r+b") as copy:
        for block in sorted(blocks):
            origin.seek(block * size)
            copy.seek(block * size)
            copy.write(origin.read(size))


def assert_same(machine, backup):
    size = machine.block_size * SECTOR
    with open(machine.origin, "rb") as origin, open(backup, "rb") as copy:
        block = 0
        while data := origin.read(size):
            assert copy.read(size) == data, f"data block {block} differs"
            block += 1
        assert copy.read(1) == b""


def forced_reboot(machine, script):
    machine.run(script + "forced_reboot", ends="reboot")


def power_cut(machine, script):
    guest = machine.start(script)
    assert guest.wait_for_event("era", 60), guest.tail()
    guest.wait(2.5)
    guest.power_cut()
    machine.ended(guest)


@pytest.mark.parametrize("crash", [
    pytest.param(forced_reboot, id="forced-reboot"),
    pytest.param(power_cut, id="power-cut", marks=pytest.mark.ci)])
def test_backup_across_a_crash(boot, tools, seen, crash):
    machine = boot()
    rng = random.Random(40)
    # A life before the first backup.
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=2)
                + "deactivate")
    backup = machine.directory / "backup"
    shutil.copyfile(machine.origin, backup)
    # The full copy holds all of the eras so far; the next is the first that
    # it knows nothing of.
    saved = machine.history.eras[-1]

    listed_in_all = 0
    for _ in range(2):
        crash(machine, "activate\n" + eras_of_writes(rng, 512, eras=8))
        tools.repair_in_place(machine.metadata)
        tools.check(machine.metadata)
        listed = tools.written_since(machine.metadata, saved + 1)
        copy_listed(machine, backup, listed)
        assert_same(machine, backup)
        listed_in_all += len(listed)
        saved = machine.history.eras[-1]
    seen(f"two increments of {listed_in_all} blocks in all, copies "
         "identical to the origin")
