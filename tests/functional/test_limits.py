# SPDX-License-Identifier: GPL-2.0-or-later
"""What claims to be without end: bounded time and memory all the same.

Both are bounded by resource limits of the process, so that it is the tool's
work that is judged and not how busy the machine is.
"""

import gzip
import struct
import zlib

import pytest

from helpers.blocks import ARRAY, NODE, SIZE
from helpers.builder import Image, build, room_of
from helpers.mutate import Mutation

pytestmark = pytest.mark.bare

LIMITS = ["prlimit", f"--as={256 << 20}", "--cpu=10"]
HUGE = (2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1)


@pytest.fixture
def limited(run):
    def run_limited(tool, *args, **options):
        return run(tool, *args, before=LIMITS, **options)
    return run_limited


# --- devices ------------------------------------------------------------------

def put_internal(image, number, children):
    """An internal node: keys 0, 1, 2... to these children."""
    block = bytearray(SIZE)
    struct.pack_into("<II", block, 4, 1, 0)
    struct.pack_into("<IIII", block, 16, len(children), room_of(8), 8, 0)
    for i, child in enumerate(children):
        struct.pack_into("<Q", block, 32 + 8 * i, i)
        struct.pack_into("<Q", block, 32 + 8 * (room_of(8) + i), child)
    image.put(number, block, NODE)


def with_tree(root, levels, **fields):
    """A device whose tree `root` starts at the first of as many nodes as
    there are levels, each a list of children by their position among them."""
    image = Image(128)
    image.writesets([(5, 900, [7])])
    image.eras([3] * 900)
    numbers = [image.allocate() for _ in levels]
    for number, children in zip(numbers, levels):
        put_internal(image, number, [numbers[i] for i in children])
    return image.finish(6, **{root: numbers[0]}, **fields)


# 16 levels of 252 pointers to the same node: 10^38 ways down
EXPLODES = [[i + 1] * 252 for i in range(15)] + [[15]]
CHAIN = [[i + 1] for i in range(59)] + [[0]]
SHAPES = {
    "a cycle of one": [[0]],
    "a cycle of many": [[1], [2], [0]],
    "a cycle of all pointers": [[0] * 252],
    "a shared subtree that explodes": EXPLODES,
    "a tree that is far too deep": CHAIN,
    "two nodes that name each other": [[1] * 252, [0] * 252],
}
ROOTS = ("era_array_root", "writeset_tree_root", "writeset_root",
         "sm_ref_count_root")

DEVICES = {
    f"{shape} in {root}":
        (lambda root=root, levels=levels: with_tree(
            root, levels, writeset_nr_bits=900))
    for shape, levels in SHAPES.items() for root in ROOTS
}


def base():
    return build([3] * 900, [(5, 900, [7])], (900, [8]), 6)


def with_field(name, value):
    mutation = Mutation(base())
    mutation.superblock(**{name: value})
    return mutation.bytes()


for field, width in (("era_array_root", 64), ("writeset_tree_root", 64),
                     ("writeset_root", 64), ("sm_index", 64),
                     ("sm_ref_count_root", 64), ("metadata_snap", 64),
                     ("sm_nr_blocks", 64), ("sm_nr_allocated", 64),
                     ("nr_blocks", 32), ("current_era", 32),
                     ("writeset_nr_bits", 32), ("data_block_size", 32)):
    for number in HUGE:
        if number < 2**width:
            DEVICES[f"{field} {number}"] = \
                lambda field=field, number=number: with_field(field, number)


def with_edit(role, kind, offset, form, value):
    mutation = Mutation(base())
    mutation.edit(mutation.find(role), kind, offset, form, value)
    return mutation.bytes()


for role, kind, offsets in (
        ("era array node", NODE, (16, 20, 24)),
        ("writeset tree node", NODE, (16, 20, 24)),
        ("era array block", ARRAY, (4, 8, 12)),
        ("bitset block", ARRAY, (4, 8, 12))):
    for offset in offsets:
        for number in (0, 2**16, 2**31, 2**32 - 1):
            DEVICES[f"{role}, {number} at {offset}"] = \
                lambda role=role, kind=kind, offset=offset, number=number: \
                with_edit(role, kind, offset, "I", number)


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_is_read_within_bounds(limited, image, tmp_path, name):
    path = image("device", DEVICES[name]())
    check = limited("era_check", path)
    assert check.status == 0 or check.err
    for tool in (("era_dump",), ("era_dump", "--logical"),
                 ("era_invalidate", "--written-since", "1"),
                 ("era_dump", "--metadata-snapshot"), ("era_ls",),
                 ("era_map",)):
        read = limited(*tool, path, stdout=-3)
        assert read.status == 0 or read.err
    # what it says would fill 8 GiB is refused before anything is written
    target = tmp_path / "target"
    target.write_bytes(bytes(64 * SIZE))
    repair = limited("era_repair", "-i", path, "-o", target)
    assert (repair.status == 0) == \
        (limited("era_check", target).status == 0)
    assert repair.status == 0 or repair.err
    pack = limited("era_metadata_pack", "-i", path, "-o", tmp_path / "pack")
    assert pack.status == 0 or pack.err
    # last, for it changes the device
    repair = limited("era_repair", "--in-place", path)
    assert repair.status == 0 or repair.err
    if repair.status == 0:
        assert limited("era_check", path).status == 0


def test_a_sound_device_passes_these_bounds(limited, image, tmp_path):
    path = image("device", base())
    assert limited("era_check", path).status == 0
    assert limited("era_repair", "-i", path, "-o",
                   tmp_path / "new").status == 0


