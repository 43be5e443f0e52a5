# SPDX-License-Identifier: GPL-2.0-or-later
"""era_repair as a person runs it: what it says, writes, leaves and refuses.
What it makes of any damage at all is in test_damage.py."""

import fcntl
import json
import os

import pytest

from helpers import blocks, data, history
from helpers.blocks import ARRAY, INDEX, SIZE
from helpers.builder import build
from helpers.mutate import Mutation
from helpers.reader import Metadata, expand
from helpers.repaired import options

# The only copy of a writeset or of the era array is lost: a hole, of one
# array block, which on these devices dates all of the data blocks. Or a part
# of another history is, and nothing tells which: the same.
HOLES = {"rot_crash_k61_bitset-leaf": 4, "stale_large": 1000007}


def nr_blocks_of(name):
    return {"stale_large": 70_000}.get(
        name, 256 if "deadlock" in name else 512)


def number(content, block):
    return content[block * SIZE:(block + 1) * SIZE]


def changed_blocks(before, after):
    assert len(before) == len(after)
    return [block for block in range(len(before) // SIZE)
            if number(before, block) != number(after, block)]


@pytest.fixture
def target(tmp_path):
    """A file of zeroes to write to."""
    path = tmp_path / "target"
    with open(path, "wb") as file:
        file.truncate(4 << 20)
    return path


@pytest.fixture
def listing(tmp_path):
    """The names in the directory that the test works in."""
    return lambda: sorted(path.name for path in tmp_path.iterdir())


def assert_true_to(name, content):
    """Sound, nothing lost, and nothing marked beyond the holes."""
    metadata = Metadata(content)
    assert metadata.problems() == []
    assert metadata.superblock().writeset_root == 0
    for era, written in data.truth(name)["checks"]:
        listed, written = metadata.since(era), set(expand(written))
        assert not written - listed, f"lost since era {era}"
        if name not in HOLES:
            assert not listed - written, f"too many since era {era}"


# --- the result ---------------------------------------------------------------


def test_to_another_device(run, image, repaired):
    result = repaired.to_another
    assert result.status == 0, result.err
    assert "error" not in result.err
    assert_true_to(repaired.name, result.new)
    assert result.image == repaired.before, "the input was written to"
    check = run("era_check", image("result", result.new))
    assert (check.status, check.err) == (0, "")


def test_in_place(run, image, repaired):
    result = repaired.in_place
    assert result.status == 0, result.err
    assert "error" not in result.err
    assert_true_to(repaired.name, result.image)
    check = run("era_check", image("result", result.image))
    assert (check.status, check.err) == (0, "")


def test_a_second_repair_finds_nothing_to_do(run, image, repaired):
    path = image("result", repaired.in_place.image)
    again = run("era_repair", "--in-place", path)
    assert (again.status, again.err) == (0, "")
    assert "nothing was changed" in again.out.decode()
    assert path.read_bytes() == repaired.in_place.image


def test_to_a_file_that_does_not_exist(run, image, tmp_path, listing):
    path = image("crash_k61")
    result = run("era_repair", "-i", path, "-o", tmp_path / "new")
    assert (result.status, result.err) == (0, "")
    assert_true_to("crash_k61", (tmp_path / "new").read_bytes())
    assert listing() == ["crash_k61.img", "new"]


def test_over_older_metadata_leaves_nothing_that_looks_newer(run, image):
    """What lay on the target must not count as a newer history."""
    target = image("crash_snap")  # reaches era 8
    result = run("era_repair", "--force", "-i", image("crash_k61"), "-o",
                 target)
    assert result.status == 0, result.err
    assert_true_to("crash_k61", target.read_bytes())
    assert run("era_check", target).status == 0


def test_archived_writesets_come_along_as_they_are(run, image, target):
    content = build([0] * 700, archived=[(1, 700, [5]), (2, 640, [6, 7])],
                    open_one=(700, [8]))
    run("era_repair", "-i", image("built", content), "-o", target)
    metadata = Metadata(target.read_bytes())
    assert [(w.era, w.nr_bits, w.blocks) for w
            in metadata.writesets(metadata.superblock())] == \
        [(1, 700, {5}), (2, 640, {6, 7}), (3, 700, {8})]


# --- in place -----------------------------------------------------------------


@pytest.mark.parametrize("name", data.CLEAN)
def test_leaves_what_is_sound_and_clean_to_the_byte(run, image, name):
    path = image(name)
    result = run("era_repair", "--in-place", path)
    assert (result.status, result.err) == (0, "")
    assert "sound and clean: nothing was changed" in result.out.decode()
    assert path.read_bytes() == data.read(name)


@pytest.mark.parametrize("name", data.UNCLEAN)
def test_of_unclean_metadata_archives_the_open_writeset_alone(run, image,
                                                              name):
    before = Metadata(data.read(name))
    assert before.problems() == []
    old = before.superblock()
    path = image(name)
    result = run("era_repair", "--in-place", path)
    assert "open writeset was archived" in result.out.decode()
    after = Metadata(path.read_bytes())
    new = after.superblock()
    # nothing that was in use is overwritten, but for the superblock
    assert set(changed_blocks(before.data, after.data)) \
        .isdisjoint(set(before.references) - {0})
    assert new.era_array_root == old.era_array_root
    assert new.current_era == old.current_era
    assert new.metadata_snap == old.metadata_snap
    assert new.writeset_root == 0
    assert [(w.era, w.nr_bits, w.root, w.blocks) for w
            in after.writesets(new)] == \
        [(w.era, w.nr_bits, w.root, w.blocks) for w in before.writesets(old)]


def test_overwrites_nothing_that_is_reachable(repaired):
    """Until the superblock is written the old state is whole."""
    before = Metadata(repaired.before)
    before.problems()  # as far as it can be followed
    assert set(changed_blocks(before.data, repaired.in_place.image)) \
        .isdisjoint(set(before.references) - {0})


def test_refuses_before_the_first_write_where_room_is_short(run, image,
                                                            tmp_path):
    """Just large enough for its own metadata."""
    content = build([1] * 3000, open_one=(3000, [5]), nr_blocks=12)
    path = image("tight", content)
    result = run("era_repair", "--undo", tmp_path / "undo", "--in-place",
                 path)
    assert result.status == 2
    assert "no room to repair in place" in result.err
    assert "-o" in result.err
    assert path.read_bytes() == content


# --- undo ---------------------------------------------------------------------


def test_undo_puts_the_device_back_bit_for_bit(run, image, tmp_path,
                                                repaired):
    result = repaired.in_place
    assert result.status == 0, result.err
    if repaired.name in data.CLEAN:
        assert result.new is None
        return
    assert result.image != repaired.before
    path, undo = image("result", result.image), tmp_path / "undo"
    undo.write_bytes(result.new)
    applied = run("era_repair", "--undo-apply", undo, path)
    assert (applied.status, applied.out, applied.err) == (0, b"", "")
    # as it was: what is put back can be repaired again
    assert path.read_bytes() == repaired.before


def test_no_undo_file_where_nothing_is_written(run, image, tmp_path, listing):
    run("era_repair", "--undo", tmp_path / "undo", "--in-place",
        image("clean"))
    run("era_repair", "--undo", tmp_path / "undo", "--dry-run", "--in-place",
        image("crash_k61"))
    assert listing() == ["clean.img", "crash_k61.img"]


def test_an_undo_file_is_never_overwritten(run, image, tmp_path):
    undo = tmp_path / "undo"
    undo.write_bytes(b"of another day")
    path = image("crash_k61")
    result = run("era_repair", "--undo", undo, "--in-place", path)
    assert result.status == 2
    assert "undo" in result.err
    assert undo.read_bytes() == b"of another day"
    assert path.read_bytes() == data.read("crash_k61")


def test_refuses_a_file_that_is_no_undo_file(run, image):
    path, other = image("crash_k61"), image("clean")
    result = run("era_repair", "--undo-apply", other, path)
    assert result.status == 1
    assert "not an undo file" in result.err
    assert path.read_bytes() == data.read("crash_k61")


@pytest.mark.parametrize("offset", [0, 8, 12, 16, 24, 32, 36, 40, 4000])
def test_refuses_a_damaged_undo_file(run, image, tmp_path, offset):
    path, undo = image("crash_k61"), tmp_path / "undo"
    run("era_repair", "--undo", undo, "--in-place", path)
    repaired = path.read_bytes()
    content = bytearray(undo.read_bytes())
    content[offset] ^= 1
    undo.write_bytes(content)
    assert run("era_repair", "--undo-apply", undo, path).status == 1
    assert path.read_bytes() == repaired


def test_refuses_the_undo_file_of_a_device_of_another_size(run, image,
                                                           tmp_path):
    undo = tmp_path / "undo"
    run("era_repair", "--undo", undo, "--in-place", image("crash_k61"))
    other = image("other", bytes(8 << 20))
    result = run("era_repair", "--undo-apply", undo, other)
    assert result.status == 1
    assert "another size" in result.err
    assert other.read_bytes() == bytes(8 << 20)


# --- dry run ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clean", "crash_k61", "stale_short",
                                  "rot_crash_snap_four"])
