# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that has booted, saved as it is before it has seen a disk.

Up to there every boot of a kernel is the same, and takes an emulated machine
most of its time. So a kernel boots once in a run; QEMU saves the machine to a
file, and each guest goes on from it, with disks of its own.
"""

import ctypes
import signal
import subprocess
import time

from . import GuestFailed, initramfs
from .packages import find_program

ATTEMPTS = 4
BOOT_SECONDS = 300
SECTOR = 512
# Of every machine, used or not: a saved machine goes on only with the devices
# it was saved with. Metadata, origin, two spare ones, and the script.
NR_DISKS = 5


def die_with_parent():
    """In the child: no QEMU outlives a test run that was killed."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Booted:
    def __init__(self, kernel, directory):
        self.kernel = kernel
        self.directory = directory
        self._initrd = directory / "initrd"
        self._initrd.write_bytes(initramfs.build(kernel))
        self._state = directory / "state"
        for _ in range(ATTEMPTS):
            if self._boot_and_save():
                return
        raise GuestFailed(f"{kernel.version} did not boot in {ATTEMPTS} "
                          f"attempts; the last: {directory}")

    def _command(self, console, events, disks):
        command = [
            find_program("qemu-system-x86_64"),
            # Not KVM: the suite is to give the same result on any host, and
            # a nested hypervisor may hang before it fails.
            # One processor: two of them, emulated, do less in twice the time.
            "-accel", "tcg", "-cpu", "max", "-smp", "1",
            "-m", "512", "-machine", "q35",
            "-nodefaults", "-no-user-config", "-nic", "none",
            "-display", "none", "-no-reboot",
            "-kernel", str(self.kernel.vmlinuz), "-initrd", str(self._initrd),
            "-append", "console=ttyS0 quiet panic=-1",
            "-serial", console, "-serial", f"file:{events}",
        ]
        for disk in disks:
            # The host's page cache outlives QEMU: what the guest wrote
            # before a power cut is there afterwards, flushed or not.
            command += ["-drive",
                        f"file={disk},if=virtio,format=raw,cache=unsafe"]
        return command

    def _boot_and_save(self):
        events = self.directory / "events"
        events.write_text("")
        disks = [self.directory / f"no-disk-{n}" for n in range(NR_DISKS)]
        for disk in disks:
            disk.write_bytes(bytes(SECTOR))
        command = self._command(f"file:{self.directory / 'console'}", events,
                                disks)
        qemu = subprocess.Popen([*command, "-monitor", "stdio"],
                                stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL,
                                preexec_fn=die_with_parent)
        try:
            deadline = time.monotonic() + BOOT_SECONDS
            while "ready\n" not in events.read_text(errors="replace"):
                if qemu.poll() is not None or time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
            # The monitor takes one command after the other.
            qemu.communicate(f'migrate "exec:cat >\'{self._state}\'"\n'
                             "quit\n".encode(), BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        finally:
            qemu.kill()
            qemu.wait()
        return qemu.returncode == 0 and self._state.stat().st_size > 0

    def resume(self, console, events, disks):
        """A QEMU that goes on; each line on its stdin wakes the guest."""
        command = self._command("stdio", events, disks)
        with open(console, "wb") as file:
            return subprocess.Popen(
                [*command, "-incoming", f"exec:cat '{self._state}'"],
                stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE,
                preexec_fn=die_with_parent)
