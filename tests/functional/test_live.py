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
    return STATUSES.get(tool, (1,))[-1]


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


def test_status_says_who_may_look(run):
    before = ["setpriv", "--reuid=65534", "--clear-groups"]
    if os.geteuid() or not can_run(*before):
        pytest.skip("needs root and setpriv, to run as somebody else")
    result = run("era_status", before=before)
    assert result.status == 3
    assert b"only root has it" in result.out or \
        b"this host has no device-mapper" in result.out
