# SPDX-License-Identifier: GPL-2.0-or-later
"""era_check: sound metadata passes, each kind of damage is found and named."""

import json
import re
import struct

import pytest

from helpers import blocks, data
from helpers.builder import Image, build
from helpers.mutate import ARRAY, BITMAP, INDEX, NODE, Mutation


@pytest.mark.parametrize("name", data.SOUND)
def test_passes_what_a_kernel_left(run, image, name):
    result = run("era_check", image(name))
    assert result.status == 0
    assert "error" not in result.err


@pytest.mark.parametrize("name", data.UNCLEAN)
def test_says_that_an_era_is_open(run, image, name):
    result = run("era_check", image(name))
    assert "not shut down cleanly" in result.err


@pytest.mark.parametrize("name", data.CLEAN)
def test_says_nothing_of_clean_metadata(run, image, name):
    result = run("era_check", image(name))
    assert (result.out, result.err) == (b"", "")


@pytest.mark.parametrize("name", data.DAMAGED)
def test_refuses_a_rotted_block_and_names_it(run, image, name):
    result = run("era_check", image(name))
    assert result.status == 1
    rotted = re.search(r"block (\d+)", data.truth(name)["note"])
    if rotted:
        assert re.search(rf"\b{rotted[1]}\b", result.err)


@pytest.mark.parametrize("name", data.STALE)
def test_refuses_metadata_with_a_newer_history(run, image, name):
    assert run("era_check", image(name)).status == 1


@pytest.mark.parametrize("name", ["clean", "crash_snap",
                                  "rot_clean_snap_four",
                                  "rot_crash_k61_superblock"])
def test_quiet_leaves_nothing_but_the_status(run, image, name):
    result = run("era_check", "-q", image(name))
    assert (result.out, result.err) == (b"", "")
    assert result.status == (data.truth(name)["state"] == "damaged")


def test_finds_all_problems_not_only_the_first(run, image):
    result = run("era_check", image("rot_crash_snap_four"))
    assert result.err.count("error: ") == 4
    assert "4 errors" in result.err


def test_names_the_path_and_the_data_blocks(run, image):
    """A leaf of the era array concerns the data blocks it dates."""
    mutation = Mutation(build([1] * 3000))
    leaf = mutation.find("era array block", 1)
    mutation.data[leaf * blocks.SIZE + 100] ^= 1
    result = run("era_check", image("built", mutation.bytes()))
    line = next(line for line in result.err.splitlines() if str(leaf) in line)
    root = mutation.sb.era_array_root
    assert re.search(rf"superblock 0 -> .*\b{root}\b.* -> .*\b{leaf}\b", line)
    assert re.search(r"1018\D+(2035|2036)\b", line)


@pytest.mark.parametrize("name", ["rot_clean_snap_bitset-leaf",
                                  "rot_clean_snap_snapshot-superblock"])
def test_names_the_metadata_snapshot(run, image, name):
    """What its superblock leads to is not the live state; and where that is
    zero, no kernel formats the device for it."""
    result = run("era_check", image(name))
    assert "error: metadata snapshot superblock 835" in result.err
    assert "would format" not in result.err


# --- --json --------------------------------------------------------------

def test_json_says_that_it_is_sound(run, image):
    report = json.loads(run("era_check", "--json", image("clean")).out)
    assert report["sound"] is True
    assert report["problems"] == []


def test_json_is_the_same_report(run, image):
    path = image("rot_crash_snap_four")
    result = run("era_check", "--json", path)
    assert result.status == 1
    report = json.loads(result.out)
    text = run("era_check", path).err
    assert report["sound"] is False
    assert report["counts"]["error"] == 4
    for problem in report["problems"]:
        assert problem["message"] in text


# --- --super-block-only ---------------------------------------------------

def test_superblock_only_looks_no_further(run, image):
    path = image("rot_crash_k61_era-array-leaf")
    assert run("era_check", path).status == 1
    assert run("era_check", "--super-block-only", path).status == 0


def test_superblock_only_refuses_a_bad_superblock(run, image):
    path = image("rot_crash_k61_superblock")
    assert run("era_check", "--super-block-only", path).status == 1


# --- damage that no checksum shows ----------------------------------------
#
# Each case makes metadata with one fault, and names how grave it is and a
# word that the message must have.

FATAL, NON_FATAL, SOUND = "fatal", "non-fatal", "sound"
CASES = {}


def case(gravity, word=""):
    def add(function):
        CASES[function.__name__] = (function, gravity, word)
        return function
    return add


def base():
    """Three levels of era array, three archived writesets, an open one."""
    return build([i % 5 for i in range(9000)],
                 archived=[(5, 9000, range(10, 20)), (6, 9000, [0, 8999]),
                           (7, 9000, [64])],
                 open_one=(9000, [1]), fanout=3)