@pytest.mark.parametrize("how", ["in-place", "to-another", "no-output"])
def test_dry_run_writes_nothing(run, image, tmp_path, listing, name, how):
    path = image(name)
    where = {"in-place": ["--in-place", path],
             "to-another": ["-i", path, "-o", tmp_path / "new"],
             "no-output": ["-i", path]}[how]
    result = run("era_repair", "--dry-run", *options(name), *where)
    assert result.status == 0, result.err
    assert "would be" in result.out.decode() or \
        "nothing to do" in result.out.decode()
    assert path.read_bytes() == data.read(name)
    assert listing() == [path.name]


def test_dry_run_writes_nothing_whatever_it_finds(repaired):
    for result in (repaired.dry_run, repaired.dry_run_in_place):
        assert result.status == 0, result.err
        assert result.image == repaired.before
        assert result.beside == 0


def test_dry_run_says_what_the_repair_then_does(repaired):
    dry, wet = (json.loads(result.out) for result in
                (repaired.dry_run_in_place, repaired.in_place_in_json))
    assert dry["repair"].pop("dry_run") is True
    assert wet["repair"].pop("dry_run") is False
    assert dry["repair"] == wet["repair"]
    assert repaired.in_place_in_json.image == repaired.in_place.image


# --- what it says -------------------------------------------------------------


