# SPDX-License-Identifier: GPL-2.0-or-later
"""Any block damaged in any way: era_repair loses no write, marks no more than
what is lost, and leaves metadata that is sound.

    ERA_DAMAGE_CASES  how many cases (default 240)
    ERA_DAMAGE_FIRST  number of the first: a case is the same each time

The metadata is what kernels left in tests/data, and of other sizes what
helpers/history.py makes up.
"""

import functools
import os
import random
import struct
from collections import namedtuple

import pytest

from helpers import blocks, data, history
from helpers.blocks import SIZE
from helpers.mutate import Mutation
from helpers.reader import Damage, Metadata, expand, ranges

CASES = int(os.environ.get("ERA_DAMAGE_CASES", "240"))
FIRST = int(os.environ.get("ERA_DAMAGE_FIRST", "0"))

HISTORIES = {
    "small": dict(nr_data=700, nr_eras=5),
    "clean": dict(nr_data=3000, nr_eras=7, clean=True),
    "backlog": dict(nr_data=3000, nr_eras=9, undigested=6),
    "wide": dict(nr_data=40000, fanout=8, undigested=3, nr_eras=7),
    "deep": dict(nr_data=9000, fanout=3, undigested=7, nr_eras=12),
    "snapshot": dict(nr_data=3000, snapshot_at=3, nr_eras=7),
    "grown": dict(nr_data=3000, grow_at=3, nr_eras=6, undigested=2),
    "tight": dict(nr_data=3000, nr_metadata=96, nr_eras=14),
}

Evidence = namedtuple("Evidence", "role begin end")


class Base:
    """A sound device, what each of its blocks is, and its truth."""

    def __init__(self, name):
        if name in HISTORIES:
            device = history.live(name, **HISTORIES[name])
            self.data = bytes(device.data)
        else:
            self.data = data.read(name)
        self.metadata = Metadata(self.data)
        assert self.metadata.problems() == []
        self.sb = self.metadata.superblock()
        self.last = self.metadata.last_written()
        if name in HISTORIES:
            assert self.last == device.last
        self.roles = dict(self.metadata.roles)
        self.evidence = {}
        self._find_evidence()
        self.places = {}  # role -> blocks
        for number, role in self.roles.items():
            self.places.setdefault(role, []).append(number)
        self.places["unreferenced"] = [
            number for number in range(1, self.metadata.nr_blocks)
            if number not in self.roles and any(self.block(number))]
        self.used = sorted([*self.roles, *self.places["unreferenced"]])

    def block(self, number):
        return self.data[number * SIZE:(number + 1) * SIZE]

    @functools.lru_cache(maxsize=None)
    def kind(self, number):
        block = self.block(number)
        return KINDS.get(blocks.checksum(block, NO_SALT) ^
                         blocks.le32(block, 0))

    def _find_evidence(self):
        """Which data blocks are dated by each block of the live trees."""
        self.evidence[0] = Evidence("superblock", 0, self.sb.nr_blocks)
        self._walk(self.sb.writeset_tree_root, 12, None)
        if self.sb.writeset_root:
            self._walk(self.sb.writeset_root, 8, blocks.WORDS_PER_BLOCK * 64)
        self._walk(self.sb.era_array_root, 8, blocks.ERAS_PER_BLOCK)

    def _walk(self, number, value_size, per_key, begin=0, end=1 << 62):
        node = self.metadata.block(number, blocks.NODE)
        nr, room = blocks.le32(node, 16), blocks.le32(node, 20)
        self._note(number, begin * (per_key or 0),
                   end * per_key if per_key else 1 << 62)
        keys = struct.unpack_from(f"<{nr}Q", node, 32)
        internal = blocks.le32(node, 4) == 1
        size = 8 if internal else value_size
        for i, key in enumerate(keys):
            value = node[32 + 8 * room + size * i:][:size]
            if internal:
                self._walk(blocks.le64(value, 0), value_size, per_key, key,
                           keys[i + 1] if i + 1 < nr else end)
            elif per_key:
                self._note(blocks.le64(value, 0), key * per_key,
                           (key + 1) * per_key)
            else:
                self._walk(struct.unpack("<IQ", value)[1], 8,
                           blocks.WORDS_PER_BLOCK * 64)

    def _note(self, number, begin, end):
        self.evidence[number] = Evidence(self.roles[number], begin,
                                         min(end, self.sb.nr_blocks))


