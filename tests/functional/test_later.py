# SPDX-License-Identifier: GPL-2.0-or-later
"""Block 0 is the superblock of an earlier commit: its last write was lost, or
somebody has put an old one back. What was written since is not lost. Nor is it
where the write that was lost is another block's."""

import pytest

from helpers import history
from helpers.blocks import ARRAY, SIZE, seal
from helpers.reader import Metadata


def left_behind(commits, eras=0, nr_data=3000, closed=False):
    """A device whose superblock is so many writes and eras old, and the last
    era of each of its data blocks."""
    device = history.live(7, nr_data=nr_data, nr_eras=4, undigested=0)
    if closed:
        device.shut_down()
    before = bytes(device.data[:SIZE])
    if closed:
        device.roll()
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


SHAPES = [dict(commits=1), dict(commits=2), dict(commits=5),
          dict(commits=1, eras=1), dict(commits=2, eras=2),
          dict(commits=2, nr_data=40000), dict(commits=2, closed=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_repair_is_exact(run, image, tmp_path, shape):
    content, last = left_behind(**shape)
    path, target = image("built", bytes(content)), tmp_path / "target"
    target.write_bytes(bytes(len(content)))
    result = run("era_repair", "-i", path, "-o", target)
    assert result.status == 0, result.err
    assert_exact(target.read_bytes(), last)
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