def report_of(run, *more):
    result = run("era_repair", "--json", "--dry-run", *more)
    assert result.err == ""
    return json.loads(result.out)


def test_json_report(repaired):
    name, report = repaired.name, repaired.report
    truth, repair = data.truth(name), report["repair"]
    assert repaired.dry_run.err == ""
    assert report["sound"] is True
    assert report["counts"]["error"] == 0
    assert report["problems_omitted"] == 0
    assert repair["action"] == "rebuild"
    assert repair["exact"] is (name in data.SOUND or
                               (not repair["superblock_rebuilt"] and
                                repair["blocks_damaged"] == 0 and
                                repair["blocks_corrected"] == 0 and
                                not repair["newer_history"]))
    assert repair["newer_history"] is (truth["state"] == "stale")
    assert repair["superblock_rebuilt"] is name.endswith("_superblock")
    assert repair["block_size"] == truth["block_size"]
    assert repair["nr_blocks"] == nr_blocks_of(name)
    assert repair["ranges_omitted"] == 0
    for count in repair["by_unreferenced_blocks"] + repair["by_assumption"]:
        assert count["data_blocks"] == sum(
            r["end"] - r["begin"] for r in count["ranges"])
        assert count["era"] <= repair["current_era"]
    assert repair["advice"]


def test_what_is_assumed_is_counted(repaired):
    name, report = repaired.name, repaired.report
    assumed = report["repair"]["by_assumption"]
    if name not in HOLES:
        assert assumed == []
        assert report["counts"]["assumed"] == 0
        assert report["repair"]["exact_since"] == 1
        return
    assert assumed == [{"era": HOLES[name], "data_blocks": nr_blocks_of(name),
                        "ranges": [{"begin": 0, "end": nr_blocks_of(name)}]}]
    assert report["counts"]["assumed"] == 1
    assert report["repair"]["exact_since"] == HOLES[name] + 1
    assert "take a full backup" in report["repair"]["advice"]


@pytest.mark.parametrize("name, action", [
    ("clean", "none"), ("deadlock_after_k61", "none"),
    ("crash_k61", "archive"), ("rot_crash_k61_space-map", "archive"),
    ("rot_clean_snap_snapshot-superblock", "archive"),
    ("rot_crash_k61_bitset-leaf", "rebuild"), ("stale_live", "rebuild")])
