# SPDX-License-Identifier: GPL-2.0-or-later
"""Written by us, read by the kernel.

Metadata that era_restore or era_repair wrote must be to the kernel like its
own: activated, written to, checkpointed, snapshotted, the snapshot dropped,
resized, removed.  A wrong reference count shows in one of these, as an
overwritten block or as an error.
"""

import random

import pytest

from workload import (assert_exact, assert_snapshot_exact, eras_of_writes,
                      random_writes)


def restored(tools, machine):
    xml = machine.directory / "dump.xml"
    tools.dump(machine.metadata, xml)
    image = machine.blank("restored")
    tools.restore(xml, image)
    machine.replace_metadata(image)


def restored_over_old_metadata(tools, machine):
    """onto the very device: what is left there must not look newer."""
    xml = machine.directory / "dump.xml"
    tools.dump(machine.metadata, xml)
    tools.restore(xml, machine.metadata)


def repaired(tools, machine):
    image = machine.blank("repaired")
    tools.repair(machine.metadata, image)
    machine.replace_metadata(image)


def repaired_in_place(tools, machine):
    tools.repair_in_place(machine.metadata)


# Blocks before and after the resize, sectors a block.
SMALL = (300, 512, 128)
LARGE = (40_000, 70_000, 8)
WAYS = (restored, restored_over_old_metadata, repaired, repaired_in_place)
IN_CI = ((SMALL, restored), (SMALL, repaired_in_place))


def every_way():
    for size, name in ((SMALL, "small"), (LARGE, "large")):
        for way in WAYS:
            yield pytest.param(
                way, size, id=f"{name}-{way.__name__}".replace("_", "-"),
                marks=[pytest.mark.ci] if (size, way) in IN_CI else [])


@pytest.mark.parametrize("way, size", every_way())
def test_the_kernel_goes_on(boot, tools, seen, way, size):
    nr_blocks, grown, block_size = size
    machine = boot(block_size=block_size, origin=grown * block_size * 512)
    rng = random.Random(30)

    def boot_and_expect_exact(script, ends="finished", blocks=nr_blocks):
        machine.run(f"activate {blocks * block_size}\n{script}", ends=ends)
        assert_exact(tools, machine, blocks)

    boot_and_expect_exact(eras_of_writes(rng, nr_blocks, eras=3)
                          + "forced_reboot", ends="reboot")
    way(tools, machine)
    assert_exact(tools, machine, nr_blocks)

    # Written to, checkpointed, removed.
    boot_and_expect_exact(eras_of_writes(rng, nr_blocks, eras=3)
                          + "deactivate")
    # Snapshotted.
    boot_and_expect_exact(random_writes(rng, nr_blocks, 4)
                          + "take_snapshot\n"
                          + eras_of_writes(rng, nr_blocks, eras=2)
                          + "forced_reboot", ends="reboot")
    assert_snapshot_exact(tools, machine)
    # A repair in place keeps the snapshot that is held.
    if way is repaired_in_place:
        way(tools, machine)
        assert_exact(tools, machine, nr_blocks)
        assert_snapshot_exact(tools, machine)
    # The snapshot dropped.
    boot_and_expect_exact("drop_snapshot\n"
                          + eras_of_writes(rng, nr_blocks, eras=2)
                          + "deactivate")
    # Resized.
    boot_and_expect_exact(eras_of_writes(rng, grown, eras=2)
                          + f"write {grown - 1}\ndeactivate", blocks=grown)
    seen("activated, written, checkpointed, snapshotted, dropped, resized, "
         "removed: sound and exact after each")
