# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages by name, through the machine's own apt.

Two uses: programs that the host lacks are installed; packages of other
releases (kernels) are only downloaded, with an apt state of their own, so
that the machine's apt never sees a foreign release.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import CannotRun

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Program the harness runs or puts in the guest: the package it comes from.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "dmsetup": "dmsetup",
    "lvm": "lvm2",
}


def find_program(name):
    """Where a program is; sbin counts even when it is not in PATH."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(name, path=path)


def _missing():
    """The packages of those of PROGRAMS that are not there."""
    return sorted({package for program, package in PROGRAMS.items()
                   if not find_program(program)})


def require_programs():
    """Installs what is missing of PROGRAMS, or says why it cannot."""
    missing = _missing()
    if not missing:
        return
    wanted = " ".join(missing)
    if not shutil.which("apt-get"):
        raise CannotRun(f"missing {wanted}, and there is no apt-get here")
    if os.geteuid() != 0:
        raise CannotRun(f"missing {wanted}: run as root once, or "
                        f"apt-get install {wanted}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "-q", "-y", "--no-install-recommends",
               "-o", "DPkg::Lock::Timeout=600", "install", *missing]
    for command in (["apt-get", "-q", "update"], install):
        done = subprocess.run(command, env=environment, text=True,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    if done.returncode or _missing():
        raise CannotRun(f"apt-get cannot install {wanted}:\n"
                        + "\n".join(done.stdout.splitlines()[-5:]))


def _one_line_sources(text):
    """(uri, suites) of each `deb` line of the one-line format."""
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        m = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line)
        if m:
            yield m[1], [m[2]]


def _deb822_sources(text):
    """(uri, suites) of each URI of each enabled stanza of the deb822 format."""
    for stanza in re.split(r"\n\s*\n", text):
        fields, name = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if (fields.get("enabled", "yes").lower() in ("no", "false")
                or "deb" not in fields.get("types", "").split()):
            continue
        for uri in fields.get("uris", "").split():
            yield uri, fields.get("suites", "").split()


def apt_sources(directory=Path("/etc/apt")):
    """(uri, suites) of all binary sources that the machine's apt knows."""
    parts = directory / "sources.list.d"
    files = [directory / "sources.list",
             *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    for file in files:
        if file.exists():
            read = (_deb822_sources if file.suffix == ".sources"
                    else _one_line_sources)
            yield from read(file.read_text())


def debian_mirrors(sources=None):
    """(archive, security): the mirrors of Debian in apt's sources.

    security is None where the sources name none.  A mirror of Debian is
    known by carrying a Debian suite under a path that ends in the archive's
    own name: vendors put their packages in suites of the same names.
    """
    archive = security = None
    suite = re.compile(r"(sid|unstable|testing|stable|oldstable|bookworm"
                       r"|trixie|forky|duke)(-security|-updates|/updates)?$")
    for uri, suites in (apt_sources() if sources is None else sources):
        if not any(suite.match(s) for s in suites):
            continue
        last = uri.rstrip("/").rsplit("/", 1)[-1]
        if any("security" in s for s in suites):
            if "security" in uri:
                security = security or uri
        elif last == "debian":
            archive = archive or uri
    return archive, security


class Release:
    """The packages of one Debian release, downloaded but never installed."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = Path(directory)

    def _apt(self, program, *arguments, cwd=None):
        root = self.directory
        options = {
            "Dir::Etc::SourceList": root / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            # Pins and installed packages of this machine say nothing about
            # another release.
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State::Lists": root / "lists",
            "Dir::State::Status": root / "status",
            "Dir::Cache": root / "cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            # This directory need not be readable by apt's own user.
            "APT::Sandbox::User": "root",
            "Acquire::Retries": "3",
            # a mirror that is behind is good enough for a kernel to test on
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Check-Date": "false",
            "Acquire::Languages": "none",
        }
        command = [program]
        for key, value in options.items():
            command += ["-o", f"{key}={value}"]
        done = subprocess.run(command + list(arguments), cwd=cwd, text=True,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise CannotRun(f"{program} {' '.join(arguments)} for "
                            f"{self.name}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def update(self):
        """Fetches the lists of packages."""
        if not shutil.which("apt-get"):
            raise CannotRun("there is no apt-get here to fetch kernels with")
        archive, security = debian_mirrors()
        if not archive:
            raise CannotRun("apt's sources name no mirror of Debian")
        for part in ("lists/partial", "cache/archives/partial"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        (self.directory / "status").touch()
        signed = f" [signed-by={KEYRING}]" if os.path.exists(KEYRING) else ""
        lines = [f"deb{signed} {archive} {self.name} main"]
        if security and self.name != "sid":
            lines.append(f"deb{signed} {security} {self.name}-security main")
        (self.directory / "sources.list").write_text("\n".join(lines) + "\n")
        self._apt("apt-get", "-q", "update")
        # apt does not count that as an error.
        if not list((self.directory / "lists").glob("*_Packages*")):
            raise CannotRun(f"apt-get cannot fetch {self.name}'s list of "
                            f"packages from {archive}")

    def depends(self, package):
        """Names of the packages that one depends on."""
        text = self._apt("apt-cache", "--important", "depends", package)
        return re.findall(r"^\s+\|?(?:Pre)?Depends: ([^<>\s]+)", text, re.M)

    def download(self, packages, into):
        """Downloads packages; returns the .deb files."""
        into.mkdir(parents=True, exist_ok=True)
        self._apt("apt-get", "-q", "download", *packages, cwd=into)
        return sorted(into.glob("*.deb"))