def test_what_in_place_has_to_do(run, image, name, action):
    report = report_of(run, "--in-place", image(name))
    assert report["repair"]["action"] == action


@pytest.mark.parametrize("name, era, nr_blocks", [
    ("stale_live", 5, 76), ("stale_short", 4, 40)])
def test_says_what_a_table_loaded_too_early_has_lost(run, image, name, era,
                                                     nr_blocks):
    result = run("era_repair", "-i", image(name), "--dry-run")
    assert "a table was loaded too early" in result.err
    assert f"dates {nr_blocks} blocks later" in result.err
    # an era number that both of them gave out
    assert ("counts as written in era 4 or later" in result.err) is \
        (name == "stale_live")
    assert f"current era: {era}\n" in result.out.decode()
    report = report_of(run, "-i", image(name))
    assert sum(count["data_blocks"] for count in
               report["repair"]["by_unreferenced_blocks"]) == nr_blocks


def test_says_what_is_damaged_and_which_data_blocks_that_concerns(run, image):
    result = run("era_repair", "--dry-run", "-i",
                 image("rot_crash_snap_era-array-leaf"))
    line = next(line for line in result.err.splitlines()
                if "damaged: " in line)
    assert "superblock 0 -> era array node 949 -> era array block 947" in line
    assert "data blocks 0..511" in line
    out = result.out.decode()
    assert "19 data blocks dated to era 6 by unreferenced blocks: " \
        "394..398, 478..491" in out
    assert "advice: blocks written since any era are complete" in out


def test_advice_names_the_era_from_which_lists_are_exact(run, image):
    """A small hole of a large device."""
    device = history.Device(20000)
    for era in range(1, 4):
        device.write_to(era * 100, era * 100 + 9)
        if era < 3:
            device.roll()
    while device.archived:
        device.digest()
    content = bytearray(device.data)
    metadata = Metadata(bytes(content))
    metadata.problems()
    # all that could fill the hole goes, too
    live = [n for n, role in metadata.roles.items()
            if role == "era array block"]
    lost = live[3]
    for block in range(1, len(content) // SIZE):
        its = number(content, block)
        if block == lost or any(its) and blocks.is_sealed(its, INDEX) or \
                block not in metadata.references and any(its) and \
                blocks.is_sealed(its, ARRAY):
            content[block * SIZE:(block + 1) * SIZE] = bytes(SIZE)
    path = image("built", bytes(content))
    result = run("era_repair", "--in-place", path)
    assert result.status == 0, result.err
    out = result.out.decode()
    assert "1018 data blocks dated to era 2 by assumption: 3054..4071" in out
    assert "advice: blocks written since era 3 are complete and exact; " \
        "lists since an earlier era are complete, with up to 1018 blocks " \
        "too many" in out
    repaired = Metadata(path.read_bytes())
    assert repaired.problems() == []
    assert repaired.since(3) == set(range(300, 309))
    assert repaired.since(1) == set(range(3054, 4072)) | {
        b for era in (1, 2, 3) for b in range(era * 100, era * 100 + 9)}


@pytest.mark.parametrize("name", ["clean", "crash_k61", "stale_live",
                                  "rot_clean_snap_four"])
@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["text", "json"])
def test_quiet_leaves_nothing_but_the_status(run, image, name, json_too):
    result = run("era_repair", "-q", *json_too, "--in-place", image(name))
    assert (result.status, result.err) == (0, "")
    assert bool(result.out) == bool(json_too)


def test_unreferenced_blocks_can_be_passed_over(run, image):
    """Where the user knows that they are older than the last format."""
    path = image("stale_live")
    report = report_of(run, "--reachable-only", "--in-place", path)
    assert report["repair"]["action"] == "archive"
    assert report["repair"]["newer_history"] is False
    assert report["repair"]["by_unreferenced_blocks"] == []
    result = run("era_repair", "--reachable-only", "--in-place", path)
    assert (result.status, result.err) == (0, "")
    assert Metadata(path.read_bytes()).last_written() == \
        Metadata(data.read("stale_live")).last_written()


# --- a lost superblock --------------------------------------------------------


