# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole tools with one call to the system failing, each in turn: status 1, a
message, and nothing that looks like a result; or the result, all of it.

tests/fault fails calls to a device in memory; here it is the real ones, those
of results, packs and undo files among them (tests/fault/preload.c).
"""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import data
from helpers.reader import Metadata
from test_any_tool import XML

PRELOAD = Path(__file__).parents[1] / "fault" / "preload.c"
NOTHING, HALF = 0, -1
FAILURES = {
    "write": [errno.EIO, errno.ENOSPC, errno.EINTR, NOTHING, HALF],
    "pwrite": [errno.EIO, errno.ENOSPC, errno.EINTR, NOTHING, HALF],
    "read": [errno.EIO, errno.EINTR, HALF],
    "pread": [errno.EIO, errno.EINTR, HALF],
    "preadv": [errno.EIO, errno.ENODEV, errno.EINTR, NOTHING, HALF],
    "fsync": [errno.EIO, errno.ENOSPC],
    "fdatasync": [errno.EIO, errno.EDQUOT],
    "ftruncate": [errno.EIO, errno.EFBIG],
    "rename": [errno.EIO, errno.ENOSPC],
    "close": [errno.EIO, errno.EDQUOT],
    "malloc": [errno.ENOMEM],
}
HARMLESS = (errno.EINTR, HALF)
# A call that fails in this way need not end in an error: what it was for is
# done by then (a descriptor that was only read from, a flushed device), or can
# be done without (a larger buffer).
MAY_PASS = ("close", "preadv", "malloc")
# Here it is jansson that reads, a seed that need not be random.
MAY_PASS_HERE = [("era_check", "read")]
FIRST_CALLS = 12  # of a kind, are all tried; then one in STEP
STEP = 997

RUNS = {
    "era_dump": ["era_dump", "-o", "OUT", "IN"],
    "era_dump, compressed": ["era_dump", "-o", "OUT.gz", "IN"],
    "era_dump to standard output": ["era_dump", "IN"],
    "era_invalidate": ["era_invalidate", "--written-since", "1", "-o", "OUT",
                       "IN"],
    "era_check": ["era_check", "--json", "IN"],
    "era_restore": ["era_restore", "-i", "XML", "-o", "OUT"],
    "era_restore to a device": ["era_restore", "--force", "-i", "XML", "-o",
                                "OLD"],
    "era_repair": ["era_repair", "-i", "IN", "-o", "OUT"],
    "era_repair --undo": ["era_repair", "--undo", "UNDO", "--in-place", "IN"],
    "era_metadata_pack": ["era_metadata_pack", "-i", "IN", "-o", "OUT"],
    "era_metadata_unpack": ["era_metadata_unpack", "-i", "PACK", "-o", "OUT"],
    "era_metadata_size": ["era_metadata_size", "--nr-blocks", "1000"],
}


@pytest.fixture(scope="session")
def preload(all_tools, tmp_path_factory):
    compiler = shutil.which("cc")
    if all_tools.instrumented or not compiler:
        pytest.skip("not under a wrapper or sanitizer, nor without cc")
    path = tmp_path_factory.mktemp("preload") / "preload.so"
    done = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path,
                           PRELOAD, "-ldl"], stderr=subprocess.PIPE,
                          check=False, text=True)
    if done.returncode:
        pytest.skip(f"cannot build {PRELOAD.name}: {done.stderr[:200]}")
    return path


class Bench:
    """A directory with what a run takes, and what it left behind."""

    def __init__(self, directory, all_tools):
        self.path = directory
        self.tools = all_tools
        self.words = {name: directory / name.lower() for name in
                      ("IN", "OLD", "XML", "PACK", "UNDO", "OUT", "OUT.gz")}
        self.words["XML"].write_bytes(XML)
        self.words["IN"].write_bytes(data.read("crash_k61"))
        subprocess.run(all_tools.command("era_metadata_pack", "-i",
                                         self.words["IN"], "-o",
                                         self.words["PACK"]), check=True)
        self.inputs = None

    def run(self, run, preload, call="", number=0, error=0):
        """Returns status, output, error text, and whether it has failed."""
        for name in ("UNDO", "OUT", "OUT.gz"):
            self.words[name].unlink(missing_ok=True)
        self.words["IN"].write_bytes(data.read("crash_k61"))
        self.words["OLD"].write_bytes(data.read("clean"))
        self.inputs = set(self.path.iterdir())
        name, *args = RUNS[run]
        told, tell = os.pipe()
        try:
            result = self.tools.run(
                name, *(self.words.get(word, word) for word in args),
                pass_fds=[tell],
                env={"LD_PRELOAD": str(preload), "FAIL_CALL": call,
                     "FAIL_NUMBER": str(number), "FAIL_ERRNO": str(error),
                     "FAIL_FD": str(tell)})
        finally:
            os.close(tell)
        struck = os.read(told, 1) == b"!"
        os.close(told)
        return result, struck

    def left(self):
        """What was made or changed, by name."""
        made = {path.name: path.read_bytes() for path in self.path.iterdir()
                # (an undo file may say twice what was written twice)
                if path not in self.inputs and path.name != "undo"}
        for name in ("IN", "OLD"):
            made[name] = self.words[name].read_bytes()
        return made


def check_failed(bench, run, made):
    """Nothing of a result is there, and what was there loses nothing."""
    if "to a device" in run:
        if made["OLD"] != data.read("clean"):
            checked = bench.tools.run("era_check", bench.words["OLD"])
            assert checked.status or not Metadata(made["OLD"]).problems()
    elif "--undo" in run:
        # sound, and undone where anything was written
        assert Metadata(made["IN"]).problems() == []
        assert Metadata(made["IN"]).last_written() == \
            Metadata(data.read("crash_k61")).last_written()
        if made["IN"] != data.read("crash_k61"):
            bench.tools.run("era_repair", "--undo-apply", bench.words["UNDO"],
                            bench.words["IN"])
            assert bench.words["IN"].read_bytes() == data.read("crash_k61")
    else:
        assert made["IN"] == data.read("crash_k61")
        assert set(made) == {"IN", "OLD"}, "something was left"


@pytest.mark.parametrize("call, run", [
    ("write", "era_dump"), ("pwrite", "era_repair --undo"),
    ("read", "era_restore"), ("pread", "era_metadata_unpack"),
    ("preadv", "era_check"), ("fsync", "era_dump"),
    ("fdatasync", "era_restore to a device"), ("ftruncate", "era_restore"),
    ("rename", "era_dump"), ("close", "era_dump"),
    ("malloc", "era_metadata_size")])
def test_calls_are_reached(all_tools, preload, tmp_path, call, run):
    """By the names that the tools were linked with."""
    bench = Bench(tmp_path, all_tools)
    _, struck = bench.run(run, preload, call, 0, errno.EINTR)
    assert struck


@pytest.mark.parametrize("call", FAILURES)
@pytest.mark.parametrize("run", RUNS)
def test_a_call_that_fails(all_tools, preload, tmp_path, run, call):
    bench = Bench(tmp_path, all_tools)
    whole, _ = bench.run(run, preload)
    assert whole.status == 0, whole.err
    expected = bench.left()
    for error in FAILURES[call]:
        number, step, nr_refused = 0, 1, 0
        while True:
            result, struck = bench.run(run, preload, call, number, error)
            if not struck:
                break
            made = bench.left()
            nr_refused += result.status
            what = f"{call} {number}: {error}: {result.err}"
            if result.status == 0:
                assert error in HARMLESS or call in MAY_PASS or \
                    (run, call) in MAY_PASS_HERE, what
                assert (result.out, made) == (whole.out, expected), what
            else:
                assert error not in HARMLESS, what
                # a report in JSON is where the error is said
                assert result.err or b'"error"' in result.out or \
                    run == "era_check" and call == "write", what
                # of the directory: the result is there by then, and whole
                if call not in ("fsync", "malloc") or made != expected or \
                        len(made) < 3:
                    check_failed(bench, run, made)
            number += step
            step = 1 if number < FIRST_CALLS else STEP
        # of all that is closed, a result is
        if call == "close" and "OUT" in str(RUNS[run]):
            assert nr_refused
