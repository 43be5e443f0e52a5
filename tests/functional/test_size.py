# SPDX-License-Identifier: GPL-2.0-or-later
"""era_metadata_size: its arithmetic, and that no kernel has used more."""

import json
import struct

import pytest

from helpers import data
from helpers.blocks import SIZE
from helpers.reader import Metadata

GIB = 1 << 30


def sizes(run, *args):
    result = run("era_metadata_size", "--json", *args)
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


def bare(run, *args):
    result = run("era_metadata_size", *args)
    assert (result.status, result.err) == (0, "")
    return int(result.out)


@pytest.mark.parametrize("name", [*data.SOUND, *data.STALE_SOUND])
def test_no_kernel_has_used_more(run, name):
    """What is allocated, with the eras and the snapshot that are there."""
    image = data.read(name)
    nr_allocated, = struct.unpack_from("<Q", image, 52)
    nr_blocks, = struct.unpack_from("<I", image, 180)
    snapshot, = struct.unpack_from("<Q", image, 216)
    metadata = Metadata(image)
    eras = len(metadata.writesets(metadata.superblock()))
    args = [] if snapshot else ["--no-snapshot"]
    result = sizes(run, "-n", nr_blocks, "-e", eras, *args)
    assert result["minimum_blocks"] <= nr_allocated <= \
        result["worst_case_blocks"]


def test_a_device_that_ran_full_was_smaller(run):
    """36 blocks for 20,000 with a snapshot held: two kernels ran out."""
    assert sizes(run, "-n", 20000, "-e", 1)["metadata_blocks"] > 36


def test_parts_add_up(run):
    result = sizes(run, "-b", "64K", "-s", "1T", "--eras", "40")
    assert result["nr_blocks"] == 1 << 24
    assert sum(part["blocks"] * part["copies"]
               for part in result["parts"].values()) == \
        result["worst_case_blocks"] == result["metadata_blocks"]
    assert result["bytes"] == result["metadata_blocks"] * SIZE


def test_a_short_last_block_counts(run):
    assert sizes(run, "-b", "64K", "-s", "65537")["nr_blocks"] == 2


def test_more_eras_take_a_bitset_each(run):
    one, two = (sizes(run, "-n", 10**6, "-e", eras, "--no-snapshot")
                for eras in (1, 2))
    bitset = one["parts"]["writeset"]["blocks"]
    assert bitset == 32  # 31 of 32,576 bits each, and a node
    assert two["worst_case_blocks"] - one["worst_case_blocks"] == bitset


@pytest.mark.parametrize("unit, size", [
    ("s", 512), ("K", 1024), ("KB", 1000), ("M", 1 << 20), ("m", 1 << 20),
    ("G", GIB), ("4096", 4096), ("4k", 4096), ("B", 1)])
def test_unit_is_a_bare_number_rounded_up(run, unit, size):
    args = ["-b", "64K", "-s", "1T"]
    expected = -(-sizes(run, *args)["bytes"] // size)
    assert bare(run, *args, "-u", unit) == expected


def test_looks_at_a_file(run, tmp_path):
    origin = tmp_path / "origin"
    with origin.open("wb") as file:
        file.truncate(10 * GIB)
    assert sizes(run, "-b", "1M", origin)["nr_blocks"] == 10240


def test_says_when_it_cannot_fit(run):
    result = run("era_metadata_size", "-b", "4K", "-s", "8191G", "--json")
    assert result.status == 0
    fields = json.loads(result.out)
    assert "larger block size" in fields["problems"][0]["message"]
    assert not fields["fits"]
    assert fields["metadata_blocks"] == 255 * 16320


def test_too_many_blocks_names_a_block_size_that_would_do(run):
    result = run("era_metadata_size", "-b", "4K", "-s", "16T")
    assert result.status == 2
    assert "block size of 16K would do" in result.err
    assert sizes(run, "-b", "16K", "-s", "16T",
                 "-e", "1")["nr_blocks"] == 1 << 30


@pytest.mark.parametrize("args, word", [
    (["-b", "64K"], "no size"),
    (["-s", "1G"], "block size"),
    (["-b", "5000", "-s", "1G"], "multiple of 4K"),
    (["-b", "0", "-s", "1G"], "multiple of 4K"),
    (["-n", "5", "-s", "1G"], "only one"),
    (["-n", str(1 << 31)], "2147483647"),
    (["-n", "5", "-u", "X"], "not 'X'"), (["-n", "5", "-u", ""], "--unit"),
    (["-n", "5", "-u", "MK"], "not 'MK'"),
    (["-b", "64K", "-s", "-1G"], "not '-1G'"),
    (["-n", "5", "-u", "0"], "0"),
    (["-b", "8T", "-s", "1G"], "at most 2199023251456, not '8T'"),
    (["-b", "64K", "-s", "99999999P"], "at most 9223372036854775807"),
    (["-n", "5", "-u", "M", "--json"], "--json"),
])
def test_bad_usage(run, args, word):
    result = run("era_metadata_size", *args)
    assert (result.status, result.out) == (2, b"")
    assert word in result.err


def test_explains_in_eighty_columns(run):
    result = run("era_metadata_size", "-b", "64K", "-s", "1T")
    assert result.out.startswith(b"metadata device: 271364K, about 265M,")
    assert max(map(len, result.out.splitlines())) <= 80
