# SPDX-License-Identifier: GPL-2.0-or-later
"""Sized by era_metadata_size, and filled by the kernel.

A metadata device of exactly the size that the tool prints goes through the
worst that it was printed for: as many eras waiting to be digested, as many
more in a metadata snapshot, and then an era digested that changes all of the
era array within one transaction, while the snapshot keeps an array that has
nothing in common with the one before.
"""

import json

from workload import assert_exact, assert_snapshot_exact

NR_BLOCKS = 1_000_000
ERAS = 4
# Digestion is quick. An era of many blocks holds it up, until eras that
# nothing is written in have ended behind it.
WAITING = ("write 100000 60000\n"
           + "dmsetup message era 0 checkpoint\n" * (ERAS - 1))
WORST_CASE = (
    # One data block of each block of the era array.
    "activate\ncomb 1018\nwrite_comb\ncheckpoint\nat_rest\n"
    + WAITING + "take_snapshot\nat_rest\n"
    # Now the array of the snapshot and that of the last commit differ.
    "write_comb\ncheckpoint\nat_rest\nwrite 27 3\n"
    # Nothing commits after the last checkpoint.
    + WAITING + "write_comb\ncheckpoint\nat_rest\n")
UNABLE = "dmesg | grep 'unable to allocate new metadata block'"


def metadata_blocks(tools, *options):
    """What era_metadata_size prints."""
    printed = tools.run("era_metadata_size", "--json", "-b", "4K", "-n",
                        NR_BLOCKS, "--eras", ERAS, *options).stdout
    return json.loads(printed)["metadata_blocks"]


def waiting_eras(tools, machine, *options):
    xml = machine.directory / "dump.xml"
    tools.dump(machine.metadata, xml, *options)
    return xml.read_text().count("<writeset ")


def machine_with(boot, blocks):
    return boot(block_size=8, origin=NR_BLOCKS * 4096, metadata=blocks * 4096)


def test_the_size_it_prints_holds_the_worst_case(boot, tools, seen):
    blocks = metadata_blocks(tools)
    machine = machine_with(boot, blocks)
    machine.run(WORST_CASE + f"if {UNABLE}; then exit 1; fi\n"
                "forced_reboot", ends="reboot")
    in_snapshot = waiting_eras(tools, machine, "--metadata-snapshot")
    # Besides the one that is open.
    waiting = waiting_eras(tools, machine) - 1
    assert (waiting, in_snapshot) == (ERAS, ERAS), "digestion was too quick"
    assert_exact(tools, machine, NR_BLOCKS)
    assert_snapshot_exact(tools, machine)
    # And all of it is committed in the end.
    machine.run(f"activate\nat_rest\nwrite 37 3\ncheckpoint\n"
                f"if {UNABLE}; then exit 1; fi\n"
                "drop_snapshot\nwrite 47\ndeactivate")
    assert_exact(tools, machine, NR_BLOCKS)
    seen(f"{blocks} metadata blocks for {NR_BLOCKS} data blocks: {waiting} "
         f"eras waiting, {in_snapshot} in the snapshot, no ENOSPC; exact")


def test_a_size_for_no_snapshot_runs_full_with_one(boot, tools, seen):
    blocks = metadata_blocks(tools, "--no-snapshot")
    machine = machine_with(boot, blocks)
    machine.run("go_on() {\n" + WORST_CASE + "}\n(set -e; go_on) &\n"
                "if wait $!; then exit 1; fi\n" + UNABLE + """
        if dd if=/dev/zero of=/dev/mapper/era bs=4096 count=1 seek=77 \
            oflag=direct; then exit 1; fi
        if dmsetup message era 0 checkpoint; then exit 1; fi
        forced_reboot""", ends="reboot")
    assert machine.history.eras[-1] > ERAS
    assert_exact(tools, machine, NR_BLOCKS)
    assert_snapshot_exact(tools, machine)
    seen(f"{blocks} metadata blocks: the kernel is unable to allocate; "
         "the last commit is sound and exact")
