# SPDX-License-Identifier: GPL-2.0-or-later
"""era_dump: the bytes of the Rust suite, plus what it leaves out."""

import itertools
import fcntl
import gzip
import os
from pathlib import Path

import pytest

from helpers import data
from helpers.builder import build
from helpers.forms import dump_since, make_dump, parse_dump
from helpers.reader import Damage, Metadata, expand


def dump(run, path, *options):
    result = run("era_dump", *options, path)
    assert result.status == 0, result.err
    return result.out


@pytest.mark.parametrize("name", data.SOUND)
def test_has_the_bytes_of_the_rust_suite(run, image, name):
    """Kept in tests/data; test_peers.py asks the suite itself."""
    assert dump(run, image(name)) == data.dump(name)


@pytest.mark.parametrize("name", data.SOUND)
def test_says_what_an_independent_reader_reads(run, image, name):
    reader = Metadata(data.read(name))
    sb = reader.superblock()
    parsed = parse_dump(dump(run, image(name)))
    assert parsed.attributes == {
        "uuid": "", "block_size": str(sb.data_block_size),
        "nr_blocks": str(sb.nr_blocks), "current_era": str(sb.current_era)}
    assert parsed.eras == reader.eras(sb)
    assert parsed.writesets == {w.era: (w.nr_bits, w.blocks)
                                for w in reader.writesets(sb)}


@pytest.mark.parametrize("nr_blocks", [0, 1, 63, 64, 65, 1017, 1018, 1019,
                                       32575, 32576, 32577])
def test_sizes_around_every_boundary(run, image, nr_blocks):
    eras = [i % 5 for i in range(nr_blocks)]
    marked = [i for i in range(nr_blocks) if i % 61 in (0, 60)]
    content = build(eras, [(5, nr_blocks, marked)],
                    open_one=(nr_blocks, marked[:1]), current_era=9,
                    nr_blocks=128)
    assert dump(run, image("built", content)) == make_dump(
        eras, [(5, nr_blocks, marked), (9, nr_blocks, marked[:1])],
        current_era=9)


@pytest.mark.parametrize("nr_bits", [0, 1, 2999, 3001, 64000])
def test_a_writeset_has_its_own_number_of_bits(run, image, nr_bits):
    marked = range(0, nr_bits, 3)
    content = build([0] * 3000, [(1, nr_bits, marked)], nr_blocks=128)
    assert dump(run, image("built", content)) == \
        make_dump([0] * 3000, [(1, nr_bits, marked)])


def test_many_writesets_by_ascending_era(run, image):
    writesets = [(era, 100, [era % 100]) for era in range(1, 60)]
    content = build([0] * 100, writesets, open_one=(100, [99]),
                    nr_blocks=256, fanout=4)
    assert dump(run, image("built", content)) == \
        make_dump([0] * 100, writesets + [(60, 100, [99])])


def test_a_uuid_is_32_hex_digits(run, image):
    from helpers.mutate import Mutation
    mutation = Mutation(build([0]))
    mutation.superblock(uuid=bytes(range(0xf0, 0x100)))
    out = dump(run, image("built", mutation.bytes()))
    assert b'uuid="f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"' in out


# --- --logical, --compact --------------------------------------------------

@pytest.mark.parametrize("name", data.SOUND)
def test_logical_has_the_last_era_of_each_block(run, image, name):
    parsed = parse_dump(dump(run, image(name), "--logical"))
    assert parsed.writesets == {}
    assert parsed.eras == Metadata(data.read(name)).last_written()


@pytest.mark.parametrize("nr_bits", [0, 64, 2000, 5000])
def test_logical_with_writesets_of_another_size(run, image, nr_bits):
    content = build([i % 3 for i in range(3000)],
                    [(era, nr_bits, range(era, nr_bits, era))
                     for era in range(3, 9)],
                    open_one=(nr_bits, range(0, nr_bits, 100)),
                    nr_blocks=128)
    assert dump(run, image("built", content), "--logical") == \
        make_dump(Metadata(content).last_written(), current_era=9)


@pytest.mark.parametrize("name", data.SOUND)
def test_compact_says_the_same_in_fewer_bytes(run, image, name):
    path = image(name)
    compact, full = dump(run, path, "--compact"), dump(run, path)
    assert vars(parse_dump(compact)) == vars(parse_dump(full))
    assert len(compact) < len(full)
    assert b"<bit " not in compact


@pytest.mark.parametrize("marked", [[], [0], [63], [63, 64], range(200),
                                    [0, 199], range(32, 96),
                                    range(0, 200, 2)],
                         ids=lambda marked: f"{len(marked)}")
def test_compact_has_one_element_for_each_run(run, image, marked):
    content = build([0] * 200, [(1, 200, marked)])
    out = dump(run, image("built", content), "--compact").decode()
    runs = [line for line in out.splitlines() if "<marked" in line]
    starts = [b for b in marked if b - 1 not in marked]
    lengths = [next(n for n in range(1, 202) if b + n not in marked)
               for b in starts]
    assert runs == [f'    <marked block_begin="{b}" len="{n}"/>'
                    for b, n in zip(starts, lengths)]


@pytest.mark.parametrize("eras", [
    [], [3], [3, 3], [1, 2, 3], [0] * 5000, [0] * 1018 + [1] * 1018,
    [1] * 7 + [0] + [2] * 3000], ids=lambda eras: f"{len(eras)}")
