# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tools make of a device whose life is over, against what is true.

Nothing whose write was released may be missing from a list that a user could
ask for, unless the tool says that it knows no answer. What is named besides is
counted.
"""

import random
import re

import twin
from bench import BLOCK, Truth
from kinds import KINDS, Replay, kind_for, write_life
from reader import Damage, Reader, kind_of

MAX_ERA = 0xFFFFFFFF
ASKED = 3           # eras for which it is counted what is named besides
IN_PLACE_SHARE = .5
GO_ON_SHARE = .25
DUMP_SHARE = .25


class Outcome(dict):
    """What was seen of one life: plain values, to be kept as JSON.

    failures: what must not be, each with a name (run --help).
    """

    def fail(self, name, what):
        self["failures"].append(name)
        self["story"].append(f"{name}: {what}")


class Judge:
    def __init__(self, bench, tools, scratch):
        self.bench, self.tools, self.scratch = bench, tools, scratch
        self.last_twin = None   # of the life that was judged last

    def run(self, *command):
        return self.tools.run(*command)

    def file(self, name, image=None, size=None):
        path = self.scratch / name
        with open(path, "wb") as file:
            if image is not None:
                file.write(image)
            else:
                file.truncate(size)
        return path

    def reader(self, image):
        return Reader(image, self.bench.checksum)

    def dates(self, image):
        """What is reachable, without a look at anything else; or None."""
        try:
            return self.reader(image).dates()
        except (Damage, OverflowError):
            return None

    def repair(self, how, image, block_size):
        """The file with the result, and how the tool ended; the size of data
        blocks is told to a tool that asks for it."""
        def once(*options):
            if how == "in_place":
                target = self.file("in-place", image)
                return target, self.run("era_repair", *options, "--in-place",
                                        target)
            source = self.file("image", image)
            target = self.file("repaired", size=len(image))
            return target, self.run("era_repair", *options, "-i", source,
                                    "-o", target)

        target, done = once()
        if done.status and "--block-size" in done.err:
            target, done = once(f"--block-size={block_size}")
        return target, done

    # --- one life ------------------------------------------------------------

    def life(self, seed, kind=None):
        """Lives one and judges it. Returns its author and the outcome."""
        kind = kind or kind_for(seed)
        author = write_life(self.bench, seed, kind)
        return author, self.judge(author, seed)

    def script(self, text):
        """The same of a script of steps."""
        author = Replay(self.bench, text)
        author.life.repair = lambda how, image: self.repair(
            how, image, author.life.block_size)[0].read_bytes()
        author.play()
        return author, self.judge(author, "script")

    def judge(self, author, seed):
        life, kind = author.life, author.kind
        self.last_twin = None
        outcome = Outcome(seed=seed, kind=kind, faults=author.faults,
                          failed_steps=life.failed, failures=[], story=[],
                          nr_metadata=life.disk.nr_blocks,
                          nr_blocks=author.nr_blocks)
        chance = random.Random(f"judge {kind} {seed}")
        case = Case(self, author, outcome, chance)
        case.check_and_list(sound=KINDS[kind].sound)
        results = case.repairs()
        if KINDS[kind].sound:
            case.no_repair_is_refused()
            case.snapshot_list()
        case.dump_and_restore()
        case.look_for_evidence()
        if results and chance.random() < GO_ON_SHARE:
            self.let_kernel_go_on(author, seed, outcome,
                                  chance.choice(sorted(results)), results)
        if self.tools.crashes:
            outcome.fail("crash", self.tools.crashes)
            self.tools.crashes = []
        return outcome

    def let_kernel_go_on(self, author, seed, outcome, how, results):
        """Old truth and new must hold, and what was repaired is sound."""
        image = results[how]
        life = author.life
        outcome["went_on"] = how
        if len(image) != life.disk.nr_blocks * BLOCK:
            return
        life.repair = lambda *_: image
        life.do("repaired", how)
        # none, where the kernel had got no further than to format it
        author.nr_blocks = self.reader(image).superblock().nr_blocks or \
            author.nr_blocks
        author.random = random.Random(f"goes on {author.kind} {seed}")
        author.go_on()
        after = Outcome(failures=[], story=[])
        case = Case(self, author, after,
                    random.Random(f"judge again {author.kind} {seed}"))
        case.check_and_list(sound=True)
        case.repairs()
        if any(f.endswith("_lost") for f in after["failures"]):
            outcome.fail("after_lost", after["story"])
        if "false_alarm" in after["failures"]:
            outcome.fail("after_alarm", after["story"])
        if any(f.endswith("_rejected") for f in after["failures"]):
            outcome.fail("after_rejected", after["story"])


class Case:
    """A device as it lies there, and what is true of it."""

    def __init__(self, judge, author, outcome, chance):
        self.judge_, self.author, self.outcome = judge, author, outcome
        self.chance = chance
        self.disk = author.life.disk
        self.image = self.disk.image()
        self.file = judge.file("image", self.image)
        self.nr_blocks = author.nr_blocks
        self.truth = Truth(self.disk, self.nr_blocks)
        reported = self.truth.reported()
        self.newest = reported[-1] if reported else 0
        self.eras = sorted({*reported[:1], *reported[-1:],
                            *chance.sample(reported,
                                           min(ASKED, len(reported)))})
        self.lost_blocks = {}   # by tool: which data blocks it misses
        self.dates = {}         # by tool: how its result dates each block

    def run(self, *command):
        return self.judge_.run(*command)

    # --- what is there --------------------------------------------------------

    def check_and_list(self, sound):
        done = self.run("era_check", self.file)
        self.outcome["check"] = done.status
        if done.status and sound:
            self.outcome.fail("false_alarm", done.err)
        elif done.status:
            self.outcome["story"].append(f"era_check: {done.err}")
        era = self._era_to_ask_for()
        done = self.run("era_invalidate", "--format=text",
                        "--written-since", era, self.file)
        self.outcome["list"] = done.status
        if done.status:
            if sound and not self.outcome["check"]:
                self.outcome.fail("list_refused", done.err)
            return
        if self.outcome["check"] == 1:
            self.outcome["story"].append("era_invalidate lists all the same")
        named = _expand(done.out, self.nr_blocks)
        missing, extra = self.truth.compare(named, era)
        self.outcome["list_extra"] = len(extra) / max(1, self.nr_blocks)
        if missing:
            self.lost_blocks["list"] = missing
            # what is not named is dated before the era, for all one knows
            self.dates["list"] = [MAX_ERA if n else era - 1 for n in named]
            self.outcome.fail("list_lost", f"since era {era} blocks "
                              f"{missing[:8]} of {len(missing)}")
        elif extra and sound:
            self.outcome["story"].append(
                f"listed since era {era}, and not written: {extra[:8]}")

    def _era_to_ask_for(self):
        """One for which what is reachable misses something, if there is."""
        dates = self.judge_.dates(self.image)
        if dates is not None:
            nr, first, _ = self.truth.lost(dates)
            if nr:
                return self.truth.dates[first]
        return self.chance.choice(self.eras) if self.eras else 0

    # --- what is made of it -----------------------------------------------------

    def repairs(self):
        """Both; returns the images that lose nothing, by how."""
        results = {}
        image = self._repair("repair")
        if image:
            results["repair"] = image
        if "repair_lost" in self.outcome["failures"] or \
                self.chance.random() < IN_PLACE_SHARE:
            image = self._repair("in_place")
            if image:
                results["in_place"] = image
        return results

    def _repair(self, name):
        target, done = self.judge_.repair(name, self.image,
                                          self.author.block_size)
        self.outcome[name] = done.status
        self.outcome["story"].append(
            f"era_repair ({name}), status {done.status}: {done.err}")
        if done.status:
            return None
        image = target.read_bytes()
        if self._result_is_right(name, image):
            return image
        return None

    def no_repair_is_refused(self):
        """Of a sound device, whatever era_check had to say of it."""
        for name in ("repair", "in_place"):
            if self.outcome.get(name):
                self.outcome.fail("repair_refused", f"{name} (above)")

    def _result_is_right(self, name, image):
        reader = self.judge_.reader(image)
        problems = reader.problems()
        if problems:
            self.outcome.fail(f"{name}_rejected", problems[:5])
        dates = self.judge_.dates(image)
        if dates is None:
            return False
        nr, _, past_end = self.truth.lost(dates)
        if nr:
            lost = self.truth.lost_blocks(dates)
            self.lost_blocks[name] = lost
            self.dates[name] = dates
            self.outcome[f"{name}_past_end"] = past_end
            self.outcome.fail(f"{name}_lost", "blocks dated too low: " +
                              ", ".join(f"{b} ({_date(dates, b)} and not "
                                        f"{self.truth.dates[b]})"
                                        for b in lost[:6]))
        extra = max((self.truth.extra(dates, era) for era in self.eras),
                    default=0)
        self.outcome[f"{name}_extra"] = extra / max(1, self.nr_blocks)
        return not nr and not problems

    # --- other ways to the same knowledge ------------------------------------------

    def snapshot_list(self):
        try:
            held = self.judge_.reader(self.image).superblock().snapshot
        except Damage:
            return
        eras = [era for era in self.eras if self.truth.since(era, True)]
        if not held or not eras:
            return
        era = self.chance.choice(eras)
        done = self.run("era_invalidate", "--format=text",
                        "--metadata-snapshot", "--written-since", era,
                        self.file)
        self.outcome["snapshot"] = done.status
        if done.status:
            self.outcome.fail("snapshot_refused", done.err)
            return
        missing, extra = self.truth.compare(
            _expand(done.out, self.nr_blocks), era, snapshot=True)
        if missing:
            self.outcome.fail("snapshot_lost",
                              f"since era {era} blocks {missing[:8]}")
        self.outcome["snapshot_extra"] = len(extra) / max(1, self.nr_blocks)

    def dump_and_restore(self):
        if self.outcome["check"] or self.chance.random() >= DUMP_SHARE:
            return
        dump = self.judge_.file("dump.xml", b"")
        done = self.run("era_dump", "-o", dump, self.file)
        self.outcome["dump"] = done.status
        if done.status:
            if not self.outcome["list"]:
                self.outcome.fail("dump_refused", done.err)
            return
        target = self.judge_.file("restored", size=len(self.image) + 16 *
                                  BLOCK)
        done = self.run("era_restore", "-i", dump, "-o", target)
        if done.status:
            self.outcome.fail("restore_refused", done.err)
            return
        self._result_is_right("restore", target.read_bytes())

    # --- evidence ---------------------------------------------------------------------

    def look_for_evidence(self):
        """Of what is missing: what is left of it on the device, and whether
        another life has left the same bytes."""
        if not self.lost_blocks:
            return
        self.outcome["trace"] = trace(self.author.life)
        found = twin.find(self.author.life, self.lost_blocks, self.dates)
        self.outcome["twin"] = found.name if found else None
        self.judge_.last_twin = found
        if found:
            self.outcome["story"].append(
                f"no tool can know it: {found.meaning}")


def trace(life):
    """Which blocks a history that is no longer reachable wrote last, by kind:
    {} where nothing of it is left. None: there is no such history."""
    if not life.lost_history:
        return None
    begin, end = life.lost_history
    left = {}
    for block, i in {b: i for i, b in enumerate(life.disk.log())}.items():
        if block > 0 and begin <= i < end:
            kind = kind_of(life.disk.block(block), life.bench.checksum)
            left[kind] = left.get(kind, 0) + 1
    return left


def _date(dates, block):
    return dates[block] if block < len(dates) else "past the end"


def _expand(text, nr_blocks):
    """A byte for each data block that lines of `BEGIN LENGTH` name."""
    named = bytearray(nr_blocks)
    for begin, length in re.findall(rb"(\d+) (\d+)", text):
        begin, end = int(begin), min(int(begin) + int(length), nr_blocks)
        if begin < end:
            named[begin:end] = b"\1" * (end - begin)
    return named
