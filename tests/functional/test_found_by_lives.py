# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/data/lives: devices that the kernel's own code left in tests/lives, on
which a version of these tools lost writes; in sound/, those that it refused
though nothing was wrong. What happened is in their names."""

import gzip
import json

import pytest

from helpers import data
from helpers.reader import Metadata, expand

DIRECTORY = data.DIRECTORY / "lives"
NAMES = sorted(path.name[:-len(".json")] for path in DIRECTORY.glob("*.json"))
SOUND = sorted(f"sound/{path.name[:-len('.json')]}"
               for path in (DIRECTORY / "sound").glob("*.json"))


@pytest.fixture
def device(tmp_path):
    def unpack(name):
        path = tmp_path / "device"
        path.write_bytes(gzip.decompress(
            (DIRECTORY / f"{name}.img.gz").read_bytes()))
        return path, json.loads((DIRECTORY / f"{name}.json").read_text())
    return unpack


def options(run, path, truth):
    """The block size, where no block tells it any more."""
    look = run("era_repair", "--dry-run", "--in-place", path)
    return (["--block-size", str(truth["block_size"])]
            if "--block-size" in look.err else [])


def assert_nothing_lost(content, truth):
    metadata = Metadata(content)
    assert metadata.problems() == []
    for era, written in truth["checks"]:
        lost = set(expand(written)) - metadata.since(era)
        assert not lost, f"lost since era {era}: {sorted(lost)[:9]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_check_sees_it_and_nothing_is_listed(run, device, name):
    path, truth = device(name)
    assert run("era_check", path).status == 1
    for era, _ in truth["checks"]:
        result = run("era_invalidate", "--written-since", str(era), path)
        assert result.status != 0


@pytest.mark.parametrize("name", NAMES)
def test_a_repair_to_another_device_loses_no_write(run, device, tmp_path,
                                                   name):
    path, truth = device(name)
    target = tmp_path / "target"
    target.write_bytes(bytes(path.stat().st_size))
    result = run("era_repair", *options(run, path, truth), "-i", path, "-o",
                 target)
    assert result.status == 0, result.err
    assert_nothing_lost(target.read_bytes(), truth)


@pytest.mark.parametrize("name", NAMES)
def test_a_repair_in_place_loses_no_write(run, device, name):
    path, truth = device(name)
    before = path.read_bytes()
    result = run("era_repair", *options(run, path, truth), "--in-place", path)
    if result.status:  # the old state is there, and another way is named
        assert path.read_bytes()[:4096] == before[:4096]
        assert "-o" in result.err
        return
    assert_nothing_lost(path.read_bytes(), truth)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_device_is_no_alarm(run, device, name):
    path, truth = device(name)
    check = run("era_check", path)
    assert check.status == 0, check.err
    for era, written in truth["checks"]:
        listed = run("era_invalidate", "--format=text", "--written-since",
                     str(era), path)
        assert listed.status == 0, listed.err
        assert bool(listed.out.strip()) == bool(written)
