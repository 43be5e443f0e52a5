# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/lives judges the tools by the kernel's code compiled into a program.
That is worth something only where the program does what the kernel does: the
same script leaves the same metadata, byte for byte, in a virtual machine.
"""

import sys
from pathlib import Path

import pytest

from harness import CannotRun

LIVES = Path(__file__).resolve().parent.parent / "lives"
sys.path.insert(0, str(LIVES))

import kernel_source  # noqa: E402
from bench import REPORTED, Bench  # noqa: E402
from life import Life, parse  # noqa: E402

STORIES = sorted(path.stem for path in (LIVES / "stories").glob("*.life"))
SECTOR = 512
BLOCK = 4096


def guest_lines(steps):
    """What a guest is told for steps of tests/lives, boot by boot. Where the
    bench has `work` the guest waits until its worker has come to rest: what
    one commit holds and what the next depends on that."""
    boots, lines, block_size, loaded = [], [], 0, None
    for word, *arguments in steps:
        if word == "create":
            block_size, nr_blocks = arguments
            sectors = block_size * nr_blocks
            lines.append(f"SIZE={sectors * SECTOR}\ndmsetup create era "
                         f'--table "$(era_table {sectors})"')
        elif word == "write":
            lines.append(f"write {arguments[0]}")
        elif word == "message":
            lines.append(f"dmsetup message era 0 {arguments[0]}")
        elif word == "suspend":
            lines.append("dmsetup suspend era")
        elif word == "load":
            loaded = block_size * arguments[0]
            lines.append(f"load_table {loaded}")
        elif word == "resume":
            lines.append("dmsetup resume era")
            if loaded:
                lines.append(f"SIZE={loaded * SECTOR}")
                loaded = None
        elif word == "status":
            lines.append("see_era")
        elif word == "remove":
            lines.append("deactivate")
        elif word == "work":
            if not lines[-1].startswith("write"):
                lines.append("at_rest")
        elif word == "power-cut":
            boots.append(("\n".join([*lines, "forced_reboot"]), "reboot"))
            lines = []
        else:
            assert word == "device", word
    if lines:
        boots.append(("\n".join(lines), "finished"))
    return boots


@pytest.fixture(scope="session")
def bench(kernel):
    try:
        library, version = kernel_source.build(kernel.release)
    except CannotRun as reason:
        pytest.skip(f"{kernel.release}'s kernel cannot be compiled into the "
                    f"bench: {reason}")
    return Bench(library), version


@pytest.mark.parametrize("story", STORIES)
def test_a_script_leaves_the_same_bytes(boot, bench, seen, story):
    library, version = bench
    steps = parse((LIVES / "stories" / f"{story}.life").read_text())
    life = Life(library).play(steps)
    assert not life.failed
    expected = life.disk.image()
    eras = [event.value for event in life.disk.events()
            if event.type == REPORTED]
    block_size, most_blocks = 0, 0
    for word, *arguments in steps:
        if word == "create":
            block_size = arguments[0]
        if word in ("create", "load"):
            most_blocks = max(most_blocks, arguments[-1])
    machine = boot(block_size=block_size, metadata=len(expected),
                   origin=most_blocks * block_size * SECTOR)
    guests = [machine.run(script, seconds=3600, ends=ends)
              for script, ends in guest_lines(steps)]

    told = [int(line.split()[1]) for guest in guests
            for line in guest.events() if line.startswith("era ")]
    assert told == eras
    image = machine.metadata.read_bytes()
    differ = [i for i in range(len(expected) // BLOCK) if
              image[i * BLOCK:(i + 1) * BLOCK] !=
              expected[i * BLOCK:(i + 1) * BLOCK]]
    assert not differ, f"blocks that differ: {differ[:20]}"
    used = sum(any(image[i * BLOCK:(i + 1) * BLOCK])
               for i in range(len(image) // BLOCK))
    seen(f"linux-source {version} compiled into the bench: no byte differs, "
         f"{used} blocks in use, {len(eras)} eras told")
    life.free()
