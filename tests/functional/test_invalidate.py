# SPDX-License-Identifier: GPL-2.0-or-later
"""era_invalidate: exact after a crash, and never silently too few."""

import fcntl
import gzip
import json
import re

import pytest

from helpers import data
from helpers.builder import build
from helpers.forms import parse_blocks, parse_ranges
from helpers.reader import Metadata, expand, ranges


def since(run, era, path, *options):
    result = run("era_invalidate", "--written-since", era, *options, path)
    assert result.status == 0, result.err
    return result.out


def checks(*names):
    return [pytest.param(name, era, blocks, id=f"{name}-since-{era}")
            for name in names for era, blocks in data.truth(name)["checks"]]


@pytest.mark.parametrize("name, era, truth", checks(*data.SOUND))
def test_is_exact_on_what_a_kernel_left(run, image, name, era, truth):
    assert parse_ranges(since(run, era, image(name))) == truth


@pytest.mark.parametrize("name", data.DAMAGED)
def test_never_loses_a_block_silently(run, image, name):
    path = image(name)
    for era, truth in data.truth(name)["checks"]:
        result = run("era_invalidate", "--written-since", era, path)
        if result.status:
            assert "error: " in result.err
        else:
            assert expand(truth) <= parse_blocks(result.out)


@pytest.mark.parametrize("name", data.SOUND)
def test_says_nothing_but_the_blocks(run, image, name):
    result = run("era_invalidate", "--written-since", "1", image(name))
    assert result.err == ""


def test_all_blocks_were_written_since_era_0(run, image):
    assert parse_ranges(since(run, 0, image("clean"))) == [[0, 512]]


@pytest.mark.parametrize("era", [2, 3])
def test_nothing_was_written_since_an_era_without_writes(run, image, era):
    path = image("built", build([1, 0, 1], current_era=3))
    assert since(run, era, path) == b"<blocks>\n</blocks>\n"


@pytest.mark.parametrize("era", ["7", "4294967295"])
def test_an_era_that_has_not_begun_has_no_list(run, image, era):
    """An empty one would pass for "nothing was written"."""
    result = run("era_invalidate", "--written-since", era, image("clean"))
    assert (result.status, result.out) == (2, b"")
    assert f"era {era} has not begun" in result.err


def test_single_blocks_and_ranges_have_their_own_elements(run, image):
    path = image("built", build([1, 0, 1, 1, 0, 0, 1, 1, 1]))
    assert since(run, 1, path) == (b'<blocks>\n'
                                   b'  <block block="0"/>\n'
                                   b'  <range begin="2" end="4"/>\n'
                                   b'  <range begin="6" end="9"/>\n'
                                   b'</blocks>\n')


# Sizes around every boundary of array blocks, of eras and of bitset words.
@pytest.mark.parametrize("nr_blocks", [
    1, 63, 64, 65, 1017, 1018, 1019, 2036, 32575, 32576, 32577, 40000])
