# SPDX-License-Identifier: GPL-2.0-or-later
"""The root file system a guest boots into, as an uncompressed cpio archive.

busybox, dmsetup, lvm, the kernel's modules, and guest/.
"""

import os
import re
import stat
import subprocess
from pathlib import Path

from .packages import find_program

GUEST = Path(__file__).parent / "guest"
PROGRAMS = ("dmsetup", "lvm")


class Archive:
    """A cpio archive in the one format the kernel reads (newc)."""

    def __init__(self):
        self._parts = []
        self._directories = {""}
        self._files = set()
        self._inode = 0

    def _entry(self, name, mode, data):
        self._inode += 1
        path = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(path), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + path
        for part in (head, data):
            self._parts.append(part + bytes(-len(part) % 4))

    def directory(self, name):
        name = name.strip("/")
        if name not in self._directories:
            self.directory(os.path.dirname(name))
            self._directories.add(name)
            self._entry(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name, data, mode=0o755):
        """Adds a file; one that is there already stays as it is."""
        name = name.strip("/")
        if name in self._files:
            return
        self._files.add(name)
        self.directory(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, to):
        name = name.strip("/")
        self.directory(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, to.encode())

    def finish(self):
        self._entry("TRAILER!!!", 0, b"")
        return b"".join(self._parts)


def _libraries(program):
    """The shared libraries of a program, as paths that its loader uses."""
    text = subprocess.run(["ldd", program], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return re.findall(r"(/\S+) \(0x", text)


def add_program(archive, program):
    """A program under its own name, and the libraries it is linked with."""
    archive.file(f"sbin/{program.name}", program.read_bytes())
    for library in _libraries(program):
        archive.file(library, Path(library).read_bytes())


def build(kernel):
    """The archive a kernel boots with."""
    archive = Archive()
    for directory in ("proc", "sys", "dev", "tmp", "run", "etc", "mnt"):
        archive.directory(directory)
    busybox = find_program("busybox")
    archive.file("bin/busybox", Path(busybox).read_bytes())
    applets = subprocess.run([busybox, "--list"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.split()
    for applet in applets:
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")
    for name in PROGRAMS:
        add_program(archive, Path(find_program(name)))
    for name in ("vgs", "pvs", "vgscan", "lvcreate"):
        archive.link(f"sbin/{name}", "lvm")
    for module in kernel.modules:
        archive.file(f"modules/{module.name}", module.read_bytes(), 0o644)
    archive.file("init", (GUEST / "init").read_bytes())
    archive.file("lib.sh", (GUEST / "lib.sh").read_bytes(), 0o644)
    return archive.finish()
