# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools under test: the programs themselves, or, for thousands of lives,
their main() in this process (in_process.c)."""

import ctypes
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

MAX_OUTPUT = 8 << 20
# of all lives one in so many is judged by the programs themselves
PROGRAMS_ONE_IN = 100


class Tools:
    def __init__(self, directory, library=None):
        self.directory = Path(directory).resolve()
        self.crashes = []
        self.in_process = library is not None
        if library:
            self._run = ctypes.CDLL(str(library)).in_process_run
            self._out = ctypes.create_string_buffer(MAX_OUTPUT)
            self._err = ctypes.create_string_buffer(MAX_OUTPUT)

    def run(self, name, *arguments):
        """status, out and err of a run."""
        arguments = [os.fsencode(str(a)) for a in (name, *arguments)]
        done = self._as_function(arguments) if self.in_process \
            else self._as_program(arguments)
        command = b" ".join(arguments).decode()
        if done.status not in (0, 1, 2):
            self.crashes.append(f"{command}: status {done.status}")
        return done

    def _as_function(self, arguments):
        lengths = ctypes.c_ssize_t(), ctypes.c_ssize_t()
        argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
        status = self._run(len(arguments), argv,
                           self._out, ctypes.c_size_t(MAX_OUTPUT),
                           ctypes.byref(lengths[0]),
                           self._err, ctypes.c_size_t(MAX_OUTPUT),
                           ctypes.byref(lengths[1]))
        return SimpleNamespace(
            status=status,
            out=ctypes.string_at(self._out, max(0, lengths[0].value)),
            err=ctypes.string_at(self._err, max(0, lengths[1].value))
            .decode(errors="replace"))

    def _as_program(self, arguments):
        done = subprocess.run([self.directory / arguments[0].decode(),
                               *arguments[1:]], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return SimpleNamespace(status=done.returncode, out=done.stdout,
                               err=done.stderr.decode(errors="replace"))
