# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine with a metadata device, an origin, and a log of events.

The guest has two serial lines: the console, and the log of events, a line
each, which reach a file of the host as they happen.  Its disks are files
that outlive it, as disks do: each boot goes on where the last one ended,
whether that was a shutdown, a forced reboot or a power cut.
"""

import shutil
import subprocess
import time
from pathlib import Path

from . import GuestFailed
from .booted import NR_DISKS, SECTOR
from .history import History

MIB = 1 << 20
ATTEMPTS = 4
RESUME_SECONDS = 120


class Guest:
    """One boot: a running QEMU."""

    def __init__(self, machine, script, number, attempt):
        self.machine = machine
        name = f"boot-{number}" + (f"-attempt-{attempt}" if attempt else "")
        self.console_file = machine.directory / f"{name}.console"
        self.event_file = machine.directory / f"{name}.events"
        self.event_file.touch()
        self.process = machine.booted.resume(
            self.console_file, self.event_file,
            [*machine.all_disks(), self._script_disk(machine, script)])

    @staticmethod
    def _script_disk(machine, script):
        disk = machine.directory / "script"
        data = script.encode()
        disk.write_bytes(data + b"\n" * (-len(data) % SECTOR))
        return disk

    def begins(self):
        """Wakes the guest; True once its script is about to begin."""
        booted = f"booted {self.machine.booted.kernel.version}"
        deadline = time.monotonic() + RESUME_SECONDS
        while self.running() and time.monotonic() < deadline:
            if booted in self.events():
                return True
            try:
                self.process.stdin.write(b"\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                return False
            time.sleep(0.05)
        return False

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

    def wait_for_events(self, *prefixes, count=1, seconds=300):
        """True once the log has count lines that start so."""
        deadline = time.monotonic() + seconds
        while True:
            running = self.running()
            if sum(line.startswith(prefixes)
                   for line in self.events()) >= count:
                return True
            if not running or time.monotonic() > deadline:
                return False
            time.sleep(0.02)

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

    def __init__(self, booted, directory, block_size=128, metadata=4 * MIB,
                 origin=32 * MIB, spares=()):
        self.booted = booted
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

    def all_disks(self):
        """Those and as many of no use as the kernel has booted with."""
        disks = list(self.disks)
        while len(disks) < NR_DISKS - 1:
            disks.append(self.directory / f"no-disk-{len(disks)}")
            disks[-1].write_bytes(bytes(SECTOR))
        return disks

    def start(self, script):
        """Boots, and returns when the script is about to begin.

        A machine fails to go on now and then before anything of ours ran;
        then, and only then, it is tried again.
        """
        whole = (f"BLOCK_SIZE={self.block_size}\nBOOT={self.boots}\n"
                 f"STAMP={self.history.last_stamp}\n. /lib.sh\n{script}\n")
        for attempt in range(ATTEMPTS):
            guest = self._guest = Guest(self, whole, self.boots, attempt)
            if guest.begins():
                self.boots += 1
                return guest
            guest.power_cut()
        raise GuestFailed(f"{self.booted.kernel.version} did not go on in "
                          f"{ATTEMPTS} attempts: "
                          f"{guest.process.stderr.read().decode()}\n"
                          f"{guest.tail()}")

    def ended(self, guest):
        """Takes a boot that is over into the history."""
        self.history.add_boot(guest.events())

    def run(self, script, seconds=600, ends="finished"):
        """Boots, runs script to its end, and returns the boot.

        ends says how the boot must end: "finished" or "reboot".
        """
        guest = self.start(script)
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
