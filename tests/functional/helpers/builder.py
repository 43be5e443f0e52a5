# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes metadata that no kernel at hand would: other sizes of writesets,
deep trees with few entries a node, and the parts to make damage from.
"""

import struct
from collections import Counter

from .blocks import (ARRAY, BITMAP, COUNTS_PER_BITMAP, ERAS_PER_BLOCK, INDEX,
                     MAGIC, NODE, SIZE, SUPERBLOCK, SUPERBLOCK_FIELDS,
                     WORDS_PER_BLOCK, seal)


def room_of(value_size):
    """max_entries of a node, as the kernel computes it."""
    return (SIZE - 32) // (8 + value_size) // 3 * 3


class Image:
    """A metadata device in memory; finish() adds space map and superblock.

    fanout: entries a btree node gets at most, to have depth without bulk."""

    def __init__(self, nr_blocks=64, fanout=252):
        self.data = bytearray(nr_blocks * SIZE)
        self.nr_blocks = nr_blocks
        self.fanout = fanout
        self.next = 1
        self.references = Counter({0: 1})
        self.fields = {"magic": MAGIC, "version": 1, "data_block_size": 128,
                       "metadata_block_size": 8}

    def allocate(self):
        number = self.next
        self.next += 1
        assert number < self.nr_blocks, "the image is too small"
        return number

    def put(self, number, block, kind):
        seal(block, kind, number)
        self.data[number * SIZE:(number + 1) * SIZE] = block

    def node(self, leaf, entries, value_size):
        """A new btree node of (key, packed value)."""
        room = room_of(value_size)
        assert len(entries) <= room
        block = bytearray(SIZE)
        struct.pack_into("<II", block, 4, 2 if leaf else 1, 0)
        struct.pack_into("<IIII", block, 16, len(entries), room, value_size, 0)
        for i, (key, value) in enumerate(entries):
            struct.pack_into("<Q", block, 32 + 8 * i, key)
            at = 32 + 8 * room + value_size * i
            block[at:at + value_size] = value
        number = self.allocate()
        self.put(number, block, NODE)
        return number

    def btree(self, entries, value_size):
        """A tree of (key, packed value), ascending. Returns its root."""
        step = min(self.fanout, room_of(value_size))
        level = [(part[0][0] if part else 0,
                  self.node(True, part, value_size))
                 for part in (entries[i:i + step] for i
                              in range(0, max(1, len(entries)), step))]
        step = min(self.fanout, room_of(8))
        while len(level) > 1:
            for _, child in level:
                self.references[child] += 1
            level = [(part[0][0], self.node(
                          False, [(key, struct.pack("<Q", child))
                                  for key, child in part], 8))
                     for part in (level[i:i + step] for i
                                  in range(0, len(level), step))]
        return level[0][1]

    def array(self, values, form):
        per_block = ERAS_PER_BLOCK if form == "I" else WORDS_PER_BLOCK
        entries = []
        for index in range(0, -(-len(values) // per_block)):
            part = values[index * per_block:(index + 1) * per_block]
            block = bytearray(SIZE)
            struct.pack_into("<III", block, 4, per_block, len(part),
                             struct.calcsize("<" + form))
            struct.pack_into(f"<{len(part)}{form}", block, 24, *part)
            number = self.allocate()
            self.references[number] += 1
            self.put(number, block, ARRAY)
            entries.append((index, struct.pack("<Q", number)))
        return self.btree(entries, 8)

    def eras(self, eras):
        self.fields.setdefault("nr_blocks", len(eras))
        self.fields["era_array_root"] = root = self.array(eras, "I")
        self.references[root] += 1

    def bitset(self, nr_bits, blocks):
        words = [0] * -(-nr_bits // 64)
        for block in blocks:
            words[block // 64] |= 1 << block % 64
        root = self.array(words, "Q")
        self.references[root] += 1
        return root

    def writesets(self, archived, open_one=None):
        """archived: (era, nr_bits, blocks) ascending; open_one: (nr_bits,
        blocks)."""
        entries = [(era, struct.pack("<IQ", nr_bits,
                                     self.bitset(nr_bits, blocks)))
                   for era, nr_bits, blocks in archived]
        self.fields["writeset_tree_root"] = root = self.btree(entries, 12)
        self.references[root] += 1
        if open_one:
            self.fields["writeset_nr_bits"] = open_one[0]
            self.fields["writeset_root"] = self.bitset(*open_one)

    def finish(self, current_era, **fields):
        """The space map and the superblock. Returns the device's bytes."""
        self.fields["current_era"] = current_era
        index = self.allocate()
        bitmaps = [self.allocate() for _
                   in range(-(-self.nr_blocks // COUNTS_PER_BITMAP))]
        self.references.update([index, *bitmaps])
        root = self.next  # of the ref-count tree, which its root is part of
        large = sorted((block, count) for block, count
                       in self.references.items() if count > 2)
        assert len(large) <= room_of(4), "one leaf must do"
        assert self.node(True, [(block, struct.pack("<I", count))
                                for block, count in large], 4) == root
        self.references[root] += 1

        index_block = bytearray(SIZE)
        for i, number in enumerate(bitmaps):
            bitmap = bytearray(SIZE)
            first = i * COUNTS_PER_BITMAP
            used = 0
            for block, count in self.references.items():
                if first <= block < first + COUNTS_PER_BITMAP and count:
                    put_count(bitmap, block - first, min(count, 3))
                    used += 1
            here = min(COUNTS_PER_BITMAP, self.nr_blocks - first)
            struct.pack_into("<QII", index_block, 16 + 16 * i, number,
                             here - used, 0)
            self.put(number, bitmap, BITMAP)
        self.put(index, index_block, INDEX)

        self.fields.update(sm_nr_blocks=self.nr_blocks,
                           sm_nr_allocated=sum(count > 0 for count in
                                               self.references.values()),
                           sm_index=index, sm_ref_count_root=root)
        self.fields.update(fields)
        superblock = bytearray(SIZE)
        for name, value in self.fields.items():
            offset, form = SUPERBLOCK_FIELDS[name]
            struct.pack_into(form, superblock, offset, value)
        self.put(0, superblock, SUPERBLOCK)
        return bytes(self.data)


def put_count(bitmap, i, count):
    """Sets 2-bit count i of a bitmap block; the high bit comes first."""
    shift = 2 * (i % 4)
    pair = (count & 1) << 1 | count >> 1
    byte = bitmap[16 + i // 4] & ~(3 << shift) | pair << shift
    bitmap[16 + i // 4] = byte


def build(eras, archived=(), open_one=None, current_era=None, nr_blocks=64,
          fanout=252):
    """A whole device in one call."""
    image = Image(nr_blocks, fanout)
    image.writesets(archived, open_one)
    image.eras(eras)
    if current_era is None:
        current_era = max([0, *eras, *(w[0] for w in archived)]) \
            + (open_one is not None)
    return image.finish(current_era)
