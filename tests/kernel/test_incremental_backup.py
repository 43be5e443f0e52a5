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


def first_difference(machine, backup):
    """The first data block that the copy has not as the origin has it."""
    size = machine.block_size * SECTOR
    assert backup.stat().st_size == machine.origin.stat().st_size
    with open(machine.origin, "rb") as origin, open(backup, "rb") as copy:
        block = 0
        while data := origin.read(size):
            if copy.read(size) != data:
                return block
            block += 1
    return None


def forced_reboot(machine, rng):
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=4, longest=12)
                + "forced_reboot", ends="reboot")


def power_cut(machine, rng):
    guest = machine.start("activate\n" + eras_of_writes(rng, 512, eras=40,
                                                        longest=12))
    assert guest.wait_for_events("done", count=rng.randint(9, 16))
    guest.wait(rng.uniform(0, 0.2))
    assert guest.running(), guest.tail()
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
        crash(machine, rng)
        tools.repair_in_place(machine.metadata)
        tools.check(machine.metadata)
        listed = tools.written_since(machine.metadata, saved + 1)
        assert len(listed) < 512, "as good as a full copy"
        assert first_difference(machine, backup) in listed
        copy_listed(machine, backup, listed)
        assert first_difference(machine, backup) is None
        listed_in_all += len(listed)
        saved = machine.history.eras[-1]
    seen(f"two increments of {listed_in_all} blocks in all, of 512 each; "
         "copies identical to the origin")
