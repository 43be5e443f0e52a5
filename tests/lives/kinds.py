# SPDX-License-Identifier: GPL-2.0-or-later
"""Random lives, by kind: what is written and when, what goes wrong.

An Author writes a life step by step as it is lived, for what comes next
depends on how much room there is left. The steps alone live it again.
"""

import random
import re
from collections import namedtuple

from life import Life, parse
from reader import Reader, kind_of

# of all lives so many in a hundred; sound: nothing is wrong with the metadata
Kind = namedtuple("Kind", "share sound meaning")
KINDS = {
    "none": Kind(7, True, "closed, or still open when it was copied"),
    "crash": Kind(14, True, "a power cut at any write"),
    "early": Kind(24, False, "a table loaded before the suspend"),
    "old-superblock": Kind(12, False, "block 0 as it was before"),
    "lost-write": Kind(11, False, "a write that did not arrive, found later"),
    "lived-with": Kind(4, False, "the same, and the kernel went on"),
    "no-superblock": Kind(8, False, "block 0 zeroed or overwritten"),
    "rot": Kind(11, False, "a block in use is damaged"),
    "format": Kind(4, True, "block 0 zeroed, formatted over old metadata"),
    "two": Kind(5, False, "two of these at once"),
}
FAULTS = ("early", "old-superblock", "lost-write", "no-superblock", "rot",
          "rot")
MAX_LOG = 12000


class Over(Exception):
    """The device takes no more steps: its life ends as it is."""


def kind_for(seed):
    return random.Random(f"kind {seed}").choices(
        list(KINDS), [kind.share for kind in KINDS.values()])[0]