@functools.lru_cache(maxsize=None)
def base(name):
    return Base(name)


NAMES = [*data.SOUND, *HISTORIES]

# --- what can happen to a block -------------------------------------------


def zeroed(_rng, _base, _image, _number):
    return bytes(SIZE)


def garbage(rng, _base, _image, _number):
    return rng.randbytes(SIZE)


def bits_flipped(rng, _base, image, number):
    block = bytearray(image[number * SIZE:(number + 1) * SIZE])
    for _ in range(rng.randint(1, 3)):
        block[rng.randrange(SIZE)] ^= 1 << rng.randrange(8)
    return bytes(block)


def torn(rng, _base, image, number):
    """Some of its sectors are another block's."""
    block = bytearray(image[number * SIZE:(number + 1) * SIZE])
    other = rng.randrange(len(image) // SIZE)
    at = 512 * rng.randint(1, 7)
    block[:at] = image[other * SIZE:other * SIZE + at]
    return bytes(block)


def another(rng, its_base, image, number):
    """A write that went to the wrong place: of its own role or of any."""
    role = its_base.roles.get(number)
    places = its_base.places[rng.choice([role, *its_base.places])
                             or "unreferenced"]
    other = rng.choice(places or [0])
    return bytes(image[other * SIZE:(other + 1) * SIZE])


def old_copy(rng, its_base, _image, number):
    """A lost write: what is there is an older block of the same kind, whole.
    No checksum shows it."""
    kind = its_base.kind(number)
    same = [other for other in its_base.used if other != number and
            its_base.kind(other) is kind]
    block = bytearray(its_base.block(rng.choice(same) if same else number))
    if kind:
        blocks.seal(block, kind, number)
    return bytes(block)


HARMS = [zeroed, garbage, bits_flipped, bits_flipped, torn, another, old_copy]
KINDS = {kind.salt: kind for kind in (
    blocks.SUPERBLOCK, blocks.NODE, blocks.ARRAY, blocks.INDEX,
    blocks.BITMAP)}
NO_SALT = blocks.Kind("none", 0, 8)


def damage(rng, its_base):
    """Returns the damaged image, the numbers of the blocks damaged, whether
    evidence was replaced by what looks as good, and whether any block was: a
    second table leaves such blocks, too, and then all can have been written."""
    image = bytearray(its_base.data)
    hit = []
    believed = replaced = False
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        role = rng.choice([role for role, places
                           in its_base.places.items() if places])
        number = rng.choice(its_base.places[role])
        if rng.random() < 0.1:  # two blocks exchanged
            other = rng.choice(its_base.places[rng.choice(
                [r for r, places in its_base.places.items() if places])])
            first = image[number * SIZE:(number + 1) * SIZE]
            image[number * SIZE:(number + 1) * SIZE] = \
                image[other * SIZE:(other + 1) * SIZE]
            image[other * SIZE:(other + 1) * SIZE] = first
            hit += [number, other]
            continue
        harm = rng.choice(HARMS)
        image[number * SIZE:(number + 1) * SIZE] = \
            harm(rng, its_base, image, number)
        hit.append(number)
        believed |= harm is old_copy and number in its_base.evidence
        replaced |= harm is old_copy
    changed = [number for number in sorted(set(hit))
               if image[number * SIZE:(number + 1) * SIZE] !=
               its_base.block(number)]
    return bytes(image), changed, believed, replaced


# --- the judgement --------------------------------------------------------


def describe(its_base, changed):
    return ", ".join(f"{number} ({its_base.roles.get(number, 'free')})"
                     for number in changed)


def judge(its_base, changed, believed, replaced, result, err):
    """What is wrong with a repaired device; None where nothing is. Where old
    evidence passes for new only what is sound can be asked for."""
    metadata = Metadata(result)
    try:
        problems = metadata.problems()
        if problems:
            return f"not sound: {problems}"
        last = metadata.last_written()
    except Damage as fault:
        return f"not sound: {fault}"
    if believed:
        return None
    if len(last) < len(its_base.last):
        return f"has only {len(last)} data blocks"
    lost = [block for block, era in enumerate(its_base.last)
            if last[block] < era]
    if lost:
        return f"LOST: writes to {ranges(lost)}, " \
            f"eras {sorted({its_base.last[block] for block in lost})}\n{err}"
    # what is of the current era may count as of a later one, where nothing
    # names the era: none was reported in between
    extra = {block for block, era in enumerate(its_base.last)
             if last[block] > era
             and not (0 in changed and era == its_base.sb.current_era)}
    if replaced:
        return None
    if 0 in changed and len(changed) > 1:
        return None  # what led where is not known any more
    for number in changed:
        if number in its_base.evidence and number:
            hole = its_base.evidence[number]
            extra -= set(range(hole.begin, hole.end))
    if extra:
        return f"marked beyond the holes: {ranges(extra)}\n{err}"
    return None


def repair(run, image, tmp_path, in_place, sb):
    """Returns the run and the repaired device (None: refused)."""
    options = []
    target = image
    if not in_place:
        target = tmp_path / "target"
    for _ in range(3):
        if in_place:
            result = run("era_repair", *options, "--in-place", image)
        else:
            with open(target, "wb") as file:
                file.truncate(image.stat().st_size)
            result = run("era_repair", *options, "-i", image, "-o", target)
        if result.status == 0:
            return result, target.read_bytes()
        if "--block-size" in result.err:
            options.append(f"--block-size={sb.data_block_size}")
        elif "--nr-blocks" in result.err:
            options.append(f"--nr-blocks={sb.nr_blocks}")
        else:
            break
    return result, None


def case(number):
    rng = random.Random(f"damage {number}")
    name = NAMES[number % len(NAMES)]
    its_base = base(name)
    return name, its_base, *damage(rng, its_base)


@pytest.mark.parametrize("number", range(FIRST, FIRST + CASES))
def test_no_write_is_lost(run, tmp_path, number):
    name, its_base, image, changed, believed, replaced = case(number)
    what = f"{name}, damaged: {describe(its_base, changed)}"
    path = tmp_path / "image"
    path.write_bytes(image)
    in_place = bool(number // len(NAMES) % 2)
    result, repaired = repair(run, path, tmp_path, in_place, its_base.sb)
    if repaired is None:
        # no room is what a small device may say, and what option is needed;
        # neither writes anything
        assert believed or in_place and "no room" in result.err, \
            f"{what}\n{result.err}"
        assert path.read_bytes() == image
        return
    fault = judge(its_base, changed, believed, replaced, repaired,
                  result.err)
    assert fault is None, f"{what}\n{fault}"
    if in_place:
        again = run("era_repair", "--in-place", path)
        assert again.status == 0, what
        assert path.read_bytes() == repaired, f"{what}: a second repair writes"
    else:
        assert path.read_bytes() == image, "the input has changed"


def test_an_era_above_the_current_one_is_repaired(run, image, tmp_path):
    damaged = Mutation(data.read("clean"))
    block = damaged.find("era array block")
    damaged.edit(block, blocks.ARRAY, 24 + 4 * 142, "I", 7000)
    path = image("damaged", damaged.bytes())
    result, repaired = repair(run, path, tmp_path, False, damaged.sb)
    assert repaired is not None, result.err
    metadata = Metadata(repaired)
    assert metadata.problems() == []
    before = Metadata(data.read("clean")).last_written()
    assert all(new >= old for new, old
               in zip(metadata.last_written(), before))


def test_nothing_is_lost_of_what_crashes_left(repaired):
    truth = data.truth(repaired.name)
    for result in (repaired.in_place.image, repaired.to_another.new):
        metadata = Metadata(result)
        assert metadata.problems() == []
        last = metadata.last_written()
        for era, written in truth["checks"]:
            lost = {block for block in expand(written) if last[block] < era}
            assert not lost, f"since era {era}: {ranges(lost)}"