def superblock_case(word, **fields):
    def make():
        mutation = Mutation(base())
        mutation.superblock(**fields)
        return mutation.bytes()
    return make, FATAL, word


CASES.update({
    "another_version": superblock_case("version", version=2),
    "thin_metadata": superblock_case("thin", magic=blocks.THIN_MAGIC),
    "cache_metadata": superblock_case("cache", magic=blocks.CACHE_MAGIC),
    "no_magic": superblock_case("magic", magic=12345),
    "superblock_of_another_place": superblock_case("", blocknr=7),
    "block_size_of_zero": superblock_case("block size", data_block_size=0),
    "odd_block_size": superblock_case("block size", data_block_size=12),
    "metadata_block_size": superblock_case("block size",
                                           metadata_block_size=16),
    "too_many_data_blocks": superblock_case("", nr_blocks=2**31),
    "era_array_too_short": superblock_case("", nr_blocks=9001),
    "era_array_far_too_short": superblock_case("", nr_blocks=2**31 - 1),
    "era_array_too_long": superblock_case("", nr_blocks=8999),
    "open_writeset_of_another_size": superblock_case(
        "", writeset_nr_bits=9065),
    "root_past_the_end": superblock_case("", era_array_root=64),
    "root_far_past_the_end": superblock_case("", era_array_root=2**64 - 1),
    "root_is_the_superblock": superblock_case("", writeset_tree_root=0),
    "snapshot_past_the_end": superblock_case("", metadata_snap=64),
    "snapshot_is_the_superblock": superblock_case("", metadata_snap=2**40),
    "space_map_past_the_end": superblock_case("", sm_index=1000),
    "ref_count_tree_past_the_end": superblock_case(
        "", sm_ref_count_root=1000),
    "space_map_larger_than_the_device": superblock_case(
        "", sm_nr_blocks=65),
    "space_map_larger_than_any": superblock_case(
        "", sm_nr_blocks=2**64 - 1),
    "space_map_of_nothing": superblock_case("", sm_nr_blocks=0),
    "space_map_smaller_than_what_is_used": superblock_case(
        "", sm_nr_blocks=10),
})


@case(SOUND)
def nothing_at_all():
    return base()


@case(SOUND)
def flag_of_a_restore():
    mutation = Mutation(base())
    mutation.superblock(flags=1)
    return mutation.bytes()


@case(SOUND)
def free_count_past_the_end_as_the_kernel_counts():
    mutation = Mutation(base())
    index = mutation.sb.sm_index
    nr_free = blocks.le32(mutation.block(index), 24)
    mutation.edit(index, INDEX, 24, "I",
                  nr_free + blocks.COUNTS_PER_BITMAP - 64)
    return mutation.bytes()


@case(SOUND)
def device_longer_than_its_space_map():
    return base() + bytes(10 * blocks.SIZE)


@case(SOUND)
def writesets_of_other_sizes():
    return build([0] * 3000, archived=[(1, 2500, [2499]), (2, 5000, [4999]),
                                       (3, 0, [])],
                 open_one=(64, [63]))


@case(SOUND)
def no_data_blocks():
    return build([], current_era=1)


@case(FATAL)
def device_shorter_than_its_space_map():
    return base()[:-blocks.SIZE]


@case(FATAL)
def device_of_one_block():
    return base()[:blocks.SIZE]


@case(NON_FATAL)
def leaked_block():
    mutation = Mutation(base())
    mutation.count(mutation.free_block(), 1)
    return mutation.bytes()


@case(NON_FATAL)
def count_too_high():
    mutation = Mutation(base())
    mutation.count(mutation.find("bitset node"), 2)
    return mutation.bytes()


@case(FATAL)
def count_too_low():
    """A block in use that the kernel would take for free."""
    mutation = Mutation(base())
    mutation.count(mutation.find("bitset block"), 0)
    return mutation.bytes()


@case(FATAL)
def superblock_not_counted():
    mutation = Mutation(base())
    mutation.count(0, 0)
    return mutation.bytes()


@case(NON_FATAL)
def wrong_nr_allocated():
    mutation = Mutation(base())
    mutation.superblock(sm_nr_allocated=mutation.sb.sm_nr_allocated + 3)
    return mutation.bytes()


@case(NON_FATAL)
def wrong_nr_free():
    mutation = Mutation(base())
    mutation.edit(mutation.sb.sm_index, INDEX, 24, "I", 1)
    return mutation.bytes()


@case(NON_FATAL)
def stray_bit_past_nr_bits():
    mutation = Mutation(base())
    last = mutation.find("bitset block", 0)
    # 9000 bits leave 24 unused in the last word, the 141st
    mutation.edit(last, ARRAY, 24 + 8 * 140, "Q", 1 << 63)
    return mutation.bytes()


