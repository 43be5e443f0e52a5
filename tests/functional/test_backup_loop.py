# SPDX-License-Identifier: GPL-2.0-or-later
"""The backup loop of era(7), run as it is printed there.

The device-mapper and LVM are stand-ins here, which log that they were called;
the list, the copy and the saved era are real."""

import os
import subprocess

import pytest

from helpers import data
from helpers.reader import Metadata

pytestmark = pytest.mark.skipif(
    "ERA_WRAPPER" in os.environ,
    reason="the script starts the tools by their names")

RECIPE = data.DIRECTORY.parent / "kernel/recipes/era/backup-loop.sh"
BLOCK = 65536
IMAGE = "crash_snap"
STANDS_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
[ "$1" != status ] || echo 0 65536 era 8 15/1024 8 675
"""


@pytest.fixture
def loop(all_tools, image, tmp_path):
    """Runs the script; returns whether it succeeded."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    for name in ("dmsetup", "lvcreate", "lvremove"):
        (bin_directory / name).write_text(STANDS_IN)
        (bin_directory / name).chmod(0o755)
    metadata = image(IMAGE)
    nr_blocks = Metadata(data.read(IMAGE)).superblock().nr_blocks
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/copy").write_bytes(b"o" * nr_blocks * BLOCK)
    (tmp_path / "snap").write_bytes(b"n" * nr_blocks * BLOCK)
    script = RECIPE.read_text()
    for name, path in (("/dev/vg/era_meta", metadata),
                       ("/dev/vg/origin_snap", tmp_path / "snap"),
                       ("/backup", tmp_path / "backup")):
        script = script.replace(name, str(path))

    def run_loop():
        return subprocess.run(
            ["sh", "-c", script], check=False, capture_output=True,
            env={**os.environ, "CALLS": str(tmp_path / "calls"),
                 "PATH": f"{bin_directory}:{all_tools.directory}:"
                         f"{os.environ['PATH']}"}).returncode == 0
    return run_loop


def copied(tmp_path):
    content = (tmp_path / "backup/copy").read_bytes()
    return {block for block in range(len(content) // BLOCK)
            if content[block * BLOCK] == ord("n")}


def test_the_first_run_copies_everything(loop, tmp_path):
    assert loop()
    assert (tmp_path / "backup/copy").read_bytes() == \
        (tmp_path / "snap").read_bytes()
    assert (tmp_path / "backup/era").read_text() == "8\n"


def test_a_later_run_copies_what_the_metadata_snapshot_has(loop, tmp_path):
    (tmp_path / "backup/era").write_text("3\n")
    assert loop()
    expected = Metadata(data.read(IMAGE)).since(3, snapshot=True)
    assert copied(tmp_path) == set(expected) != set()


def test_the_order_is_era_then_data_then_metadata(loop, tmp_path):
    assert loop()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [" ".join(call.split()[:4]) for call in calls] == [
        "dmsetup message era 0", "dmsetup status era", "lvcreate -s -L 1G",
        "dmsetup message era 0", "dmsetup message era 0",
        "lvremove -f vg/origin_snap"]
    assert [call.split()[-1] for call in calls if "message" in call] == [
        "checkpoint", "take_metadata_snap", "drop_metadata_snap"]


@pytest.mark.parametrize("missing", ["snap", "crash_snap.img"])
def test_a_run_that_fails_keeps_the_saved_era(loop, tmp_path, missing):
    """And drops the metadata snapshot, which fills the device else."""
    (tmp_path / "backup/era").write_text("3\n")
    (tmp_path / missing).unlink()
    assert not loop()
    assert (tmp_path / "backup/era").read_text() == "3\n"
    assert "drop_metadata_snap" in (tmp_path / "calls").read_text()
