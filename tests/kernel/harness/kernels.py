# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels of Debian's releases, fetched by package name and cached.

A kernel in the cache is a directory: vmlinuz, version, modules/ with the
modules a guest needs, numbered in the order they are to be inserted, and wanted,
which names those that were asked for when it was fetched.

    python3 -m harness.kernels [--refresh] [RELEASE...]

fetches without running a test; --refresh looks for newer ones.
"""

import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import CannotRun
from .packages import Release, find_program, require_programs

# Oldest first; sid has the newest kernel that Debian packages.
RELEASES = ("bookworm", "trixie", "sid")
PACKAGE = "linux-image-cloud-amd64"
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "libcrc32c",
           "dm-mod", "dm-era", "dm-flakey", "dm-snapshot")


@dataclass(frozen=True)
class Kernel:
    release: str    # Debian's name for it
    version: str    # what uname -r says
    vmlinuz: Path
    modules: tuple  # paths, in the order of insertion

    @property
    def short(self):
        """6.1, 6.12: as much of the version as a person says."""
        return re.match(r"\d+\.\d+", self.version)[0]


def cache_directory():
    given = os.environ.get("ERA_KERNEL_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or (
        "/var/cache" if os.geteuid() == 0 else Path.home() / ".cache")
    return Path(base) / "dm-era-tools" / "kernels"


def _wanted():
    return "".join(f"{module}\n" for module in MODULES)


def _is_whole(directory):
    """Whether it was fetched with all modules that are asked for now."""
    wanted = directory / "wanted"
    return (directory / "version").exists() and wanted.exists() and \
        wanted.read_text() == _wanted()


def _load(release, directory):
    return Kernel(release, (directory / "version").read_text().strip(),
                  directory / "vmlinuz",
                  tuple(sorted((directory / "modules").iterdir())))


def _read_module(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _insertion_order(tree, wanted):
    """Paths below tree of the wanted modules after all they depend on.

    Modules that this kernel has built in, or no longer has, are left out.
    """
    depends = {}
    for line in (tree / "modules.dep").read_text().splitlines():
        module, needed = line.split(":", 1)
        depends[module] = needed.split()
    by_name = {Path(m).name.split(".")[0].replace("-", "_"): m
               for m in depends}
    order = []
    for name in wanted:
        module = by_name.get(name.replace("-", "_"))
        if module:
            # modules.dep lists what is needed last first.
            for path in [*reversed(depends[module]), module]:
                if path not in order:
                    order.append(path)
    return order


def _install(release, target):
    """Downloads the release's kernel and puts what we need of it at target."""
    packages = Release(release, target.parent / f"apt-{release}")
    packages.update()
    image = next((p for p in packages.depends(PACKAGE)
                  if p.startswith("linux-image-")), None)
    if not image:
        raise CannotRun(f"{release} has no {PACKAGE}")
    # Newer releases split the image: linux-image depends on linux-binary
    # and linux-modules of the very same version.
    version = image[len("linux-image-"):]
    parts = [image, *(p for p in packages.depends(image)
                      if p.endswith(version))]
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        scratch = Path(scratch)
        tree, kernel = scratch / "tree", scratch / "kernel"
        for deb in packages.download(parts, scratch / "debs"):
            subprocess.run(["dpkg-deb", "-x", deb, tree], check=True)
        base = tree if (tree / "lib/modules").is_dir() else tree / "usr"
        modules = base / "lib/modules" / version
        subprocess.run([find_program("depmod"), "-b", base, version],
                       check=True, stderr=subprocess.DEVNULL)
        vmlinuz = [*tree.glob("boot/vmlinuz-*"), modules / "vmlinuz"][0]
        (kernel / "modules").mkdir(parents=True)
        shutil.copy(vmlinuz, kernel / "vmlinuz")
        (kernel / "version").write_text(version + "\n")
        (kernel / "wanted").write_text(_wanted())
        for number, path in enumerate(_insertion_order(modules, MODULES)):
            name = f"{number:02}-{Path(path).name.split('.')[0]}.ko"
            (kernel / "modules" / name).write_bytes(
                _read_module(modules / path))
        # Renamed into place, so that the cache holds whole kernels only.
        shutil.rmtree(target, ignore_errors=True)
        kernel.rename(target)


def fetch(release, refresh=False):
    """The kernel of a release, from the cache or from the mirror."""
    require_programs()
    target = cache_directory() / release
    if refresh or not _is_whole(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotRun(f"no cache for kernels: {error}") from error
        _install(release, target)
    return _load(release, target)


def main(arguments):
    refresh = "--refresh" in arguments
    for release in [a for a in arguments if a != "--refresh"] or RELEASES:
        kernel = fetch(release, refresh)
        print(f"{release}: {kernel.version}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except CannotRun as reason:
        sys.exit(f"cannot fetch kernels: {reason}")
