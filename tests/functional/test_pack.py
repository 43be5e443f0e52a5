# SPDX-License-Identifier: GPL-2.0-or-later
"""era_metadata_pack and era_metadata_unpack: what goes in comes out, packs of
the Rust suite and ours are the same to both, and a bad pack leaves nothing."""

import os
import struct
import zlib

import pytest

from helpers import data

ALL = data.CLEAN + data.UNCLEAN + data.DAMAGED + data.STALE
BLOCK = 4096
MAGIC = 0xa537a0aa6309ef77
DAMAGED_MAGIC = 0x64616d6167656421


def pack(run, source, target, *options):
    result = run("era_metadata_pack", "-i", source, "-o", target, *options)
    assert result.status == 0, result.err
    return result


def unpack(run, source, target, *options):
    result = run("era_metadata_unpack", "-i", source, "-o", target, *options)
    assert result.status == 0, result.err
    return target.read_bytes()


def header(magic=MAGIC, version=3, block_size=BLOCK, nr_blocks=1024):
    return struct.pack("<4Q", magic, version, block_size, nr_blocks)


def chunk(content):
    return struct.pack("<Q", len(content)) + content


def literal(block, content):
    return struct.pack("<QBH", block, 0xa2, len(content)) + content


def superblock():
    return data.read("clean")[:BLOCK]


def valid_pack():
    records = literal(0, superblock()) + literal(5, superblock())
    return header() + chunk(zlib.compress(records))


@pytest.mark.parametrize("name", ALL)
def test_all_of_an_image_survives(run, image, tmp_path, name):
    pack(run, image(name), tmp_path / "pack", "--all")
    assert unpack(run, tmp_path / "pack", tmp_path / "out") == data.read(name)


@pytest.mark.parametrize("name", data.SOUND)
def test_sound_images_need_no_option(run, image, tmp_path, name):
    result = pack(run, image(name), tmp_path / "pack")
    assert result.err == ""
    assert unpack(run, tmp_path / "pack", tmp_path / "out") == data.read(name)


def test_says_how_many_blocks_are_left_out(run, image, tmp_path):
    result = pack(run, image("rot_crash_k61_four"), tmp_path / "pack")
    assert "4 blocks left out" in result.err and "--all" in result.err
    result = pack(run, tmp_path / "rot_crash_k61_four.img", tmp_path / "pack",
                  "-q")
    assert result.err == ""


def test_a_block_left_out_reads_as_zero_and_no_other_changes(
        run, image, tmp_path):
    content = bytearray(data.read("clean"))
    content[7 * BLOCK + 100] ^= 1
    pack(run, image("x", content), tmp_path / "pack")
    content[7 * BLOCK:8 * BLOCK] = bytes(BLOCK)
    assert unpack(run, tmp_path / "pack", tmp_path / "out") == content


@pytest.mark.parametrize("options", [[], ["--all"]])
@pytest.mark.parametrize("name", ALL)
def test_the_rust_suite_unpacks_ours(run, rust, image, tmp_path, name,
                                     options):
    pack(run, image(name), tmp_path / "pack", *options)
    rust.run("thin_metadata_unpack", "-i", tmp_path / "pack", "-o",
             tmp_path / "theirs")
    pack(run, image(name), tmp_path / "plain")
    assert (tmp_path / "theirs").read_bytes() == \
        unpack(run, tmp_path / "plain", tmp_path / "ours")


# The Rust suite 1.1 loses blocks of a device of 33, as the test below says.
@pytest.mark.parametrize("name", [name for name in ALL
                                  if name != "stale_tight"])
def test_unpacks_what_the_rust_suite_packs(run, rust, image, tmp_path, name):
    rust.run("thin_metadata_pack", "-i", image(name), "-o", tmp_path / "pack")
    rust.run("thin_metadata_unpack", "-i", tmp_path / "pack", "-o",
             tmp_path / "theirs")
    theirs = (tmp_path / "theirs").read_bytes()
    assert unpack(run, tmp_path / "pack", tmp_path / "ours") == theirs
    size = (tmp_path / "pack").stat().st_size
    pack(run, tmp_path / f"{name}.img", tmp_path / "ours.pack")
    assert unpack(run, tmp_path / "ours.pack", tmp_path / "again") == theirs
    assert (tmp_path / "ours.pack").stat().st_size <= size


