# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills a program right before a write, where it can do nothing about it.

By ptrace, so that it is certain where the program is cut. x86-64 only, as
are the kernels that the suite boots.
"""

import ctypes
import os
import signal

TRACEME, GETREGS, KILL_ON_EXIT_AND_SYSGOOD = 0, 12, 0x100001
SYSCALL, SETOPTIONS = 24, 0x4200
SYSCALL_STOP = signal.SIGTRAP | 0x80
PWRITES = {18, 296, 328}    # pwrite64, pwritev, pwritev2
NR_REGISTERS, ORIG_RAX = 27, 15

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                         ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, pid=0, data=None):
    if _libc.ptrace(request, pid, None, data) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


def _start(command):
    """A child that stops at its first instruction."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        _ptrace(SETOPTIONS, pid, KILL_ON_EXIT_AND_SYSGOOD)
        return pid
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        _ptrace(TRACEME)
        os.execv(command[0], command)
    finally:
        os._exit(127)


def _is_at_write(pid):
    registers = (ctypes.c_ulong * NR_REGISTERS)()
    _ptrace(GETREGS, pid, ctypes.cast(registers, ctypes.c_void_p))
    return registers[ORIG_RAX] in PWRITES


def run_up_to_write(command, nr):
    """Runs it until its write number nr, from 1: False if it gets there."""
    pid, passed_on, stops = _start(command), 0, 0
    while True:
        _ptrace(SYSCALL, pid, passed_on)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            assert not os.WEXITSTATUS(status), f"{command}: exit {status >> 8}"
            return True
        stopped_by = os.WSTOPSIG(status)
        passed_on = 0 if stopped_by == SYSCALL_STOP else stopped_by
        if not passed_on and _is_at_write(pid):
            stops += 1  # each call stops twice, before it and after it
        if stops == 2 * nr - 1:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return False
