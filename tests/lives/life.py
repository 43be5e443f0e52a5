# SPDX-License-Identifier: GPL-2.0-or-later
"""A device's life as a script of steps, and what plays them.

A step is a word and its arguments, a script one step a line:

    device BLOCKS               an empty metadata device of so many blocks
    pressure SEED EARLY EVICT   from here on the kernel lacks memory: in so
                                many of 65536 calls dm-bufio writes a buffer
                                early, or forgets one
    create SIZE BLOCKS          dmsetup create: data blocks of SIZE sectors
    status                      dmsetup status: from here on the era is known
    write BLOCK...              data blocks are written, and the writes return
    send BLOCK...               the same, but nobody waits for them
    work [STEPS]                the worker runs so often, or until it is done
    message WORD                dmsetup message
    suspend
    load BLOCKS                 dmsetup load, for an origin of so many blocks
    resume                      with the table that was loaded, if one was
    remove
    lose N                      the N-th write from here on is lost
    power-cut BACK KEPT...      the power went so many entries before the end
                                of the log of writes and flushes, and of the
                                writes since the flush before that these,
                                counted from 0, had arrived; or `all`
    zero BLOCK                  dd if=/dev/zero: a metadata block is zeroed
    zero-sector BLOCK SECTOR    and so is one of its sectors, by rot
    flip BLOCK BIT              rot of one bit
    garbage BLOCK SEED          or of all of it
    superblock-again BACK       block 0 is what was written so many entries
                                before the end of the log
    undo-write BACK             that write never reached the device
    repaired HOW                by era_repair, to another device (repair) or in
                                place (in_place)

A # begins a comment. What nothing can be done with any more, such as a device
whose worker has oopsed, takes no steps but a power cut: as with the kernel.
"""

import random

from bench import FLUSH, BLOCK, Device, Disk


class Impossible(Exception):
    """A step that says more than has happened."""


