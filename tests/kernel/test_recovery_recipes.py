# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes of era_recovery(7), step by step as printed there."""

import random
import shlex

import pytest

import recipe
from workload import (FILL_METADATA, MIB, assert_complete, assert_exact,
                      eras_of_writes, random_writes)

DEVICES = """
mkdir /dev/vg
ln -s $METADATA /dev/vg/era_meta
ln -s $ORIGIN /dev/vg/origin
"""


def steps(name):
    return recipe.steps("era_recovery", name)


def in_guest(name):
    return recipe.in_guest("era_recovery", name)


def on_host(tools, machine, name):
    """Runs a recipe's tools, with the guest's disks as the devices."""
    devices = {"/dev/vg/era_meta": machine.metadata,
               "/dev/vg/new_meta": machine.disks[-1]}
    for step in steps(name):
        program, *arguments = shlex.split(step)
        tools.run(program, *(devices.get(word, word) for word in arguments),
                  cwd=machine.directory)


@pytest.mark.parametrize("way", ["change-table", "change-table-closed"])
def test_change_a_table(boot, tools, seen, way):
    machine = boot()
    rng = random.Random(50)
    machine.run(DEVICES + "activate\n" + eras_of_writes(rng, 512, eras=3)
                + in_guest(way) + "see_era\n"
                + eras_of_writes(rng, 512, eras=3)
                + in_guest(way) + "see_era\n"
                + random_writes(rng, 512, 5) + "forced_reboot",
                ends="reboot")
    assert_exact(tools, machine, 512)
    seen("a new era begins; exact before and after")


def test_change_a_table_under_a_linear_device(boot, tools, seen):
    machine = boot()
    rng = random.Random(51)
    machine.run(
        DEVICES + "activate\n"
        'dmsetup create data --table "0 65536 linear /dev/mapper/era 0"\n'
        "exec 4</dev/mapper/data\n"
        + eras_of_writes(rng, 512, eras=3)
        + in_guest("change-table-under-linear") + "see_era\n"
        + eras_of_writes(rng, 512, eras=2)
        + in_guest("change-table-under-linear") + "see_era\n"
        + random_writes(rng, 512, 5) + "forced_reboot", ends="reboot")
    assert_exact(tools, machine, 512)
    seen("open all the time; a new era begins; exact before and after")


def test_a_scanner_cannot_hang_a_linear_device(boot, tools, seen):
    """The same while a status is blocked: only the old device is lost."""
    machine = boot()
    rng = random.Random(52)
    change = steps("change-table-under-linear")
    suspend = change.index("dmsetup suspend era") + 1
    remove = change.index("dmsetup remove era")
    machine.run(
        DEVICES + "activate\n"
        'dmsetup create data --table "0 65536 linear /dev/mapper/era 0"\n'
        + eras_of_writes(rng, 512, eras=3)
        + "\n".join(change[:suspend]) + """
        dmsetup status era &
        asking=$!
        stuck $asking era_status
        """ + "\n".join(change[suspend:remove]) + """
        dmsetup remove era &
        sleep 1
        stuck $asking era_status
        dmsetup rename era-new era
        see_era
        """ + eras_of_writes(rng, 512, eras=2) + "forced_reboot",
        ends="reboot")
    assert_exact(tools, machine, 512)
    seen("users go on, the asking process and the removal of the old device "
         "hang until the next reboot; exact")


def test_blocked_before_resume(boot, tools, seen):
    machine = boot()
    rng = random.Random(53)
    machine.run(DEVICES + "activate\n" + eras_of_writes(rng, 512, eras=3) + """
        dmsetup suspend era
        load_table
        vgs 3>&- &
        asking=$!
        stuck $asking era_status
        """ + in_guest("blocked-before-resume") + """
        over $asking
        see_era
        """ + eras_of_writes(rng, 512, eras=2) + "deactivate")
    assert_exact(tools, machine, 512)
    seen("vgs returns, the old table goes on, exact")


def test_after_a_forced_reboot(boot, tools, seen):
    machine = boot()
    rng = random.Random(54)
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=3)
                + "event reboot\nlog_is_out\n" + in_guest("reboot")
                + "sleep 60", ends="reboot")
    before = machine.metadata.read_bytes()
    on_host(tools, machine, "after-reboot")
    assert_exact(tools, machine, 512)
    repaired = machine.copy_metadata("repaired")
    on_host(tools, machine, "undo")
    assert machine.metadata.read_bytes() == before
    machine.replace_metadata(repaired)
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=2)
                + "deactivate")
    assert_exact(tools, machine, 512)
    seen("repaired in place, undone bit for bit, activated")


def overwrite(image, block):
    """Something else stands where a metadata block was."""
    with open(image, "r+b") as file:
        file.seek(block * 4096)
        file.write(bytes(range(256)) * 16)


def first_block_that_matters(tools, machine):
    """The first metadata block past the superblock that era_check misses."""
    for block in range(1, machine.metadata.stat().st_size // 4096):
        copy = machine.copy_metadata("damaged")
        overwrite(copy, block)
        if not tools.is_sound(copy):
            return block
    raise AssertionError("era_check finds no damage anywhere")


@pytest.mark.parametrize("damage", ["lost-superblock", "repair-elsewhere"])
def test_repair_to_another_device(boot, tools, seen, damage):
    machine = boot(spares=(4 * MIB,))
    rng = random.Random(55)
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=3)
                + "forced_reboot", ends="reboot")
    overwrite(machine.metadata, 0 if damage == "lost-superblock"
              else first_block_that_matters(tools, machine))
    tools.run("era_check", machine.metadata, expect=1)
    damaged = machine.metadata.read_bytes()
    on_host(tools, machine, damage)
    assert machine.metadata.read_bytes() == damaged
    machine.replace_metadata(machine.disks[-1])
    machine.run("activate\n" + eras_of_writes(rng, 512, eras=2)
                + "deactivate")
    extra = assert_complete(tools, machine, 512)
    seen(f"nothing lost, {extra} blocks too many, activated")


def test_full_metadata_device_replaced_by_a_larger(boot, tools, seen):
    nr_blocks = 20_000
    machine = boot(block_size=8, origin=nr_blocks * 4096,
                   metadata=36 * 4096, spares=(4 * MIB,))
    rng = random.Random(56)
    machine.run("activate\n" + FILL_METADATA + "forced_reboot", ends="reboot")
    on_host(tools, machine, "larger-metadata")
    machine.replace_metadata(machine.disks[-1])
    machine.run("activate\n" + eras_of_writes(rng, nr_blocks, eras=3)
                + "dmsetup status era | grep /1024\ndeactivate")
    assert_exact(tools, machine, nr_blocks)
    seen("activated on the larger device, exact")
