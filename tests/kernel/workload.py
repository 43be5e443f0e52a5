# SPDX-License-Identifier: GPL-2.0-or-later
"""What guests are told to write, and what must be true of it afterwards."""

import json

SECTOR = 512
MIB = 1 << 20

# A script that fills a metadata device of 36 blocks over 20,000 data blocks:
# each array block is shared with the snapshot, so that digestion needs a copy
# of every one it touches, which is more than there are free blocks.
FILL_METADATA = """
for array_block in $(seq 0 9); do
    write $((array_block * 2000)) 3
done
take_snapshot
for array_block in $(seq 0 19); do
    write $((array_block * 1018)) 2 || break
    checkpoint || break
done
"""


def random_writes(rng, nr_blocks, count, longest=24):
    """Lines of a script: count writes of random runs of blocks."""
    lines = []
    for _ in range(count):
        begin = rng.randrange(nr_blocks)
        length = min(rng.randint(1, longest), nr_blocks - begin)
        lines.append(f"write {begin} {length}")
    return "\n".join(lines) + "\n"


def eras_of_writes(rng, nr_blocks, eras, count=4, longest=24):
    """The same over many eras: writes, checkpoint, writes, checkpoint..."""
    return "checkpoint\n".join(random_writes(rng, nr_blocks, count, longest)
                               for _ in range(eras))


def _on_device(blocks, nr_blocks):
    """An origin that shrank has lost the blocks past its end."""
    return {b for b in blocks if b < nr_blocks}


def assert_exact(tools, machine, nr_blocks, metadata=None):
    """Sound, and the list since each era seen is exactly what was written."""
    metadata = metadata or machine.metadata
    tools.check(metadata)
    history = machine.history
    for era in history.eras:
        listed = tools.written_since(metadata, era)
        written = _on_device(history.written_since(era), nr_blocks)
        assert listed == written, (
            f"since era {era}: missing {sorted(written - listed)[:9]}, "
            f"too many {sorted(listed - written)[:9]}")


def assert_snapshot_exact(tools, machine):
    """The list from the metadata snapshot is what was written before it."""
    listing = json.loads(tools.run("era_ls", "--json",
                                   machine.metadata).stdout)
    below = listing["superblock"]["metadata_snapshot"]["eras_below"]
    for era in machine.history.eras:
        if era >= below:
            continue  # not in the snapshot: an error, and no empty list
        listed = tools.written_since(machine.metadata, era, snapshot=True)
        written = machine.history.written_before_snapshot_since(era)
        assert listed == written, f"since era {era}, from the snapshot"


def assert_complete(tools, machine, nr_blocks, metadata=None):
    """Sound, and no list misses a write.

    Returns how many data blocks the worst list names beyond the writes.
    """
    metadata = metadata or machine.metadata
    tools.check(metadata)
    history, worst = machine.history, 0
    for era in history.eras:
        listed = tools.written_since(metadata, era)
        written = _on_device(history.written_since(era), nr_blocks)
        assert not written - listed, (
            f"since era {era}: missing {sorted(written - listed)[:9]}")
        begun = _on_device(history.begun_since(era), nr_blocks)
        worst = max(worst, len(listed - begun))
    return worst


def assert_kernel_goes_on(tools, machine, rng, nr_blocks, grown,
                          assert_right=assert_complete):
    """All that an era device goes through, on metadata that we wrote.

    A snapshot dropped where one is held, written to, checkpointed,
    snapshotted, rebooted by force; the snapshot dropped, written to,
    removed, resized, removed again.
    """
    longest = min(500, nr_blocks // 20)

    def writes(blocks):
        return eras_of_writes(rng, blocks, eras=2, longest=longest)

    machine.run(f"activate {nr_blocks * machine.block_size}\n"
                "drop_snapshot || true\n" + writes(nr_blocks)
                + "take_snapshot\n" + writes(nr_blocks)
                + "forced_reboot", ends="reboot")
    assert_right(tools, machine, nr_blocks)
    machine.run(f"activate {nr_blocks * machine.block_size}\n"
                "drop_snapshot\n" + writes(nr_blocks) + "deactivate\n"
                f"activate {grown * machine.block_size}\n" + writes(grown)
                + f"write {grown - 1}\ndeactivate")
    assert_right(tools, machine, grown)