@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("where", ["-i", "--in-place"])
def test_names_the_option_that_it_needs(run, image, tmp_path, json_too,
                                        where):
    path = image("rot_crash_k61_superblock")
    result = run("era_repair", *json_too, where, path,
                 *(["-o", tmp_path / "new"] if where == "-i" else []))
    assert result.status == 2
    assert "--block-size" in (result.out.decode() if json_too else result.err)
    if json_too:
        report = json.loads(result.out)
        assert report["sound"] is False
        assert "repair" not in report
    assert path.read_bytes() == data.read("rot_crash_k61_superblock")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["rot_clean_snap_superblock",
                                  "rot_crash_snap_superblock"])
def test_a_metadata_snapshot_tells_the_block_size(run, image, target, name):
    result = run("era_repair", "-i", image(name), "-o", target)
    assert result.status == 0
    assert "the geometry is that of the superblock copy" in result.err
    assert Metadata(target.read_bytes()).superblock().data_block_size == 128


def test_says_that_a_space_map_proves_the_state(run, image, target):
    result = run("era_repair", "--block-size", "128", "-i",
                 image("rot_crash_k61_superblock"), "-o", target)
    assert "the superblock was rebuilt from the last of" in result.err
    assert "committed states that space maps prove" in result.err


def test_a_lost_superblock_without_proof_counts_all(run, image, target):
    """The superblock and the last space map's index are gone."""
    content = bytearray(data.read("crash_k61"))
    index = Metadata(bytes(content)).superblock().sm_index
    for block in (0, index):
        content[block * SIZE:(block + 1) * SIZE] = bytes(range(256)) * 16
    result = run("era_repair", "--block-size", "128", "-i",
                 image("built", bytes(content)), "-o", target)
    assert result.status == 0
    assert "every data block counts as written in era 4" in result.err
    assert "take a full backup" in result.out.decode()
    repaired = Metadata(target.read_bytes())
    assert repaired.problems() == []
    assert repaired.since(4) == set(range(512))


def test_the_current_era_is_at_least_what_the_user_says(run, image, target):
    run("era_repair", "--block-size", "128", "--current-era", "20", "-i",
        image("rot_crash_k61_superblock"), "-o", target)
    metadata = Metadata(target.read_bytes())
    assert metadata.problems() == []
    assert metadata.superblock().current_era == 20


@pytest.mark.parametrize("content", [b"", bytes(SIZE), bytes(64 * SIZE),
                                     b"x" * 3, b"y" * (64 * SIZE)],
                         ids=["empty", "one-block", "zeroes", "bytes",
                              "garbage"])
@pytest.mark.parametrize("where", ["-i", "--in-place"])
def test_makes_nothing_out_of_nothing(run, image, tmp_path, content, where):
    path = image("nothing", content)
    result = run("era_repair", "--block-size=128", "--nr-blocks=512", where,
                 path, *(["-o", tmp_path / "new"] if where == "-i" else []))
    assert result.status == 1
    assert "nothing of dm-era metadata is left" in result.err
    assert path.read_bytes() == content
    assert not (tmp_path / "new").exists()


# --- the metadata snapshot ----------------------------------------------------


@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
@pytest.mark.parametrize("in_place", [False, True],
                         ids=["to-another", "in-place"])
def test_a_metadata_snapshot_is_kept_or_dropped(run, image, target, name,
                                                in_place):
    then = Metadata(data.read(name)).last_written(snapshot=True)
    path = image(name)
    where = ["--in-place", path] if in_place else ["-i", path, "-o", target]
    result = run("era_repair", *where)
    assert "the metadata snapshot is kept" in result.out.decode()
    repaired = Metadata((path if in_place else target).read_bytes())
    assert repaired.last_written(snapshot=True) == then
    path.write_bytes(data.read(name))
    result = run("era_repair", "--force", "--drop-metadata-snapshot", *where)
    assert result.status == 0
    repaired = Metadata((path if in_place else target).read_bytes())
    assert repaired.problems() == []
    assert repaired.superblock().metadata_snap == 0
    assert_true_to(name, repaired.data)


@pytest.mark.parametrize("name", ["rot_clean_snap_snapshot-superblock",
                                  "rot_crash_snap_snapshot-superblock"])
def test_a_damaged_metadata_snapshot_is_dropped(run, image, target, name):
    result = run("era_repair", "-i", image(name), "-o", target)
    assert "the metadata snapshot was damaged" in result.out.decode()
    assert Metadata(target.read_bytes()).superblock().metadata_snap == 0


