# SPDX-License-Identifier: GPL-2.0-or-later
"""The mission's own story: a table is changed, and it goes wrong.

Two ways.  A status that blocks on the suspended device makes the resume hang
for ever, and the operator reboots by force.  Or the new table is loaded while
the old one is still live: the new instance of the target then works from
metadata that it read too early, and its first commit takes the device back
to a past that no checksum shows.
"""

import random

import pytest

from harness.leftovers import newer_history
from workload import (MIB, SECTOR, assert_complete, assert_exact,
                      assert_kernel_goes_on, eras_of_writes)

# Suspended, a new table loaded, somebody asks for the status, resume.
SWAP_THAT_HANGS = """
dmsetup suspend era
load_table
{trigger} &
asking=$!
stuck $asking era_status
dmsetup resume era &
resuming=$!
stuck $resuming dm_swap_table
# Neither can be killed, and what asks by name only still works.
kill -9 $asking $resuming
sleep 1
stuck $asking era_status
stuck $resuming dm_swap_table
[ "$(dmsetup info -c --noheadings -o suspended era)" = Suspended ]
dmsetup table era
forced_reboot
"""


@pytest.mark.parametrize("trigger", [
    pytest.param("dmsetup status era", id="dmsetup-status",
                 marks=pytest.mark.ci),
    pytest.param("vgs 3>&-", id="vgs"),
])
def test_resume_hangs_while_a_status_is_blocked(boot, tools, seen, trigger,
                                                save_image):
    machine = boot(spares=(4 * MIB, 32 * MIB))
    rng = random.Random(trigger)
    # Another era device of the same host, that nobody meant to touch.
    machine.run("""
        dmsetup create other --table "0 65536 era /dev/vdc /dev/vdd 128"
        dd if=/dev/zero of=/dev/mapper/other bs=64k count=7 seek=30 \
            oflag=direct status=none
        activate
        """ + eras_of_writes(rng, 512, eras=3)
        + SWAP_THAT_HANGS.format(trigger=trigger), ends="reboot")
    save_image("deadlock_" + trigger.split()[0], machine, "clean",
               "the table-swap deadlock, forced reboot", 512)

    # The suspend had archived the era of the device that hung...
    assert_exact(tools, machine, 512)
    before = machine.metadata.read_bytes()
    tools.repair_in_place(machine.metadata)
    assert machine.metadata.read_bytes() == before
    # ...and the other device has an open era, which is as good as archived.
    other = machine.disks[2]
    tools.check(other)
    assert tools.written_since(other, 1) == set(range(30, 37))
    tools.repair_in_place(other)
    tools.check(other)
    assert tools.written_since(other, 1) == set(range(30, 37))

    machine.run("activate\n" + eras_of_writes(rng, 512, eras=2)
                + "deactivate")
    assert_exact(tools, machine, 512)
    seen("asking process and resume both in D state, kill -9 without effect; "
         "after the reboot clean and exact")


def test_clear_before_resume_averts_the_hang(boot, tools, seen):
    """Not too late: the status is blocked, but no resume has been tried."""
    machine = boot()
    rng = random.Random(20)
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=3) + """
        dmsetup suspend era
        load_table
        dmsetup status era &
        asking=$!
        stuck $asking era_status
        dmsetup clear era &
        clearing=$!
        stuck $clearing dm_sync_table
        # The new table is gone from sight: this resumes the old one.
        dmsetup resume era
        over $asking
        over $clearing
        see_era
        """ + eras_of_writes(rng, 512, eras=2) + "deactivate")
    assert_exact(tools, machine, 512)
    seen("dmsetup clear, then resume: both processes come back, era goes on")


def test_resume_alone_ends_a_blocked_status(boot, tools, seen):
    """Suspended, no new table: whoever asks waits, but only till resume."""
    machine = boot()
    rng = random.Random(21)
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=3) + """
        dmsetup suspend era
        dmsetup status era &
        asking=$!
        stuck $asking era_status
        dmsetup resume era
        over $asking
        see_era
        """ + eras_of_writes(rng, 512, eras=2) + "deactivate")
    assert_exact(tools, machine, 512)
    seen("status returns at the resume; a new era begins")


