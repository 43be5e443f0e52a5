# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's dm-era in a library: bench.so, by its C names."""

import ctypes
from ctypes import (POINTER, byref, c_bool, c_char_p, c_int, c_int64, c_long,
                    c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)

BLOCK = 4096
FLUSH = -1
# enum event_type
ARRIVED, RELEASED, FAILED, ERA, REPORTED, SHRUNK, SNAPSHOT, FORMAT = range(8)
MUST, MAY = 1, 2
OOPS = -9999


class Event(ctypes.Structure):
    _fields_ = [("type", c_uint32), ("value", c_uint32), ("at", c_uint64)]


class DiskState(ctypes.Structure):
    """struct disk, as far as it is read here."""
    _fields_ = [("nr_blocks", c_uint64), ("image", c_void_p),
                ("len_log", c_long), ("room_log", c_long),
                ("blocks", POINTER(c_int)), ("contents", c_void_p),
                ("nr_events", c_long), ("room_events", c_long),
                ("events", POINTER(Event)), ("random", c_uint64),
                ("write_early", c_uint32), ("evict", c_uint32),
                ("lose_in", c_long), ("lost_at", c_long),
                ("lost_block", c_int)]


_FUNCTIONS = {
    "disk_new": (POINTER(DiskState), c_uint64),
    "disk_free": (None, c_void_p),
    "disk_set_pressure": (None, c_void_p, c_uint64, c_uint32, c_uint32),
    "disk_lose": (None, c_void_p, c_long),
    "disk_put": (None, c_void_p, c_uint64, c_char_p),
    "disk_put_image": (None, c_void_p, c_char_p),
    "disk_nr_unflushed": (c_long, c_void_p, c_long),
    "disk_power_cut": (None, c_void_p, c_long, c_void_p, c_long),
    "disk_before": (c_void_p, c_void_p, c_long),
    "device_create": (c_void_p, c_void_p, c_uint32, c_uint64, c_void_p),
    "device_resume": (c_int, c_void_p),
    "device_suspend": (c_int, c_void_p),
    "device_message": (c_int, c_void_p, c_char_p),
    "device_status": (c_int, c_void_p, c_void_p),
    "device_room": (c_int, c_void_p, c_void_p, c_void_p),
    "device_send": (c_int, c_void_p, c_void_p, c_long),
    "device_finish_writes": (c_int, c_void_p),
    "device_work": (c_long, c_void_p, c_long),
    "device_is_dead": (c_int, c_void_p),
    "device_remove": (c_int, c_void_p),
    "device_abandon": (None, c_void_p),
    "device_why_dead": (c_char_p,),
    "device_set_verbose": (None, c_int),
    "truth_reported": (c_uint32, c_void_p, c_void_p, c_uint32),
    "truth_dates": (None, c_void_p, c_uint32, c_void_p),
    "truth_since": (c_bool, c_void_p, c_uint32, c_bool, c_uint32, c_void_p),
    "truth_lost": (c_uint32, c_void_p, c_uint32, c_void_p, c_uint32,
                   c_void_p, c_void_p),
    "truth_extra": (c_uint32, c_void_p, c_uint32, c_void_p, c_uint32,
                    c_uint32),
    "shim_crc32c": (c_uint32, c_uint32, c_char_p, c_size_t),
}


class Bench:
    """One kernel's code; its functions by their names."""

    def __init__(self, path):
        library = ctypes.CDLL(str(path))
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def checksum(self, block):
        """CRC-32C of all of a block but the checksum itself."""
        return self.shim_crc32c(0xFFFFFFFF, block[4:], BLOCK - 4)


class Disk:
    """A metadata device in memory."""

    def __init__(self, bench, nr_blocks):
        self.bench = bench
        self.nr_blocks = nr_blocks
        self._pointer = bench.disk_new(nr_blocks)
        self.handle = ctypes.cast(self._pointer, c_void_p)
        self.state = self._pointer.contents

    def free(self):
        if self.handle:
            self.bench.disk_free(self.handle)
            self.handle = None

    def image(self):
        return ctypes.string_at(self.state.image, self.nr_blocks * BLOCK)

    def block(self, number):
        return ctypes.string_at(self.state.image + number * BLOCK, BLOCK)

    @property
    def len_log(self):
        return self.state.len_log

    def log(self):
        """Blocks in the order in which they were written, and FLUSH."""
        return self.state.blocks[:self.state.len_log]

    def written(self, i):
        """What entry i of the log wrote."""
        return ctypes.string_at(self.state.contents + i * BLOCK, BLOCK)

    def before(self, i):
        """What the block of entry i held before."""
        old = self.bench.disk_before(self.handle, i)
        return ctypes.string_at(old, BLOCK) if old else bytes(BLOCK)

    def put(self, number, content):
        self.bench.disk_put(self.handle, number, content)

    def put_image(self, image):
        self.bench.disk_put_image(self.handle, image)

    def nr_unflushed(self, at):
        return self.bench.disk_nr_unflushed(self.handle, at)

    def power_cut(self, at, kept):
        self.bench.disk_power_cut(self.handle, at,
                                  (c_uint32 * len(kept))(*kept), len(kept))

    def set_pressure(self, seed, write_early, evict):
        self.bench.disk_set_pressure(self.handle, seed, write_early, evict)

    def lose(self, writes):
        self.bench.disk_lose(self.handle, writes)

    def events(self):
        return self.state.events[:self.state.nr_events]