# --- refusals -----------------------------------------------------------------


def test_refuses_a_copy_that_was_cut_short(run, image, target):
    """Its trees are whole, and what a newer history has left is missing."""
    content = data.read("stale_live")[:64 * SIZE]
    path = image("cut", content)
    for how in (["--in-place", path], ["-i", path, "-o", target]):
        result = run("era_repair", *how)
        assert result.status == 1
        assert "counts 1024" in result.err
        assert "--reachable-only" in result.err
        assert path.read_bytes() == content
        assert not any(target.read_bytes())
    result = run("era_repair", "--reachable-only", "--in-place", path)
    assert result.status == 0
    assert b"take a full backup" in result.out
    assert run("era_check", path).status == 0


def test_refuses_an_output_that_is_too_small(run, image):
    small = image("small", b"s" * (5 * SIZE))
    result = run("era_repair", "--force", "-i", image("crash_k61"), "-o",
                 small)
    assert result.status == 2
    assert "too small" in result.err
    assert "5" in result.err
    assert small.read_bytes() == b"s" * (5 * SIZE)


@pytest.mark.parametrize("link", [None, os.link, os.symlink])
def test_refuses_to_write_over_its_input(run, image, tmp_path, link):
    path = same = image("crash_k61")
    if link:
        same = tmp_path / "same"
        link(path, same)
    result = run("era_repair", "-i", path, "-o", same)
    assert result.status == 2
    assert result.err
    assert path.read_bytes() == data.read("crash_k61")


def test_refuses_a_device_in_use(run, image):
    path = image("crash_k61")
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for where in (["--in-place", path], ["--dry-run", "-i", path]):
            result = run("era_repair", *where)
            assert result.status == 2
            assert "in use" in result.err
    assert path.read_bytes() == data.read("crash_k61")


@pytest.mark.parametrize("arguments, says", [
    ([], "no metadata device"),
    (["IMAGE"], "IMAGE"),
    (["-i", "IMAGE"], "no output device"),
    (["-o", "OTHER"], "no metadata device"),
    (["-i", "IMAGE", "-o", "OTHER", "more"], "unexpected argument"),
    (["--in-place", "IMAGE", "-i", "IMAGE"], "--in-place"),
    (["--in-place", "IMAGE", "-o", "OTHER"], "--in-place"),
    (["--undo", "OTHER", "-i", "IMAGE", "-o", "OTHER"], "--undo"),
    (["--undo-apply", "OTHER"], "--undo-apply"),
    (["--undo-apply", "OTHER", "IMAGE", "more"], "unexpected argument"),
    (["--undo-apply", "OTHER", "--in-place", "IMAGE"], "--undo-apply"),
    (["--undo-apply", "OTHER", "--dry-run", "IMAGE"], "--undo-apply"),
    (["--block-size", "0", "-i", "IMAGE", "-o", "OTHER"], "multiple of 8"),
    (["--block-size", "100", "-i", "IMAGE", "-o", "OTHER"], "multiple of 8"),
    (["--block-size", "-8", "-i", "IMAGE", "-o", "OTHER"], "--block-size"),
    (["--nr-blocks", "2147483648", "-i", "IMAGE", "-o", "OTHER"],
     "--nr-blocks"),
    (["--nr-blocks", "many", "-i", "IMAGE", "-o", "OTHER"], "--nr-blocks"),
    (["--current-era", "4294967296", "-i", "IMAGE", "-o", "OTHER"],
     "--current-era"),
    (["--no-such-option"], "no-such-option"),
])
def test_bad_usage(run, image, tmp_path, listing, arguments, says):
    path = image("crash_k61")
    words = {"IMAGE": path, "OTHER": tmp_path / "other"}
    result = run("era_repair", *(words.get(word, word) for word in arguments))
    assert result.status == 2
    assert says.replace("IMAGE", str(path)) in result.err
    assert result.out == b""
    assert path.read_bytes() == data.read("crash_k61")
    assert listing() == [path.name]


# --- blocks whose checksum tells what they held ------------------------------

FLIPS = [(2900, 3), (3333, 0), (4095, 7)]  # offset, bit
NOISE = bytes(range(101, 121))


