# SPDX-License-Identifier: GPL-2.0-or-later
"""era_ls: what it counts, held against an independent reader."""

import json
from collections import Counter

import pytest

from helpers import data
from helpers.builder import build
from helpers.reader import Metadata

COLUMNS = ("ERA", "STATE", "BLOCKS", "SIZE", "SINCE-BLOCKS", "SINCE-SIZE")


def listing(run, path, *args):
    result = run("era_ls", "--json", *args, path)
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


def rows(run, path, *args):
    result = run("era_ls", "--raw", *args, path)
    assert (result.status, result.err) == (0, "")
    return [line.split(" ") for line in result.out.decode().splitlines()]


def assert_counts(found, last_written, block_size):
    """Blocks and sums of each line against each block's last era."""
    expected = Counter(last_written)
    for line in found["eras"]:
        written = sum(expected.get(era, 0) for era
                      in range(line["era"], line["last"] + 1))
        since = sum(nr for era, nr in expected.items()
                    if era >= line["era"])
        assert (line["blocks"], line["since_blocks"]) == (written, since)
        assert line["bytes"] == written * block_size * 512
        assert line["since_bytes"] == since * block_size * 512
    assert sum(line["blocks"] for line in found["eras"]) == len(last_written)


@pytest.mark.parametrize("name", data.SOUND)
def test_counts_what_an_independent_reader_counts(run, image, name):
    path = image(name)
    metadata = Metadata(path.read_bytes())
    sb = metadata.superblock()
    found = listing(run, path)
    assert_counts(found, metadata.last_written(), sb.data_block_size)
    assert found["superblock"]["current_era"] == sb.current_era
    assert found["superblock"]["open"] == (sb.writeset_root != 0)
    states = {w.era: "open" if w.is_open else "archived"
              for w in metadata.writesets(sb)}
    for line in found["eras"]:
        assert line["state"] == states.pop(
            line["era"], "digested" if line["era"] else "never")
    assert not states, "a writeset without a line"


@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
def test_counts_a_metadata_snapshot(run, image, name):
    path = image(name)
    metadata = Metadata(path.read_bytes())
    found = listing(run, path, "--metadata-snapshot")
    assert found["source"] == "metadata_snapshot"
    assert_counts(found, metadata.last_written(snapshot=True), 128)
    below = found["superblock"]["metadata_snapshot"]["eras_below"]
    assert below == metadata.snapshot().current_era
    live = listing(run, path)["eras"]
    assert {line["era"] for line in live if line["in_snapshot"]} == \
        {line["era"] for line in live if line["era"] < below}


def test_agrees_with_era_invalidate(run, image):
    path = image("crash_k61")
    for line in listing(run, path)["eras"]:
        result = run("era_invalidate", "--written-since", line["era"],
                     "--format=text", "--unit=bytes", path)
        assert sum(int(text.split()[1]) for text
                   in result.out.splitlines()) == line["since_bytes"]


def test_prints_a_summary_and_a_table(run, image):
    result = run("era_ls", image("crash_k61"))
    lines = result.out.decode().splitlines()
    assert lines[0].endswith(": 512 blocks of 64K (32M), current era 4, "
                             "not shut down cleanly")
    assert lines[1] == "9 of 1024 metadata blocks in use, " \
        "no metadata snapshot"
    assert lines[3].split() == list(COLUMNS)
    assert lines[-1].split() == ["4", "open", "108", "6.8M", "108", "6.8M"]


def test_columns_are_chosen_in_any_order_and_case(run, image):
    path = image("crash_k61")
    found = rows(run, path, "-o", "since-blocks,ERA", "-n")
    assert found[-1] == ["108", "4"]
    found = rows(run, path, "-o", "+snapshot,SINCE%")
    assert found[0] == [*COLUMNS, "SNAPSHOT", "SINCE%"]
    assert found[-1][-2:] == ["no", "21.1"]


def test_an_unknown_column_names_those_there_are(run, image):
    result = run("era_ls", "-o", "ERA,COLOUR", image("clean"))
    assert result.status == 2 and result.out == b""
    assert "'COLOUR'" in result.err and "SINCE-SIZE" in result.err


def test_bytes_are_exact(run, image):
    found = rows(run, image("crash_k61"), "-b", "-n", "-o", "size")
    assert found[-1] == [str(108 * 65536)]


def test_written_since_starts_with_that_era(run, image):
    path = image("clean_snap")  # nothing is left of era 5
    found = rows(run, path, "--written-since", "5", "-n")
    assert found[0][:3] == ["5", "-", "0"]
    assert found[0][4] == found[1][4] == "128"
    assert [row[0] for row in found] == ["5", "6", "7", "8", "9"]


@pytest.mark.parametrize("nr_eras", [16, 17, 33, 1000])
def test_eras_share_lines_where_there_are_too_many(run, image, nr_eras):
    eras = [0] * 7 + [1 + i * 13 % nr_eras for i in range(3000)]
    path = image("many", build(eras, current_era=nr_eras))
    found = listing(run, path, "--lines", "16")
    lines = found["eras"]
    assert len(lines) <= 16
    assert lines[0]["era"] == lines[0]["last"] == 0
    assert lines[0]["state"] == "never"
    assert lines[-1]["last"] == nr_eras
    assert all(a["last"] < b["era"] for a, b in zip(lines, lines[1:]))
    assert_counts(found, eras, 128)
    assert len(listing(run, path)["eras"]) == nr_eras + 1


