# SPDX-License-Identifier: GPL-2.0-or-later
"""Side by side with the two suites of thin-provisioning-tools, where they
are installed: what one writes the other reads."""

import pytest

from helpers import data
from helpers.forms import parse_dump
from helpers.reader import Metadata


def same(a, b):
    return vars(parse_dump(a)) == vars(parse_dump(b))


@pytest.mark.parametrize("name", data.SOUND)
def test_our_dump_is_the_rust_suites_and_a_line_feed(run, image, rust, name):
    path = image(name)
    assert run("era_dump", path).out == rust.run("era_dump", path) + b"\n"


@pytest.mark.parametrize("name", data.CLEAN)
def test_the_cpp_suite_dumps_the_same(run, image, cpp, name):
    """Of clean metadata; it leaves out an open writeset."""
    path = image(name)
    assert same(run("era_dump", path).out, cpp.run("era_dump", path))


def restored(run, name, tmp_path):
    path = tmp_path / "ours"
    assert run("era_restore", "--force", "-i", "-", "-o", path,
               stdin=data.dump(name)).status == 0
    return path


@pytest.mark.parametrize("name", data.SOUND)
def test_the_rust_suite_reads_our_restore(run, tmp_path, rust, name):
    path = restored(run, name, tmp_path)
    rust.run("era_check", path)
    assert rust.run("era_dump", path) + b"\n" == data.dump(name)


@pytest.mark.parametrize("name", data.SOUND)
def test_the_cpp_suite_reads_our_restore(run, tmp_path, cpp, name):
    path = restored(run, name, tmp_path)
    cpp.run("era_check", path)
    assert same(cpp.run("era_dump", path), data.dump(name))


def read_theirs(run, peer, name, tmp_path):
    """What a peer restored is sound to us, and says what it was made of."""
    xml = tmp_path / "in.xml"
    xml.write_bytes(data.dump(name))
    path = tmp_path / "theirs"
    with open(path, "wb") as file:
        file.truncate(4 << 20)
    peer.run("era_restore", "-i", xml, "-o", path)
    check = run("era_check", path)
    assert check.status == 0, check.err
    assert run("era_dump", path).out == data.dump(name)
    reader = Metadata(path.read_bytes())
    for era, _ in data.truth(name)["checks"]:
        ours = run("era_invalidate", "--written-since", era, path)
        assert ours.out == run("era_invalidate", "--written-since", era,
                               restored(run, name, tmp_path)).out
        assert ours.status == 0
    assert reader.problems() == []


@pytest.mark.parametrize("name", data.SOUND)
def test_we_read_the_rust_suites_restore(run, rust, tmp_path, name):
    read_theirs(run, rust, name, tmp_path)


@pytest.mark.parametrize("name", data.SOUND)
def test_we_read_the_cpp_suites_restore(run, cpp, tmp_path, name):
    read_theirs(run, cpp, name, tmp_path)
