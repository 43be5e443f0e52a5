# SPDX-License-Identifier: GPL-2.0-or-later
"""Written by us, read by the kernel.

Metadata that era_restore or era_repair wrote must be to the kernel like its
own: activated, written to, checkpointed, snapshotted, the snapshot dropped,
resized, removed.  A wrong reference count shows in one of these, as an
overwritten block or as an error.
"""

import gzip
import itertools
import json
import random
from pathlib import Path

import pytest

from workload import (SECTOR, assert_complete, assert_exact,
                      assert_kernel_goes_on, assert_snapshot_exact,
                      eras_of_writes, random_writes)

DATA = Path(__file__).parents[1] / "data"


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


def repaired(tools, machine, *options):
    image = machine.blank("repaired")
    tools.repair(machine.metadata, image, *options)
    machine.replace_metadata(image)


def repaired_in_place(tools, machine, *options):
    tools.repair_in_place(machine.metadata, *options)


# Blocks before and after the resize, sectors a block.
SMALL = (300, 512, 128)
LARGE = (40_000, 70_000, 8)
WAYS = (restored, restored_over_old_metadata, repaired, repaired_in_place)


def every_way():
    for size, name in ((SMALL, "small"), (LARGE, "large")):
        for way in WAYS:
            yield pytest.param(
                way, size, id=f"{name}-{way.__name__}".replace("_", "-"))


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


# One image of each way to go wrong, of tests/data, and from which repair the
# kernel goes on; both are looked at.
IMAGES = {
    "crash_k72": repaired,
    "crash_snap": repaired_in_place,
    "stale_short": repaired,
    "stale_live": repaired_in_place,
    "rot_crash_k61_superblock": repaired_in_place,
    "rot_crash_k61_four": repaired,
    "rot_crash_snap_bitset-leaf": repaired_in_place,
    "rot_crash_snap_snapshot-superblock": repaired_in_place,
    "rot_crash_snap_writeset-tree-node": repaired_in_place,
    "rot_clean_snap_era-array-node": repaired,
    "rot_clean_snap_space-map": repaired_in_place,
    "rot_clean_snap_four": repaired,
}
IN_CI = ("rot_clean_snap_four",)


@pytest.mark.parametrize("image", [
    pytest.param(image, id=image.replace("_", "-"),
                 marks=[pytest.mark.ci] if image in IN_CI else [])
    for image in IMAGES])
def test_the_kernel_goes_on_after_repair(boot, tools, seen, image):
    """Stale, rotted and unclean metadata that once was a real kernel's."""
    nr_blocks, grown, block_size = 512, 700, 128
    truth = json.loads((DATA / f"{image}.json").read_text())
    assert truth["block_size"] == block_size
    machine = boot(block_size=block_size, origin=grown * block_size * SECTOR)
    machine.history.add_truth(truth["checks"])
    damaged = gzip.decompress((DATA / f"{image}.img.gz").read_bytes())
    options = () if "rot" not in image else ("--block-size", block_size)
    assert_right = assert_complete
    if truth["state"] == "unclean":
        assert_right = assert_exact
    # The last of the two is the one that goes on.
    for way in sorted((repaired, repaired_in_place),
                      key=lambda way: way is IMAGES[image]):
        machine.metadata.write_bytes(damaged)
        way(tools, machine, *options)
        extra = assert_right(tools, machine, nr_blocks) or 0
    assert_kernel_goes_on(tools, machine, random.Random(image), nr_blocks,
                          grown, assert_right)
    way = IMAGES[image].__name__.replace("_", " ")
    seen(f"{way}: nothing lost, {extra} blocks too many; the kernel goes on, "
         "resized, too")


def in_mid_era(boot):
    machine = boot()
    machine.run("activate\n" + eras_of_writes(random.Random(31), 512, eras=4)
                + "forced_reboot", ends="reboot")
    return machine


def cut_short(tools, make_copy, name, *options):
    """(nr, copy) of a device that the tool dies on before write nr, for each
    write of it."""
    for nr in itertools.count(1):
        copy = make_copy()
        if tools.run_up_to_write(nr, name, *options, copy):
            return
        yield nr, copy


@pytest.mark.ci
def test_killed_in_mid_repair(boot, tools, seen):
    machine = in_mid_era(boot)
    cuts = 0
    for cuts, copy in cut_short(tools, lambda: machine.copy_metadata("copy"),
                                "era_repair", "--in-place"):
        assert_exact(tools, machine, 512, copy)
        copy.rename(machine.directory / "cut")
    assert cuts >= 2, "new blocks, and the superblock"
    # Only the superblock was missing.
    machine.replace_metadata(machine.directory / "cut")
    machine.run("activate\n" + eras_of_writes(random.Random(32), 512, eras=2)
                + "deactivate")
    assert_exact(tools, machine, 512)
    seen(f"killed before each of {cuts} writes: sound and exact at each, "
         "activated")


@pytest.mark.parametrize("target", ["blank", pytest.param(
    "in-use", marks=pytest.mark.ci)])
def test_killed_in_mid_restore(boot, tools, seen, target):
    """The kernel formats a device of zeros, so the tool must not leave one."""
    machine = in_mid_era(boot)
    xml = machine.directory / "dump.xml"
    tools.dump(machine.metadata, xml)
    make_copy = (machine.blank if target == "blank"
                 else machine.copy_metadata)
    cuts = 0
    for cuts, copy in cut_short(tools, lambda: make_copy("copy"),
                                "era_restore", "--force", "-i", xml, "-o"):
        if cuts == 1:
            assert copy.read_bytes() == make_copy("before").read_bytes()
        else:
            assert "cut short" in tools.run("era_check", copy, expect=1).said
        copy.rename(machine.directory / "cut")
    assert cuts >= 3, "no superblock, new blocks, and the superblock"
    # Only the superblock was missing.
    machine.replace_metadata(machine.directory / "cut")
    before = machine.metadata.read_bytes()
    machine.run('if dmsetup create era --table "$(era_table)"; then\n'
                "exit 1\nfi")
    assert machine.metadata.read_bytes() == before
    tools.restore(xml, machine.metadata)
    machine.run("activate\n" + eras_of_writes(random.Random(33), 512, eras=2)
                + "deactivate")
    assert_exact(tools, machine, 512)
    seen(f"killed before each of {cuts} writes: the kernel refuses the device "
         "and leaves it alone; restored again, it is exact")
