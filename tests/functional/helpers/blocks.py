# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata blocks: their kinds, checksums and places (doc/format.md)."""

import struct

SIZE = 4096


class Kind:
    """A kind of block: what its checksum is salted with, and at which
    offset it keeps its own number."""

    def __init__(self, name, salt, place):
        self.name = name
        self.salt = salt
        self.place = place

    def __repr__(self):
        return self.name


SUPERBLOCK = Kind("superblock", 146538381, 8)
NODE = Kind("btree node", 121107, 8)
ARRAY = Kind("array block", 595846735, 16)
INDEX = Kind("space map index", 160478, 8)
BITMAP = Kind("space map bitmap", 240779, 8)


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def checksum(block, kind):
    crc = 0xFFFFFFFF
    for byte in memoryview(block)[4:SIZE]:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ kind.salt


def seal(block, kind, number=None):
    """Gives a block its number, where one is named, and its checksum."""
    if number is not None:
        struct.pack_into("<Q", block, kind.place, number)
    struct.pack_into("<I", block, 0, checksum(block, kind))


def is_sealed(block, kind):
    return struct.unpack_from("<I", block)[0] == checksum(block, kind)


def le32(block, offset):
    return struct.unpack_from("<I", block, offset)[0]


def le64(block, offset):
    return struct.unpack_from("<Q", block, offset)[0]


# The superblock's fields: name -> (offset, struct format)
SUPERBLOCK_FIELDS = {
    "flags": (4, "<I"),
    "blocknr": (8, "<Q"),
    "uuid": (16, "<16s"),
    "magic": (32, "<Q"),
    "version": (40, "<I"),
    "sm_nr_blocks": (44, "<Q"),
    "sm_nr_allocated": (52, "<Q"),
    "sm_index": (60, "<Q"),
    "sm_ref_count_root": (68, "<Q"),
    "data_block_size": (172, "<I"),
    "metadata_block_size": (176, "<I"),
    "nr_blocks": (180, "<I"),
    "current_era": (184, "<I"),
    "writeset_nr_bits": (188, "<I"),
    "writeset_root": (192, "<Q"),
    "writeset_tree_root": (200, "<Q"),
    "era_array_root": (208, "<Q"),
    "metadata_snap": (216, "<Q"),
}
MAGIC = 2126579579
THIN_MAGIC = 27022010
CACHE_MAGIC = 0o6142003  # octal, as the kernel has it

COUNTS_PER_BITMAP = (SIZE - 16) * 4
ERAS_PER_BLOCK = (SIZE - 24) // 4
WORDS_PER_BLOCK = (SIZE - 24) // 8