class Author:
    def __init__(self, bench, seed, kind):
        self.random = random.Random(f"{kind} {seed}")
        self.kind = kind
        self.life = Life(bench)
        self.faults = []
        self.resize_rate = 0
        self._choose_sizes()
        self._choose_habits()

    # --- what kind of a device it is ----------------------------------------

    def _choose_sizes(self):
        r = self.random
        self.nr_blocks = r.choices(
            [r.randint(40, 300), r.randint(40, 2000), r.randint(2000, 33000),
             r.randint(33000, 150000), r.randint(257000, 300000)],
            [44, 44, 9, 2.6, .4])[0]
        self.block_size = r.choice([8, 16, 24, 128, 2048])
        need = 14 + 2 * self._array_blocks() + 5 * (self._bitset_blocks() + 1)
        self.tight = r.random() < .4
        if self.tight:
            nr_metadata = need + r.randint(2, 14)
        elif r.random() < .75:
            nr_metadata = int(need * r.uniform(1.3, 3))
        else:
            nr_metadata = need * 3 + r.randint(0, 250)
        self.most_blocks = self.nr_blocks if self.tight \
            else int(self.nr_blocks * 1.5)
        self.life.do("device", nr_metadata)

    def _array_blocks(self):
        return -(-self.nr_blocks // 1018)

    def _bitset_blocks(self):
        return -(-self.nr_blocks // (509 * 64))

    def _choose_habits(self):
        r = self.random
        if r.random() < .15:
            self.life.do("pressure", r.getrandbits(30),
                         r.choice([200, 2000]), r.choice([0, 300, 3000]))
        self.careless = r.random() < .05   # of room
        self.worker = r.choice(["done", "done", "done", "behind", "mixed",
                                r.choice(["done", "done", "idle"])])
        self.popular = [r.randrange(self.nr_blocks)
                        for _ in range(r.choice([1, 3, 20, 100]))]
        self.pattern = r.choice(["popular", "any", "in order", "mixed",
                                 "mixed"])
        self.position = 0
        self.status_rate = r.choice([1, .9, .5])

    def _data_block(self):
        r, pattern = self.random, self.pattern
        if pattern == "mixed":
            pattern = r.choice(["popular", "any", "in order"])
        if pattern == "popular":
            return r.choice(self.popular) % self.nr_blocks
        if pattern == "in order":
            self.position = (self.position + 1) % self.nr_blocks
            return self.position
        return r.randrange(self.nr_blocks)

    # --- an era --------------------------------------------------------------

    def do(self, *step):
        result = self.life.do(*step)
        if self.life.is_dead or self.life.disk.len_log > MAX_LOG:
            raise Over
        return result

    def status(self):
        self.do("status")

    def status_perhaps(self):
        if self.random.random() < self.status_rate:
            self.status()

    def let_worker_run(self):
        r, worker = self.random, self.worker
        if worker == "mixed":
            worker = r.choice(["done", "behind", "idle"])
        if worker == "done":
            self.do("work")
        elif worker == "behind":
            self.do("work", r.choice([1, 2, 3, 5, 9, 30]))

    def see_to_room(self):
        """As who chose a device of the right size does."""
        if self.careless:
            return
        limit = 9 + self._array_blocks() + 2 * self._bitset_blocks()
        for remedy in ("work", "drop", None):
            free, has_snapshot = self.life.live.room() or (0, False)
            if free >= limit:
                return
            if remedy == "work":
                self.do("work")
                self.status()
            elif remedy == "drop" and has_snapshot:
                self.do("message", "drop_metadata_snap")
                self.status()
                self.do("work")
        raise Over

    def writes(self, nr=None):
        r = self.random
        for _ in range(r.choice([1, 1, 2, 3, 6]) if nr is None else nr):
            self.see_to_room()
            first, length = self._data_block(), r.choice([1, 1, 2, 4, 8])
            if r.random() < .6:
                blocks = [(first + i) % self.nr_blocks
                          for i in range(length)]
            else:
                blocks = [self._data_block() for _ in range(length)]
            self.do("write" if r.random() < .95 else "send", *blocks)
            if self.worker != "done" or r.random() < .3:
                self.let_worker_run()

    def era(self, snapshot_rate=.12):
        r = self.random
        if r.random() < .88:
            self.writes()
        self.see_to_room()
        x = r.random()
        if x < snapshot_rate * .6:
            self.do("message", "take_metadata_snap")
        elif x < snapshot_rate:
            self.do("message", "drop_metadata_snap")
        elif x < snapshot_rate + .04 and not self.life.loaded:
            self.do("suspend")
            if not self.do("resume"):
                raise Over
        elif x < snapshot_rate + .07 and not self.life.loaded:
            self.change_table()
        else:
            self.do("message", "checkpoint")
        self.status_perhaps()
        self.let_worker_run()

    def eras(self, nr, **options):
        for _ in range(nr):
            self.era(**options)

    def new_size(self):
        r = self.random
        if r.random() >= self.resize_rate:
            return self.nr_blocks
        factor = r.choice([.5, .9, 1.1, 1.3, r.uniform(.3, 1.5)])
        return min(max(30, int(self.nr_blocks * factor)), self.most_blocks)

    def change_table(self):
        """Done right: after the suspend."""
        self.do("suspend")
        size = self.new_size()
        if not self.do("load", size):
            raise Over
        self.nr_blocks = size
        if not self.do("resume"):
            raise Over
        self.let_worker_run()

    # --- a life --------------------------------------------------------------

    def open(self):
        self.nr_blocks = self.new_size()
        if not self.do("create", self.block_size, self.nr_blocks):
            raise Over
        self.status_perhaps()
        self.let_worker_run()

    def close(self):
        self.do("remove")

    def power_cut(self):
        r, disk = self.random, self.life.disk
        at = disk.len_log
        if r.random() >= .3:
            at = max(self.life.formatted,
                     at - r.randint(0, r.choice([8, 40, 200])))
        share = r.choice([0, .25, .5, .75, 1])
        kept = [i for i in range(disk.nr_unflushed(at)) if r.random() < share]
        self.life.do("power-cut", disk.len_log - at, *kept)

    def open_and_close(self, nr_eras=None, nr_opens=None):
        """Opened some times, with some eras each; open at the end."""
        r = self.random
        nr_eras = nr_eras or r.choice([1, 3, 6, 12, 25, 60])
        nr_opens = nr_opens or r.randint(1, min(5, nr_eras))
        resize_rate = r.choice([0, 0, 0, .3])
        for opened in range(nr_opens):
            self.open()
            self.resize_rate = resize_rate
            self.eras(r.randint(0, max(1, nr_eras // nr_opens)))
            if opened < nr_opens - 1:
                self.close_or_cut()

    def close_or_cut(self):
        if self.random.random() < .5:
            self.close()
        else:
            self.power_cut()

    def load_too_early(self):
        r = self.random
        size = self.nr_blocks
        if r.random() < .15:
            size = min(max(30, int(size * r.choice([.8, 1.2]))),
                       self.most_blocks)
        if not self.do("load", size):
            raise Over
        nr = r.choice([0, 0, 1, 1, 2, 3, 5, 10, 25])
        if not nr:
            self.writes(r.choice([0, 1, 2, 5]))
        self.eras(nr, snapshot_rate=r.choice([.12, .4]))
        if nr and r.random() < .6:
            self.writes()
        self.do("suspend")
        self.nr_blocks = size
        if not self.do("resume"):
            raise Over
        self.status_perhaps()
        self.let_worker_run()
        self.writes(r.choice([0, 1, 2, 4]))
        self.eras(r.choice([0, 0, 1, 1, 2, 4, 8, 20]))
        if r.random() < .5:
            self.writes()
        if r.random() < .25:
            self.close()
            self.open()
            self.eras(r.choice([0, 1, 3]))

    def live_with_a_lost_write(self):
        r = self.random
        self.do("lose", r.randint(1, 60))
        for _ in range(r.randint(1, 4)):
            self.eras(r.randint(0, 4))
            if r.random() < .5:
                self.close_or_cut()
                self.open()
        self.do("lose", 0)

    def format_again(self):
        """Block 0 alone is zeroed, as the kernel asks for."""
        self.close_or_cut()
        self.resize_rate = 0
        if self.random.random() < .5:
            self.nr_blocks = self.random.randint(30, self.most_blocks)
        self.life.do("zero", 0)
        nr = self.random.choice([1, 3, 6, 12])
        self.open_and_close(nr, self.random.randint(1, min(3, nr)))

    def end(self, cut):
        if self.life.loaded:
            cut = True
        if not cut and self.life.can_go_on:
            self.life.do("remove")
        if self.life.live:
            self.power_cut()

    def go_on(self):
        """The kernel opens what was repaired, and more than once."""
        r = self.random
        self.resize_rate = 0
        self.life.formatted = self.life.disk.len_log
        try:
            for last in (False, False, True)[-r.randint(1, 3):]:
                self.open()
                self.eras(r.choice([0, 1, 2, 5, 12]))
                if not last:
                    self.close_or_cut()
        except Over:
            pass
        self.end(cut=r.random() < .5)

    # --- what befalls it at the end ---------------------------------------------

    def _commits(self):
        """Entries of the log that wrote the superblock."""
        return [i for i, b in enumerate(self.life.disk.log())
                if b == 0 and i >= self.life.formatted - 1]

    def put_old_superblock_back(self):
        commits = self._commits()
        if len(commits) < 2:
            return
        back = self.random.randint(1, min(20, len(commits) - 1))
        self.life.do("superblock-again",
                     self.life.disk.len_log - commits[-1 - back])
        self.faults.append(f"superblock of {back} commits before")

    def lose_a_write(self):
        commits, log = self._commits(), self.life.disk.log()
        if len(commits) < 3:
            return
        back = min(self.random.choice([1, 1, 2, 3, 5, 8]), len(commits) - 1)
        newest = {block: i for i, block in enumerate(log)}
        candidates = [i for i in range(commits[-1 - back] + 1, len(log))
                      if log[i] > 0 and newest[log[i]] == i]
        if not candidates or self.random.random() < .1:
            candidates = commits[-1:]
        entry = self.random.choice(candidates)
        checksum = self.life.bench.checksum
        self.faults.append(
            f"write of block {log[entry]} lost: "
            f"{kind_of(self.life.disk.written(entry), checksum)}, "
            f"{sum(c > entry for c in commits)} commits before the last; "
            f"there now: {kind_of(self.life.disk.before(entry), checksum)}")
        self.life.do("undo-write", len(log) - entry)

    def lose_the_superblock(self):
        r = self.random
        how = r.choice(["zero", "garbage", "flip", "zero-sector"])
        if how == "zero":
            self.life.do("zero", 0)
        elif how == "garbage":
            self.life.do("garbage", 0, r.getrandbits(30))
        elif how == "zero-sector":
            self.life.do("zero-sector", 0, 0)
        else:
            for end in (4096, 224, 224):
                self.life.do("flip", 0, r.randrange(8 * end))
        self.faults.append(f"superblock: {how}")

    def let_a_block_rot(self):
        r = self.random
        reader = Reader(self.life.disk.image(), self.life.bench.checksum)
        reader.problems()
        roles = {}
        for block, role in reader.roles.items():
            roles.setdefault(role, []).append(block)
        roles.pop("superblock", None)
        if not roles:
            return
        role = r.choice(sorted(roles))
        block = r.choice(sorted(b for b in roles[role]
                                if b < self.life.disk.nr_blocks))
        how = r.choice(["zero", "flip", "zero-sector", "zero-sector"])
        argument = {"zero": (), "flip": (r.randrange(8 * 4096),),
                    "zero-sector": (r.randrange(8),)}[how]
        self.life.do(how, block, *argument)
        self.faults.append(f"{role} {block}: {how}")


DURING = {"early": Author.load_too_early, "format": Author.format_again,
          "lived-with": Author.live_with_a_lost_write}
AFTERWARDS = {"old-superblock": Author.put_old_superblock_back,
              "lost-write": Author.lose_a_write,
              "no-superblock": Author.lose_the_superblock,
              "rot": Author.let_a_block_rot}


def write_life(bench, seed, kind):
    """An Author with a life that is over, and what went wrong in it."""
    author = Author(bench, seed, kind)
    kinds = [kind]
    if kind == "two":
        kinds = author.random.sample(FAULTS, 2)
        author.faults.append(" and ".join(kinds))
    try:
        author.open_and_close()
        for name in kinds:
            if name in DURING:
                DURING[name](author)
    except Over:
        pass
    if kind == "lived-with":
        author.life.do("lose", 0)
    author.end(cut=kind == "crash" or author.random.random() < .5)
    for name in kinds:
        if name in AFTERWARDS:
            AFTERWARDS[name](author)
    return author


class Replay(Author):
    """The author of a script that is there already."""

    def __init__(self, bench, text):
        match = re.search(r"^# kind ([-a-z]+)", text, re.M)
        self.kind = match[1] if match and match[1] in KINDS else "early"
        self.faults = []
        self.random = random.Random(text)
        self.life = Life(bench)
        self.tight, self.careless, self.resize_rate = False, False, 0
        self.worker, self.pattern, self.status_rate = "done", "any", 1
        self.script = parse(text)

    def play(self):
        self.life.play(self.script)
        self.block_size = self.life.block_size
        self.nr_blocks = self.most_blocks = self.life.nr_blocks
        return self