@case(FATAL)
def era_above_the_current_one():
    mutation = Mutation(base())
    mutation.edit(mutation.find("era array block"), ARRAY, 24, "I", 1000)
    return mutation.bytes()


@case(FATAL)
def writeset_above_the_current_era():
    mutation = Mutation(base())
    mutation.superblock(current_era=6)
    return mutation.bytes()


@case(FATAL)
def writeset_of_the_era_that_is_open():
    mutation = Mutation(base())
    mutation.superblock(current_era=7)
    return mutation.bytes()


@case(FATAL)
def keys_out_of_order():
    mutation = Mutation(base())
    mutation.node_entry(mutation.find("writeset tree node"), 1, key=5)
    return mutation.bytes()


@case(FATAL)
def key_below_its_parents():
    mutation = Mutation(base())
    mutation.node_entry(mutation.find("era array node"), 1, key=4)
    return mutation.bytes()


@case(FATAL)
def era_beyond_32_bits():
    mutation = Mutation(base())
    mutation.node_entry(mutation.find("writeset tree node"), 2, key=2**32 + 7)
    return mutation.bytes()


@case(FATAL)
def more_entries_than_room():
    mutation = Mutation(base())
    mutation.edit(mutation.find("writeset tree node"), NODE, 16, "I", 202)
    return mutation.bytes()


@case(FATAL)
def room_for_more_than_a_block():
    mutation = Mutation(base())
    mutation.edit(mutation.find("writeset tree node"), NODE, 20, "I", 252)
    return mutation.bytes()


@case(FATAL)
def room_for_very_much_more_than_a_block():
    mutation = Mutation(base())
    mutation.edit(mutation.find("writeset tree node"), NODE, 16, "II",
                  2**32 - 1, 2**32 - 1)
    return mutation.bytes()


@case(FATAL)
def node_that_is_neither_leaf_nor_internal():
    mutation = Mutation(base())
    mutation.edit(mutation.find("writeset tree node"), NODE, 4, "I", 3)
    return mutation.bytes()


@case(FATAL)
def another_value_size():
    mutation = Mutation(base())
    mutation.edit(mutation.find("writeset tree node"), NODE, 24, "I", 8)
    return mutation.bytes()


@case(FATAL)
def child_past_the_end():
    mutation = Mutation(base())
    mutation.node_entry(mutation.find("era array node"), 0, value=2**63)
    return mutation.bytes()


@case(FATAL)
def child_is_the_superblock():
    mutation = Mutation(base())
    mutation.node_entry(mutation.find("era array node"), 0, value=0)
    return mutation.bytes()


@case(FATAL)
def tree_that_leads_back_to_its_root():
    mutation = Mutation(base())
    root = mutation.sb.era_array_root
    mutation.node_entry(root, 1, value=root)
    return mutation.bytes()


@case(FATAL)
def tree_with_one_child_twice():
    mutation = Mutation(base())
    root = mutation.sb.era_array_root
    block = mutation.block(root)
    child = blocks.le64(block, mutation.value_offset(block, 0))
    mutation.node_entry(root, 1, value=child)
    mutation.recount()
    return mutation.bytes()


@case(FATAL)
def empty_internal_node():
    mutation = Mutation(base())
    mutation.edit(mutation.sb.era_array_root, NODE, 16, "I", 0)
    return mutation.bytes()


@case(FATAL)
def array_block_in_place_of_a_node():
    mutation = Mutation(base())
    mutation.superblock(era_array_root=mutation.find("era array block"))
    return mutation.bytes()


@case(FATAL)
def node_of_another_place():
    mutation = Mutation(base())
    number = mutation.find("bitset node")
    mutation.put(number, mutation.block(number), NODE, place=number + 1)
    return mutation.bytes()


@case(FATAL)
def array_block_of_another_place():
    mutation = Mutation(base())
    number = mutation.find("bitset block")
    mutation.put(number, mutation.block(number), ARRAY, place=number + 1)
    return mutation.bytes()


@case(FATAL)
def array_block_with_too_few_values():
    mutation = Mutation(base())
    mutation.edit(mutation.find("era array block"), ARRAY, 8, "I", 1017)
    return mutation.bytes()


@case(FATAL)
def array_block_with_more_values_than_room():
    mutation = Mutation(base())
    mutation.edit(mutation.find("era array block"), ARRAY, 8, "I", 1019)
    return mutation.bytes()


@case(FATAL)
def array_block_of_another_value_size():
    mutation = Mutation(base())
    mutation.edit(mutation.find("era array block"), ARRAY, 12, "I", 8)
    return mutation.bytes()


