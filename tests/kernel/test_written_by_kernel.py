# SPDX-License-Identifier: GPL-2.0-or-later
"""Written by the kernel, read by us.

Each scenario lets a real kernel write metadata, ends it in some way, and
asks era_invalidate for every era that the guest has seen.  The guest logged
each write, so the answer is known: exactly those blocks.
"""

import random

import pytest

from workload import (FILL_METADATA, MIB, SECTOR, assert_exact,
                      assert_snapshot_exact, eras_of_writes)



def test_clean_shutdown(boot, tools, seen, save_image):
    machine = boot()
    machine.run("activate\n"
                + eras_of_writes(random.Random(1), 512, eras=5)
                + "deactivate")
    save_image("clean", machine, "clean", "clean shutdown", 512)
    assert_exact(tools, machine, 512)
    seen("exact for 5 eras")


@pytest.mark.ci
def test_forced_reboot_in_mid_era(boot, tools, seen, save_image):
    machine = boot()
    machine.run("activate\n"
                + eras_of_writes(random.Random(2), 512, eras=3)
                + "forced_reboot", ends="reboot")
    save_image("crash", machine, "unclean", "forced reboot in mid-era", 512)
    assert_exact(tools, machine, 512)
    seen("exact; the last era stood in the open writeset alone")


def test_forty_eras_with_digestion_under_way(boot, tools, seen, save_image):
    # Digestion looks at every bit of a writeset, a hundred at a time. The
    # more blocks a device has, the further it falls behind.
    nr_blocks = 2_000_000
    machine = boot(block_size=8, origin=nr_blocks * 4096, metadata=32 * MIB)
    machine.run("activate\n"
                + eras_of_writes(random.Random(3), nr_blocks, eras=40,
                                 count=2)
                + "forced_reboot", ends="reboot")
    save_image("forty_eras", machine, "unclean",
               "forced reboot, forty eras, digestion under way", nr_blocks)
    xml = machine.directory / "dump.xml"
    tools.dump(machine.metadata, xml)
    waiting = xml.read_text().count("<writeset ")
    assert waiting >= 3, "digestion was not under way"
    assert_exact(tools, machine, nr_blocks)
    seen(f"exact for 40 eras, {waiting} of them not yet digested")


@pytest.mark.ci
def test_metadata_snapshot_held(boot, tools, seen, save_image):
    machine = boot()
    rng = random.Random(4)
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=3)
                + "deactivate")
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=2)
                + "take_snapshot\n" + eras_of_writes(rng, 512, eras=3)
                + "forced_reboot", ends="reboot")
    save_image("snapshot_held", machine, "unclean",
               "forced reboot with a metadata snapshot held", 512)
    assert_exact(tools, machine, 512)
    assert_snapshot_exact(tools, machine)
    seen("exact; the snapshot lists what was written before it was taken")


@pytest.mark.parametrize("block_size", [8, 24, 128, 4096])
def test_tracking_block_sizes(boot, tools, seen, save_image, block_size):
    # The last block is a short one wherever a block has more than 8 sectors.
    nr_blocks = 70
    sectors = nr_blocks * block_size - (block_size - 8)
    machine = boot(block_size=block_size, origin=sectors * SECTOR)
    machine.run("activate\n"
                + eras_of_writes(random.Random(5), nr_blocks, eras=3,
                                 longest=8)
                + f"write {nr_blocks - 1}\n"
                + "forced_reboot", ends="reboot")
    save_image(f"block_size_{block_size}", machine, "unclean",
               f"{block_size} sectors a block, last block short", nr_blocks)
    assert_exact(tools, machine, nr_blocks)
    seen("exact, a short last block too")


def test_600_000_blocks(boot, tools, seen, save_image):
    nr_blocks = 600_000
    machine = boot(block_size=8, origin=nr_blocks * 4096, metadata=16 * MIB)
    rng = random.Random(6)
    machine.run("activate\n"
                + eras_of_writes(rng, nr_blocks, eras=3, longest=500)
                + f"write {nr_blocks - 1}\n"
                + "deactivate")
    save_image("600k_clean", machine, "clean", "600,000 blocks", nr_blocks)
    assert_exact(tools, machine, nr_blocks)
    machine.run("activate\n"
                + eras_of_writes(rng, nr_blocks, eras=3, longest=500)
                + "forced_reboot", ends="reboot")
    save_image("600k_crash", machine, "unclean",
               "600,000 blocks, forced reboot", nr_blocks)
    assert_exact(tools, machine, nr_blocks)
    seen("exact, clean and after a forced reboot")


def test_several_reboots_in_a_row(boot, tools, seen, save_image):
    machine = boot()
    rng = random.Random(7)
    for reboot in range(4):
        machine.run("activate\n"
                    + eras_of_writes(rng, 512, eras=2)
                    + "forced_reboot", ends="reboot")
        assert_exact(tools, machine, 512)
    save_image("reboots", machine, "unclean", "four forced reboots", 512)
    seen("exact after each of 4")


def test_origin_grown_and_shrunk(boot, tools, seen, save_image):
    small, large = 3_000, 70_000
    machine = boot(block_size=8, origin=large * 4096, metadata=16 * MIB)
    rng = random.Random(8)

    def activation(nr_blocks, end):
        return (f"activate {nr_blocks * 8}\n"
                + eras_of_writes(rng, nr_blocks, eras=2)
                + f"write {nr_blocks - 1}\n" + end)

    machine.run(activation(small, "deactivate"))
    assert_exact(tools, machine, small)
    machine.run(activation(large, "forced_reboot"), ends="reboot")
    save_image("grown_crash", machine, "unclean",
               "origin grown from 3,000 to 70,000 blocks; forced reboot",
               large)
    assert_exact(tools, machine, large)
    machine.run(activation(large, "deactivate"))
    save_image("grown_clean", machine, "clean",
               "origin grown from 3,000 to 70,000 blocks", large)
    assert_exact(tools, machine, large)
    machine.run(activation(small, "forced_reboot"), ends="reboot")
    save_image("shrunk_crash", machine, "unclean",
               "origin shrunk from 70,000 to 3,000 blocks; forced reboot",
               small)
    assert_exact(tools, machine, small)
    machine.run(activation(small, "deactivate"))
    save_image("shrunk_clean", machine, "clean",
               "origin shrunk from 70,000 to 3,000 blocks", small)
    assert_exact(tools, machine, small)
    seen("exact after growing and after shrinking")


# It fails for good: writes, and a new era; the status has no numbers.
FULL_FOR_GOOD = """
if write 7; then exit 1; fi
if dmsetup message era 0 checkpoint; then exit 1; fi
dmsetup status era | grep Error
"""


@pytest.mark.ci
def test_metadata_device_full(boot, tools, seen, save_image):
    nr_blocks = 20_000
    machine = boot(block_size=8, origin=nr_blocks * 4096, metadata=36 * 4096)
    machine.run("activate\n" + FILL_METADATA + FULL_FOR_GOOD
                + "forced_reboot", ends="reboot")
    save_image("full", machine, "unclean", "metadata device full", nr_blocks)
    assert_exact(tools, machine, nr_blocks)
    seen("writes fail with EIO, checkpoint with ENOSPC, status says Error; "
         "the last commit is sound and exact")
