# SPDX-License-Identifier: GPL-2.0-or-later
"""Block 0 is the superblock of an earlier commit: its last write was lost, or
somebody has put an old one back. What was written since is not lost. Nor is it
where the write that was lost is another block's."""

import random

import pytest

from helpers import history
from helpers.blocks import ARRAY, BITMAP, INDEX, SIZE, is_sealed, seal
from helpers.mutate import Mutation
from helpers.reader import Metadata


def left_behind(commits, eras=0, nr_data=3000, closed=False, opened=False):
    """A device whose superblock is so many writes and eras old, or was the
    last before it was opened anew, and the last era of each data block."""
    device = history.live(7, nr_data=nr_data, nr_eras=4, undigested=0)
    if opened:
        device.open_again()
        device.write_to(nr_data - 5, nr_data)
    if closed:
        device.shut_down()
    before = bytes(device.data[:SIZE])
    if closed:
        device.roll()
    if opened:
        device.open_again()
    for commit in range(commits):
        device.write_to(200 * commit, 200 * commit + 9)
    for era in range(eras):
        device.roll()
        while device.archived:
            device.digest()
        device.write_to(50 * era, 50 * era + 3)
    return bytearray(before + device.data[SIZE:]), device.last


def assert_exact(content, last):
    metadata = Metadata(bytes(content))
    assert metadata.problems() == []
    for era in range(1, max(last) + 1):
        assert metadata.since(era) == {
            block for block, its in enumerate(last) if its >= era}


def assert_repaired(run, path, target, last):
    target.write_bytes(bytes(path.stat().st_size))
    result = run("era_repair", "-i", path, "-o", target)
    assert result.status == 0, result.err
    assert_exact(target.read_bytes(), last)


