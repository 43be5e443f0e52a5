# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on a block device counts, and not what its page cache holds: dm
targets write below that, and pages that another program keeps open or mapped
stay there, old.
"""

import mmap
import os
import subprocess

import pytest

from helpers import data
from helpers.blocks import SIZE
from test_any_tool import READ_METADATA, loop, name_of, read  # noqa: F401
from test_library import client, library  # noqa: F401

BEFORE, NOW = "crash_k61", "crash_snap"


class Stale:
    """A device whose pages hold what image BEFORE does, and itself NOW. The
    file below a loop device stands for what a dm target writes."""

    def __init__(self, device, below):
        self.device = device
        self.below = below
        self.fd = os.open(device, os.O_RDONLY)
        size = os.lseek(self.fd, 0, os.SEEK_END)
        # a page that is mapped survives even BLKFLSBUF
        self.pages = mmap.mmap(self.fd, size, prot=mmap.PROT_READ)
        self.old = self.pages[:]

    def write_below(self, content):
        """As dd ... oflag=direct does."""
        fd = os.open(self.below, os.O_RDWR | os.O_DIRECT)
        with mmap.mmap(-1, len(content)) as aligned:  # O_DIRECT asks for it
            aligned[:] = content
            assert os.pwrite(fd, aligned, 0) == len(content)
        os.close(fd)
        assert self.pages[:] == self.old, "the pages are not stale"

    def close(self):
        self.pages.close()
        os.close(self.fd)


@pytest.fixture
def stale(image, loop):  # noqa: F811
    made = []

    def make(content=None):
        below = image(BEFORE)
        made.append(Stale(loop(below), below))
        try:
            made[-1].write_below(data.read(NOW) if content is None else content)
        except (OSError, AssertionError) as error:
            pytest.skip(f"no stale pages can be made here: {error}")
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("tool", READ_METADATA)
def test_what_is_on_the_device_is_read(run, image, stale, tool):
    device = stale().device
    path = image(NOW)
    result, expected = read(run, tool, device), read(run, tool, path)
    assert result.status == expected.status == 0
    assert result.out.replace(device.encode(), b"X") == \
        expected.out.replace(str(path).encode(), b"X")


def test_a_zeroed_superblock_is_seen(run, stale):
    content = bytes(SIZE) + data.read(BEFORE)[SIZE:]
    result = run("era_check", stale(content).device)
    assert result.status == 1
    assert "all zero" in result.err


def test_a_block_that_rotted_is_seen(run, stale):
    """Blocks are read many at a time, in runs and over gaps."""
    image = data.read(NOW)
    content = bytearray(image)
    for block in range(1, len(image) // SIZE):
        if any(image[block * SIZE:][:SIZE]):
            content[block * SIZE + 100] ^= 1
    device = stale(bytes(content)).device
    assert run("era_check", device).status == 1
    assert run("era_dump", device).status == 1


def test_a_repair_in_place_starts_from_what_is_there(run, image, tmp_path,
                                                     stale):
    """Pages show damage that the device has not, or has no more."""
    broken = data.read("rot_clean_snap_bitset-leaf")
    sound = data.read("clean_snap")
    device = stale(sound)
    assert run("era_repair", "--in-place", device.device).status == 0
    assert device.below.read_bytes() == sound
    device.write_below(broken)
    result = run("era_repair", "--in-place", device.device,
                 "--undo", tmp_path / "undo")
    path = image("rot_clean_snap_bitset-leaf")
    expected = run("era_repair", "--in-place", path)
    assert result.status == expected.status
    subprocess.run(["sync", device.device], check=True)
    assert device.below.read_bytes() == path.read_bytes()
    # and what the undo file has saved is not what the pages held
    assert run("era_repair", "--undo-apply", tmp_path / "undo",
               device.device).status == 0
    assert device.below.read_bytes() == broken


def test_a_pack_holds_what_is_there(run, tmp_path, stale):
    device = stale().device
    for name, source in ("is", device), ("ought", stale().below):
        run("era_metadata_pack", "-i", source, "-o", tmp_path / name)
        run("era_metadata_unpack", "-i", tmp_path / name,
            "-o", tmp_path / f"{name}.img")
    assert (tmp_path / "is.img").read_bytes() == \
        (tmp_path / "ought.img").read_bytes()


def test_libdmera_reads_what_is_there(client, image, stale):  # noqa: F811
    device = stale().device
    assert client("dump", 0, device) == \
        client("dump", 0, image(NOW))
    for mode in "r", "direct":
        assert client("fd", 0, mode, device) == \
            client("superblock", 0, image(NOW))


def test_a_size_that_is_no_whole_number_of_blocks(run, image, loop):  # noqa: F811
    path = image(NOW, data.read(NOW) + bytes(512))
    assert run("era_dump", loop(path)).out == data.dump(NOW)


def test_sectors_of_4096_bytes(run, image, loop):  # noqa: F811
    device = loop(image(NOW), "--sector-size", "4096")
    assert run("era_dump", device).out == data.dump(NOW)
    assert run("era_repair", "--in-place", device).status == 0
    assert run("era_check", device).status == 0
