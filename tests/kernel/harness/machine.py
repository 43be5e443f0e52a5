# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine with a metadata device, an origin, and a log of events.

The guest has two serial lines: the console, and the log of events, a line
each, which reach a file of the host as they happen.  Its disks are files
that outlive it, as disks do: each boot goes on where the last one ended,
whether that was a shutdown, a forced reboot or a power cut.
"""

import ctypes
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import initramfs
from .history import History
from .packages import find_program

MIB = 1 << 20
BOOT_ATTEMPTS = 4
BOOT_SECONDS = 45
_common_archives = {}


class GuestFailed(Exception):
    """The script in the guest failed, hung, or ended otherwise than told."""


def _die_with_parent():
    """In the child: no QEMU outlives a test run that was killed."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _common_archive(kernel):
    if kernel not in _common_archives:
        _common_archives[kernel] = initramfs.build(kernel)
    return _common_archives[kernel]


class Guest:
    """One boot: a running QEMU."""

    def __init__(self, machine, script, number, attempt):
        self.machine = machine
        name = f"boot-{number}" + (f"-attempt-{attempt}" if attempt else "")
        self.console_file = machine.directory / f"{name}.console"
        self.event_file = machine.directory / f"{name}.events"
        self.event_file.touch()
        initrd = machine.directory / "initrd"
        initrd.write_bytes(_common_archive(machine.kernel)
                           + initramfs.of_script(script))
        command = [
            find_program("qemu-system-x86_64"),
            # Not KVM: the suite is to give the same result on any host, and
            # a nested hypervisor may hang before it fails.
            "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
            "-m", "512", "-machine", "q35",
            "-nodefaults", "-no-user-config", "-nic", "none",
            "-display", "none", "-no-reboot",
            "-kernel", str(machine.kernel.vmlinuz), "-initrd", str(initrd),
            "-append", "console=ttyS0 quiet panic=-1",
            "-serial", f"file:{self.console_file}",
            "-serial", f"file:{self.event_file}",
        ]
        for disk in machine.disks:
            # The host's page cache outlives QEMU: what the guest wrote
            # before a power cut is there afterwards, flushed or not.
            command += ["-drive",
                        f"file={disk},if=virtio,format=raw,cache=unsafe"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE,
                                        preexec_fn=_die_with_parent)

    def events(self):
        """Complete lines of the log so far."""
        text = self.event_file.read_text(errors="replace")
        return text.split("\n")[:-1]

    def console(self):
        if not self.console_file.exists():
            return ""
        return self.console_file.read_text(errors="replace").replace("\r", "")

    def running(self):
        return self.process.poll() is None

    def wait_for_event(self, prefix, seconds):
        """True once a line that starts with prefix is in the log."""
        deadline = time.monotonic() + seconds
        while True:
            running = self.running()
            if any(line.startswith(prefix) for line in self.events()):
                return True
            if not running or time.monotonic() > deadline:
                return False
            time.sleep(0.05)

    def wait(self, seconds):
        """Waits for the end of the machine; False when it is still up."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def power_cut(self):
        """The machine is gone between two instructions."""
        self.process.kill()
        self.process.wait()

    def tail(self, lines=25):
        return (f"console of {self.console_file}:\n"
                + "\n".join(self.console().splitlines()[-lines:])
                + "\nlast events:\n" + "\n".join(self.events()[-8:]))


class Machine:
    """Disks, and the boots that use them.

    metadata and origin are sizes in bytes; further ones are those of spare
    disks (/dev/vdc and on).
    """

    def __init__(self, kernel, directory, block_size=128, metadata=4 * MIB,
                 origin=32 * MIB, spares=()):
        self.kernel = kernel
        self.directory = Path(directory)
        self.block_size = block_size
        self.history = History(block_size)
        self.boots = 0
        self.metadata = self.directory / "metadata"
        self.origin = self.directory / "origin"
        self.disks = [self.metadata, self.origin]
        self.disks += [self.directory / f"spare-{n}"
                       for n in range(1, len(spares) + 1)]
        for disk, size in zip(self.disks, (metadata, origin, *spares)):
            with open(disk, "wb") as file:
                file.truncate(size)
        self._guest = None

    def start(self, script, kernel=None):
        """Boots, and returns when the script is about to begin.

        A boot fails now and then before anything of ours ran; then, and only
        then, it is tried again.
        """
        self.kernel = kernel or self.kernel
        whole = (f"BLOCK_SIZE={self.block_size}\nBOOT={self.boots}\n"
                 f"STAMP={self.history.last_stamp}\n. /lib.sh\n{script}\n")
        for attempt in range(BOOT_ATTEMPTS):
            guest = self._guest = Guest(self, whole, self.boots, attempt)
            if guest.wait_for_event("booted", BOOT_SECONDS):
                self.boots += 1
                return guest
            guest.power_cut()
        raise GuestFailed(f"{self.kernel.version} did not boot in "
                          f"{BOOT_ATTEMPTS} attempts: "
                          f"{guest.process.stderr.read().decode()}\n"
                          f"{guest.tail()}")

    def ended(self, guest):
        """Takes a boot that is over into the history."""
        self.history.add_boot(guest.events())

    def run(self, script, seconds=300, ends="finished", kernel=None):
        """Boots, runs script to its end, and returns the boot.

        ends says how the boot must end: "finished" or "reboot".
        """
        guest = self.start(script, kernel)
        over = guest.wait(seconds)
        guest.power_cut()
        self.ended(guest)
        events = guest.events()
        last = next((e for e in reversed(events)
                     if e.startswith(("finished", "reboot"))), "nothing")
        wanted = "finished 0" if ends == "finished" else ends
        if not over or last != wanted:
            raise GuestFailed(
                f"the script was to end with '{wanted}', but "
                + (f"ended with '{last}'" if over
                   else f"still ran after {seconds} s")
                + f"\n{guest.tail()}")
        return guest

    def replace_metadata(self, image):
        """Puts another metadata image in the place of the device's."""
        shutil.copyfile(image, self.metadata)

    def blank(self, name, size=None):
        """An empty image, as large as the metadata device if not told."""
        image = self.directory / name
        with open(image, "wb") as file:
            file.truncate(size or self.metadata.stat().st_size)
        return image

    def copy_metadata(self, name):
        """A copy of the metadata device as it is now, beside it."""
        copy = self.directory / name
        shutil.copyfile(self.metadata, copy)
        return copy

    def close(self):
        """Leaves no process and no large file behind."""
        if self._guest:
            self._guest.power_cut()
        for file in self.directory.iterdir():
            if file.is_file() and file.stat().st_size > MIB:
                file.unlink()