class Device:
    """An instance of the target over a disk."""

    def __init__(self, disk, handle):
        self.bench = disk.bench
        self.handle = handle

    @classmethod
    def create(cls, disk, block_size, nr_blocks):
        """(device or None, errno)"""
        error = c_int()
        handle = disk.bench.device_create(disk.handle, block_size, nr_blocks,
                                          byref(error))
        return (cls(disk, handle) if handle else None), error.value

    @property
    def is_dead(self):
        return bool(self.bench.device_is_dead(self.handle))

    def resume(self):
        return self.bench.device_resume(self.handle)

    def suspend(self):
        return self.bench.device_suspend(self.handle)

    def message(self, text):
        return self.bench.device_message(self.handle, text.encode())

    def status(self):
        """The current era, or None."""
        era = c_uint32()
        failed = self.bench.device_status(self.handle, byref(era))
        return None if failed else era.value

    def room(self):
        """(free metadata blocks, whether a snapshot is held), or None."""
        free, snapshot = c_uint64(), c_uint64()
        failed = self.bench.device_room(self.handle, byref(free),
                                        byref(snapshot))
        return None if failed else (c_int64(free.value).value,
                                    bool(snapshot.value))

    def send(self, blocks):
        return self.bench.device_send(
            self.handle, (c_uint32 * len(blocks))(*blocks), len(blocks))

    def finish_writes(self):
        return self.bench.device_finish_writes(self.handle)

    def work(self, steps=1 << 40):
        return self.bench.device_work(self.handle, steps)

    def remove(self):
        self.bench.device_remove(self.handle)

    def abandon(self):
        self.bench.device_abandon(self.handle)


class Truth:
    """What is true of the first nr_blocks data blocks of a disk."""

    MAX_ERAS = 4096

    def __init__(self, disk, nr_blocks):
        self.disk, self.bench, self.nr_blocks = disk, disk.bench, nr_blocks
        self.dates = (c_uint32 * max(nr_blocks, 1))()
        self.bench.truth_dates(disk.handle, nr_blocks, self.dates)

    def reported(self):
        eras = (c_uint32 * self.MAX_ERAS)()
        nr = self.bench.truth_reported(self.disk.handle, eras, self.MAX_ERAS)
        return sorted(eras[:nr])

    def since(self, era, snapshot=False):
        """MUST and MAY of each block, or None where nobody knows the era."""
        flags = (c_uint8 * max(self.nr_blocks, 1))()
        known = self.bench.truth_since(self.disk.handle, era, snapshot,
                                       self.nr_blocks, flags)
        return flags if known else None

    def lost(self, dates):
        """How many blocks are dated too low (array of 32 bits), the first of
        them, and how many lie past the end of what is dated."""
        first, past_end = c_uint32(), c_uint32()
        nr = self.bench.truth_lost(self.dates, self.nr_blocks,
                                   *_pointer(dates), byref(first),
                                   byref(past_end))
        return nr, first.value, past_end.value

    def lost_blocks(self, dates):
        return [b for b in range(self.nr_blocks) if self.dates[b] and
                (b >= len(dates) or dates[b] < self.dates[b])]

    def extra(self, dates, era):
        """How many blocks dated from an era on may not be named for it."""
        flags = self.since(era)
        return 0 if flags is None else self.bench.truth_extra(
            flags, self.nr_blocks, *_pointer(dates), era)

    def compare(self, named, era, snapshot=False):
        """(missing, extra) of a list since an era, as block numbers."""
        flags = self.since(era, snapshot)
        if flags is None:
            return [], []
        flags = bytes(flags)[:self.nr_blocks]
        listed = bytes(named[:self.nr_blocks]).ljust(self.nr_blocks, b"\0")
        return (_in_first_alone(flags.translate(_MUST), listed),
                _in_first_alone(listed, flags.translate(_MAY)))


# a byte of flags: 1 where that one is set
_MUST = bytes(int(bool(flags & MUST)) for flags in range(256))
_MAY = bytes(int(bool(flags & MAY)) for flags in range(256))


def _in_first_alone(first, second):
    """Where bytes are 1 in the first, and 0 in the second."""
    alone = int.from_bytes(first, "little") & \
        ~int.from_bytes(second, "little")
    if not alone:
        return []
    return [i for i, byte in enumerate(alone.to_bytes(len(first), "little"))
            if byte]


def _pointer(dates):
    """An array of 32-bit values as C has it."""
    address, length = dates.buffer_info()
    return ctypes.cast(address, c_void_p), length
