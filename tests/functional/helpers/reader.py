# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent reader of dm-era metadata: the tests' oracle.

Simple on purpose: it holds the whole device in memory and raises Damage at
the first thing it cannot read.
"""

import struct
from collections import Counter, namedtuple
from types import SimpleNamespace

from .blocks import (ARRAY, BITMAP, COUNTS_PER_BITMAP, INDEX, MAGIC, NODE,
                     SIZE, SUPERBLOCK, SUPERBLOCK_FIELDS, is_sealed, le32,
                     le64)

Writeset = namedtuple("Writeset", "era nr_bits root blocks is_open")


class Damage(Exception):
    pass


def ranges(blocks):
    """Ascending [begin, end) of a set of numbers."""
    found = []
    for block in sorted(blocks):
        if found and found[-1][1] == block:
            found[-1][1] = block + 1
        else:
            found.append([block, block + 1])
    return found


def expand(some_ranges):
    return {block for begin, end in some_ranges
            for block in range(begin, end)}


class Metadata:
    def __init__(self, data):
        self.data = memoryview(data)
        self.nr_blocks = len(data) // SIZE
        # pointers seen to each block; filled in by problems()
        self.references = Counter()
        # what each block is, by the path that first led there
        self.roles = {}

    def block(self, number, kind):
        if number >= self.nr_blocks:
            raise Damage(f"{kind} {number} is past the end")
        block = self.data[number * SIZE:(number + 1) * SIZE]
        if not is_sealed(block, kind):
            raise Damage(f"{kind} {number}: checksum")
        if le64(block, kind.place) != number:
            raise Damage(f"{kind} {number}: misplaced")
        return block

    def superblock(self, location=0):
        block = self.block(location, SUPERBLOCK)
        sb = SimpleNamespace(**{
            name: struct.unpack_from(form, block, offset)[0]
            for name, (offset, form) in SUPERBLOCK_FIELDS.items()})
        if sb.magic != MAGIC or sb.version != 1:
            raise Damage("superblock: magic or version")
        return sb

    # --- trees; each walk counts the pointers it follows ----------------

    def _point_at(self, number, role):
        """Counts a pointer; True for the first to this block, the only one
        below which pointers count."""
        self.references[number] += 1
        self.roles.setdefault(number, role)
        return self.references[number] == 1

    def btree(self, root, value_size, role, counting=False):
        """Keys and values, ascending; subtrees already counted are left
        out of a walk that counts."""
        if counting and not self._point_at(root, role + " node"):
            return
        node = self.block(root, NODE)
        flags, nr, room = le32(node, 4), le32(node, 16), le32(node, 20)
        size = le32(node, 24)
        if flags not in (1, 2) or nr > room or \
                32 + (8 + size) * room > SIZE:
            raise Damage(f"btree node {root}: header")
        keys = struct.unpack_from(f"<{nr}Q", node, 32)
        if any(a >= b for a, b in zip(keys, keys[1:])):
            raise Damage(f"btree node {root}: key order")
        if flags == 2 and size != value_size:
            raise Damage(f"btree node {root}: value size")
        for i, key in enumerate(keys):
            at = 32 + 8 * room + size * i
            if flags == 1:
                yield from self.btree(le64(node, at), value_size, role,
                                      counting)
            else:
                yield key, bytes(node[at:at + size])

    def array(self, root, form, role, counting=False):
        values = []
        for index, value in self.btree(root, 8, role, counting):
            number = struct.unpack("<Q", value)[0]
            if counting and not self._point_at(number, role + " block"):
                continue
            block = self.block(number, ARRAY)
            room, nr = le32(block, 4), le32(block, 8)
            if nr > room or index * room != len(values) or \
                    le32(block, 12) != struct.calcsize(form):
                raise Damage(f"array block {number}: index {index}")
            values += struct.unpack_from(f"<{nr}{form}", block, 24)
        return values

    def eras(self, sb, counting=False):
        return self.array(sb.era_array_root, "I", "era array", counting)

    def bits(self, nr_bits, root, counting=False):
        blocks = set()
        words = self.array(root, "Q", "bitset", counting)
        if words and len(words) != -(-nr_bits // 64):
            raise Damage(f"bitset {root}: length")
        for i, word in enumerate(words):
            for bit in range(64):
                if word >> bit & 1 and 64 * i + bit < nr_bits:
                    blocks.add(64 * i + bit)
        return blocks

    def writesets(self, sb, counting=False):
        """Archived ones by ascending era, then the open one."""
        found = []
        for era, value in self.btree(sb.writeset_tree_root, 12,
                                     "writeset tree", counting):
            nr_bits, root = struct.unpack("<IQ", value)
            found.append((era, nr_bits, root, False))
        if sb.writeset_root:
            found.append((sb.current_era, sb.writeset_nr_bits,
                          sb.writeset_root, True))
        return [Writeset(era, nr_bits, root,
                         self.bits(nr_bits, root, counting), is_open)
                for era, nr_bits, root, is_open in found]

    def snapshot(self):
        """The superblock that a metadata snapshot is read through."""
        copy = self.superblock(self.superblock().metadata_snap)
        copy.writeset_root = 0  # not valid in a copy
        return copy

    # --- what the tools must agree with ---------------------------------

    def last_written(self, snapshot=False):
        """The last era of each data block: what --logical prints."""
        sb = self.snapshot() if snapshot else self.superblock()
        eras = self.eras(sb)
        for writeset in self.writesets(sb):
            for block in writeset.blocks:
                if block < sb.nr_blocks:
                    eras[block] = max(eras[block], writeset.era)
        return eras

    def since(self, era, snapshot=False):
        return {block for block, last
                in enumerate(self.last_written(snapshot)) if last >= era}

    def problems(self):
        """All that is wrong with trees and reference counts; [] is sound."""
        found = []
        self.references.clear()
        self.roles.clear()
        try:
            sb = self.superblock()
            self._point_at(0, "superblock")
            writesets = self.writesets(sb, counting=True)
            eras = self.eras(sb, counting=True)
            if len(eras) != sb.nr_blocks:
                found.append("length of the era array")
            if any(era > sb.current_era for era in eras):
                found.append("era array entry above the current era")
            if any(w.era > sb.current_era for w in writesets):
                found.append("writeset above the current era")
            if sb.metadata_snap:
                copy = self.snapshot()
                self._point_at(sb.metadata_snap, "metadata snapshot")
                self.writesets(copy, counting=True)
                self.eras(copy, counting=True)
            found += self._space_map_problems(sb)
        except Damage as damage:
            found.append(str(damage))
        return found

    def _space_map_problems(self, sb):
        found = []
        if sb.sm_nr_blocks > self.nr_blocks:
            raise Damage("the device is shorter than its space map")
        index = self.block(sb.sm_index, INDEX)
        self._point_at(sb.sm_index, "space map index")
        large = {key: struct.unpack("<I", value)[0] for key, value
                 in self.btree(sb.sm_ref_count_root, 4, "ref-count tree",
                               counting=True)}
        counts = Counter()
        nr_bitmaps = -(-sb.sm_nr_blocks // COUNTS_PER_BITMAP)
        for i in range(nr_bitmaps):
            number, nr_free = struct.unpack_from("<QI", index, 16 + 16 * i)
            self._point_at(number, "space map bitmap")
            bitmap = self.block(number, BITMAP)
            first = i * COUNTS_PER_BITMAP
            here = min(COUNTS_PER_BITMAP, sb.sm_nr_blocks - first)
            for j in range(here):
                pair = bitmap[16 + j // 4] >> 2 * (j % 4) & 3
                count = (pair & 1) << 1 | pair >> 1  # high bit comes first
                if count == 3:
                    count = large.get(first + j, 3)
                if count:
                    counts[first + j] = count
            free = here - sum(first <= b < first + here for b in counts)
            if nr_free not in (free, free + COUNTS_PER_BITMAP - here):
                found.append(f"bitmap {number}: nr_free {nr_free}, not {free}")
        if sb.sm_nr_allocated != len(counts):
            found.append(f"nr_allocated {sb.sm_nr_allocated}, "
                         f"not {len(counts)}")
        for number in sorted(counts.keys() | self.references.keys()):
            if counts[number] != self.references[number]:
                found.append(f"count of block {number} is {counts[number]}, "
                             f"not {self.references[number]}")
        return found