@case(FATAL)
def array_with_a_gap():
    """Array-block index 1 is missing, 2 is there."""
    mutation = Mutation(build([1] * 3000))
    root = mutation.sb.era_array_root
    block = mutation.block(root)
    last = blocks.le64(block, mutation.value_offset(block, 2))
    lost = blocks.le64(block, mutation.value_offset(block, 1))
    mutation.node_entry(root, 1, key=2, value=last)
    mutation.edit(root, NODE, 16, "I", 2)
    mutation.count(lost, 0)
    return mutation.bytes()


@case(FATAL)
def bitset_too_short():
    mutation = Mutation(base())
    mutation.node_entry(mutation.find("writeset tree node"), 0,
                        value=9065, form="I")
    return mutation.bytes()


@case(FATAL)
def writeset_that_claims_very_many_bits():
    mutation = Mutation(base())
    mutation.node_entry(mutation.find("writeset tree node"), 0,
                        value=2**32 - 1, form="I")
    return mutation.bytes()


@case(FATAL)
def two_writesets_with_one_bitset():
    mutation = Mutation(base())
    leaf = mutation.find("writeset tree node")
    block = mutation.block(leaf)
    first = mutation.value_offset(block, 0)
    mutation.edit(leaf, NODE, first + 16, "Q", blocks.le64(block, first + 4))
    return mutation.bytes()


@case(FATAL)
def space_map_without_a_bitmap():
    mutation = Mutation(base())
    mutation.edit(mutation.sb.sm_index, INDEX, 16, "Q", 0)
    return mutation.bytes()


@case(FATAL)
def bitmap_past_the_end():
    mutation = Mutation(base())
    mutation.edit(mutation.sb.sm_index, INDEX, 16, "Q", 2**40)
    return mutation.bytes()


@case(FATAL)
def bitmap_of_another_place():
    mutation = Mutation(base())
    number = mutation.find("space map bitmap")
    mutation.put(number, mutation.block(number), BITMAP, place=1)
    return mutation.bytes()


@case(FATAL)
def large_count_that_is_missing():
    """The bitmap says "more than two", the ref-count tree says nothing."""
    mutation = Mutation(base())
    mutation.count(mutation.find("bitset block"), 3)
    return mutation.bytes()


@case(SOUND)
def snapshot_of_the_same_trees():
    return with_snapshot()


@case(FATAL)
def snapshot_of_another_place():
    mutation = Mutation(with_snapshot())
    mutation.superblock(mutation.sb.metadata_snap, blocknr=0)
    return mutation.bytes()


@case(FATAL)
def snapshot_without_magic():
    mutation = Mutation(with_snapshot())
    mutation.superblock(mutation.sb.metadata_snap, magic=1)
    return mutation.bytes()


@case(FATAL)
def snapshot_whose_tree_is_elsewhere():
    mutation = Mutation(with_snapshot())
    mutation.superblock(mutation.sb.metadata_snap, era_array_root=2**32)
    return mutation.bytes()


def with_snapshot():
    """A metadata snapshot that shares both trees."""
    image = Image(fanout=3)
    image.writesets([(5, 9000, [7])])
    image.eras([i % 5 for i in range(9000)])
    fields = image.fields
    location = image.allocate()
    copy = bytearray(blocks.SIZE)
    for name in ("magic", "version", "data_block_size", "nr_blocks",
                 "metadata_block_size", "era_array_root",
                 "writeset_tree_root"):
        offset, form = blocks.SUPERBLOCK_FIELDS[name]
        struct.pack_into(form, copy, offset, fields[name])
    # what the copy says of the open writeset and the space map is not valid
    for name in ("writeset_root", "sm_index", "sm_ref_count_root"):
        offset, form = blocks.SUPERBLOCK_FIELDS[name]
        struct.pack_into(form, copy, offset, 1)
    struct.pack_into("<I", copy, 184, 5)
    image.put(location, copy, blocks.SUPERBLOCK)
    image.references.update([location, fields["era_array_root"],
                             fields["writeset_tree_root"]])
    return image.finish(6, metadata_snap=location)


@pytest.mark.parametrize("name", CASES)
def test_weighs(run, image, name):
    """And no reader goes astray in what era_check does not trust."""
    make, gravity, word = CASES[name]
    path = image(name, make())
    result = run("era_check", path)
    status = 2 if name == "another_version" else 1
    assert result.status == (gravity != SOUND) * status, result.err
    assert word in result.err
    lenient = run("era_check", "--ignore-non-fatal-errors", path)
    assert lenient.status == (gravity == FATAL) * status, lenient.err
    if gravity != FATAL:
        return
    for tool, *options in (("era_dump",), ("era_dump", "--logical"),
                           ("era_dump", "-r"),
                           ("era_invalidate", "--written-since", "3")):
        if name == "era_array_far_too_short" and "-r" in options:
            continue  # all 2^31 blocks would be dumped, as they should
        result = run(tool, *options, path)
        assert result.status == 0 or result.err, (tool, *options)
