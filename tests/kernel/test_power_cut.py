# SPDX-License-Identifier: GPL-2.0-or-later
"""The power goes at a random moment, under continuous writes.

After each cut the metadata must be sound, or repaired; and no block that
the origin holds a newer write of may be missing from the list.  What
reached the origin is read from the origin itself.  The same disks then boot
again, so that each cut meets the metadata of the ones before.
"""

import random

import pytest

from harness.origin import newest_stamps
from workload import assert_complete, random_writes

NR_BLOCKS = 512

# The devices are laid over with others, to become flakey once era is active:
# metadata that was never formatted is no metadata.
OVERLAID = """
lay_over() {
    dmsetup create "$1" --table "0 $(sectors $2) linear $2 0"
}
# NAME DEVICE SECONDS-UP SECONDS-DOWN FEATURE
make_flakey() {
    dmsetup load "$1" --table "0 $(sectors $2) flakey $2 0 $3 $4 1 $5"
    dmsetup resume "$1"
}
lay_over flakey-origin $ORIGIN
lay_over flakey-metadata $METADATA
ORIGIN=/dev/mapper/flakey-origin
METADATA=/dev/mapper/flakey-metadata
"""
# The origin, where it shares the fate, goes first, so that it never knows more
# than the metadata.
ALL_DROP = """
(sleep 2
 make_flakey flakey-origin /dev/vdb 0 600 drop_writes
 sleep 1
 make_flakey flakey-metadata /dev/vda 0 600 drop_writes
 event down) &
"""
METADATA_FAILS = """
(sleep 2
 make_flakey flakey-metadata /dev/vda 0 600 error_writes
 event down) &
"""
METADATA_DROPS = "make_flakey flakey-metadata /dev/vda 2 1 drop_writes\n"


def continuous_writes(rng, failure):
    """More than a guest gets done before its power goes."""
    script = "activate\n" + failure
    for _ in range(60):
        script += "".join(f"{line} || true\n" for line
                          in random_writes(rng, NR_BLOCKS, rng.randint(1, 9),
                                           longest=24).splitlines())
        script += rng.choice(["checkpoint || true\n", "checkpoint || true\n",
                              "dmsetup suspend era || true\n"
                              "dmsetup resume era || true\n"
                              "see_era || true\n"])
    return script


def cut_power(machine, rng, failure="", after="era"):
    """One boot that ends in a power cut, at random after an event."""
    guest = machine.start((OVERLAID if failure else "")
                          + continuous_writes(rng, failure))
    assert guest.wait_for_events(after), guest.tail()
    so_far = sum(line.startswith("write") for line in guest.events())
    # A device that has failed may hold up its writers for good.
    few = 2 if after == "era" else 15
    guest.wait_for_events("write", count=so_far + rng.randint(few, 30),
                          seconds=20)
    guest.wait(rng.uniform(0, 0.3))
    assert guest.running(), guest.tail()
    guest.power_cut()
    machine.ended(guest)
    return guest


def missing(tools, machine):
    """(era, block) of what the origin holds and that era's list does not."""
    stamps = newest_stamps(machine.origin, machine.block_size)
    assert stamps, "nothing has reached the origin"
    missed = []
    for era in machine.history.eras:
        listed = tools.written_since(machine.metadata, era)
        missed += [(era, block) for block, (_, then) in sorted(stamps.items())
                   if then >= era and block not in listed]
    return missed


def dropped(machine):
    """Data blocks of the origin that lack a write it has acknowledged."""
    stamps = newest_stamps(machine.origin, machine.block_size)
    return {block for block, stamp in machine.history.newest_done().items()
            if stamps.get(block, (0,))[0] < stamp}


def assert_nothing_lost(tools, machine):
    missed = missing(tools, machine)
    assert not missed, f"missing (era, block): {missed[:9]}"


def make_sound(tools, machine):
    """As an operator would: check, and repair what is not sound."""
    if tools.is_sound(machine.metadata):
        return True
    tools.repair_in_place(machine.metadata)
    tools.check(machine.metadata)
    return False


@pytest.mark.parametrize("cuts", [20])
def test_power_cuts_under_continuous_writes(boot, tools, seen, save_image,
                                            cuts):
    machine = boot()
    rng = random.Random(cuts)
    for cut in range(cuts):
        cut_power(machine, rng)
        save_image(f"power_cut_{cuts}_{cut}", machine, "unclean",
                   f"power cut number {cut} under continuous writes",
                   NR_BLOCKS)
        assert_nothing_lost(tools, machine)
        assert not assert_complete(tools, machine, NR_BLOCKS)
        if cut % 3 == 1:
            tools.repair_in_place(machine.metadata)
            assert_nothing_lost(tools, machine)
            assert not assert_complete(tools, machine, NR_BLOCKS)
    assert not dropped(machine)
    seen(f"{cuts} cuts, sound after each, nothing lost, no block too many; "
         "every third, from the second, repaired in place, the same")


@pytest.mark.parametrize("failure", [
    pytest.param(ALL_DROP, id="everything-drops-writes"),
    pytest.param(METADATA_FAILS, id="metadata-fails-writes"),
])
def test_power_cuts_on_a_flakey_disk(boot, tools, seen, save_image, failure,
                                     request):
    machine = boot()
    rng = random.Random(failure)
    shape = request.node.callspec.id.split("-", 1)[1]
    repaired = bitten = 0
    for cut in range(6):
        # Half of the time with the disk as it should be, half after that.
        guest = cut_power(machine, rng, failure, ("era", "down")[cut % 2])
        save_image(f"flakey_{shape}_{cut}", machine, "damaged",
                   f"power cut number {cut}, {shape}", NR_BLOCKS)
        repaired += not make_sound(tools, machine)
        assert_nothing_lost(tools, machine)
        bitten += bool(dropped(machine)
                       or "device-mapper: era:" in guest.console())
    assert bitten >= 2, "the disk was never flakey"
    seen(f"6 cuts, {bitten} of them of a disk that had failed, {repaired} "
         "repaired, nothing lost")


def test_power_cuts_on_a_metadata_disk_that_lies(boot, tools, seen,
                                                 save_image):
    """It acknowledges writes that it drops, and the origin does not.

    A last commit that was dropped whole leaves the one before, sound, and
    nothing says that there was another: no tool can know. So what must hold
    is that the metadata becomes sound and the kernel takes it.
    """
    machine = boot()
    rng = random.Random(14)
    repaired = 0
    for cut in range(6):
        cut_power(machine, rng, METADATA_DROPS)
        save_image(f"flakey_lies_{cut}", machine, "damaged",
                   f"power cut number {cut}, metadata disk lies", NR_BLOCKS)
        repaired += not make_sound(tools, machine)
    missed = missing(tools, machine)
    seen(f"6 cuts, {repaired} repaired, sound and activated after each; "
         + ("what only dropped commits knew is lost, which no tool can know"
            if missed else "nothing lost"))
