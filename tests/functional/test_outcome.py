# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script goes by: the exit status, which is the same of every tool, and
JSON, which says the same with more words.

0: sound, or complete.  1: not sound, or no complete list can be made.  2: it
could not be looked at, or the result could not be written."""

import fcntl
import json

import pytest

from helpers import blocks, data
from helpers.tools import FINAL_TOOLS

READERS = {
    "era_check": [], "era_dump": [], "era_ls": [], "era_map": [],
    "era_invalidate": ["--written-since", "1"],
    "era_repair": ["--dry-run", "--in-place"],
}
readers = pytest.mark.parametrize("tool", READERS)
JSON = {"era_check": ["--json"], "era_ls": ["--json"],
        "era_repair": ["--json", "--dry-run", "--in-place"]}
reports = pytest.mark.parametrize("tool", JSON)


def read(run, tool, path, *options):
    return run(tool, *options, *READERS[tool], path)


def superblock_of_version_2():
    content = bytearray(data.read("clean"))
    content[40] = 2
    content[:blocks.SIZE] = blocks.seal(content[:blocks.SIZE],
                                        blocks.SUPERBLOCK, 0)
    return bytes(content)


# name: image, status of a reader, kind of era_check's problem, advice code
CASES = {
    "sound": (lambda: data.read("clean"), 0, None, "none"),
    "open": (lambda: data.read("crash_k61"), 0, "note", "none"),
    "damaged": (lambda: data.read("rot_crash_k61_era-array-leaf"), 1,
                "damage", "repair_to_another"),
    "newer history": (lambda: data.read("stale_live"), 1, "newer_history",
                      "repair_in_place"),
    "zeroes": (lambda: bytes(1 << 20), 1, "not_era_metadata", "find_device"),
    "superblock zeroed": (
        lambda: bytes(blocks.SIZE) + data.read("clean")[blocks.SIZE:], 1,
        "damage", "repair_to_another"),
    "cut off": (lambda: data.read("clean")[:64 * blocks.SIZE], 1, "cut_off",
                "copy_again"),
}


@readers
@pytest.mark.parametrize("name", CASES)
def test_status_tells_sound_from_not_sound(run, image, tool, name):
    make, status, _, _ = CASES[name]
    # these are what a repair is for
    if tool == "era_repair":
        status = {"damaged": 0, "newer history": 0,
                  "superblock zeroed": 2}.get(name, status)
    assert read(run, tool, image("x", make())).status == status


@readers
def test_status_tells_what_could_not_be_looked_at(run, image, tmp_path, tool):
    assert read(run, tool, tmp_path / "absent").status == 2
    assert read(run, tool, tmp_path).status == 2
    assert read(run, tool, "/dev/null").status == 2
    path = image("clean")
    with open(path, "rb+") as somebody_else:
        fcntl.flock(somebody_else, fcntl.LOCK_EX)
        assert read(run, tool, path).status == 2


@pytest.mark.parametrize("tool", FINAL_TOOLS)
def test_a_wrong_option_is_status_2(run, tool):
    assert run(tool, "--no-such-option").status == 2


def test_bad_xml_and_a_bad_pack_are_not_sound_and_no_input_is_2(run, image,
                                                                tmp_path):
    bad = image("bad", b"<superblock>")
    assert run("era_restore", "-i", bad, "-o", tmp_path / "o").status == 1
    assert run("era_metadata_unpack", "-i", bad, "-o",
               tmp_path / "o").status == 1
    for tool in ("era_restore", "era_metadata_unpack", "era_metadata_pack"):
        assert run(tool, "-i", tmp_path / "absent", "-o",
                   tmp_path / "o").status == 2


def test_a_result_that_cannot_be_written_is_status_2(run, image):
    with open("/dev/full", "wb") as full:
        for tool in ("era_check", "era_ls"):
            assert run(tool, "--json", image("clean"),
                       stdout=full).status == 2


@pytest.mark.parametrize("name", CASES)
def test_json_says_what_the_status_says(run, image, name):
    make, status, kind, advice = CASES[name]
    path = image("x", make())
    result = run("era_check", "--json", path)
    report = json.loads(result.out)
    assert result.status == status
    assert report["device"] == str(path)
    assert report["outcome"] == ["sound", "unsound", "unknown"][status]
    assert report["advice_code"] == advice
    assert (report["advice"] is None) == (advice == "none")
    kinds = [problem["kind"] for problem in report["problems"]
             if problem["severity"] == ("error" if status else "note")]
    assert kinds[:1] == [kind] * (kind is not None)


@reports
def test_json_is_printed_where_nothing_could_be_looked_at(run, tmp_path,
                                                          tool):
    result = run(tool, *JSON[tool], tmp_path / "absent")
    report = json.loads(result.out)
    assert (result.status, result.err) == (2, "")
    assert report["outcome"] == "unknown"
    assert [problem["kind"] for problem in report["problems"]] == ["access"]
    assert report["current_era"] is None


@reports
@pytest.mark.parametrize("name", ["crash_snap", "stale_live"])
def test_json_is_printed_whatever_else_is_quiet(run, image, tool, name):
    path = image(name)
    loud, quiet = (run(tool, *options, *JSON[tool], path)
                   for options in ([], ["-q"]))
    assert loud.out == quiet.out != b""
    assert quiet.err == ""


def test_json_of_all_tools_names_the_current_era_alike(run, image):
    path = image("crash_snap")
    for tool, args in {**JSON, "era_invalidate": [
            "--format=json", "--written-since=1"]}.items():
        assert json.loads(run(tool, *args, path).out)["current_era"] == 8, \
            tool
    for tool, args in (("era_ls", ["--json"]), ("era_invalidate", [
            "--format=json", "--written-since=1"])):
        assert json.loads(run(tool, *args, "--metadata-snapshot",
                              path).out)["current_era"] == 5


@pytest.mark.parametrize("name", [name for name, case in CASES.items()
                                  if case[1]])
def test_each_error_of_era_check_names_what_to_run_next(run, image, name):
    path = image("x", CASES[name][0]())
    last = run("era_check", path).err.splitlines()[-1]
    assert "; next: " in last and str(path) in last
    assert run("era_check", "-q", path).err == ""


def test_the_command_that_era_check_names_works(run, image, tmp_path):
    for name in ("stale_live", "rot_crash_k61_era-array-leaf"):
        path = image(name)
        command = run("era_check", path).err.splitlines()[-1].partition(
            "; next: ")[2].split()
        places = {"FILE": tmp_path / "undo", "NEW_DEVICE": tmp_path / "new"}
        assert run(*(places.get(word, word) for word in command)).status == 0
        assert run("era_check", path if command[1] == "--undo"
                   else tmp_path / "new").status == 0


# --- what scripts for other suites pass --------------------------------------

@readers
def test_options_of_other_suites_change_nothing(run, image, tool):
    path = image("clean_snap")
    plain = read(run, tool, path)
    for options in (["-v"], ["--io-engine", "sync"], ["--io-engine=async"],
                    [""], ["-v", "", "--io-engine", "sync-direct"]):
        other = read(run, tool, path, *options)
        assert (other.status, other.out, other.err) == \
            (plain.status, plain.out, plain.err), options


@pytest.mark.parametrize("tool", ["era_dump", "era_invalidate", "era_ls"])
def test_the_metadata_snapshot_may_be_named_by_its_block(run, image, tool):
    path = image("crash_snap")
    plain = read(run, tool, path, "--metadata-snapshot")
    for options in (["--metadata-snapshot", "675"],
                    ["--metadata-snapshot=675"]):
        assert read(run, tool, path, *options).out == plain.out
    other = read(run, tool, path, "--metadata-snapshot", "674")
    assert (other.status, other.out) == (2, b"")
    assert "in block 675, not in 674" in other.err


def test_an_era_may_have_a_plus_sign(run, image):
    path = image("clean")
    for tool in ("era_invalidate", "era_ls", "era_map"):
        assert run(tool, "--written-since", "+3", path).out == \
            run(tool, "--written-since", "3", path).out
