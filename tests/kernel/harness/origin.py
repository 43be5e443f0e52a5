# SPDX-License-Identifier: GPL-2.0-or-later
"""The origin device's contents, read from outside.

A log can be wrong about what reached the disk just before the power went;
the disk cannot.  Every 16 bytes that a guest writes hold the stamp of the
write (guest/lib.sh): boot, serial number, era current when it began.
"""

import re

SECTOR = 512
STAMP = re.compile(rb"([ \d]{2}) ([ \d]{6}) ([ \d]{5})\n")


def newest_stamps(origin, block_size):
    """{data block: (serial number, era)} of the newest stamp in each block.

    A write that a power cut tore leaves sectors of two stamps in a block;
    it counts as written.
    """
    stamps = {}
    with open(origin, "rb") as file:
        block = 0
        while data := file.read(block_size * SECTOR):
            if data.count(0) != len(data):
                found = [STAMP.match(data, at)
                         for at in range(0, len(data), SECTOR)]
                found = [(int(m[2]), int(m[3])) for m in found if m]
                if found:
                    stamps[block] = max(found)
            block += 1
    return stamps


def reached_since(origin, block_size, era):
    """Data blocks on the origin whose last write began in era or later."""
    return {block for block, (_, then)
            in newest_stamps(origin, block_size).items() if then >= era}
