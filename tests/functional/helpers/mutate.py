# SPDX-License-Identifier: GPL-2.0-or-later
"""Damage that a checksum does not show: edits with the checksums mended."""

import struct
from collections import Counter

from .blocks import (ARRAY, BITMAP, COUNTS_PER_BITMAP, INDEX, NODE, SIZE,
                     SUPERBLOCK, SUPERBLOCK_FIELDS, le32, le64, seal)
from .builder import put_count
from .reader import Metadata


class Mutation:
    """An editable copy of a sound metadata device."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.reader = Metadata(bytes(data))
        assert self.reader.problems() == []
        self.sb = self.reader.superblock()

    def block(self, number):
        return bytearray(self.data[number * SIZE:(number + 1) * SIZE])

    def put(self, number, block, kind, place=None):
        """place: the number that the block is to claim as its own."""
        seal(block, kind, number if place is None else place)
        self.data[number * SIZE:(number + 1) * SIZE] = block

    def edit(self, number, kind, offset, form, *values):
        block = self.block(number)
        struct.pack_into("<" + form, block, offset, *values)
        seal(block, kind)
        self.data[number * SIZE:(number + 1) * SIZE] = block

    def superblock(self, location=0, **fields):
        for name, value in fields.items():
            offset, form = SUPERBLOCK_FIELDS[name]
            self.edit(location, SUPERBLOCK, offset, form[1:], value)

    # --- places ----------------------------------------------------------

    def find(self, role, nth=0):
        """The nth block, in the order of a walk, that the reader gave this
        role."""
        return [number for number, its in self.reader.roles.items()
                if its == role][nth]

    def free_block(self):
        return next(number for number in range(1, self.reader.nr_blocks)
                    if number not in self.reader.references)

    @staticmethod
    def value_offset(node, i):
        return 32 + 8 * le32(node, 20) + le32(node, 24) * i

    # --- edits -----------------------------------------------------------

    def node_entry(self, number, i, key=None, value=None, form="Q"):
        block = self.block(number)
        if key is not None:
            self.edit(number, NODE, 32 + 8 * i, "Q", key)
        if value is not None:
            self.edit(number, NODE, self.value_offset(block, i), form, value)

    def count(self, number, count):
        """Writes another reference count (0..3) of a block, the totals
        following it."""
        index = self.sb.sm_index
        i, j = divmod(number, COUNTS_PER_BITMAP)
        bitmap_number = le64(self.block(index), 16 + 16 * i)
        bitmap = self.block(bitmap_number)
        pair = bitmap[16 + j // 4] >> 2 * (j % 4) & 3
        put_count(bitmap, j, count)
        self.put(bitmap_number, bitmap, BITMAP)
        change = (count > 0) - (pair > 0)
        nr_free = le32(self.block(index), 24 + 16 * i) - change
        self.edit(index, INDEX, 24 + 16 * i, "I", nr_free)
        self.sb.sm_nr_allocated += change
        self.superblock(sm_nr_allocated=self.sb.sm_nr_allocated)

    def recount(self):
        """Mends the space map (counts below 3) after an edit of trees that
        the reader can still follow."""
        before = Counter(self.reader.references)
        reader = Metadata(bytes(self.data))
        reader.problems()
        for number in sorted(before.keys() | reader.references.keys()):
            if before[number] != reader.references[number]:
                self.count(number, reader.references[number])

    def bytes(self):
        return bytes(self.data)


__all__ = ["Mutation", "ARRAY", "BITMAP", "INDEX", "NODE", "SUPERBLOCK"]
