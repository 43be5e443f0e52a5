# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own files, from Debian's package of its source, and the bench
that is compiled of them. Both stay in the build directory.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kernel"))

from harness import CannotRun  # noqa: E402
from harness.packages import Release  # noqa: E402

RELEASES = ("bookworm", "trixie", "sid")
PACKAGE = "linux-source"
# Below the kernel's top directory: where it goes here.
FILES = {
    "drivers/md/dm-era-target.c": ".",
    "drivers/md/persistent-data": ".",
    "include/linux/dm-bufio.h": "linux",
    "include/linux/list.h": "linux",
    "include/linux/rbtree.h": "linux",
    "include/linux/rbtree_augmented.h": "linux",
    "include/linux/rbtree_types.h": "linux",
    "lib/rbtree.c": "lib",
}


def directory():
    """Where what was fetched and compiled is kept."""
    given = os.environ.get("ERA_LIVES_DIR")
    return Path(given) if given else \
        Path(os.environ.get("ERA_TOOLS", ".")) / "build-lives"


def _unpack(deb, tree):
    """The files above out of the archive of sources in a package."""
    wanted = [f"*/{file}" for file in FILES]
    package = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb],
                               stdout=subprocess.PIPE)
    archive = subprocess.Popen(
        ["tar", "-xO", "--wildcards", f"*/{PACKAGE}-*.tar.xz"],
        stdin=package.stdout, stdout=subprocess.PIPE)
    done = subprocess.run(
        ["tar", "-xJ", "-C", tree, "--strip-components=1", "--wildcards",
         *wanted], stdin=archive.stdout, stderr=subprocess.PIPE, text=True)
    archive.stdout.close()
    package.stdout.close()
    if archive.wait() or package.wait() or done.returncode:
        raise CannotRun(f"cannot unpack {deb.name}: {done.stderr[-300:]}")


def fetch(release):
    """The directory that has a release's kernel, and that kernel's version."""
    for program in ("apt-get", "dpkg-deb", "tar", "xz"):
        if not shutil.which(program):
            raise CannotRun(f"there is no {program} here to fetch the "
                            "kernel's source with")
    target = directory() / f"source-{release}"
    if not (target / "version").exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        packages = Release(release, target.parent / f"apt-{release}")
        packages.update()
        package = next((p for p in packages.depends(PACKAGE)
                        if p.startswith(PACKAGE + "-")), None)
        if not package:
            raise CannotRun(f"{release} has no package {PACKAGE}")
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            scratch = Path(scratch)
            deb, = packages.download([package], scratch / "deb")
            tree, files = scratch / "tree", scratch / "files"
            tree.mkdir()
            _unpack(deb, tree)
            for file, place in FILES.items():
                if (tree / file).exists():
                    (files / place).mkdir(parents=True, exist_ok=True)
                    shutil.move(tree / file, files / place)
            version = re.match(r"[^_]*_([^_]*)_", deb.name)[1]
            (files / "version").write_text(version + "\n")
            # Renamed into place, so that the cache holds whole ones only.
            shutil.rmtree(target, ignore_errors=True)
            files.rename(target)
        shutil.rmtree(packages.directory, ignore_errors=True)
    return target, (target / "version").read_text().strip()


def build(release):
    """bench.so of a release's kernel, and that kernel's version."""
    if sys.byteorder != "little" or sys.maxsize < 1 << 32:
        raise CannotRun(f"the bench is for little-endian hosts of 64 bits, "
                        f"and this is {platform.machine()}")
    cc = os.environ.get("CC", "gcc")
    if not shutil.which(cc.split()[0]):
        raise CannotRun(f"there is no {cc} here to compile the kernel's "
                        "files with")
    source, version = fetch(release)
    out = directory() / f"bench-{release}"
    bench = out / "bench.so"
    ours = [HERE / "build", *(HERE / "kernel").iterdir()]
    newest = max(file.stat().st_mtime for file in ours)
    if not bench.exists() or bench.stat().st_mtime < newest:
        subprocess.run([HERE / "build", source, out], check=True)
    return bench, version


def build_tools(tools):
    """The tools of a build directory as a library."""
    library = Path(tools) / "build-lives" / "tools.so"
    core = Path(tools) / ".libs" / "libcore.a"
    if not core.exists():
        raise CannotRun(f"there is no {core}")
    newest = max(core.stat().st_mtime,
                 (HERE / "in_process.c").stat().st_mtime,
                 *(file.stat().st_mtime for file in
                   (HERE.parents[1] / "src" / "tools").iterdir()))
    if not library.exists() or library.stat().st_mtime < newest:
        library.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([HERE / "build-tools", tools, library], check=True)
    return library
