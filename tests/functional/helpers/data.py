# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/data: metadata that real kernels left behind, and its truth."""

import functools
import gzip
import json
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[2] / "data"


@functools.lru_cache(maxsize=8)
def read(name):
    """The metadata device NAME, unpacked."""
    return gzip.decompress((DIRECTORY / f"{name}.img.gz").read_bytes())


@functools.lru_cache(maxsize=None)
def truth(name):
    return json.loads((DIRECTORY / f"{name}.json").read_text("ascii"))


@functools.lru_cache(maxsize=None)
def dump(name):
    """What the Rust suite's era_dump prints, plus the final line feed."""
    return gzip.decompress(
        (DIRECTORY / f"{name}.xml.gz").read_bytes()) + b"\n"


def names(*states):
    found = sorted(path.name[:-len(".json")]
                   for path in DIRECTORY.glob("*.json"))
    return [name for name in found if truth(name)["state"] in states]


CLEAN = names("clean")
UNCLEAN = names("unclean")
SOUND = names("clean", "unclean")
DAMAGED = names("damaged")
STALE = names("stale")
# Their trees are sound, of themselves.
STALE_SOUND = [name for name in STALE if name != "stale_tight"]
WITH_SNAPSHOT = ["clean_snap", "crash_snap"]
