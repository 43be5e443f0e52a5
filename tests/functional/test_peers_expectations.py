# SPDX-License-Identifier: GPL-2.0-or-later
"""What thin-provisioning-tools expect of their own era tools, asked of ours.

A test for each of theirs (tests/era_check.rs, era_dump.rs, era_invalidate.rs
and era_restore.rs of the Rust suite), by its name, in our own words. Where
ours answer otherwise the test says what ours do, and doc/packaging.md why."""

import json

import pytest

from helpers import data
from helpers.forms import make_dump
from helpers.tools import FINAL_TOOLS
from test_any_tool import obey_modes  # pylint: disable=unused-import

INPUT_ARG = {"era_check": [], "era_dump": [],
             "era_invalidate": ["--written-since", "0"]}
ALL = [*INPUT_ARG, "era_restore"]
input_arg = pytest.mark.parametrize("tool", INPUT_ARG)
any_peer = pytest.mark.parametrize("tool", ALL)
XML = make_dump([i % 4 for i in range(300)], [(4, 300, [1, 2, 299])])


@pytest.fixture
def zeroed(image):
    return image("zeroed", bytes(4 << 20))


def fails(result):
    assert result.status != 0
    return result.err


def test_all_of_the_peers_are_there():
    assert set(ALL) <= set(FINAL_TOOLS)


# --- accepts_help, accepts_version, rejects_bad_option ------------------------

@any_peer
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_accepts_help(run, tool, option):
    """Theirs is held to the letter; ours has more options."""
    result = run(tool, option)
    assert result.status == 0
    out = result.out.decode()
    assert tool in out and "--help" in out and "--version" in out


@any_peer
@pytest.mark.parametrize("option", ["-V", "--version"])
def test_accepts_version(run, tool, option):
    """Differs: the bare number, as of old, for scripts that parse it."""
    result = run(tool, option)
    assert result.status == 0
    assert result.out.decode().strip().replace(".", "").isdigit()


@any_peer
def test_rejects_bad_option(run, tool):
    assert "--hedgehogs-only" in fails(run(tool, "--hedgehogs-only"))


# --- the input ---------------------------------------------------------------

@input_arg
def test_missing_input_arg(run, tool):
    """Differs: the words."""
    assert "no metadata device given" in fails(run(tool, *INPUT_ARG[tool]))


@input_arg
def test_input_file_not_found(run, tmp_path, tool):
    assert "No such file or directory" in fails(
        run(tool, *INPUT_ARG[tool], tmp_path / "no-such-file"))


@input_arg
def test_input_cannot_be_a_directory(run, tmp_path, tool):
    """Differs: it says that it is a directory."""
    assert "is a directory" in fails(run(tool, *INPUT_ARG[tool], tmp_path))


@input_arg
def test_unreadable_input_file(run, image, obey_modes, tool):
    path = image("clean")
    path.chmod(0o200)
    assert "Permission denied" in fails(
        run(tool, *INPUT_ARG[tool], path, before=obey_modes))


@input_arg
def test_tiny_input_file(run, image, tool):
    """Differs: the words."""
    assert "too small to hold metadata" in fails(
        run(tool, *INPUT_ARG[tool], image("tiny", bytes(1024))))


@input_arg
def test_spot_xml_data(run, image, tool):
    """Theirs only era_check; ours all, and the tool that reads XML is named."""
    err = fails(run(tool, *INPUT_ARG[tool], image("xml", XML)))
    assert "this is XML" in err and "era_restore" in err


@input_arg
def test_corrupted_input_data(run, zeroed, tool):
    """Differs: zeroes are told from a damaged superblock."""
    assert "all zero" in fails(run(tool, *INPUT_ARG[tool], zeroed))


@input_arg
def test_readonly_input_file(run, image, obey_modes, tool):
    path = image("clean")
    path.chmod(0o444)
    assert run(tool, *INPUT_ARG[tool], path, before=obey_modes).status == 0


# --- era_check ---------------------------------------------------------------

@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_check_failing_quiet(run, zeroed, option):
    result = run("era_check", option, zeroed)
    assert fails(result) == "" and result.out == b""


# --- era_dump ----------------------------------------------------------------

@pytest.mark.parametrize("name", data.SOUND)
def test_dump_restore_cycle(run, image, zeroed, tmp_path, name):
    """Theirs of one made for it; ours of what kernels left, crashes too."""
    first = run("era_dump", image(name)).out
    (tmp_path / "meta.xml").write_bytes(first)
    assert run("era_restore", "-i", tmp_path / "meta.xml", "-o",
               zeroed).status == 0
    assert run("era_dump", zeroed).out == first


# --- era_invalidate ----------------------------------------------------------

def test_written_since_unspecified(run, image):
    """Differs: the words."""
    assert "--written-since" in fails(run("era_invalidate", image("clean")))


# --- era_restore -------------------------------------------------------------

def test_restore_missing_input_option(run, zeroed):
    assert "no input file given (-i)" in fails(
        run("era_restore", "-o", zeroed))
    assert not any(zeroed.read_bytes())


def test_restore_input_file_not_found(run, zeroed, tmp_path):
    assert "No such file or directory" in fails(
        run("era_restore", "-i", tmp_path / "no-such-file", "-o", zeroed))
    assert not any(zeroed.read_bytes())


def test_restore_corrupted_input_data(run, zeroed, image):
    """Differs: ours leave the output as it was, all of it, where nothing of
    the input was fit to be written."""
    fails(run("era_restore", "-i", image("x", bytes(4096)), "-o", zeroed))
    assert not any(zeroed.read_bytes()[:4096]) or run(
        "era_check", zeroed).status == 1


def test_restore_missing_output_option(run, image):
    assert "no output device given (-o)" in fails(
        run("era_restore", "-i", image("xml", XML)))


def test_restore_tiny_output_file(run, image):
    """Differs: the words, with how many blocks it takes."""
    err = fails(run("era_restore", "-i", image("xml", XML), "-o",
                    image("tiny", bytes(4096))))
    assert "too small" in err and "needed" in err


def test_restore_unwritable_output_file(run, image, obey_modes, zeroed):
    zeroed.chmod(0o444)
    assert "Permission denied" in fails(
        run("era_restore", "-i", image("xml", XML), "-o", zeroed,
            before=obey_modes))


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_restore_accepts_quiet(run, image, zeroed, option):
    result = run("era_restore", "-i", image("xml", XML), "-o", zeroed, option)
    assert (result.status, result.out, result.err) == (0, b"", "")


def test_restore_successfully_restores(run, image, zeroed):
    """Theirs ends there; ours is checked."""
    assert run("era_restore", "-i", image("xml", XML), "-o",
               zeroed).status == 0
    report = json.loads(run("era_check", "--json", zeroed).out)
    assert report["sound"] and report["current_era"] == 4