STALE_LOADS = {
    # What the old table went through after the new one was loaded, and how
    # the new instance went on.
    "same-era": dict(old_eras=1, new_eras=0),
    "short": dict(old_eras=2, new_eras=0),
    "live": dict(old_eras=3, new_eras=2),
    "long": dict(old_eras=12, new_eras=1),
    # Few free blocks: the new instance soon overwrites the newer state.
    "overwriting": dict(old_eras=4, new_eras=4, metadata=40 * 4096),
    # Still fewer. What stood on nothing but overwritten blocks is lost, and
    # no tool can know it: the limit of what can be known.
    "overwritten": dict(old_eras=4, new_eras=4, metadata=20 * 4096),
    "snapshot": dict(old_eras=3, new_eras=1, first="message "
                     "take_metadata_snap\n"),
    "large": dict(old_eras=3, new_eras=0, nr_blocks=70_000),
    "large-live": dict(old_eras=4, new_eras=3, nr_blocks=70_000),
    "large-tight": dict(old_eras=4, new_eras=3, nr_blocks=70_000,
                        metadata=160 * 4096),
}
# Shapes that go on from the repair to another device, not the one in place:
# some, and those whose own device is too small for what follows.
GO_ON_ELSEWHERE = ("short", "long", "overwriting", "overwritten", "large")
# What the resize at a scenario's end adds.
GROWTH = 200


def load_too_early(boot, shape):
    """A machine whose metadata a new instance took back to the past."""
    spec = dict(nr_blocks=512, metadata=4 * MIB, first="")
    spec.update(STALE_LOADS[shape])
    nr_blocks = spec["nr_blocks"]
    block_size = 8 if nr_blocks > 512 else 128
    sectors = nr_blocks * block_size
    machine = boot(block_size=block_size, metadata=spec["metadata"],
                   origin=(nr_blocks + GROWTH) * block_size * SECTOR)
    rng = random.Random(shape)
    longest = min(500, nr_blocks // 20)

    def writes(eras):
        return eras_of_writes(rng, nr_blocks, eras, longest=longest)

    machine.run(f"activate {sectors}\n" + spec["first"] + writes(3)
                + f"load_table {sectors}\n" + writes(spec["old_eras"])
                + "dmsetup suspend era\n"
                # From here the kernel may fail in any way: it runs on
                # metadata that is no longer what it believes it to be.
                + "go_on() {\ndmsetup resume era\nsee_era\n"
                + writes(spec["new_eras"])
                + "}\n(set -e; go_on) & \n"
                + "wait $! || event gave-up\n"
                + "forced_reboot", ends="reboot")
    return machine, rng, nr_blocks


def repair_in_place(tools, machine):
    """False where a tight device has no room for it, and is left alone."""
    before = machine.metadata.read_bytes()
    done = tools.run("era_repair", "--in-place", machine.metadata,
                     expect=None)
    if done.returncode == 0:
        return True
    assert "there is no room to repair in place" in done.said
    assert machine.metadata.read_bytes() == before
    return False


@pytest.mark.parametrize("shape", [
    pytest.param(shape, marks=[pytest.mark.ci] if shape == "live" else [])
    for shape in STALE_LOADS])
def test_table_loaded_before_the_suspend(boot, tools, seen, save_image,
                                         shape):
    machine, rng, nr_blocks = load_too_early(boot, shape)
    save_image(f"stale_{shape}", machine, "stale",
               f"table loaded before the suspend: {STALE_LOADS[shape]}",
               nr_blocks)

    if shape == "overwritten" and tools.is_sound(machine.metadata):
        left = newer_history(tools, machine.metadata)
        assert not left, f"a newer history was overlooked: {left[:9]}"
        seen("sound, and nothing is left of the overwritten history: what "
             "it knew is lost, and no tool can know it")
        return

    tools.run("era_check", machine.metadata, expect=1)
    repaired = machine.blank("repaired", 4 * MIB)
    tools.repair(machine.metadata, repaired)
    extra = assert_complete(tools, machine, nr_blocks, repaired)
    had_room = repair_in_place(tools, machine)
    if had_room:
        assert_complete(tools, machine, nr_blocks)
    else:
        assert "metadata" in STALE_LOADS[shape]
    if shape in GO_ON_ELSEWHERE or not had_room:
        machine.replace_metadata(repaired)
    assert_kernel_goes_on(tools, machine, rng, nr_blocks, nr_blocks + GROWTH)
    seen(f"check refuses, repair loses nothing ({extra} blocks too many"
         + ("" if had_room else ", no room for it in place")
         + "); the kernel goes on, resized, too")