def test_keeps_the_last_blocks_of_a_device_of_any_size(run, image, tmp_path):
    """The Rust suite 1.1 loses a run of blocks unless the size suits it."""
    content = data.read("clean")[:1000 * BLOCK]
    pack(run, image("odd", content), tmp_path / "pack")
    assert unpack(run, tmp_path / "pack", tmp_path / "out") == content


def test_packs_are_the_same_each_time(run, image, tmp_path):
    source = image("clean")
    for name in "a", "b":
        pack(run, source, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.bare
def test_holes_of_a_file_cost_nothing(run, image, tmp_path):
    source = image("clean")
    os.truncate(source, 120 << 20)
    pack(run, source, tmp_path / "pack")
    result = run("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                 tmp_path / "out")
    assert result.status == 0
    out = (tmp_path / "out").stat()
    assert out.st_size == 120 << 20
    assert out.st_blocks * 512 <= 8 << 20
    with open(tmp_path / "out", "rb") as file:
        assert file.read(4 << 20) == data.read("clean")


def test_chunks_may_hold_nothing(run, tmp_path):
    empty = chunk(zlib.compress(b""))
    (tmp_path / "pack").write_bytes(valid_pack() + empty)
    out = unpack(run, tmp_path / "pack", tmp_path / "out")
    assert out[5 * BLOCK:6 * BLOCK] == superblock()
    (tmp_path / "none").write_bytes(header())
    assert unpack(run, tmp_path / "none", tmp_path / "zero") == \
        bytes(1024 * BLOCK)


# Each makes a pack that must be refused, and names a word of the message.
BAD = {
    "empty": (lambda: b"", "not a pack"),
    "another file": (lambda: data.read("clean"), "not a pack"),
    "half a header": (lambda: header()[:20], "cut short"),
    "version 4": (lambda: header(version=4), "version"),
    "block size": (lambda: header(block_size=512), "4096"),
    "no blocks": (lambda: header(nr_blocks=0), "without blocks"),
    "2^63 blocks": (lambda: header(nr_blocks=1 << 63), "1 TiB"),
    "2^52 blocks": (lambda: header(nr_blocks=1 << 52), "1 TiB"),
    "half a length": (lambda: valid_pack() + b"\1\0", "cut short"),
    "length 2^64 - 1": (lambda: valid_pack() + b"\xff" * 8, "cut short"),
    "length past the end": (lambda: valid_pack() + struct.pack("<Q", 1),
                            "cut short"),
    "truncated": (lambda: valid_pack()[:-1], "cut short"),
    "no zlib": (lambda: header() + chunk(b"x" * 100), "corrupt"),
    "empty chunk": (lambda: header() + chunk(b""), "cut short"),
    "flipped bit": (
        lambda: valid_pack()[:-3] + bytes([valid_pack()[-3] ^ 1]) +
        valid_pack()[-2:], "corrupt"),
    "half a record": (
        lambda: header() + chunk(zlib.compress(literal(0, superblock())[:-1])),
        "block 0 has too few"),
    "half a block number": (lambda: header() + chunk(zlib.compress(b"\0" * 7)),
                            "cut short"),
    "block past the end": (
        lambda: header() + chunk(zlib.compress(literal(1024, superblock()))),
        "past the end"),
    "block 2^64 - 1": (
        lambda: header() +
        chunk(zlib.compress(literal((1 << 64) - 1, superblock()))),
        "past the end"),
    "twice": (lambda: valid_pack() + valid_pack()[32:], "twice"),
    "wrong checksum": (
        lambda: header() + chunk(zlib.compress(literal(3, b"x" * BLOCK))),
        "block 3 has a wrong checksum"),
    "too many bytes": (
        lambda: header() + chunk(zlib.compress(literal(3, b"x" * 4097))),
        "no sense"),
    "unknown instruction": (
        lambda: header() + chunk(zlib.compress(bytes(8) + b"\xf0")),
        "no sense"),
    "idle instructions": (
        lambda: header() + chunk(zlib.compress(bytes(8) + b"\x50" * (1 << 24))),
        "too many"),
    "bytes after a stream": (
        lambda: header() + chunk(zlib.compress(b"") + b"some more bytes"),
        "corrupt"),
    "bytes after the second": (
        lambda: header() + chunk(
            zlib.compress(b"") + struct.pack("<Q", DAMAGED_MAGIC) +
            zlib.compress(literal(3, b"x" * BLOCK)) + b"x"), "corrupt"),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses_a_bad_pack_and_leaves_nothing(run, tmp_path, name):
    make, words = BAD[name]
    (tmp_path / "pack").write_bytes(make())
    result = run("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                 tmp_path / "out")
    assert result.status == 1
    assert words in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


def chunk_ends(content):
    offset = 32
    while offset < len(content):
        yield offset
        offset += 8 + struct.unpack_from("<Q", content, offset)[0]


def test_a_pack_cut_between_chunks_has_no_superblock(run, image, tmp_path):
    """The format has no mark for its end; this is how it shows."""
    with open(tmp_path / "large", "wb") as file:
        file.write(data.read("clean") + os.urandom(3 << 20))
    pack(run, tmp_path / "large", tmp_path / "pack", "--all")
    whole = (tmp_path / "pack").read_bytes()
    ends = list(chunk_ends(whole))
    assert len(ends) > 1
    for end in ends:
        (tmp_path / "pack").write_bytes(whole[:end])
        result = run("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                     tmp_path / "out", "-f")
        assert (result.status, result.out) == (0, b"")
        assert "no superblock" in result.err
        assert (tmp_path / "out").read_bytes()[:BLOCK] == bytes(BLOCK)


def test_a_bad_pack_leaves_what_was_there(run, tmp_path):
    (tmp_path / "pack").write_bytes(valid_pack()[:-1])
    (tmp_path / "out").write_bytes(b"precious")
    result = run("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                 tmp_path / "out")
    assert result.status == 1
    assert (tmp_path / "out").read_bytes() == b"precious"


@pytest.mark.bare
def test_a_bomb_is_refused_early(run, tmp_path):
    """The same block over and over, in next to no bytes."""
    record = literal(9, superblock())
    (tmp_path / "pack").write_bytes(
        header() + chunk(zlib.compress(record * 20000, 9)))
    result = run("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                 tmp_path / "out",
                 before=["prlimit", f"--as={256 << 20}", "--cpu=5"])
    assert result.status == 1
    assert "twice" in result.err


def test_any_bit_that_flips_is_noticed(run, image, tmp_path):
    """The header's device size has no checksum; all else is covered."""
    pack(run, image("stale_short"), tmp_path / "pack")
    good = (tmp_path / "pack").read_bytes()
    for at in [*range(0, 24), *range(32, len(good), 997)]:
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        (tmp_path / "bad").write_bytes(bad)
        result = run("era_metadata_unpack", "-i", tmp_path / "bad", "-o",
                     tmp_path / "out")
        assert result.status == 1, f"byte {at}"
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", ["era_metadata_pack", "era_metadata_unpack"])
def test_metadata_is_not_overwritten_by_mistake(run, image, tmp_path, tool):
    image("clean")
    image("crash_k61")
    target = tmp_path / "crash_k61.img"
    source = tmp_path / "clean.img"
    if tool == "era_metadata_unpack":
        pack(run, source, tmp_path / "pack")
        source = tmp_path / "pack"
    result = run(tool, "-i", source, "-o", target)
    assert result.status == 2 and "--force" in result.err
    assert target.read_bytes() == data.read("crash_k61")
    assert run(tool, "-f", "-i", source, "-o", target).status == 0
    assert target.read_bytes() != data.read("crash_k61")


@pytest.mark.parametrize("tool", ["era_metadata_pack", "era_metadata_unpack"])
def test_input_and_output_differ(run, image, tmp_path, tool):
    source = image("clean")
    if tool == "era_metadata_unpack":
        source.write_bytes(valid_pack())
    before = source.read_bytes()
    result = run(tool, "-f", "-i", source, "-o", source)
    assert result.status == 2 and "both input and output" in result.err
    assert source.read_bytes() == before


@pytest.mark.parametrize("tool", ["era_metadata_pack", "era_metadata_unpack"])
def test_usage(run, all_tools, tmp_path, tool):
    for options in [], ["-i", tmp_path / "x"], ["-o", tmp_path / "x"]:
        process = all_tools.popen(tool, *map(str, options), stderr=-1)
        assert "given (-" in process.communicate()[1].decode()
        assert process.returncode == 2
    assert run(tool, "-i", tmp_path / "x", "-o", tmp_path / "y").status == 2
    assert not list(tmp_path.iterdir())
    assert run(tool, "--help").status == 0
    assert run(tool, "-V").out.count(b"\n") == 1


def test_a_file_too_small_is_no_metadata(run, tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 100)
    result = run("era_metadata_pack", "-i", tmp_path / "x", "-o",
                 tmp_path / "pack")
    assert result.status == 1 and "too small" in result.err
    assert not (tmp_path / "pack").exists()
