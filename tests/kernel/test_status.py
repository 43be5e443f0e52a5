# SPDX-License-Identifier: GPL-2.0-or-later
"""era_status: it never hangs, and sees what is dangerous before it is."""

import pytest

from live import PRELUDE, live_machine, reports
from workload import FILL_METADATA

FOUR_STATES = PRELUDE + """
era_device fine
era_device early
era_device swapped
dmsetup load early --table "$(table_of early)"
dmsetup suspend swapped
dmsetup load swapped --table "$(table_of swapped)"
activate
""" + FILL_METADATA.replace("take_snapshot", "take_snapshot || true") + """
tool 2 era_status
json 2 era_status -J
json 0 era_status -J fine
json 2 era_status --superblock -J
tool 2 era_status -q
[ ! -s /out ]
dmsetup clear early
json 0 era_status -J early
dmsetup resume swapped
json 0 era_status -J swapped
"""


def device(report, name):
    return next(one for one in report["devices"] if one["name"] == name)


def test_four_devices_in_four_states(boot, tools, seen):
    machine = live_machine(boot, tools, block_size=8, origin=20_000 * 4096,
                           metadata=36 * 4096)
    guest = machine.run(FOUR_STATES)
    everything, fine, passive, cleared, resumed = reports(guest)

    assert {one["name"]: (one["state"], one["level"])
            for one in everything["devices"]} == {
        "fine": ("live", "ok"), "early": ("new-table", "critical"),
        "swapped": ("suspended", "critical"), "era": ("failed", "critical")}
    assert "would fork its history" in \
        device(everything, "early")["problems"][0]["message"]
    assert "makes the resume hang" in \
        device(everything, "swapped")["problems"][0]["message"]
    # of the one that must not be asked the superblock tells
    assert device(everything, "swapped")["metadata_usage"]["source"] == \
        "superblock"
    usage = device(fine, "fine")["metadata_usage"]
    assert (usage["source"], usage["blocks"]) == ("target", 256)
    assert device(passive, "fine")["metadata_usage"] == \
        {**usage, "source": "superblock"}
    table = device(fine, "fine")["table"]
    assert table == {"sectors": 4096, "block_size": 8,
                     "origin": "/dev/mapper/fine-origin",
                     "metadata": "/dev/mapper/fine-meta"}
    assert cleared["level"] == resumed["level"] == "ok"
    seen("live, early table, suspended with a new table, failed: each is "
         "told from the others, and nothing is asked that could block")


@pytest.mark.ci
def test_status_while_a_resume_hangs(boot, tools, seen):
    machine = live_machine(boot, tools)
    guest = machine.run(PRELUDE + """
        activate
        era_device other
        dmsetup suspend era
        json 2 era_status -J era
        load_table
        dmsetup status era &
        asking=$!
        stuck $asking era_status
        json 2 era_status -J
        dmsetup resume era &
        resuming=$!
        stuck $resuming dm_swap_table
        json 2 era_status -J
        tool 2 era_status
        no_process era_status
        forced_reboot
        """, ends="reboot")
    suspended, blocked, hung = reports(guest)
    assert suspended["devices"][0]["suspended"]
    assert not suspended["blocked_processes"]
    assert [p["function"] for p in blocked["blocked_processes"]] == \
        ["era_status"]
    assert device(blocked, "era")["suspended_seconds"] >= 1
    assert {p["function"] for p in hung["blocked_processes"]} == \
        {"era_status", "dm_swap_table"}
    assert "nothing brings the device back" in \
        device(hung, "era")["problems"][0]["message"]
    assert device(hung, "other")["level"] == "ok"
    seen("it returns, names the processes that hang, and the others' devices "
         "are looked at all the same")


def test_status_while_tables_are_changed(boot, tools, seen):
    """The right way to change a table, over and over, under questions."""
    machine = live_machine(boot, tools)
    machine.run(PRELUDE + """
        activate
        (while [ ! -e /stop ]; do era_status -q || true; done) &
        asking=$!
        for i in $(seq 40); do
            dmsetup suspend era
            dmsetup resume era
        done
        touch /stop
        wait $asking
        tool 0 era_status
        no_process era_status
        deactivate
        """)
    seen("40 suspends and resumes under a loop of era_status: none hangs")


def test_odd_names_and_devices_that_go_away(boot, tools, seen):
    machine = live_machine(boot, tools)
    guest = machine.run(PRELUDE + r"""
        activate
        odd='a b"c$d'
        dmsetup rename era "$odd"
        json 0 era_status -J "$odd"
        dmsetup remove "$odd"
        dmsetup --manglename none create "x y" --table "$(era_table)"
        json 0 era_status -J "x y"
        tool 0 era_status
        dmsetup --manglename none remove "x y"
        activate
        tool 3 era_status gone
        grep "unknown: gone: no such device-mapper device" /out
        dmsetup create plain --table "0 8 linear /dev/vdd 0"
        tool 3 era_status plain
        grep "plain: not an era device" /out
        (while [ ! -e /stop ]; do
            dmsetup create era2 --notable
            dmsetup remove era2
         done) &
        for i in $(seq 20); do
            tool 0 era_status
        done
        touch /stop
        wait
        deactivate
        tool 0 era_status
        grep "^ok: 0 era devices" /out
        """)
    odd, raw = reports(guest)
    assert odd["devices"][0]["level"] == raw["devices"][0]["level"] == "ok"
    assert raw["devices"][0]["name"] in ("x y", r"x\x20y")
    seen("names with blanks and quotes; a device that is not there, or goes "
         "away while it is looked at")


def test_what_is_below_the_metadata_is_suspended(boot, tools, seen):
    """Nobody may write or read it: no process of ours is to wait there."""
    machine = live_machine(boot, tools)
    guest = machine.run(PRELUDE + """
        piece below 2048
        dmsetup create deep-meta --table "0 2048 linear /dev/mapper/below 0"
        piece deep-origin 4096
        dmsetup create deep --table "$(table_of deep)"
        era_device other
        dmsetup suspend below
        json 2 era_status -J
        tool 2 era_status -t 2 deep
        refused() {
            tool 2 "$@"
            grep "is suspended, or what is below it" /err
        }
        refused era_changed --since 0 -o /list deep
        [ ! -e /list ]
        refused era_activate new /dev/mapper/deep-meta /dev/mapper/below
        for name in era_status era_changed era_activate; do
            no_process $name
        done
        dmsetup resume below
        json 0 era_status -J
        """)
    suspended, resumed = reports(guest)
    assert "is suspended, or what is below it" in \
        device(suspended, "deep")["problems"][0]["message"]
    assert device(suspended, "deep")["metadata_usage"] is None
    assert device(suspended, "other")["level"] == "ok"
    assert resumed["level"] == "ok"
    seen("told, and neither read nor asked; no process is left behind")


def test_questions_do_not_pile_up(boot, tools, seen):
    """A monitor that asks each minute must not leave a process each time."""
    machine = live_machine(boot, tools)
    guest = machine.run(PRELUDE + """
        activate
        era_device other
        dmsetup suspend era
        dmsetup status era &
        stuck $! era_status
        for i in 1 2 3; do
            json 2 era_status -J -t 2 other
        done
        no_process era_status
        dmsetup resume era
        wait
        json 0 era_status -J other
        """)
    *hanging, over = reports(guest)
    assert {device(one, "other")["metadata_usage"]["source"]
            for one in hanging} == {"superblock"}
    assert device(over, "other")["metadata_usage"]["source"] == "target"
    seen("while anybody hangs no target is asked, and superblocks are read")
