# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's log of events, and what it says was written since when.

Events, a line each: `era N` (N is now seen to be the current era),
`write STAMP BLOCK COUNT [STRIDE]` (about to be written), `done STAMP` (the device
said that it is written), `failed STAMP` (it said that it is not),
`snapshot` (a metadata snapshot was just taken).

Where eras count upwards, "since era E" means the eras E and later.  A table
loaded too early makes them start again from a lower number; what a backup
means is then still "after I saw that E was current".  So that is what the
history goes by.
"""

from dataclasses import dataclass


@dataclass
class Write:
    stamp: int
    blocks: range
    done: bool = False


def merge(blocks):
    """Sorted [begin, end) runs of a set of blocks."""
    runs = []
    for block in sorted(blocks):
        if runs and runs[-1][1] == block:
            runs[-1][1] = block + 1
        else:
            runs.append([block, block + 1])
    return runs


class History:
    def __init__(self, block_size):
        self.block_size = block_size
        self.last_stamp = 0
        self._writes = []       # in the order they began
        self._first_seen = {}   # era -> how many writes had begun by then
        self._snapshot = 0      # how many had begun when it was taken

    def add_boot(self, events):
        """Adds the log of one more boot."""
        open_writes = {}
        for line in events:
            kind, *values = line.split()
            if kind == "era":
                self._first_seen.setdefault(int(values[0]),
                                            len(self._writes))
            elif kind == "write":
                stamp, begin, count, stride = map(int, [*values, 1][:4])
                self.last_stamp = max(self.last_stamp, stamp)
                write = Write(stamp, range(begin, begin + count * stride,
                                           stride))
                open_writes[stamp] = write
                self._writes.append(write)
            elif kind == "done":
                open_writes[int(values[0])].done = True
            elif kind == "snapshot":
                self._snapshot = len(self._writes)

    def add_truth(self, checks):
        """The same from checks() of a history that is over."""
        since = [(era, set().union(*(range(*run) for run in runs)))
                 for era, runs in checks]
        for (era, blocks), (_, later) in zip(since, [*since[1:], (0, set())]):
            self._first_seen[era] = len(self._writes)
            self._writes += [Write(0, range(*run), done=True)
                             for run in merge(blocks - later)]

    @property
    def eras(self):
        """All eras seen, ascending."""
        return sorted(self._first_seen)

    def _since(self, era, done):
        if era > self.eras[-1]:
            return set()
        blocks = set()
        for write in self._writes[self._first_seen[era]:]:
            if write.done or not done:
                blocks.update(write.blocks)
        return blocks

    def written_since(self, era):
        """Data blocks that the device said were written."""
        return self._since(era, done=True)

    def begun_since(self, era):
        """The same and those whose fate the log does not know."""
        return self._since(era, done=False)

    def newest_done(self):
        """{data block: stamp} of the last write that each one is said to
        hold."""
        return {block: write.stamp for write in self._writes if write.done
                for block in write.blocks}

    def written_before_snapshot_since(self, era):
        """The same of the writes that the metadata snapshot knows."""
        blocks = set()
        first = self._first_seen.get(era, self._snapshot)
        for write in self._writes[first:self._snapshot]:
            if write.done:
                blocks.update(write.blocks)
        return blocks

    def checks(self, nr_blocks):
        """[[era, [[begin, end), ...]], ...] for every era seen."""
        return [[era, merge(b for b in self.written_since(era)
                            if b < nr_blocks)]
                for era in self.eras]
