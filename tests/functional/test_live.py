# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools for devices in use, on a host that has none, or may not look.

tests/kernel has them on hosts that have."""

import json
import os
import subprocess

import pytest

from helpers.tools import LIVE_TOOLS, STATUSES

pytestmark = pytest.mark.skipif(
    not LIVE_TOOLS, reason="built without libdevmapper")
live_tool = pytest.mark.parametrize("tool", LIVE_TOOLS)

NO_SUCH = "no-such-device"


def bad_usage(tool):
    """What wrong usage exits with."""
    return STATUSES.get(tool, (2,))[-1]


def can_run(*before):
    return subprocess.run([*before, "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


@live_tool
@pytest.mark.parametrize("option", ["--no-such-option", "-Y"])
def test_unknown_option(run, tool, option):
    result = run(tool, option)
    assert result.status == bad_usage(tool)
    assert result.out == b""
    assert "Try" in result.err


@live_tool
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(run, tool, option):
    result = run(tool, option)
    assert (result.status, result.err) == (0, "")
    assert all(len(line) <= 80 for line in result.out.decode().splitlines())


@live_tool
def test_version_is_bare(run, tool):
    assert run(tool, "-V").out == run("era_check", "-V").out


@pytest.mark.parametrize("tool", [name for name in LIVE_TOOLS
                                  if name != "era_status"])
def test_no_argument(run, tool):
    result = run(tool)
    assert (result.status, result.out) == (2, b"")
    assert "no device given" in result.err


@pytest.mark.parametrize("tool, args, says", [
    ("era_changed", ["x"], "no era given"),
    ("era_changed", ["--since=1", "x", "y"], "only one device"),
    ("era_changed", ["--since=1", "--timeout=0", "x"], "must not be 0"),
    ("era_changed", ["--since=1", "--format=yaml", "x"], "unknown format"),
    ("era_changed", ["--since=1", "--unit=bytes", "x"], "XML always counts"),
    ("era_changed", ["--since=1", "--max-ranges=0", "x"], "must not be 0"),
    ("era_reload", ["x", "y"], "only one device"),
    ("era_activate", ["x", "/dev/null"], "no origin given"),
    ("era_activate", ["a/b"], "no name of a device"),
    ("era_activate", ["data/era"], "see systemd-escape"),
    ("era_activate", ["n" * 128], "no name of a device"),
    ("era_activate", [""], "no name of a device"),
    ("era_activate", ["x", "m", "o", "100"], "multiple of 8 sectors"),
    ("era_activate", ["x", "m", "o", "0"], "multiple of 8 sectors"),
    ("era_activate", ["x", "m", "o", "64X"], "multiple of 8 sectors"),
    ("era_activate", ["x", "m", "o", "-8"], "option"),
    ("era_activate", ["x", "m", "o", "8", "y"], "unexpected argument"),
    ("era_activate", ["--deactivate", "x", "m"], "takes the name alone"),
    ("era_activate", ["--wait=x", "x"], "--wait must be a number"),
    ("era_activate", ["--config=c", "x", "m", "o"], "goes with the name"),
])
def test_wrong_usage(run, tool, args, says):
    result = run(tool, *args)
    assert (result.status, result.out) == (2, b"")
    assert says in result.err and "Try" in result.err


@pytest.mark.parametrize("text, says", [
    (b"", "names no METADATA"),
    (b"METADATA=/dev/a\n", "names no ORIGIN"),
    (b"# only\n\nORIGIN = /dev/a\nMETADATA=relative\n", "line 4 is none"),
    (b"ORIGIN=/dev/a\nMETADATA=/dev/b\nBLOCK_SIZE=7\n", "line 3 is none"),
    (b"ORIGIN=/dev/a\nMETADATA=/dev/b\nSIZE=7\n", "line 3 is none"),
    (b"ORIGIN=/" + b"x" * 5000, "line 1 is none"),
    (b"\0\xff\n", "names no METADATA"),
])
def test_a_configuration_that_is_none(run, tmp_path, text, says):
    path = tmp_path / "conf"
    path.write_bytes(text)
    result = run("era_activate", f"--config={path}", "x")
    assert (result.status, result.out) == (1, b"")
    assert says in result.err


def test_a_configuration_that_is_not_there(run):
    result = run("era_activate", NO_SUCH)
    assert result.status == 2
    assert f"/etc/era/{NO_SUCH}.conf: No such file" in result.err


@pytest.mark.parametrize("content", [b"", b"x\n", b"1 2\n", b"-1", b"1\n2\n",
                                     b"99999999999", b"7" * 100, b"\0"])
def test_a_saved_era_that_is_none(run, tmp_path, content):
    path = tmp_path / "saved"
    path.write_bytes(content)
    result = run("era_changed", f"--since={path}", NO_SUCH)
    assert (result.status, result.out) == (1, b"")
    assert "holds no era" in result.err


def test_a_device_that_is_not_there_gets_no_list(run, tmp_path):
    result = run("era_changed", "--since=1", "-o", tmp_path / "list",
                 "--save", tmp_path / "next", NO_SUCH)
    assert (result.status, result.out) == (2, b"")
    assert result.err.startswith("era_changed: error: ")
    assert not list(tmp_path.iterdir())
    assert run("era_reload", NO_SUCH).status == 2
    assert run("era_activate", "--deactivate", NO_SUCH).status == 2


def test_status_takes_percents_and_seconds_alone(run):
    for bad in (["-w", "102"], ["-c", "x"], ["-t", "0"], ["-t", "-1"],
                ["--timeout=3601"]):
        result = run("era_status", *bad)
        assert result.status == 3
        assert "Try" in result.err


def test_status_of_a_device_that_is_not_there_is_unknown(run):
    result = run("era_status", NO_SUCH)
    assert result.status == 3
    assert result.out.startswith(b"unknown: ")
    report = json.loads(run("era_status", "-J", NO_SUCH).out)
    assert report["level"] == "unknown"
    assert [one["name"] for one in report["devices"]] == [NO_SUCH]
    assert report["devices"][0]["table"] is None


@pytest.mark.parametrize("name", ["a b", "x'\"$(:)", "-x", "a/b", "",
                                  "\\x20", "\\x2g", "n" * 600, "\xe4\n\x1b["])
def test_status_takes_any_name(run, name):
    result = run("era_status", "-J", "--", name)
    assert result.status == 3
    report = json.loads(result.out)
    assert report["devices"][0]["problems"]
    assert run("era_status", "-q", "--", name).out == b""


ARGUMENTS = {
    "era_status": [NO_SUCH],
    "era_changed": ["--since=1", NO_SUCH],
    "era_activate": ["--deactivate", NO_SUCH],
    "era_reload": [NO_SUCH],
}


@pytest.mark.bare  # what counts coverage cannot write its files then
@live_tool
def test_says_who_may_use_the_device_mapper(run, tool):
    before = ["setpriv", "--reuid=65534", "--clear-groups"]
    if os.geteuid() or not can_run(*before):
        pytest.skip("needs root and setpriv, to run as somebody else")
    result = run(tool, *ARGUMENTS[tool], before=before)
    assert result.status == bad_usage(tool)
    said = result.out.decode() + result.err
    assert "only root has it" in said or \
        "this host has no device-mapper" in said


@live_tool
def test_is_told_how_its_children_end_whoever_starts_it(run, tool):
    """A daemon that ignores SIGCHLD hands that down to what it runs."""
    plain = run(tool, *ARGUMENTS[tool])
    result = run(tool, *ARGUMENTS[tool],
                 before=["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"])
    assert (result.status, result.out, result.err) == \
        (plain.status, plain.out, plain.err)
    assert "child" not in result.out.decode() + result.err


@live_tool
@pytest.mark.parametrize("name", ["x y", "x'\"$(:);", "-x", "\\x20", "\xe4\n"])
def test_takes_any_name(run, tool, name):
    *options, _ = ARGUMENTS[tool]
    result = run(tool, *options, "--", name)
    assert result.status == bad_usage(tool)
    assert "error: " in result.err or result.out.startswith(b"unknown: ")
