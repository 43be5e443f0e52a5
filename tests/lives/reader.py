# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge's own reader of dm-era metadata: it shares no code with the tools
and none with the kernel, and reads what is reachable.
"""

import struct
from array import array
from types import SimpleNamespace

BLOCK = 4096
MAGIC = 2126579579
SALTS = {"superblock": 146538381, "node": 121107, "array": 595846735,
         "index": 160478, "bitmap": 240779}
KINDS = {salt: kind for kind, salt in SALTS.items()}
COUNTS_PER_BITMAP = (BLOCK - 16) * 4
INTERNAL, LEAF = 1, 2


class Damage(Exception):
    """What cannot be read."""


def kind_of(block, checksum):
    """What a block says that it is; "zero" or "unknown" where nothing."""
    kind = KINDS.get(checksum(block) ^ struct.unpack_from("<I", block)[0])
    if kind is None:
        return "zero" if not any(block) else "unknown"
    if kind == "node":
        size = struct.unpack_from("<I", block, 24)[0]
        return {12: "writeset tree node", 8: "array node",
                4: "count tree node"}.get(size, "node")
    if kind == "array":
        size = struct.unpack_from("<I", block, 12)[0]
        return {8: "bitset block", 4: "era array block"}.get(size, "array")
    return {"index": "space map index",
            "bitmap": "space map bitmap"}.get(kind, kind)


class Reader:
    def __init__(self, image, checksum):
        self.image = image
        self.nr_blocks = len(image) // BLOCK
        self.checksum = checksum
        self.counts = {}    # pointers that lead to a block
        self.roles = {}     # what led there first
        self._checked = {}

    def block(self, number, kind):
        if number >= self.nr_blocks:
            raise Damage(f"{kind} {number} is past the end")
        if self._checked.get(number) == kind:
            return self.image[number * BLOCK:(number + 1) * BLOCK]
        block = self.image[number * BLOCK:(number + 1) * BLOCK]
        if self.checksum(block) ^ SALTS[kind] != \
                struct.unpack_from("<I", block)[0]:
            raise Damage(f"{kind} {number}: checksum")
        place = struct.unpack_from("<Q", block,
                                   16 if kind == "array" else 8)[0]
        if place != number:
            raise Damage(f"{kind} {number}: misplaced")
        self._checked[number] = kind
        return block

    def superblock(self, place=0):
        block = self.block(place, "superblock")
        sb = SimpleNamespace()
        magic, version = struct.unpack_from("<QI", block, 32)
        if magic != MAGIC or version != 1:
            raise Damage("superblock: magic or version")
        sb.sm_nr_blocks, sb.sm_nr_allocated, sb.sm_index, sb.sm_counts = \
            struct.unpack_from("<QQQQ", block, 44)
        (sb.block_size, _, sb.nr_blocks, sb.current_era, sb.open_nr_bits,
         sb.open_root, sb.writesets, sb.eras, sb.snapshot) = \
            struct.unpack_from("<IIIIIQQQQ", block, 172)
        return sb

    # --- trees; a walk that counts does not go below a block twice --------

    def _count(self, number, role):
        self.counts[number] = self.counts.get(number, 0) + 1
        self.roles.setdefault(number, role)
        return self.counts[number] == 1

    def tree(self, root, value_size, role, counting):
        if counting and not self._count(root, role + " node"):
            return
        node = self.block(root, "node")
        flags, _, nr, room, size = struct.unpack_from("<IQIII", node, 4)
        if flags not in (INTERNAL, LEAF) or nr > room or \
                32 + room * (8 + size) > BLOCK:
            raise Damage(f"node {root}: header")
        keys = struct.unpack_from(f"<{nr}Q", node, 32)
        if any(a >= b for a, b in zip(keys, keys[1:])):
            raise Damage(f"node {root}: order")
        values = 32 + 8 * room
        if flags == INTERNAL:
            for child in struct.unpack_from(f"<{nr}Q", node, values):
                yield from self.tree(child, value_size, role, counting)
            return
        if size != value_size:
            raise Damage(f"node {root}: size of values")
        for i, key in enumerate(keys):
            yield key, node[values + size * i:values + size * (i + 1)]

    def array(self, root, form, role, counting=False):
        """Its values; of a walk that counts those not seen before."""
        values = array(form)
        whole = True
        for index, value in self.tree(root, 8, role, counting):
            number = struct.unpack("<Q", value)[0]
            if counting and not self._count(number, role + " block"):
                whole = False
                continue
            block = self.block(number, "array")
            room, nr, size = struct.unpack_from("<III", block, 4)
            if nr > room or size != values.itemsize:
                raise Damage(f"array block {number}: header")
            if not counting and index * room != len(values):
                raise Damage(f"array block {number}: index {index}")
            values.frombytes(block[24:24 + nr * size])
        return values if whole else None

    def writesets(self, sb, counting=False):
        """(era, nr_bits, root), archived ones first."""
        found = []
        for era, value in self.tree(sb.writesets, 12, "writeset tree",
                                    counting):
            nr_bits, root = struct.unpack("<IQ", value)
            found.append((era, nr_bits, root))
        if sb.open_root:
            found.append((sb.current_era, sb.open_nr_bits, sb.open_root))
        return found

    # --- what the metadata says ---------------------------------------------

    def dates(self):
        """The last era of each data block."""
        sb = self.superblock()
        dates = self.array(sb.eras, "I", "era array")
        for era, nr_bits, root in sorted(self.writesets(sb)):
            words = self.array(root, "Q", "bitset")
            end = min(nr_bits, len(dates))
            for i, word in enumerate(words):
                while word:
                    lowest = word & -word
                    block = 64 * i + lowest.bit_length() - 1
                    if block < end and dates[block] < era:
                        dates[block] = era
                    word ^= lowest
        return dates

    def problems(self):
        """All that is wrong with what is reachable; [] is sound."""
        found = []
        try:
            sb = self.superblock()
            self._count(0, "superblock")
            for era, _, root in self.writesets(sb, True):
                if era > sb.current_era:
                    found.append(f"writeset {era} is of the future")
                self.array(root, "Q", "bitset", True)
            eras = self.array(sb.eras, "I", "era array", True)
            eras = [] if eras is None else eras
            if len(eras) != sb.nr_blocks:
                found.append(f"{len(eras)} eras for {sb.nr_blocks} blocks")
            if len(eras) and max(eras) > sb.current_era:
                found.append("an era of the future")
            if sb.snapshot:
                copy = self.superblock(sb.snapshot)
                copy.open_root = 0  # a copy's is not valid
                self._count(sb.snapshot, "snapshot superblock")
                for _, _, root in self.writesets(copy, True):
                    self.array(root, "Q", "bitset", True)
                self.array(copy.eras, "I", "era array", True)
            found += self._space_map_problems(sb)
        except Damage as damage:
            found.append(str(damage))
        return found

    def _space_map_problems(self, sb):
        if sb.sm_nr_blocks > self.nr_blocks:
            return ["the device is shorter than its space map"]
        index = self.block(sb.sm_index, "index")
        self._count(sb.sm_index, "space map index")
        large = {key: struct.unpack("<I", value)[0] for key, value
                 in self.tree(sb.sm_counts, 4, "count tree", True)}
        counts, found = {}, []
        for i in range(-(-sb.sm_nr_blocks // COUNTS_PER_BITMAP)):
            number, nr_free = struct.unpack_from("<QI", index, 16 + 16 * i)
            self._count(number, "space map bitmap")
            bitmap = self.block(number, "bitmap")
            first = i * COUNTS_PER_BITMAP
            here = min(COUNTS_PER_BITMAP, sb.sm_nr_blocks - first)
            before = len(counts)
            for j in range(here):
                pair = bitmap[16 + j // 4] >> 2 * (j % 4) & 3
                if pair:
                    count = (pair & 1) << 1 | pair >> 1
                    counts[first + j] = large.get(first + j, 3) \
                        if count == 3 else count
            free = here - (len(counts) - before)
            # The kernel counts the places past the end as free, too, and as
            # it formats two that it has just taken.
            past_end = COUNTS_PER_BITMAP - here
            if nr_free not in (free, free + past_end, free + 2,
                               free + past_end + 2):
                found.append(f"bitmap {number}: {nr_free} free, not {free}")
        if sb.sm_nr_allocated != len(counts):
            found.append(f"{sb.sm_nr_allocated} in use, not {len(counts)}")
        wrong = sorted(b for b in counts.keys() | self.counts.keys()
                       if counts.get(b, 0) != self.counts.get(b, 0))
        found += [f"count of block {b} is {counts.get(b, 0)}, not "
                  f"{self.counts.get(b, 0)}" for b in wrong]
        return found
