# SPDX-License-Identifier: GPL-2.0-or-later
"""The two suites of thin-provisioning-tools, where they can be found."""

import functools
import os
import re
import shutil
import subprocess

import pytest


class Peer:
    def __init__(self, path):
        self.path = path

    def run(self, tool, *args):
        """Output of a tool that must succeed."""
        done = subprocess.run([self.path, tool, *map(str, args)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout


def _version(path):
    done = subprocess.run([path, "era_check", "-V"], timeout=60, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    match = re.search(rb"(\d+)\.\d+", done.stdout)
    return int(match[1]) if match else None


@functools.lru_cache(maxsize=None)
def _find(kind):
    """pdata_tools of a kind: the C++ suite ended with 0.9, the Rust one
    began with 1.0."""
    paths = [os.environ.get(f"ERA_{kind.upper()}_TOOLS"),
             shutil.which("pdata_tools", path=os.environ.get("PATH", "") +
                          ":/usr/sbin:/sbin")]
    for path in filter(None, paths):
        if os.access(path, os.X_OK) and \
                (_version(path) == 0) == (kind == "cpp"):
            return Peer(path)
    return None


def find_or_skip(kind):
    peer = _find(kind)
    if not peer:
        pytest.skip(f"no {kind} suite of thin-provisioning-tools "
                    f"(ERA_{kind.upper()}_TOOLS names its pdata_tools)")
    return peer
