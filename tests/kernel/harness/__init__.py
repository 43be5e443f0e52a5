# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel suite stands on.

packages   Debian packages by name, through apt
kernels    the kernels of Debian's releases, cached
initramfs  the root file system that a guest boots into
booted     a kernel booted once, saved for each guest to go on from
machine    QEMU: disks, and guests that run a script; can cut their power
history    the guest's log of events, and what it says was written since when
origin     the origin device's contents, read from outside
leftovers  what is left of a newer history, seen without the tools
tools      the era tools under test
tracer     kills one of them in the middle of its work
matrix     what was seen, kernel by scenario, as doc/kernels.md
"""


class CannotRun(Exception):
    """This machine cannot run the suite: a reason to skip, not to fail."""


class GuestFailed(Exception):
    """A guest did not boot, failed, hung, or ended otherwise than told."""
