# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that does not give some of its blocks: each tool says which way out
there is, and a pack takes along what can be read, and the knowledge that it is
not all."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import data
from helpers.blocks import SIZE, SUPERBLOCK_FIELDS, le64

SOURCE = Path(__file__).parent / "helpers/bad_blocks.c"
MARK = b"dm-era-tools: this block could not be read\n"
NAME = "crash_k61"


@pytest.fixture(scope="session")
def shim(all_tools, tmp_path_factory):
    if all_tools.instrumented:
        pytest.skip("not under a wrapper or sanitizer")
    compiler = os.environ.get("CC", "cc").split()
    if not shutil.which(compiler[0]):
        pytest.skip("needs a C compiler")
    path = tmp_path_factory.mktemp("shim") / "bad_blocks.so"
    done = subprocess.run([*compiler, "-shared", "-fPIC", "-o", path, SOURCE,
                           "-ldl"], check=False)
    if done.returncode:
        pytest.skip("no shared object can be built here")
    return path


@pytest.fixture
def bad(run, shim):
    """Runs a tool with blocks of a file that cannot be read."""
    def run_it(path, blocks, tool, *args, **options):
        return run(tool, *args, env={
            "LD_PRELOAD": str(shim), "BAD_INODE": str(path.stat().st_ino),
            "BAD_BLOCKS": " ".join(map(str, blocks))}, **options)
    return run_it


@pytest.fixture
def free():
    """Blocks at the end, in unreferenced space."""
    nr = len(data.read(NAME)) // SIZE
    return [nr - 1, nr - 5]


@pytest.fixture
def used():
    """The root of the era array."""
    return [le64(data.read(NAME), SUPERBLOCK_FIELDS["era_array_root"][0])]


WAYS = {"era_check": [], "era_invalidate": ["--written-since", "1"]}


@pytest.mark.parametrize("tool", WAYS)
def test_a_bad_block_in_unreferenced_space_names_the_way_out(bad, image, free,
                                                             tool):
    path = image(NAME)
    result = bad(path, free, tool, *WAYS[tool], path)
    assert result.status == 2
    assert "2 unreferenced blocks cannot be read" in result.err
    assert f"next: ddrescue -d {path} COPY MAPFILE, then era_repair -i COPY" \
        in result.err.splitlines()[-1]
    # who knows that nothing lies there can say so
    assert bad(path, free, tool, *WAYS[tool], "--reachable-only",
               path).status == 0


@pytest.mark.parametrize("name", ["free", "used", "superblock"])
def test_a_pack_has_what_can_be_read(bad, run, image, tmp_path, request, name):
    path = image(NAME)
    blocks = [0] if name == "superblock" else request.getfixturevalue(name)
    result = bad(path, blocks, "era_metadata_pack", "-i", path, "-o",
                 tmp_path / "pack")
    assert result.status == 1, result.err
    assert f"cannot be read (the first is {min(blocks)})" in result.err
    assert run("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
               tmp_path / "out").status == 0
    expected = bytearray(data.read(NAME))
    for block in blocks:
        expected[block * SIZE:(block + 1) * SIZE] = MARK.ljust(SIZE, b"\0")
    assert (tmp_path / "out").read_bytes() == expected
    assert run("era_check", tmp_path / "out").status != 0
    listed = run("era_invalidate", "--written-since", "1", tmp_path / "out")
    assert listed.status != 0 and b"<range" not in listed.out


def test_what_was_unread_is_unread_in_the_copy(bad, run, image, free,
                                               tmp_path):
    path = image(NAME)
    bad(path, free, "era_metadata_pack", "-i", path, "-o", tmp_path / "pack")
    copy = tmp_path / "copy"
    run("era_metadata_unpack", "-i", tmp_path / "pack", "-o", copy)
    result = run("era_check", copy)
    assert "2 unreferenced blocks cannot be read" in result.err
    assert run("era_check", "--reachable-only", copy).status == 0


def test_a_disk_that_gives_nothing_makes_no_pack(bad, image, tmp_path):
    path = image(NAME)
    result = bad(path, range(len(data.read(NAME)) // SIZE),
                 "era_metadata_pack", "-i", path, "-o", tmp_path / "pack")
    assert result.status == 2
    assert not (tmp_path / "pack").exists()


def test_a_pack_without_bad_blocks_has_no_marks(run, image, tmp_path):
    run("era_metadata_pack", "-i", image(NAME), "-o", tmp_path / "pack")
    run("era_metadata_unpack", "-i", tmp_path / "pack", "-o", tmp_path / "out")
    assert MARK not in (tmp_path / "out").read_bytes()
