# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench itself, and lives that are kept as steps."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import kernel_source  # noqa: E402
from bench import RELEASED, Bench, Truth  # noqa: E402
from judge import Judge  # noqa: E402
from kernel_source import CannotRun  # noqa: E402
from kinds import KINDS, write_life  # noqa: E402
from life import Life, parse, render  # noqa: E402
from reader import Reader  # noqa: E402
from tools import Tools  # noqa: E402

STORIES = sorted(path.stem for path in (HERE / "stories").glob("*.life"))
TWINS = sorted(path.name.removesuffix(".twin.life")
               for path in (HERE / "twins").glob("*.twin.life"))


@pytest.fixture(scope="session")
def bench():
    try:
        library, _ = kernel_source.build(kernel_source.RELEASES[0])
    except CannotRun as reason:
        pytest.skip(f"the kernel's code cannot be had here: {reason}")
    return Bench(library)


@pytest.fixture
def judge(bench, tmp_path):
    return Judge(bench, Tools(os.environ.get("ERA_TOOLS", ".")), tmp_path)


def script(directory, name):
    return (HERE / directory / f"{name}.life").read_text("utf-8")


def dates_of(life):
    return Reader(life.disk.image(), life.bench.checksum).dates()


@pytest.mark.parametrize("kind", KINDS)
def test_a_life_is_lived_again_by_its_steps(bench, kind):
    for seed in range(10):
        life = write_life(bench, seed, kind).life
        again = Life(bench).play(parse(render(life.steps)))
        assert again.disk.image() == life.disk.image()
        assert [(e.type, e.value, e.at) for e in again.disk.events()] == \
            [(e.type, e.value, e.at) for e in life.disk.events()]
        life.free()
        again.free()


def test_the_kernel_records_each_write_before_it_lets_it_through(bench):
    """Wherever the power goes: the reader finds all that was released."""
    for seed in range(60):
        author = write_life(bench, seed, "crash")
        life = author.life
        try:
            reader = Reader(life.disk.image(), bench.checksum)
            if not any(e.type == RELEASED for e in life.disk.events()):
                continue
            assert not reader.problems()
            nr_lost, _, _ = Truth(life.disk,
                                  author.nr_blocks).lost(dates_of(life))
            assert not nr_lost
        finally:
            life.free()


def test_an_unflushed_write_can_be_lost_and_a_flushed_one_cannot(bench):
    steps = parse(script("stories", "clean"))
    disk = Life(bench).play(steps).disk
    commits = [i for i, block in enumerate(disk.log()) if block == 0]
    last = next(i for before, i in reversed([*zip(commits, commits[1:])])
                if disk.written(before) != disk.written(i))
    back = disk.len_log - last - 1

    def superblock_after(back, *kept):
        return Life(bench).play([*steps, ("power-cut", back, *kept)]) \
            .disk.block(0)

    assert superblock_after(back) != disk.written(last)
    assert superblock_after(back, 0) == disk.written(last)
    # and once the flush is over
    assert superblock_after(back - 1) == disk.written(last)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_loses_nothing(judge, name):
    """Those of which a virtual machine leaves the same bytes."""
    _, outcome = judge.script(script("stories", name))
    assert not outcome["failures"], "\n".join(map(str, outcome["story"]))


@pytest.mark.parametrize("name", TWINS)
def test_known_limit_has_a_twin(bench, judge, name):
    """The same device, byte for byte, after another life: what is missing
    from the list of the one is right for the other, which is a sound one."""
    life = Life(bench).play(parse(script("twins", name)))
    other = Life(bench).play(parse(script("twins", f"{name}.twin")))
    image = life.disk.image()
    assert other.disk.image() == image

    nr_blocks = life.nr_blocks
    device = judge.file("device", image)
    assert judge.run("era_check", device).status == 0
    assert Truth(life.disk, nr_blocks).lost(dates_of(life))[0]
    assert not Truth(other.disk, nr_blocks).lost(dates_of(other))[0]