def in_unused_room(content, block, how):
    """Three flipped bits, or a run of noise, where on these small devices
    no block has anything but zeroes."""
    content, base = bytearray(content), block * SIZE
    assert not any(content[base + 2900:base + SIZE])
    if how == "flips":
        for offset, bit in FLIPS:
            content[base + offset] ^= 1 << bit
    else:
        content[base + 3600:base + 3600 + len(NOISE)] = NOISE
    return bytes(content)


@pytest.mark.parametrize("how", ["flips", "noise"])
@pytest.mark.parametrize("name", ["clean_snap", "crash_snap", "crash_k61"])
def test_damage_to_what_a_block_does_not_use_costs_nothing(run, image, target,
                                                           name, how):
    sound = Metadata(data.read(name))
    assert sound.problems() == []
    for block in sound.roles:
        path = image("damaged", in_unused_room(data.read(name), block, how))
        assert run("era_check", "-q", path).status == 1
        for where in ["-i", path, "-o", target], ["--in-place", path]:
            result = run("era_repair", "--force", *where)
            assert result.status == 0, result.err
            assert "its checksum and its format tell" in result.err
            assert "assumed" not in result.err
            assert_true_to(name, (target if "-o" in where
                                  else path).read_bytes())


def test_undo_brings_damage_back_that_was_corrected(run, image, tmp_path):
    content = in_unused_room(data.read("crash_snap"), 0, "noise")
    path = image("damaged", content)
    run("era_repair", "--undo", tmp_path / "undo", "--in-place", path)
    assert run("era_check", path).status == 0
    run("era_repair", "--undo-apply", tmp_path / "undo", path)
    assert path.read_bytes() == content


def test_a_metadata_snapshot_with_a_corrected_block(run, image, target):
    """It cannot stay where it is, but goes along to another device."""
    block = Metadata(data.read("crash_snap")).superblock().metadata_snap
    path = image("damaged",
                 in_unused_room(data.read("crash_snap"), block, "flips"))
    elsewhere = run("era_repair", "-i", path, "-o", target)
    assert "the metadata snapshot is kept" in elsewhere.out.decode()
    assert Metadata(target.read_bytes()).superblock().metadata_snap
    in_place = run("era_repair", "--in-place", path)
    assert "-o keeps it" in in_place.err
    assert not Metadata(path.read_bytes()).superblock().metadata_snap


# --- what no checksum shows ---------------------------------------------------

def test_a_metadata_snapshot_dated_above_its_era_is_dropped(run, image,
                                                            tmp_path):
    """And in place what it said is no newer history to the next repair."""
    device = history.live("snapshot", nr_data=1500, nr_metadata=320,
                          snapshot_at=3, nr_eras=5)
    mutation = Mutation(bytes(device.data))
    copy = Metadata(mutation.bytes()).superblock(mutation.sb.metadata_snap)
    leaf = mutation.block(copy.era_array_root)
    # copied since, so that the snapshot alone has it
    block = blocks.le64(leaf, mutation.value_offset(leaf, 0))
    assert mutation.reader.references[block] == 1
    mutation.edit(block, ARRAY, 24, "I", 79)
    path = image("device", mutation.bytes())
    assert run("era_check", path).status == 1
    for where in (["-i", path, "-o", tmp_path / "new"], ["--in-place", path]):
        result = run("era_repair", *where)
        assert result.status == 0, result.err
        check = run("era_check", where[-1])
        assert (check.status, check.err) == (0, "")


@pytest.mark.parametrize("lost", [False, True])
def test_a_date_above_the_current_era_raises_it(run, image, tmp_path, lost):
    """Where that is no newer history, by --reachable-only."""
    mutation = Mutation(build([3] * 2000, [(5, 2000, [7])], current_era=6))
    mutation.edit(mutation.find("era array block"), ARRAY, 24, "I", 77)
    if lost:
        block = mutation.find("era array block", 1)
        mutation.data[block * SIZE + 100:block * SIZE + 300] = b"x" * 200
    path = image("device", mutation.bytes())
    result = run("era_repair", "--reachable-only", "-i", path, "-o",
                 tmp_path / "new")
    assert result.status == 0, result.err
    check = run("era_check", tmp_path / "new")
    assert (check.status, check.err) == (0, "")
    repaired = Metadata((tmp_path / "new").read_bytes())
    assert repaired.superblock().current_era == 77
    assert repaired.last_written()[0] == 77


