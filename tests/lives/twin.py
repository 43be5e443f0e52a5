# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a loss could have been known: a twin is another life that leaves
the same device, byte for byte, and of which other things are true. What
a tool says of both is the same, so that no tool can be right about both.
"""

from collections import namedtuple

from bench import Truth
from life import Impossible, Life

Twin = namedtuple("Twin", "name meaning steps")

WRITES = ("write", "send")


def find(life, lost_blocks, dates):
    """A twin of which the tools' results are right, or None."""
    image = life.disk.image()
    missed = sorted(set().union(*map(set, lost_blocks.values())))
    for candidate in _with_other_ends(_candidates(life.steps, set(missed))):
        other = Life(life.bench)
        try:
            other.play(candidate.steps)
            if other.disk.image() == image and \
                    _is_right(other, lost_blocks, dates):
                return candidate
        except Impossible:
            pass
        finally:
            other.free()
    return None


def _is_right(other, lost_blocks, dates):
    nr_blocks = 1 + max(max(blocks) for blocks in lost_blocks.values())
    needed = Truth(other.disk, nr_blocks).dates
    return all(b < len(dates[name]) and dates[name][b] >= needed[b]
               for name, blocks in lost_blocks.items() for b in blocks)


def _early_load(steps):
    """Where a table was loaded and, too late, its device suspended."""
    suspended = False
    for i, (word, *_) in enumerate(steps):
        if word in ("create", "resume", "power-cut", "remove"):
            suspended = False
        elif word == "suspend":
            suspended = True
        elif word == "load" and not suspended:
            for k in range(i, len(steps)):
                if steps[k][0] == "suspend":
                    return i, k
    return None


def _with_other_ends(candidates):
    """A power cut at the end may have come where all had been written."""
    for candidate in candidates:
        yield candidate
        *before, last = candidate.steps
        if last[0] == "power-cut" and last[1]:
            yield candidate._replace(steps=[*before, ("power-cut", 0, "all")])


def _candidates(steps, missed):
    early = _early_load(steps)
    if early:
        load, suspend = early
        if steps[suspend + 1][0] == "resume":
            block_size = next(s[1] for s in steps if s[0] == "create")
            yield Twin("cut", "the device is the same, byte for byte, after "
                       "a power cut where the new table was loaded: then it "
                       "is sound",
                       [*steps[:load], ("power-cut", 0, "all"),
                        ("create", block_size, steps[load][1]),
                        *steps[suspend + 2:]])
        yield Twin("idle", "the device is the same, byte for byte, after a "
                   "life in which nothing happened between the load of the "
                   "new table and the suspend",
                   steps[:load + 1] + steps[suspend:])
        yield _without(steps, load, suspend, missed)
    yield _without(steps, 0, len(steps), missed)


def _without(steps, begin, end, missed):
    """Nothing was written there to what is missed."""
    changed = []
    for step in steps[begin:end]:
        if step[0] in WRITES:
            kept = [b for b in step[1:] if b not in missed]
            if kept:
                changed.append((step[0], *kept))
        else:
            changed.append(step)
    return Twin("unwritten", "the device is the same, byte for byte, after a "
                "life in which these blocks were not written",
                [*steps[:begin], *changed, *steps[end:]])