def test_eras_up_to_the_last_there_can_be(run, image):
    eras = [0, 1, 2**31, 2**32 - 2, 2**32 - 1]
    path = image("last", build(eras, current_era=2**32 - 1))
    assert [line["era"] for line in listing(run, path)["eras"]] == eras
    found = listing(run, image("more", build(
        eras + [5**i for i in range(1, 14)] + list(range(70000, 70400)),
        current_era=2**32 - 1)), "--lines", "16")
    assert found["eras"][-1]["last"] == 2**32 - 1


def test_a_device_without_blocks(run, image):
    path = image("empty", build([], current_era=1))
    assert listing(run, path)["eras"] == []
    assert len(rows(run, path)) == 1


def test_damage_is_an_error_and_prints_nothing(run, image):
    result = run("era_ls", image("rot_crash_k61_era-array-leaf"))
    assert result.status == 1 and result.out == b""
    assert "data blocks" in result.err


def test_a_damaged_snapshot_leaves_the_live_eras(run, image):
    result = run("era_ls", "--json",
                 image("rot_clean_snap_snapshot-superblock"))
    assert result.status == 0
    report = json.loads(result.out)
    assert any("the metadata snapshot cannot be read" in problem["message"]
               for problem in report["problems"])
    snapshot = report["superblock"]["metadata_snapshot"]
    assert snapshot["block"] and snapshot["eras_below"] is None


@pytest.mark.parametrize("tool", ["era_ls", "era_map"])
@pytest.mark.parametrize("name", data.STALE_SOUND)
def test_a_newer_history_is_not_forgotten(run, image, name, tool):
    path = image(name)
    result = run(tool, path)
    assert (result.status, result.out) == (1, b"")
    assert "newer" in result.err
    result = run(tool, "--reachable-only", path)
    assert (result.status, result.err) == (0, "")


# --- commits -----------------------------------------------------------------

def commits(run, path, *args):
    result = run("era_ls", "--commits", "--json", *args, path)
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


@pytest.mark.parametrize("name", data.SOUND)
def test_the_commit_of_a_sound_superblock_is_proven(run, image, name):
    path = image(name)
    sb = Metadata(path.read_bytes()).superblock()
    found = commits(run, path)
    own, = [c for c in found["commits"] if c["of_superblock"]]
    assert own["index_block"] == found["superblock_index_block"]
    assert (own["branch"], own["proof"]) == (1, "proven")
    state = own["state"]
    assert state["open"] == (sb.writeset_root != 0)
    assert state["writeset_root"] == sb.writeset_root
    assert state["writeset_tree_root"] == sb.writeset_tree_root
    assert state["era_array_root"] == sb.era_array_root
    assert state["nr_blocks"] == sb.nr_blocks
    assert state["era"] == sb.current_era or \
        (state["era"] < sb.current_era and state["era_inferred"])


@pytest.mark.parametrize("name", data.SOUND)
def test_of_a_sound_device_nothing_follows_the_last_commit(run, image, name):
    found = commits(run, image(name))["commits"]
    branch = [c for c in found if c["branch"] == 1]
    assert branch[-1]["of_superblock"]
    for before, after in zip(branch, branch[1:]):
        assert after["after"] == before["index_block"]


@pytest.mark.parametrize("name", data.SOUND)
def test_commits_do_not_take_a_superblock(run, image, name):
    path = image(name)
    with_superblock = commits(run, path)
    with open(path, "r+b") as f:
        f.write(b"\x77" * 4096)
    without = commits(run, path)
    assert without["superblock_index_block"] is None
    assert not [c for c in without["commits"] if c["of_superblock"]]
    # which of them comes first is all that it tells
    for found in with_superblock, without:
        for commit in found["commits"]:
            del commit["of_superblock"], commit["branch"]
        found["commits"].sort(key=lambda commit: commit["index_block"])
    assert without["commits"] == with_superblock["commits"]


@pytest.mark.parametrize("name", ["stale_live", "stale_short"])
def test_a_table_loaded_too_early_is_a_branch_of_its_own(run, image, name):
    found = commits(run, image(name))
    assert found["branches"] == 2
    early = [c for c in found["commits"] if c["branch"] == 1]
    other = [c for c in found["commits"] if c["branch"] == 2]
    opened, = [c for c in early if c["edge"] == "opened"]
    # both come from the commit that was there when the table was loaded
    assert other[0]["after"] == opened["after"]
    assert other[0]["edge_proven"] and opened["edge_proven"]
    assert not other[-1]["state"]["open"]
    assert early[-1]["of_superblock"]


def test_prints_commits_as_a_table(run, image):
    path = image("crash_k61")
    result = run("era_ls", "--commits", path)
    lines = result.out.decode().splitlines()
    assert "commits are left, of which" in lines[0]
    assert lines[1].startswith("the superblock's is in block ")
    assert lines[3].split() == ["BRANCH", "BLOCK", "ERA", "STATE", "PROOF",
                                "EDGE", "AFTER", "SUPERBLOCK"]
    own, = [line.split() for line in lines[4:] if line.endswith("yes")]
    assert own[0] == "1" and own[3:6] == ["open", "proven", "next"]
    found = rows(run, path, "--commits", "-n", "-o", "block,used")
    assert len(found) == len(lines) - 4


@pytest.mark.parametrize("option", [
    ["--lines=20"], ["--written-since=1"], ["--bytes"],
    ["--metadata-snapshot"], ["--reachable-only"], ["-o", "since-blocks"]])
def test_options_of_eras_do_not_go_with_commits(run, image, option):
    result = run("era_ls", "--commits", *option, image("clean"))
    assert (result.status, result.out) == (2, b"")
    assert "--commits" in result.err or "unknown column" in result.err


def test_a_device_without_commits_has_an_empty_list(run, image):
    path = image("zeroes", bytes(16 * 4096))
    assert commits(run, path) == {"superblock_index_block": None,
                                  "branches": 0, "commits": []}