@pytest.mark.parametrize("size", [0, 1, SIZE, SIZE + 1])
def test_nothing_is_left_however_much_is_told(run, image, tmp_path, size):
    """No superblock, no block that says a word, and all that can be told."""
    path, target = image("nothing", bytes(size)), tmp_path / "target"
    result = run("era_repair", "--block-size", "128", "--nr-blocks", "100",
                 "--current-era", "7", "-i", path, "-o", target)
    assert result.status == 1
    assert "nothing of dm-era metadata is left" in result.err
    assert not target.exists()


@pytest.mark.parametrize("nth", [0, 1], ids=["archived", "open"])
@pytest.mark.parametrize("way", ["to", "in place"])
def test_bits_past_the_end_of_a_writeset_are_dropped(run, image, tmp_path, way,
                                                     nth):
    mutation = Mutation(build([3] * 900, [(5, 900, [7])], (900, [8]), 6))
    mutation.edit(mutation.find("bitset block", nth), ARRAY, 24 + 14 * 8, "Q",
                  1 << 60)
    path, target = image("stray", mutation.bytes()), tmp_path / "target"
    assert "past the end of the writeset" in run("era_check", path).err
    if way == "to":
        result = run("era_repair", "-i", path, "-o", target)
    else:
        result, target = run("era_repair", "--in-place", path), path
    assert result.status == 0, result.err
    check = run("era_check", target)
    assert (check.status, check.err) == (0, "")
    metadata = Metadata(target.read_bytes())
    assert metadata.since(5) == {7, 8}
    assert metadata.since(6) == {8}


# --- what the user says of a superblock that is there -------------------------

@pytest.mark.parametrize("name", data.SOUND)
@pytest.mark.parametrize("way", ["--in-place", "-o"])
def test_the_current_era_is_raised_as_told(run, image, tmp_path, name, way):
    """As the advice of an earlier repair asks for. What the last era may have
    recorded counts as written in the one told: none is lost."""
    path, out = image(name), tmp_path / "out"
    before = Metadata(path.read_bytes())
    current = before.superblock().current_era
    result = run("era_repair", "--current-era", 57,
                 *(["--in-place", path] if way == "--in-place"
                   else ["-i", path, "-o", out]))
    assert result.status == 0, result.err
    assert b"current era: 57\n" in result.out
    assert f"raised from {current} to 57" in result.err
    result = path if way == "--in-place" else out
    after = Metadata(result.read_bytes())
    assert after.problems() == []
    assert run("era_check", result).status == 0
    for era in range(1, current):
        assert after.since(era) == before.since(era)
    assert after.since(57) == before.since(max(current - 1, 1))
    assert after.since(58) == set()


@pytest.mark.parametrize("name", data.SOUND)
def test_a_current_era_that_was_reached_changes_nothing(run, image, name):
    path = image(name)
    era = Metadata(path.read_bytes()).superblock().current_era
    plain = image("plain", path.read_bytes())
    told = run("era_repair", "--in-place", path, "--current-era", era)
    assert told.status == 0
    assert told.out == run("era_repair", "--in-place", plain).out
    assert path.read_bytes() == plain.read_bytes()


def test_a_dry_run_says_that_the_era_would_be_raised(run, image):
    path = image("clean")
    result = run("era_repair", "--dry-run", "--in-place", path,
                 "--current-era", 57)
    assert result.status == 0
    assert b"would be written anew" in result.out
    assert b"current era: 57\n" in result.out
    assert path.read_bytes() == data.read("clean")


@pytest.mark.parametrize("option, wrong, right", [
    ("--block-size", 64, 128), ("--nr-blocks", 511, 512)])
def test_what_contradicts_the_superblock_is_an_error(run, image, tmp_path,
                                                     option, wrong, right):
    path, out = image("crash_k61"), tmp_path / "out"
    for way in (["--in-place", path], ["-i", path, "-o", out],
                ["--dry-run", "-i", path]):
        result = run("era_repair", *way, option, wrong)
        assert result.status == 2
        assert f"{option}={wrong} contradicts the superblock, which says " \
            f"{right}" in result.err
        assert path.read_bytes() == data.read("crash_k61")
        assert not out.exists()
    assert run("era_repair", "-i", path, "-o", out, option,
               right).status == 0
