# SPDX-License-Identifier: GPL-2.0-or-later
"""bench/era_generate, and the tools on metadata larger than any sample."""

import subprocess

import pytest


@pytest.fixture
def generate(run, all_tools, tmp_path):
    if not all_tools.has("bench/era_generate"):
        pytest.skip("not built")

    def generated(name, *args):
        path = tmp_path / name
        result = run("bench/era_generate", "-o", path, *args)
        assert (result.status, result.err) == (0, "")
        return path
    return generated


def test_same_options_same_bytes_and_another_seed_others(generate):
    a = generate("a", "-n", "5000").read_bytes()
    assert generate("b", "-n", "5000").read_bytes() == a
    assert generate("c", "-n", "5000", "--seed", "2").read_bytes() != a


@pytest.mark.parametrize("nr_blocks", ["0", "1", "1018", "32577", "300K"])
def test_what_it_makes_is_sound(run, generate, nr_blocks):
    check = run("era_check", generate("a", "-n", nr_blocks))
    assert (check.status, check.err) == (0, "")


def test_leaves_the_last_writeset_open(run, generate):
    check = run("era_check", generate("a", "-n", "10K", "--open"))
    assert check.status == 0
    assert "not shut down cleanly: era 104 holds" in check.err


def test_scattered_blocks_say_the_same(run, generate):
    """Reads are sorted and merged, whatever lies where."""
    together = generate("a", "-n", "1M")
    apart = generate("b", "-n", "1M", "--scatter")
    assert run("era_check", apart).status == 0
    for args in (("era_dump", "--compact"), ("era_dump", "--logical"),
                 ("era_invalidate", "--written-since", "101")):
        assert run(*args, apart).out == run(*args, together).out


def test_refuses_to_overwrite(generate, all_tools):
    path = generate("a", "-n", "10")
    before = path.read_bytes()
    tool = all_tools.popen("bench/era_generate", "-o", str(path),
                           stderr=subprocess.PIPE)
    assert b"exists" in tool.communicate()[1]
    assert tool.returncode == 1
    assert path.read_bytes() == before
