# SPDX-License-Identifier: GPL-2.0-or-later
"""Outcomes as a table by kind, and the limits that they are held to."""

import math

from bench import MUST, Truth
from kinds import KINDS

# lives in a standard run, which the limits are for
STANDARD = 3000

# What must not be, each a column of the limits.
COUNTED = {
    "alarms": ("false_alarm", "list_refused", "repair_refused",
               "snapshot_refused", "dump_refused", "restore_refused"),
    "list": ("list_lost", "snapshot_lost", "restore_lost"),
    "repair": ("repair_lost",),
    "in-place": ("in_place_lost",),
    "after": ("after_lost", "after_alarm"),
    "rejected": ("repair_rejected", "in_place_rejected", "restore_rejected",
                 "after_rejected"),
    "crash": ("crash",),
}
CAN_HAVE_A_TWIN = ("list", "repair", "in-place")


def counts(outcome):
    """The columns in which a life counts. What no tool can know, for another
    life has left the same bytes, counts in none."""
    found = {column for column, names in COUNTED.items()
             if any(name in outcome["failures"] for name in names)}
    if outcome.get("twin"):
        found -= set(CAN_HAVE_A_TWIN)
    return sorted(found)


def _percent(values):
    if not values:
        return "-", "-"
    return (f"{100 * sum(values) / len(values):.1f}",
            f"{100 * sum(v > 0 for v in values) / len(values):.1f}")


def _losses(outcomes, name):
    """lost, of these with a trace / without one / with a twin"""
    lost = [o for o in outcomes if f"{name}_lost" in o["failures"]]
    if not lost:
        return "0"
    bare = sum(o.get("trace") == {} for o in lost)
    return (f"{len(lost)} ({len(lost) - bare}/{bare}/"
            f"{sum(bool(o.get('twin')) for o in lost)})")


def _row(kind, outcomes):
    def count(*names):
        return sum(any(n in o["failures"] for n in names) for o in outcomes)

    went_on = sum("went_on" in o for o in outcomes)
    mean, share = _percent([o["repair_extra"] for o in outcomes
                            if "repair_extra" in o])
    refused = [sum(bool(o.get(how)) for o in outcomes)
               for how in ("repair", "in_place")]
    return [kind, len(outcomes), count("false_alarm"),
            sum(bool(o["check"]) for o in outcomes),
            _losses(outcomes, "list"), _losses(outcomes, "repair"),
            sum("in_place" in o for o in outcomes),
            _losses(outcomes, "in_place"),
            f"{refused[0]}/{refused[1]}", mean, share, went_on,
            count("after_lost"), count("after_alarm"),
            count(*COUNTED["rejected"]),
            count("snapshot_lost", "snapshot_refused", "dump_refused",
                  "restore_lost", "restore_refused", "list_refused"),
            count("crash")]


HEAD = [
    ["kind", "lives", "false", "check", "lost by list", "lost by repair",
     "in", "lost in place", "refused", "over-marked", "", "went", "then",
     "then", "re-", "snapshot,", "crash,"],
    ["", "", "alarms", "says 1", "", "", "place", "", "rep/inp", "mean %",
     "lives %", "on", "lost", "alarms", "jected", "dump", "slow"],
]


def render(outcomes):
    rows = [_row(kind, [o for o in outcomes if o["kind"] == kind])
            for kind in [*KINDS, "script"]
            if any(o["kind"] == kind for o in outcomes)]
    if len(rows) > 1:
        rows.append(_row("all", outcomes))
    rows = [[str(cell) for cell in row] for row in HEAD + rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD[0]))]
    lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                       for i, (cell, width) in enumerate(zip(row, widths)))
             for row in rows]
    lines.append("lost: status 0 and a write missing (of these with a trace "
                 "left / without / with a twin)")
    return "\n".join(lines)


def read_limits(path):
    """{kind: {column: most lives of a standard run}}; what is not named: 0"""
    limits, columns = {}, []
    for line in path.read_text("utf-8").splitlines():
        words = line.split("#")[0].split()
        if words and not columns:
            columns = words[1:]
        elif words:
            limits[words[0]] = dict(zip(columns, map(int, words[1:])))
    return limits


def beyond_limits(outcomes, path):
    limits = read_limits(path)
    lines = []
    for kind in KINDS:
        of_kind = [o for o in outcomes if o["kind"] == kind]
        # a run of one kind alone has more of it than a standard one
        usual = STANDARD * KINDS[kind].share / 100
        scale = max(1, len(of_kind) / usual)
        for column in COUNTED:
            seen = [o for o in of_kind if column in counts(o)]
            most = limits.get(kind, {}).get(column, 0)
            if len(seen) > math.ceil(most * scale):
                lines.append(
                    f"{kind}: {len(seen)} lives of {len(of_kind)} in the "
                    f"column {column}, and the limit is "
                    f"{math.ceil(most * scale)}; such as the seeds "
                    f"{', '.join(str(o['seed']) for o in seen[:6])}")
    return lines


def checks(author):
    """[[era, [[begin, end], ...]], ...]: what was written since which era."""
    truth = Truth(author.life.disk, author.nr_blocks)
    found = []
    for era in truth.reported():
        runs = []
        for block, flag in enumerate(truth.since(era)):
            if not flag & MUST:
                continue
            if runs and runs[-1][1] == block:
                runs[-1][1] += 1
            else:
                runs.append([block, block + 1])
        found.append([era, runs])
    return found
