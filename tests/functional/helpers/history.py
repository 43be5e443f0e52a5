# SPDX-License-Identifier: GPL-2.0-or-later
"""A device's life as the kernel leads it: transactions that write new blocks
in free space, eras that are archived and digested, a metadata snapshot. What
is left is an image with all its old states among the unreferenced blocks, of
any size, and the truth: the last era of each data block.

The order of writes is the kernel's only roughly. What depends on it is judged
with the kernel's own code, by tests/lives; this is for trees of any fanout, and
for machines that cannot have the kernel's source.
"""

import random
import struct
from collections import Counter

from .blocks import (ARRAY, BITMAP, COUNTS_PER_BITMAP, ERAS_PER_BLOCK, INDEX,
                     MAGIC, NODE, SIZE, SUPERBLOCK, SUPERBLOCK_FIELDS,
                     WORDS_PER_BLOCK, seal)
from .builder import put_count, room_of


class Block:
    def __init__(self, number, content, children=()):
        self.number = number
        self.content = content
        self.children = children


class Tree:
    """A btree as it was last written: its root, and its nodes by place."""

    def __init__(self):
        self.blocks = {}
        self.before = {}  # as of the last commit
        self.root = None


class Device:
    """fanout: entries of a btree node, to have depth without bulk."""

    def __init__(self, nr_data, nr_metadata=1024, fanout=252):
        self.data = bytearray(nr_metadata * SIZE)
        self.nr_metadata = nr_metadata
        self.fanout = fanout
        self.nr_data = nr_data
        self.cursor = 1
        self.in_use = set()  # in the state committed last
        self.fresh = set()  # allocated since
        self.era = 0
        self.last = [0] * nr_data  # the truth
        self.eras = [0] * nr_data
        self.era_array = Tree()
        self.archived = {}  # era -> (nr_bits, words, Tree)
        self.writeset_tree = Tree()
        self.ref_counts = Tree()
        self.open = None
        self.snapshot = None
        self.roll()

    # --- blocks ----------------------------------------------------------

    def allocate(self):
        for step in range(self.nr_metadata):
            number = (self.cursor + step) % self.nr_metadata
            if number and number not in self.in_use and \
                    number not in self.fresh:
                self.fresh.add(number)
                self.cursor = number + 1
                return number
        raise AssertionError("the device is full")

    def write(self, number, content, kind):
        block = bytearray(content.ljust(SIZE, b"\0"))
        seal(block, kind, number)
        self.data[number * SIZE:(number + 1) * SIZE] = block

    def put(self, tree, place, content, kind, children=()):
        """The block at this place of a tree, written anew if it changed."""
        old = tree.before.get(place)
        if old and old.content == content and \
                old.children == children:
            tree.blocks[place] = old
            return old
        block = Block(self.allocate(), content, children)
        self.write(block.number, content, kind)
        tree.blocks[place] = block
        return block

    def btree(self, tree, entries, value_size):
        """Writes (key, value, block that it points to or None)."""
        leaf, level = True, 0
        while True:
            fanout = min(self.fanout, room_of(value_size))
            above = []
            for at in range(0, max(1, len(entries)), fanout):
                part = entries[at:at + fanout]
                room = room_of(value_size)
                node = bytearray(32 + (8 + value_size) * room)
                struct.pack_into("<II", node, 4, 2 if leaf else 1, 0)
                struct.pack_into("<IIII", node, 16, len(part), room,
                                 value_size, 0)
                for i, (key, value, _) in enumerate(part):
                    struct.pack_into("<Q", node, 32 + 8 * i, key)
                    start = 32 + 8 * room + value_size * i
                    node[start:start + value_size] = value
                children = tuple(child for *_, child in part if child)
                block = self.put(tree, (level, at), bytes(node), NODE,
                                 children)
                above.append((part[0][0] if part else 0,
                              struct.pack("<Q", block.number), block))
            if len(above) == 1:
                tree.root = above[0][2]
                # what this state has no use for will be overwritten
                tree.before, tree.blocks = tree.blocks, {}
                return
            entries, value_size, leaf, level = above, 8, False, level + 1

    def array(self, tree, values, form):
        per_block = ERAS_PER_BLOCK if form == "I" else WORDS_PER_BLOCK
        entries = []
        for index in range(-(-len(values) // per_block)):
            part = values[index * per_block:(index + 1) * per_block]
            content = struct.pack(f"<IIIIQ{len(part)}{form}", 0, per_block,
                                  len(part), struct.calcsize("<" + form), 0,
                                  *part)
            block = self.put(tree, ("array", index), content, ARRAY)
            entries.append((index, struct.pack("<Q", block.number), block))
        self.btree(tree, entries, 8)

    # --- what the device does --------------------------------------------

    def roll(self):
        """Ends the era and begins the next."""
        self.archive()
        self.era += 1
        self.open = (self.nr_data, [0] * -(-self.nr_data // 64), Tree())
        self.commit()

    def archive(self):
        if self.open:
            self.archived[self.era] = self.open
            self.open = None

    def write_to(self, begin, end):
        """A write of the origin, recorded before it is let through."""
        for block in range(begin, end):
            self.open[1][block // 64] |= 1 << block % 64
            self.last[block] = self.era
        self.commit()

    def digest(self):
        """Moves the lowest writeset into the era array."""
        era = min(self.archived)
        nr_bits, words, _ = self.archived[era]
        for block in range(min(nr_bits, self.nr_data)):
            if words[block // 64] >> block % 64 & 1:
                self.eras[block] = max(self.eras[block], era)
        self.commit()
        del self.archived[era]
        self.commit()

    def resize(self, nr_data):
        """Grows the origin; the open writeset keeps its size."""
        self.eras += [0] * (nr_data - self.nr_data)
        self.last += [0] * (nr_data - self.nr_data)
        self.archive()
        self.nr_data = nr_data
        self.era += 1
        self.open = (nr_data, [0] * -(-nr_data // 64), Tree())
        self.commit()

    def take_snapshot(self):
        self.roll()
        # the copy shares the roots; later changes write new blocks
        self.snapshot = Block(self.allocate(), b"", (
            self.writeset_tree.root, self.era_array.root))
        self.write(self.snapshot.number, self.superblock(None), SUPERBLOCK)
        self.commit()

    def shut_down(self):
        self.archive()
        self.commit()

    def open_again(self):
        """Activated anew: the allocator starts at the front."""
        self.cursor = 1
        self.roll()

    # --- a commit --------------------------------------------------------

    def superblock(self, space_map):
        fields = {"magic": MAGIC, "version": 1, "data_block_size": 128,
                  "metadata_block_size": 8, "nr_blocks": self.nr_data,
                  "current_era": self.era,
                  "writeset_tree_root": self.writeset_tree.root.number,
                  "era_array_root": self.era_array.root.number}
        if self.open:
            fields["writeset_nr_bits"] = self.open[0]
            fields["writeset_root"] = self.open[2].root.number
        if space_map:
            fields["sm_nr_blocks"] = self.nr_metadata
            fields["sm_nr_allocated"], fields["sm_index"], \
                fields["sm_ref_count_root"] = space_map
        if self.snapshot:
            fields["metadata_snap"] = self.snapshot.number
        block = bytearray(SIZE)
        for name, value in fields.items():
            offset, form = SUPERBLOCK_FIELDS[name]
            struct.pack_into(form, block, offset, value)
        return bytes(block)

    def references(self):
        counts = Counter({0: 1})

        def follow(block):
            counts[block.number] += 1
            if counts[block.number] == 1:
                for child in block.children:
                    follow(child)

        follow(self.writeset_tree.root)
        follow(self.era_array.root)
        if self.open:
            follow(self.open[2].root)
        if self.snapshot:
            follow(self.snapshot)
        return counts

    def space_map(self):
        counts = self.references()
        bitmaps = [self.allocate() for _
                   in range(-(-self.nr_metadata // COUNTS_PER_BITMAP))]
        self.btree(self.ref_counts,
                   [(number, struct.pack("<I", count), None)
                    for number, count in sorted(counts.items())
                    if count > 2], 4)
        index = self.allocate()  # the last of a commit
        counts.update([index, *bitmaps, self.ref_counts.root.number])
        content = bytearray(SIZE)
        for i, number in enumerate(bitmaps):
            bitmap = bytearray(SIZE)
            first = i * COUNTS_PER_BITMAP
            here = 0
            for block, count in counts.items():
                if first <= block < first + COUNTS_PER_BITMAP:
                    put_count(bitmap, block - first, min(count, 3))
                    here += 1
            self.write(number, bytes(bitmap), BITMAP)
            # as the kernel has it: entries past the end exist, too
            struct.pack_into("<QII", content, 16 + 16 * i, number,
                             COUNTS_PER_BITMAP - here, 0)
        self.write(index, bytes(content), INDEX)
        self.in_use = set(counts)
        return len(counts), index, self.ref_counts.root.number

    def commit(self):
        entries = []
        for era, (nr_bits, words, tree) in sorted(self.archived.items()):
            self.array(tree, words, "Q")
            entries.append((era, struct.pack("<IQ", nr_bits,
                                             tree.root.number), tree.root))
        self.btree(self.writeset_tree, entries, 12)
        if self.open:
            self.array(self.open[2], self.open[1], "Q")
        self.array(self.era_array, self.eras, "I")
        self.write(0, self.superblock(self.space_map()), SUPERBLOCK)
        self.fresh.clear()


def live(seed, nr_data=3000, nr_metadata=1024, fanout=252, nr_eras=6,
         undigested=1, writes=3, snapshot_at=0, grow_at=0, clean=False):
    """A device after nr_eras eras. Returns it; its bytes are in .data."""
    rng = random.Random(seed)
    device = Device(nr_data, nr_metadata, fanout)
    for era in range(1, nr_eras + 1):
        for _ in range(rng.randint(1, writes)):
            begin = rng.randrange(device.nr_data)
            end = min(begin + rng.choice((1, 20, 700)), device.nr_data)
            device.write_to(begin, end)
        if era == nr_eras:
            break
        if era == snapshot_at:
            device.take_snapshot()
        elif era == grow_at:
            device.resize(device.nr_data + 2000)
        else:
            device.roll()
        while len(device.archived) > undigested:
            device.digest()
    if clean:
        device.shut_down()
    return device