SHAPES = [dict(commits=1), dict(commits=2), dict(commits=5),
          dict(commits=1, eras=1), dict(commits=2, eras=2),
          dict(commits=2, nr_data=40000), dict(commits=2, closed=True),
          dict(commits=2, opened=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_repair_is_exact(run, image, tmp_path, shape):
    content, last = left_behind(**shape)
    path = image("built", bytes(content))
    assert_repaired(run, path, tmp_path / "target", last)
    result = run("era_repair", "--in-place", path)
    assert result.status == 0, result.err
    assert_exact(path.read_bytes(), last)
    check = run("era_check", path)
    assert (check.status, check.err) == (0, "")
    again = run("era_repair", "--in-place", path)
    assert "nothing was changed" in again.out.decode()


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_what_it_would_lose_is_not_listed(run, image, shape):
    path = image("built", bytes(left_behind(**shape)[0]))
    check = run("era_check", path)
    assert check.status == 1
    assert "run era_repair" in check.err
    listed = run("era_invalidate", "--written-since", 1, path)
    assert (listed.status, listed.out) == (1, b"")


def test_a_commit_that_was_under_way_is_no_error_and_counts(run, image):
    """A power cut before the superblock looks the same as its loss."""
    content, last = left_behind(commits=1)
    path = image("built", bytes(content))
    check = run("era_check", path)
    assert check.status == 0
    assert "a commit after the superblock's was under way" in check.err
    listed = run("era_invalidate", "--written-since", 4, "--format=text", path)
    assert listed.status == 0
    blocks = set()
    for line in listed.out.decode().splitlines():
        begin, length = map(int, line.split())
        blocks.update(range(begin, begin + length))
    assert blocks == {b for b, era in enumerate(last) if era >= 4}


def test_reachable_only_goes_by_the_superblock(run, image):
    path = image("built", bytes(left_behind(commits=3)[0]))
    assert run("era_check", "--reachable-only", path).status == 0


def with_a_lost_write():
    """The open writeset's leaf is a sound one of two commits before."""
    device = history.live(7, nr_eras=4, undigested=0)

    def leaf():
        start = device.open[2].before["array", 0].number * SIZE
        return slice(start, start + SIZE)

    device.write_to(200, 209)
    older = bytearray(device.data[leaf()])
    device.write_to(400, 409)
    device.write_to(600, 609)
    seal(older, ARRAY, leaf().start // SIZE)
    device.data[leaf()] = older
    return bytes(device.data), device.last


def test_what_an_earlier_commit_says_has_been_lost(run, image):
    path = image("built", with_a_lost_write()[0])
    check = run("era_check", path)
    assert check.status == 1
    assert "a write to the trees was lost: an earlier commit" in check.err
    listed = run("era_invalidate", "--written-since", 1, path)
    assert (listed.status, listed.out) == (1, b"")


def test_and_a_repair_loses_none_of_it(run, image):
    content, last = with_a_lost_write()
    path = image("built", content)
    result = run("era_repair", "--in-place", path)
    assert result.status == 0, result.err
    metadata = Metadata(path.read_bytes())
    assert metadata.problems() == []
    for era in range(1, max(last) + 1):
        assert metadata.since(era) >= {
            block for block, its in enumerate(last) if its >= era}


def cut_short(device, rng):
    """What a commit that the power cut has written of its blocks."""
    before, free = bytes(device.data), set(range(1, device.nr_metadata))
    free -= device.in_use
    cursor, bits, last = device.cursor, list(device.open[1]), device.last[:]
    tree, in_use = dict(device.open[2].before), set(device.in_use)
    roots = [t.root for t in (device.open[2], device.ref_counts)]
    counts = dict(device.ref_counts.before)
    device.write_to(rng.randrange(device.nr_data - 1), device.nr_data)
    after = bytes(device.data)
    device.cursor, device.last, device.in_use = cursor, last, in_use
    device.open[1][:], device.open[2].before = bits, tree
    device.open[2].root, device.ref_counts.root = roots
    device.ref_counts.before = counts
    device.data[:] = before
    for block in free:
        if rng.random() < .8:
            at = slice(block * SIZE, (block + 1) * SIZE)
            device.data[at] = after[at]


def states(seed, cuts):
    """Each state of a life with many openings, few eras with many writes."""
    rng = random.Random(seed)
    device = history.Device(rng.choice((64, 3000)), rng.choice((64, 100, 256)))
    places = rng.choice((1, 8, device.nr_data))
    for _ in range(30):
        what = rng.random()
        if what < .2 and len(device.archived) < 6:
            if cuts and rng.random() < .7:
                cut_short(device, rng)
            elif rng.random() < .3:
                device.shut_down()
                yield device
            device.open_again()
        elif what < .4 and device.archived:
            device.digest()
        else:
            block = rng.randrange(places)
            device.write_to(block, block + 1)
        yield device


@pytest.mark.parametrize("cuts", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_what_earlier_activations_left_is_no_alarm(run, image, seed, cuts):
    for device in states(seed, cuts):
        check = run("era_check", image("life", bytes(device.data)))
        assert check.status == 0, check.err
        # what was under way once can remain to be told
        assert cuts or "under way" not in check.err


# --- a superblock that says less than its own space map -------------------------


def without_open_writeset(nr_data=3000, idle=0, **fields):
    """A device whose superblock has nothing, or nonsense, where it names the
    open writeset, after so many eras without a write, and the last era of each
    data block."""
    device = history.live(7, nr_data=nr_data, nr_eras=4, undigested=0)
    for _ in range(idle):
        device.roll()
        while device.archived:
            device.digest()
    device.write_to(200, 209)
    device.write_to(nr_data - 9, nr_data)
    mutation = Mutation(bytes(device.data))
    mutation.superblock(**fields)
    return mutation.bytes(), device.last


OPENLESS = [dict(writeset_root=0, writeset_nr_bits=0),
            dict(writeset_root=0),
            dict(writeset_root=0, idle=1), dict(writeset_root=0, idle=3),
            dict(writeset_nr_bits=2**31), dict(writeset_nr_bits=2**32 - 1),
            dict(writeset_nr_bits=2**32 - 1, idle=3),
            # of four bitset blocks: none, one, and two and a half
            dict(nr_data=100000, writeset_nr_bits=0),
            dict(nr_data=100000, writeset_nr_bits=32544),
            dict(nr_data=100000, writeset_nr_bits=80000)]


@pytest.mark.parametrize("fields", OPENLESS)
def test_the_open_writeset_is_found_without_the_superblock(run, image,
                                                           tmp_path, fields):
    """Its marks keep their era; the next repair finds nothing to do."""
    content, last = without_open_writeset(**fields)
    path = image("built", content)
    assert run("era_check", path).status == 1
    assert run("era_invalidate", "--written-since", "1", path).status == 1
    assert_repaired(run, path, tmp_path / "target", last)
    result = run("era_repair", "--in-place", path)
    assert result.status == 0, result.err
    assert_exact(path.read_bytes(), last)
    repaired = path.read_bytes()
    assert run("era_repair", "--in-place", path).status == 0
    assert path.read_bytes() == repaired


# --- a superblock whose space map has been used again ---------------------------


def assert_nothing_lost(run, path, target, last):
    """By a list, which may be refused, nor by a repair."""
    for era in range(1, max(last) + 1):
        result = run("era_invalidate", "--format=text", "--written-since",
                     str(era), path)
        ranges = [map(int, line.split()) for line in result.out.splitlines()]
        listed = {block for begin, nr in ranges
                  for block in range(begin, begin + nr)}
        assert result.status == 1 or listed >= {
            block for block, its in enumerate(last) if its >= era}
    target.write_bytes(bytes(path.stat().st_size))
    assert run("era_repair", "-i", path, "-o", target).status == 0
    assert_lists_all(target.read_bytes(), last)
    assert run("era_repair", "--in-place", path).status == 0
    assert_lists_all(path.read_bytes(), last)


def assert_lists_all(content, last):
    metadata = Metadata(bytes(content))
    assert metadata.problems() == []
    for era in range(1, max(last) + 1):
        assert metadata.since(era) >= {
            block for block, its in enumerate(last) if its >= era}


@pytest.mark.parametrize("before, since", [(1, 1), (1, 2), (1, 20), (0, 3),
                                           (3, 5), (7, 8)])
def test_the_next_activation_writes_over_its_space_map(run, image, tmp_path,
                                                       before, since):
    device = history.Device(300, 128)
    for block in range(before):
        device.write_to(block, block + 1)
    device.shut_down()
    superblock = bytes(device.data[:SIZE])
    device.open_again()
    for block in range(100, 100 + since):
        device.write_to(block, block + 1)
    path = image("built", superblock + bytes(device.data[SIZE:]))
    assert_repaired(run, path, tmp_path / "target", device.last)
    assert_nothing_lost(run, path, tmp_path / "target", device.last)


def test_a_lost_write_of_the_space_map_makes_no_old_superblock(run, image,
                                                               tmp_path):
    """What the era before has left says no more, though it looks like it where
    it is taken for the current one."""
    device = history.Device(3000, 128)
    device.write_to(0, 2000)
    device.roll()
    index = Metadata(bytes(device.data)).superblock().sm_index
    stood_there = bytearray(SIZE)
    seal(stood_there, BITMAP, index)
    device.data[index * SIZE:(index + 1) * SIZE] = stood_there
    path = image("built", bytes(device.data))
    assert "last commit" not in run("era_check", path).err
    listed = run("era_invalidate", "--format=text", "--written-since", "2",
                 path)
    assert (listed.status, listed.out) == (0, b"")
    assert_repaired(run, path, tmp_path / "target", device.last)
    assert run("era_repair", "--in-place", path).status == 0
    assert_exact(path.read_bytes(), device.last)


def old_superblock(seed):
    """A life of many activations, and the superblock of some commits ago. In
    each era something is written: an idle one leaves no trace."""
    rng = random.Random(seed)
    device = history.Device(300, rng.choice((48, 64, 100, 200)))
    past = [bytes(device.data[:SIZE])]
    written = False
    for _ in range(rng.randrange(6, 40)):
        step = rng.choice(("write", "write", "write", "digest", "roll",
                           "open"))
        if step == "write":
            begin = rng.randrange(40)
            device.write_to(begin, begin + rng.choice((1, 1, 5, 50)))
            written = True
        elif step == "digest" and device.archived:
            device.digest()
        elif step == "roll" and written and len(device.archived) < 4:
            device.roll()
            written = False
        elif step == "open" and written and len(device.archived) < 4:
            device.open_again()
            written = False
        else:
            continue
        past.append(bytes(device.data[:SIZE]))
    if not written:
        device.write_to(7, 9)
    back = min(len(past) - 1, rng.choice((1, 1, 2, 3, 4, 6, 9, 14)))
    return past[-1 - back] + bytes(device.data[SIZE:]), device.last


@pytest.mark.parametrize("seed", [87, 174, 181, 206, 359, 558, 607, 651, 864,
                                  865, 973, 1085, 1146, 1185, 1280, 1289])
def test_an_old_superblock_loses_nothing(run, image, tmp_path, seed):
    """Lives that were found among others because writes were lost."""
    content, last = old_superblock(seed)
    assert_nothing_lost(run, image("built", content), tmp_path / "target",
                        last)


# --- a bitset whose write was lost ----------------------------------------------


@pytest.mark.parametrize("seed", [1, 6, 12, 22, 28])
def test_a_write_that_was_lost_before_the_shutdown(run, image, tmp_path, seed):
    """The last commit leads to the bitset, too: only the one before the write
    knows more. What stands there now is an older array block."""
    device = history.live(seed, nr_data=300, nr_metadata=48, nr_eras=3,
                          undigested=0)
    for begin in range(6):
        device.write_to(10 + begin, 20 + begin)
    before = bytes(device.data)
    device.write_to(100, 101)
    lost = [block for block in range(1, 48)
            if before[block * SIZE:][:SIZE] != device.data[block * SIZE:][:SIZE]
            and all(is_sealed(data[block * SIZE:][:SIZE], ARRAY)
                    for data in (before, device.data))]
    assert len(lost) == 1
    device.shut_down()
    content = bytearray(device.data)
    at = lost[0] * SIZE
    content[at:at + SIZE] = before[at:at + SIZE]
    path = image("built", bytes(content))
    check = run("era_check", path)
    assert check.status == 1
    assert "a write to the trees was lost" in check.err
    assert_nothing_lost(run, path, tmp_path / "target", device.last)


# --- a superblock that is lost, and a copy that is cut off ----------------------


def is_used(content, block):
    return any(content[block * SIZE:(block + 1) * SIZE])


@pytest.mark.parametrize("nr_metadata, eras", [(512, 4), (96, 10), (160, 14)])
def test_a_cut_off_copy_is_seen(run, image, tmp_path, nr_metadata, eras):
    """What the last commits marked lies behind the cut, with their space maps,
    and any certainty. The allocator may have gone round the device or not;
    where it has not, a cut right behind an index looks whole."""
    device = history.live(7, nr_data=3000, nr_eras=eras, undigested=0,
                          nr_metadata=nr_metadata)
    device.write_to(200, 209)
    content = bytearray(device.data)
    content[:4] = bytes(4)
    used = max(i for i in range(nr_metadata) if is_used(content, i)) + 1
    now = max(device.last)
    seen = 0
    for end in range(max(used - 40, 8), used):
        if nr_metadata == 512 and \
                is_sealed(content[(end - 1) * SIZE:end * SIZE], INDEX):
            continue
        path = image(f"cut {end}", bytes(content[:end * SIZE]))
        target = tmp_path / f"target {end}"
        target.write_bytes(bytes(512 * SIZE))
        result = run("era_repair", "--block-size", "128", "--nr-blocks",
                     "3000", "-i", path, "-o", target)
        assert result.status == 0, result.err
        # nothing may be left to tell which era it was
        after = Metadata(target.read_bytes())
        listed = after.since(after.superblock().current_era)
        assert listed >= {block for block, era in enumerate(device.last)
                          if era == now}, end
        seen += 1
    assert seen > 5
