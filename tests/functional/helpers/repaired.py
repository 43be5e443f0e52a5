# SPDX-License-Identifier: GPL-2.0-or-later
"""What era_repair makes of an image of tests/data, run once for all the tests
that look at it."""

import json
import tempfile
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

from . import data

IMAGES = data.SOUND + data.DAMAGED + data.STALE

# Nothing but the superblock told the size of the tracking blocks.
NEEDS_BLOCK_SIZE = ["rot_crash_k61_superblock"]


def options(name):
    return ["--block-size", data.truth(name)["block_size"]] \
        if name in NEEDS_BLOCK_SIZE else []


class Repaired:
    """Each way is taken when it is first asked for."""

    def __init__(self, name, run):
        self.name = name
        self.before = data.read(name)
        self._run = run

    def _repair(self, *arguments):
        """Returns the run, the image afterwards, and what is new beside it.
        IMAGE and NEW among the arguments are paths."""
        with tempfile.TemporaryDirectory(prefix="era-test-") as directory:
            words = {"IMAGE": Path(directory) / "image",
                     "NEW": Path(directory) / "new"}
            words["IMAGE"].write_bytes(self.before)
            result = self._run("era_repair", *options(self.name),
                               *(words.get(word, word) for word in arguments))
            new = words["NEW"].read_bytes() if words["NEW"].exists() else None
            return SimpleNamespace(
                status=result.status, out=result.out, err=result.err, new=new,
                image=words["IMAGE"].read_bytes(),
                beside=len(list(Path(directory).iterdir())) - 1)

    @cached_property
    def in_place(self):
        """new is the undo file."""
        return self._repair("--undo", "NEW", "--in-place", "IMAGE")

    @cached_property
    def to_another(self):
        return self._repair("-i", "IMAGE", "-o", "NEW")

    @cached_property
    def in_place_in_json(self):
        return self._repair("--json", "--in-place", "IMAGE")

    @cached_property
    def dry_run(self):
        return self._repair("--json", "--dry-run", "-i", "IMAGE")

    @cached_property
    def dry_run_in_place(self):
        return self._repair("--json", "--dry-run", "--in-place", "IMAGE")

    @property
    def report(self):
        """Of a repair to another device."""
        return json.loads(self.dry_run.out)
