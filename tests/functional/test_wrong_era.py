# SPDX-License-Identifier: GPL-2.0-or-later
"""An era that has not begun: saved from another device, or before this one was
formatted anew. An empty list would pass for "nothing was written"."""

import subprocess

import pytest

from helpers import data
from helpers.reader import Metadata
from test_library import library  # noqa: F401

TOOLS = ["era_invalidate", "era_ls", "era_map"]
any_tool = pytest.mark.parametrize("tool", TOOLS)


def current_era(name):
    return Metadata(data.read(name)).superblock().current_era


@any_tool
@pytest.mark.parametrize("name", data.SOUND)
def test_the_current_era_has_an_answer_and_the_next_has_none(run, image, tool,
                                                             name):
    path, current = image(name), current_era(name)
    assert run(tool, "--written-since", current, path).status == 0
    for era in current + 1, 2**32 - 1:
        result = run(tool, "--written-since", era, path)
        assert (result.status, result.out) == (2, b"")
        assert f"era {era} has not begun, there are eras 0 to {current}" \
            in result.err


@any_tool
@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
def test_a_metadata_snapshot_does_not_hold_its_current_era(run, image, tool,
                                                           name):
    """Taking it has opened that, and the live metadata records it."""
    reader = Metadata(data.read(name))
    last = reader.snapshot().current_era - 1
    path = image(name)
    assert run(tool, "--metadata-snapshot", "--written-since", last,
               path).status == 0
    result = run(tool, "--metadata-snapshot", "--written-since", last + 1,
                 path)
    assert (result.status, result.out) == (2, b"")
    assert f"holds eras 0 to {last}" in result.err


def test_no_output_file_is_left(run, image, tmp_path):
    result = run("era_invalidate", "--written-since", 1000, "-o",
                 tmp_path / "list", image("clean"))
    assert result.status == 2
    assert not (tmp_path / "list").exists()


def test_libdmera_says_the_same(library, image):  # noqa: F811
    from test_library import EXAMPLE
    example = library.build(EXAMPLE)
    path, current = image("clean"), current_era("clean")
    for era, status in (current, 0), (current + 1, 1):
        done = subprocess.run([example, str(era), path], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=library.run_environment)
        assert done.returncode == status
    assert done.stdout == b""
    assert b"has not begun" in done.stderr