def test_joins_eras_and_writesets_across_boundaries(run, image, nr_blocks):
    eras = [3 if i % 1018 in (0, 1017) else i % 3 for i in range(nr_blocks)]
    archived = [(4, nr_blocks, range(0, nr_blocks, 64)),
                (5, nr_blocks, range(63, nr_blocks, 509 * 64)),
                (6, nr_blocks, [nr_blocks - 1])]
    content = build(eras, archived, open_one=(nr_blocks, [nr_blocks // 2]),
                    nr_blocks=256)
    path = image("built", content)
    for era in (1, 2, 3, 4, 5, 6, 7):
        assert parse_ranges(since(run, era, path)) == \
            ranges(Metadata(content).since(era))


@pytest.mark.parametrize("nr_bits", [0, 1, 64, 2000, 3001, 50000])
def test_a_writeset_may_have_another_size_than_the_device(run, image,
                                                          nr_bits):
    marked = range(0, nr_bits, 7)
    content = build([0] * 3000, archived=[(1, nr_bits, marked)],
                    open_one=(nr_bits, marked), nr_blocks=256)
    path = image("built", content)
    for era in (1, 2):
        assert parse_blocks(since(run, era, path)) == \
            {block for block in marked if block < 3000}


# --- --metadata-snapshot --------------------------------------------------

@pytest.mark.parametrize("option", ["--metadata-snapshot",
                                    "--metadata-snap"])
@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
def test_reads_the_metadata_snapshot(run, image, name, option):
    reader = Metadata(data.read(name))
    path = image(name)
    end = reader.superblock(reader.superblock().metadata_snap).current_era
    for era in range(1, end):
        assert parse_blocks(since(run, era, path, option)) == \
            reader.since(era, snapshot=True)
    result = run("era_invalidate", "--written-since", end, option, path)
    assert (result.status, result.out) == (2, b"")


def test_says_that_there_is_no_metadata_snapshot(run, image):
    result = run("era_invalidate", "--metadata-snapshot", "--written-since",
                 "1", image("clean"))
    assert result.status == 2
    assert "snapshot" in result.err
    assert result.out == b""


@pytest.mark.parametrize("what", ["snapshot-superblock", "era-array-leaf"])
def test_a_damaged_snapshot_is_an_error(run, image, what):
    result = run("era_invalidate", "--metadata-snapshot", "--written-since",
                 "1", image(f"rot_crash_snap_{what}"))
    reader = Metadata(data.read(f"rot_crash_snap_{what}"))
    if result.status == 0:
        assert parse_blocks(result.out) == reader.since(1, snapshot=True)
    else:
        assert result.err


def test_only_the_snapshot_can_be_read_of_a_device_in_use(run, image):
    path = image("crash_snap")
    with open(path, "rb") as somebody_else:
        fcntl.flock(somebody_else, fcntl.LOCK_EX)
        result = run("era_invalidate", "--written-since", "1", path)
        assert result.status == 2
        assert "in use" in result.err and "--metadata-snapshot" in result.err
        since(run, 1, path, "--metadata-snapshot")


# --- formats and units ----------------------------------------------------

@pytest.mark.parametrize("unit, scale", [
    (None, 1), ("blocks", 1), ("sectors", 128), ("bytes", 65536)])
def test_text_has_begin_and_length(run, image, unit, scale):
    options = ["--format=text"] + ([f"--unit={unit}"] if unit else [])
    era, truth = data.truth("crash_k61")["checks"][2]
    out = since(run, era, image("crash_k61"), *options).decode()
    assert out == "".join(f"{begin * scale} {(end - begin) * scale}\n"
                          for begin, end in truth)


@pytest.mark.parametrize("unit, scale", [
    (None, 1), ("blocks", 1), ("sectors", 128), ("bytes", 65536)])
def test_json_has_begin_and_length(run, image, tmp_path, unit, scale):
    options = ["--format=json"] + ([f"--unit={unit}"] if unit else [])
    era, truth = data.truth("crash_k61")["checks"][2]
    report = json.loads(since(run, era, image("crash_k61"), *options))
    assert report == {
        "device": str(tmp_path / "crash_k61.img"), "outcome": "sound",
        "unit": unit or "blocks", "block_size": 128, "nr_blocks": 512,
        "current_era": 4,
        "ranges": [{"begin": begin * scale, "length": (end - begin) * scale}
                   for begin, end in truth]}


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_blocks_in_any_format(run, image, form):
    path = image("built", build([1, 0, 1], current_era=3))
    out = since(run, 3, path, f"--format={form}")
    if form == "text":
        assert out == b""
    else:
        assert json.loads(out)["ranges"] == []


def test_bytes_of_the_largest_device_do_not_overflow(run, image):
    """2^31 - 1 blocks of the largest block size are beyond 2^64 bytes;
    block 5000 of 2 TiB each is not."""
    content = build([0] * 5000 + [1])
    from helpers.mutate import Mutation
    mutation = Mutation(content)
    mutation.superblock(data_block_size=2**32 - 8)
    out = since(run, 1, image("built", mutation.bytes()),
                "--format=text", "--unit=bytes")
    size = (2**32 - 8) * 512
    assert out.decode() == f"{5000 * size} {size}\n"


# --- -o -------------------------------------------------------------------

def test_writes_to_a_file(run, image, tmp_path):
    path = image("clean")
    output = tmp_path / "blocks.xml"
    result = run("era_invalidate", "--written-since", "2", "-o", output, path)
    assert (result.status, result.out) == (0, b"")
    assert output.read_bytes() == since(run, 2, path)


def test_compresses_a_file_named_so(run, image, tmp_path):
    path = image("clean")
    output = tmp_path / "blocks.xml.gz"
    run("era_invalidate", "--written-since", "2", "-o", output, path)
    assert gzip.decompress(output.read_bytes()) == since(run, 2, path)


# --- usage ----------------------------------------------------------------

def test_needs_an_era(run, image):
    result = run("era_invalidate", image("clean"))
    assert result.status == 2
    assert "--written-since" in result.err


@pytest.mark.parametrize("era", ["", "-1", "+", "++1", "+-1", " 1", "1 ", "x", "0x1",
                                 "1.5", "4294967296",
                                 "18446744073709551617"])
def test_refuses_what_is_no_era(run, image, era):
    result = run("era_invalidate", f"--written-since={era}", image("clean"))
    assert result.status == 2
    assert re.search("written-since|era", result.err.splitlines()[0])
    assert result.out == b""


@pytest.mark.parametrize("option", ["--format=yaml", "--format=",
                                    "--unit=furlongs", "--unit=bytes"])
def test_refuses_an_unknown_format_or_unit(run, image, option):
    """--unit alone, too: XML counts blocks."""
    result = run("era_invalidate", option, "--written-since=1",
                 image("clean"))
    assert result.status == 2
    assert result.out == b""