# --- XML ----------------------------------------------------------------------

HEAD = (b'<superblock uuid="" block_size="8" nr_blocks="1" current_era="1">'
        b'<era_array>')
TAIL = b'<era block="0" era="1"/></era_array></superblock>'
LONG = 256 << 20


def bomb(before, filling, after=b""):
    """gzip of very many of the filling, made without holding them."""
    packer = zlib.compressobj(9, wbits=31)
    piece = filling * ((1 << 20) // len(filling))
    parts = [packer.compress(before)]
    parts += [packer.compress(piece) for _ in range(LONG // len(piece))]
    return b"".join([*parts, packer.compress(after), packer.flush()])


BOMBS = {
    "zeroes": lambda: bomb(b"", b"\0"),
    "a value": lambda: bomb(b'<superblock uuid="', b"a"),
    "a name": lambda: bomb(b"<superblock><", b"a"),
    "attributes": lambda: bomb(b"<superblock ", b'a="" '),
    "a comment": lambda: bomb(HEAD + b"<!--", b"a"),
    "character data": lambda: bomb(HEAD, b"a"),
    "nesting": lambda: bomb(b"", b"<superblock>"),
    "the same era": lambda: bomb(HEAD, b'<era block="0" era="1"/>\n'),
    "a doctype": lambda: bomb(b"<!DOCTYPE superblock [", b"<!--a-->"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_gzip_bomb_is_refused_within_bounds(limited, tmp_path, name):
    (tmp_path / "in").write_bytes(BOMBS[name]())
    result = limited("era_restore", "-i", tmp_path / "in", "-o",
                     tmp_path / "out")
    assert result.status == 1 and result.err
    assert not (tmp_path / "out").exists()


def test_blanks_without_end_cost_no_memory(limited, tmp_path):
    (tmp_path / "in").write_bytes(bomb(HEAD, b" \n", TAIL))
    result = limited("era_restore", "-i", tmp_path / "in", "-o",
                     tmp_path / "out")
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("xml", [
    '<superblock uuid="" block_size="8" nr_blocks="2147483647" '
    'current_era="1">',
    '<superblock uuid="" block_size="8" nr_blocks="0" current_era="9">'
    '<writeset era="1" nr_bits="2147483647">'
    '<marked block_begin="0" len="2147483647"/></writeset>'],
    ids=["blocks", "bits"])
def test_a_device_too_small_for_a_claim_is_left_alone(limited, tmp_path, xml):
    target = tmp_path / "target"
    target.write_bytes(base())
    xml += "<era_array></era_array></superblock>"
    result = limited("era_restore", "--force", "-i", "-", "-o", target,
                     stdin=xml.encode())
    assert result.status == 2 and "too small" in result.err
    assert target.read_bytes()[SIZE:] == base()[SIZE:]


@pytest.mark.parametrize("member", range(2))
def test_gzip_members_without_end_are_read_one_by_one(limited, tmp_path,
                                                      member):
    """Empty members, before and after what counts."""
    empty = gzip.compress(b"") * 500000
    xml = gzip.compress(HEAD + TAIL)
    (tmp_path / "in").write_bytes(xml + empty if member else empty + xml)
    result = limited("era_restore", "-i", tmp_path / "in", "-o",
                     tmp_path / "out")
    assert (result.status, result.err) == (0, "")


# --- packs --------------------------------------------------------------------

def pack_header(nr_blocks):
    return struct.pack("<4Q", 0xa537a0aa6309ef77, 3, SIZE, nr_blocks)


def pack_chunk(stream):
    return struct.pack("<Q", len(stream)) + stream


@pytest.mark.parametrize("nr_blocks", HUGE)
def test_a_pack_cannot_claim_more_than_a_device_can_have(limited, tmp_path,
                                                         nr_blocks):
    (tmp_path / "pack").write_bytes(pack_header(nr_blocks))
    result = limited("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                     tmp_path / "out")
    assert result.status == 1 and "1 TiB" in result.err
    assert not (tmp_path / "out").exists()


def test_the_largest_claim_costs_no_room(limited, tmp_path):
    """1 TiB of nothing is a hole."""
    (tmp_path / "pack").write_bytes(pack_header(2**28))
    result = limited("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                     tmp_path / "out")
    if result.status == 0:
        assert (tmp_path / "out").stat().st_blocks * 512 < 1 << 20
    else:
        assert "too large" in result.err  # for this file system


@pytest.mark.parametrize("code", [
    b"\x70", b"\x80\xff", b"\x8f\xff\x10", b"\x50", b"\x60\x00", b"\x90",
    b"\xb0\x00"], ids=lambda code: code.hex())
def test_instructions_that_make_nothing_end(limited, tmp_path, code):
    record = struct.pack("<Q", 1) + code * ((64 << 20) // len(code))
    (tmp_path / "pack").write_bytes(
        pack_header(64) + pack_chunk(zlib.compress(record, 9)))
    result = limited("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                     tmp_path / "out")
    assert result.status == 1 and result.err
    assert not (tmp_path / "out").exists()


def test_chunks_of_nothing_without_end(limited, tmp_path):
    chunk = pack_chunk(zlib.compress(b""))
    (tmp_path / "pack").write_bytes(pack_header(64) + chunk * 200000)
    result = limited("era_metadata_unpack", "-i", tmp_path / "pack", "-o",
                     tmp_path / "out")
    assert result.status == 0
    assert (tmp_path / "out").stat().st_size == 64 * SIZE
