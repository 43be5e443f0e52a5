# SPDX-License-Identifier: GPL-2.0-or-later
"""The era tools under test, as a user runs them."""

import re
import subprocess
from pathlib import Path

from . import CannotRun, tracer


class ToolFailed(AssertionError):
    """A tool said no where the scenario needs a yes."""


class Tools:
    def __init__(self, directory):
        self.directory = Path(directory).resolve()
        self._listed = (None, {})   # of the last device that was asked about
        if not (self.directory / "era_check").exists():
            raise CannotRun(f"no era_check in {directory}: build first, or "
                            "set ERA_TOOLS to where the tools are")

    def run(self, name, *arguments, expect=0, cwd=None):
        """Runs a tool; expect None accepts any exit status but a signal."""
        command = [str(self.directory / name), *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=300, cwd=cwd)
        said = done.stderr.decode(errors="replace").strip()
        if (done.returncode < 0
                or expect is not None and done.returncode != expect):
            raise ToolFailed(f"{' '.join(command)}: exit {done.returncode}, "
                             f"expected {expect}\n{said}")
        done.said = (done.stdout.decode(errors="replace") + said).strip()
        return done

    def run_up_to_write(self, nr, name, *arguments):
        """Runs a tool that is killed right before its write number nr.

        False where it was killed.
        """
        program = str(self.directory / name)
        return tracer.run_up_to_write([program, *map(str, arguments)], nr)

    def check(self, metadata):
        """Passes when era_check finds the metadata sound."""
        return self.run("era_check", metadata)

    def is_sound(self, metadata):
        return self.run("era_check", metadata, expect=None).returncode == 0

    def written_since(self, metadata, era, snapshot=False):
        """Set of the data blocks that era_invalidate names."""
        state = metadata, metadata.stat().st_mtime_ns
        if self._listed[0] != state:
            self._listed = (state, {})
        lists = self._listed[1]
        if (era, snapshot) not in lists:
            lists[era, snapshot] = self._written_since(metadata, era,
                                                       snapshot)
        return lists[era, snapshot]

    def _written_since(self, metadata, era, snapshot):
        options = ["--metadata-snapshot"] if snapshot else []
        xml = self.run("era_invalidate", *options, "--written-since", era,
                       metadata).stdout.decode()
        assert xml.startswith("<blocks>\n") and xml.endswith("</blocks>\n")
        blocks = set()
        for line in xml.splitlines()[1:-1]:
            if m := re.fullmatch(r' *<block block="(\d+)"/>', line):
                blocks.add(int(m[1]))
            elif m := re.fullmatch(
                    r' *<range begin="(\d+)" end="(\d+)"/>', line):
                blocks.update(range(int(m[1]), int(m[2])))
            else:
                raise AssertionError(f"era_invalidate printed {line!r}")
        return blocks

    def dump(self, metadata, xml, *options):
        return self.run("era_dump", *options, "-o", xml, metadata)

    def restore(self, xml, metadata):
        return self.run("era_restore", "--force", "-i", xml, "-o", metadata)

    def repair(self, metadata, to, *options):
        return self.run("era_repair", "--force", *options, "-i", metadata, "-o",
                        to)

    def repair_in_place(self, metadata, *options):
        return self.run("era_repair", *options, "--in-place", metadata)

    def superblock(self, metadata):
        """The attributes of <superblock> in a dump, numbers as numbers."""
        xml = self.run("era_dump", "--logical", metadata).stdout.decode()
        tag = re.search(r"<superblock ([^>]*)>", xml)[1]
        return {name: int(value) if value.isdigit() else value
                for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