class Life:
    def __init__(self, bench):
        self.bench = bench
        self.steps = []
        self.disk = None
        self.live = None        # the table in use
        self.loaded = None      # the one that is loaded beside it
        self.early = None       # the log's length when that was too early
        self.suspended = False
        self.block_size = 0
        self.nr_blocks = 0      # of the origin
        self._loaded_nr_blocks = 0
        self.formatted = 0      # the log's length after the kernel did
        self.failed = []        # what did not work, in words
        # Of the history that the superblock has no part in: the part of the
        # log in which it was written, or None.
        self.lost_history = None
        # makes an image of one, as the step `repaired` says
        self.repair = None

    def do(self, word, *arguments):
        self.steps.append((word, *arguments))
        return getattr(self, "_" + word.replace("-", "_"))(*arguments)

    def play(self, steps):
        for step in steps:
            self.do(*step)
        return self

    def free(self):
        self._abandon()
        if self.disk:
            self.disk.free()
            self.disk = None

    @property
    def is_dead(self):
        return self.live is not None and self.live.is_dead

    @property
    def can_go_on(self):
        return self.live is not None and not self.live.is_dead

    # --- the device mapper -----------------------------------------------------

    def _device(self, nr_blocks):
        self.disk = Disk(self.bench, nr_blocks)

    def _pressure(self, seed, write_early, evict):
        self.disk.set_pressure(seed, write_early, evict)

    def _create(self, block_size, nr_blocks):
        """True where the device is there."""
        if self.live:
            return False
        blank = not any(self.disk.block(0))
        self.block_size, self.nr_blocks = block_size, nr_blocks
        self.live, error = Device.create(self.disk, block_size, nr_blocks)
        if not self.live:
            self.failed.append(f"create: errno {-error}")
            return False
        if blank:
            log = self.disk.log()
            self.formatted = len(log) - log[::-1].index(FLUSH) \
                if FLUSH in log else len(log)
        return self._resume()

    def _resume(self):
        if not self.can_go_on:
            return False
        old = None
        if self.loaded:
            old, self.live, self.loaded = self.live, self.loaded, None
            self.nr_blocks = self._loaded_nr_blocks
            if self.early is not None:
                self.lost_history = (self.early, self.disk.len_log)
        error = self.live.resume()
        self.suspended = False
        if old:
            old.remove()
        if error:
            self.failed.append(f"resume: errno {-error}")
        return not error

    def _suspend(self):
        if not self.can_go_on:
            return
        self.live.suspend()
        self.suspended = True

    def _load(self, nr_blocks):
        if not self.can_go_on or self.loaded:
            return False
        self.early = None if self.suspended else self.disk.len_log
        self.loaded, error = Device.create(self.disk, self.block_size,
                                           nr_blocks)
        self._loaded_nr_blocks = nr_blocks
        if not self.loaded:
            self.failed.append(f"load: errno {-error}")
        return bool(self.loaded)

    def _remove(self):
        if not self.can_go_on:
            return
        if not self.suspended:
            self.live.suspend()
        if not self.live.is_dead:
            self.live.remove()
            self.live, self.suspended = None, False

    def _status(self):
        return self.live.status() if self.can_go_on else None

    def _message(self, word):
        return self.live.message(word) if self.can_go_on else None

    def _send(self, *blocks):
        if self.can_go_on:
            self.live.send(blocks)

    def _write(self, *blocks):
        if self.can_go_on:
            self.live.send(blocks)
            self.live.finish_writes()

    def _work(self, steps=1 << 40):
        if self.can_go_on:
            self.live.work(steps)

    # --- what befalls it -----------------------------------------------------------

    def _abandon(self):
        for device in (self.live, self.loaded):
            if device:
                device.abandon()
        self.live = self.loaded = None
        self.suspended = False

    def _entry(self, back):
        if back > self.disk.len_log:
            raise Impossible
        return self.disk.len_log - back

    def _power_cut(self, back, *kept):
        self._abandon()
        at = self._entry(back)
        if kept == ("all",):
            kept = range(self.disk.nr_unflushed(at))
        if kept and max(kept) >= self.disk.nr_unflushed(at):
            raise Impossible
        self.disk.power_cut(at, kept)

    def _lose(self, writes):
        self.disk.lose(writes)
        lost_at = self.disk.state.lost_at
        if lost_at >= 0 and not writes:
            log = self.disk.log()
            after = log.index(FLUSH, lost_at) if FLUSH in log[lost_at:] \
                else len(log)
            self.lost_history = (lost_at, after)

    def _zero(self, block):
        self.disk.put(block, bytes(BLOCK))

    def _zero_sector(self, block, sector):
        content = bytearray(self.disk.block(block))
        content[sector * 512:sector * 512 + 512] = bytes(512)
        self.disk.put(block, bytes(content))

    def _flip(self, block, bit):
        content = bytearray(self.disk.block(block))
        content[bit // 8] ^= 1 << bit % 8
        self.disk.put(block, bytes(content))

    def _garbage(self, block, seed):
        self.disk.put(block, random.Random(seed).randbytes(BLOCK))

    def _superblock_again(self, back):
        entry = self._entry(back)
        self.lost_history = (entry + 1, self.disk.len_log)
        self.disk.put(0, self.disk.written(entry))

    def _undo_write(self, back):
        entry, log = self._entry(back), self.disk.log()
        if log[entry] == FLUSH:
            raise Impossible
        before = entry - log[:entry][::-1].index(FLUSH) \
            if FLUSH in log[:entry] else 0
        after = log.index(FLUSH, entry) if FLUSH in log[entry:] else len(log)
        self.lost_history = (before, after)
        self.disk.put(log[entry], self.disk.before(entry))

    def _repaired(self, how):
        self.disk.put_image(self.repair(how, self.disk.image()))
        self.formatted = self.disk.len_log


def render(steps):
    return "".join(" ".join(map(str, step)) + "\n" for step in steps)


def parse(text):
    steps = []
    for line in text.splitlines():
        word, *arguments = line.split("#")[0].split() or [None]
        if word:
            steps.append((word, *(int(a) if a.lstrip("-").isdigit() else a
                                  for a in arguments)))
    return steps
