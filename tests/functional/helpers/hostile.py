# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices of a few blocks that claim very much: each is small, all of its
checksums are right, and whoever multiplies what it says is at work for ever.
"""

import struct

from .builder import Image

NR_BLOCKS = 16384  # 64 MiB
PER_LEAF = 201  # writesets in a leaf of their tree
PER_NODE = 252  # pointers in a node
LOST = 999999  # no block of the device


def pointer(block):
    return struct.pack("<Q", block)


def writeset(nr_bits, root):
    return struct.pack("<IQ", nr_bits, root)


def device():
    """With room, and a sound history that is not worth mentioning."""
    image = Image(NR_BLOCKS)
    image.writesets([(5, 1000, [7])])
    image.eras([1] * 1000)
    return image


def leaves(image, nr, entry):
    """nr leaves of the writeset tree, full; entry(i) is (era, value)."""
    for leaf in range(nr):
        first = leaf * PER_LEAF
        image.node(True, [entry(i) for i in range(first, first + PER_LEAF)],
                   12)


def large_tree(image, nr_leaves):
    """A tree of array blocks that need not be there. Returns its root."""
    made = []
    for leaf in range(nr_leaves):
        first = leaf * PER_NODE
        made.append((first, pointer(image.node(
            True, [(first + i, pointer((first + i) % NR_BLOCKS or 1))
                   for i in range(PER_NODE)], 8))))
    return image.node(False, made, 8)


def one_tree_named_often(nr_leaves, nr_pointers):
    """Nothing leads to these leaves, which name one tree again and again."""
    image = device()
    root = large_tree(image, nr_pointers)
    leaves(image, nr_leaves, lambda i: (i, writeset(2000000000, root)))
    return image.finish(6)


def one_tree_of_many_lengths(nr_leaves, nr_pointers):
    """The same, and each name has a length of its own."""
    image = device()
    root = large_tree(image, nr_pointers)
    leaves(image, nr_leaves,
           lambda i: (i, writeset(2000000000 - 64 * i, root)))
    return image.finish(6)


def lost_bitsets(nr_leaves, nr_bits):
    """The superblock leads to writesets of which nothing is left."""
    image = device()
    made = []
    for leaf in range(nr_leaves):
        first = 1 + leaf * PER_LEAF
        made.append((first, pointer(image.node(
            True, [(first + i, writeset(nr_bits, LOST))
                   for i in range(PER_LEAF)], 12))))
    root = image.node(False, made, 8)
    return image.finish(nr_leaves * PER_LEAF + 5, nr_blocks=nr_bits,
                        writeset_tree_root=root)


def shrinking_lost_bitsets(nr_leaves):
    """The same, each a little shorter than the one before."""
    image = device()
    made = []
    for leaf in range(nr_leaves):
        first = 1 + leaf * PER_LEAF
        made.append((first, pointer(image.node(
            True, [(first + i, writeset(2000000000 - 9973 * (first + i), LOST))
                   for i in range(PER_LEAF)], 12))))
    root = image.node(False, made, 8)
    return image.finish(nr_leaves * PER_LEAF + 5, nr_blocks=2000000000,
                        writeset_tree_root=root)


def count_all(image, nr_bits, **fields):
    """finish(), but the space map counts each block once, used or not."""
    image.references.update({block: 1 for block in range(NR_BLOCKS - 8)
                             if not image.references[block]})
    return image.finish(nr_blocks=nr_bits, **fields)


def lost_eras_in_many_leaves(nr_leaves):
    """The root of the era array is lost, and each of the leaves that may have
    been below it files one block under all of its indexes."""
    image = device()
    image.array([1] * 1018, "I")
    block = image.next - 2
    for _ in range(nr_leaves):
        image.node(True, [(i, pointer(block)) for i in range(PER_NODE)], 8)
    return count_all(image, 250000, current_era=6, era_array_root=LOST)


def eras_on_one_slot(nr_eras, stride):
    """Sound: eras that a hash table which anybody can foresee takes for one."""
    image = Image(2048)
    image.writesets([])
    image.eras([(i % (2**32 // stride)) * stride + 1 for i in range(nr_eras)])
    return image.finish(2**32 - 2)


DEVICES = {
    "one tree named often": lambda: one_tree_named_often(100, 60),
    "one tree named four times as often":
        lambda: one_tree_named_often(400, 60),
    "one tree of many lengths": lambda: one_tree_of_many_lengths(100, 60),
    "bitsets that are lost": lambda: lost_bitsets(1, 20000000),
    "longer bitsets that are lost": lambda: lost_bitsets(1, 800000000),
    "many bitsets that are lost": lambda: lost_bitsets(200, 200000000),
    "bitsets that are lost and shrink": lambda: shrinking_lost_bitsets(200),
    "leaves that file one block": lambda: lost_eras_in_many_leaves(1200),
    "more leaves that file one block":
        lambda: lost_eras_in_many_leaves(4800),
    "eras on one slot": lambda: eras_on_one_slot(400000, 2**17),
}