def test_compact_has_one_element_for_each_run_of_eras(run, image, tmp_path,
                                                      eras):
    """A run of one is the plain element, which is shorter; era_restore reads
    both back."""
    path = image("built", build(eras, current_era=9))
    out = dump(run, path, "--compact")
    expected, begin = [], 0
    for era, blocks in itertools.groupby(eras):
        n = len(list(blocks))
        expected.append(
            f'    <era block="{begin}" era="{era}"/>' if n == 1 else
            f'    <eras block_begin="{begin}" len="{n}" era="{era}"/>')
        begin += n
    assert [line for line in out.decode().splitlines()
            if line.startswith("    ")] == expected
    assert run("era_restore", "-i", "-", "-o", tmp_path / "restored",
               stdin=out).status == 0
    assert dump(run, tmp_path / "restored") == dump(run, path)


# --- --metadata-snapshot ---------------------------------------------------

@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
def test_dumps_the_metadata_snapshot(run, image, name):
    reader = Metadata(data.read(name))
    copy = reader.snapshot()
    parsed = parse_dump(dump(run, image(name), "--metadata-snapshot"))
    assert parsed.eras == reader.eras(copy)
    assert parsed.writesets == {w.era: (w.nr_bits, w.blocks)
                                for w in reader.writesets(copy)}
    assert parsed.attributes["nr_blocks"] == str(copy.nr_blocks)


def test_says_that_there_is_no_metadata_snapshot(run, image):
    result = run("era_dump", "--metadata-snapshot", image("clean"))
    assert (result.status, result.out) == (2, b"")
    assert "snapshot" in result.err


def test_a_device_in_use_is_not_read(run, image):
    path = image("crash_snap")
    with open(path, "rb") as somebody_else:
        fcntl.flock(somebody_else, fcntl.LOCK_EX)
        result = run("era_dump", path)
        assert (result.status, result.out) == (2, b"")
        assert "in use" in result.err and "--metadata-snapshot" in result.err
        dump(run, path, "--metadata-snapshot")


def test_a_pipe_is_widened(run, image):
    """As far as anybody may: both ends would do little but wake each other."""
    most = int(Path("/proc/sys/fs/pipe-max-size").read_text("ascii"))
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as file, open(write_end, "wb") as stdout:
        before = fcntl.fcntl(file, fcntl.F_GETPIPE_SZ)
        if most < 1 << 20:
            pytest.skip(f"no pipe may be larger than {most}")
        result = run("era_dump", "--compact", image("clean"), stdout=stdout)
        assert (result.status, result.err) == (0, "")
        assert fcntl.fcntl(file, fcntl.F_GETPIPE_SZ) == 1 << 20 > before


# --- -o --------------------------------------------------------------------

def test_writes_to_a_file(run, image, tmp_path):
    output = tmp_path / "dump.xml"
    result = run("era_dump", "-o", output, image("crash_k72"))
    assert (result.status, result.out, result.err) == (0, b"", "")
    assert output.read_bytes() == data.dump("crash_k72")


def test_compresses_a_file_named_so(run, image, tmp_path):
    output = tmp_path / "dump.xml.gz"
    run("era_dump", "-o", output, image("crash_k72"))
    assert gzip.decompress(output.read_bytes()) == data.dump("crash_k72")


@pytest.mark.parametrize("before", [None, b"<blocks>\n</blocks>\n"])
def test_a_file_is_complete_or_absent(run, image, tmp_path, before):
    """The damage is found late, in the era array."""
    directory = tmp_path / "out"
    directory.mkdir()
    output = directory / "dump.xml"
    if before:
        output.write_bytes(before)
    result = run("era_dump", "-o", output, image("rot_crash_k61_era-array-leaf"))
    assert result.status == 1
    assert list(directory.iterdir()) == ([output] if before else [])
    assert not before or output.read_bytes() == before


# --- damaged metadata -------------------------------------------------------

@pytest.mark.parametrize("name", data.DAMAGED)
def test_dumps_damaged_metadata_whole_or_not_at_all(run, image, name):
    result = run("era_dump", image(name))
    reader = Metadata(data.read(name))
    try:
        sb = reader.superblock()
        expected = make_dump(reader.eras(sb),
                             [(w.era, w.nr_bits, w.blocks)
                              for w in reader.writesets(sb)],
                             current_era=sb.current_era)
    except Damage:
        assert result.status == 1
        assert "error: " in result.err
    else:
        assert (result.status, result.out) == (0, expected)


@pytest.mark.parametrize("name", data.SOUND)
def test_repair_changes_nothing_where_nothing_is_damaged(run, image, name):
    assert dump(run, image(name), "--repair") == data.dump(name)


@pytest.mark.parametrize("name", data.DAMAGED)
def test_repair_loses_no_write(run, image, name):
    """And says what it assumed; a lost superblock may be too much for it."""
    result = run("era_dump", "--repair", image(name))
    if name.endswith("superblock") and result.status:
        assert result.err and result.out == b""
        return
    assert result.status == 0, result.err
    parsed = parse_dump(result.out)
    for era, truth in data.truth(name)["checks"]:
        assert expand(truth) <= dump_since(parsed, era)


@pytest.mark.parametrize("name", ["rot_clean_snap_era-array-leaf",
                                  "rot_crash_k61_bitset-leaf",
                                  "rot_crash_k61_writeset-tree-node"])
def test_repair_says_what_it_assumed(run, image, name):
    result = run("era_dump", "--repair", image(name))
    assert "data blocks 0..511" in result.err
