# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left of a newer history on a small metadata device.

Knows nothing of what the tools think: looks at every intact block, whatever
leads to it.  For devices whose writesets and era array fit into one block
each, and whose superblock is sound.
"""

import struct

BLOCK = 4096
NODE, ARRAY = (121107, 8), (595846735, 16)
LEAF = 2


def _crc_table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


TABLE = tuple(_crc_table())


def _checksum(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


class _Image:
    def __init__(self, path):
        self.data = path.read_bytes()
        self.nr = len(self.data) // BLOCK
        self.kinds = {number: self._kind(number) for number in range(self.nr)}

    def block(self, number):
        return self.data[number * BLOCK:(number + 1) * BLOCK]

    def _kind(self, number):
        block = self.block(number)
        if not any(block):
            return None
        stored, crc = struct.unpack_from("<I", block)[0], _checksum(block[4:])
        for salt, place in (NODE, ARRAY):
            if (stored == crc ^ salt
                    and struct.unpack_from("<Q", block, place)[0] == number):
                return salt
        return None

    def leaf(self, number, value_size):
        """(key, value) of each entry, if it is a leaf of such values."""
        block = self.block(number)
        flags, _, entries, most, size = struct.unpack_from("<IQIII", block, 4)
        if (self.kinds.get(number) != NODE[0] or flags != LEAF
                or size != value_size):
            return
        for i in range(entries):
            value = 32 + most * 8 + i * size
            yield (struct.unpack_from("<Q", block, 32 + i * 8)[0],
                   block[value:value + size])

    def array(self, number, value_size):
        """The values of an array block, if it is one of such values."""
        if self.kinds.get(number) != ARRAY[0]:
            return ()
        entries, size = struct.unpack_from("<II", self.block(number), 8)
        if size != value_size:
            return ()
        return struct.unpack_from(f"<{entries}{' IQ'[size // 4]}",
                                  self.block(number), 24)


def _datings(image):
    """(data block, era) wherever an intact block says so."""
    for number in range(image.nr):
        for era, writeset in image.leaf(number, 12):
            nr_bits, root = struct.unpack("<IQ", writeset)
            yield None, era
            for _, pointer in image.leaf(root, 8):
                words = image.array(struct.unpack("<Q", pointer)[0], 8)
                for i, word in enumerate(words):
                    for bit in range(64):
                        if word >> bit & 1 and i * 64 + bit < nr_bits:
                            yield i * 64 + bit, era
        for block, era in enumerate(image.array(number, 4)):
            if era:
                yield block, era


def newer_history(tools, metadata):
    """Sorted (data block, era) that the lists do not know of.

    The block is -1 where the era itself is unknown to the superblock.
    """
    current = tools.superblock(metadata)["current_era"]
    listed, found = {}, set()
    for block, era in set(_datings(_Image(metadata))):
        if era > current:
            found.add((-1, era))
        elif block is not None:
            if era not in listed:
                listed[era] = tools.written_since(metadata, era)
            if block not in listed[era]:
                found.add((block, era))
    return sorted(found)
