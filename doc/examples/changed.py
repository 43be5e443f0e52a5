#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""changed.py ERA DEVICE: first block and length of what was written since ERA.
"""

import ctypes
import os
import sys

PROBLEM_FN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
RANGE_FN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32,
                            ctypes.c_uint32)


class Problem(ctypes.Structure):  # the first members of struct dmera_problem
    _fields_ = [("severity", ctypes.c_int), ("text", ctypes.c_char_p)]


@PROBLEM_FN
def on_problem(_, problem):
    text = Problem.from_address(problem).text
    print(f"{sys.argv[0]}: {text.decode(errors='replace')}", file=sys.stderr)


dmera = ctypes.CDLL("libdmera.so.1")
dmera.dmera_open_fd.argtypes = [
    ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_uint, PROBLEM_FN,
    ctypes.c_void_p]
dmera.dmera_written_since.argtypes = [
    ctypes.c_void_p, ctypes.c_uint32, RANGE_FN, ctypes.c_void_p]
dmera.dmera_close.argtypes = [ctypes.c_void_p]


def written_since(path, era):
    """(first block, length) of what was written since an era, all of it."""
    found = []

    @RANGE_FN
    def on_range(_, begin, end):
        found.append((begin, end - begin))
        return 0

    handle = ctypes.c_void_p()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    error = dmera.dmera_open_fd(ctypes.byref(handle), fd, 0, on_problem, None)
    os.close(fd)
    if not error:
        error = dmera.dmera_written_since(handle, era, on_range, None)
    dmera.dmera_close(handle)
    if error:  # ranges may have been found: they are not all
        raise OSError(-error, os.strerror(-error), path)
    return found


def main(args):
    if len(args) != 3 or not args[1].isascii() or not args[1].isdigit() or \
            int(args[1]) >= 2 ** 32:
        sys.exit(f"usage: {args[0]} ERA DEVICE")
    try:
        for begin, length in written_since(args[2], int(args[1])):
            print(begin, length)
    except OSError as error:
        sys.exit(f"{args[0]}: {error}")


if __name__ == "__main__":
    main(sys.argv)
