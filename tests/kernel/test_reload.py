# SPDX-License-Identifier: GPL-2.0-or-later
"""era_reload: another table, while users write and others ask."""

import random

import pytest

from live import PRELUDE, live_machine
from workload import assert_exact, eras_of_writes

# The origin is a device that can grow; the metadata is the first disk.
GROWING = PRELUDE + """
origin() {
	dmsetup "$1" grows --table "0 $2 linear $ORIGIN 0"
}
grow() {
	dmsetup suspend grows
	origin load "$1"
	dmsetup resume grows
}
up() {
	origin create "$1"
	ORIGIN_NOW=/dev/mapper/grows
	SIZE=$(($1 * 512))
	dmsetup create era --table "0 $1 era $METADATA /dev/mapper/grows 128"
	see_era
}
table_length() {
	dmsetup table "$1" | awk '{ print $2 }'
}
live() {
	[ "$(dmsetup info -c --noheadings -o suspended "$1")" = Active ]
}
"""
HALF, WHOLE = 32768, 65536


def test_a_closed_device_grows(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(90)
    machine.run(GROWING + f"up {HALF}\n" + eras_of_writes(rng, 256, eras=2)
                + f"""
                grow {WHOLE}
                tool 0 era_reload --dry-run era
                [ "$(table_length era)" = {HALF} ]
                tool 0 era_reload era
                [ "$(table_length era)" = {WHOLE} ]
                SIZE=$(({WHOLE} * 512))
                see_era
                """ + eras_of_writes(rng, 512, eras=2) + "deactivate")
    assert_exact(tools, machine, 512)
    seen("removed and created, exact")


def test_a_device_under_a_linear_one_grows_under_writes(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(91)
    # the users write through the linear device
    machine.run(GROWING + f"""
        up {HALF}
        dmsetup create data --table "0 {HALF} linear /dev/mapper/era 0"
        through() {{ NAME=$1; }}
        put() {{
            if stamped | dd of=/dev/mapper/data bs=1M status=none \\
                iflag=fullblock,count_bytes oflag=direct,seek_bytes \\
                conv=notrunc seek="$2" count="$3"; then
                event "done" "$STAMP"
            else
                event failed "$STAMP"
                return 1
            fi
        }}
        """ + eras_of_writes(rng, 256, eras=2) + f"""
        (while [ ! -e /stop ]; do
            dd if=/dev/mapper/data of=/dev/null bs=64k count=8 \\
                iflag=direct status=none || echo bad >/failed
         done) &
        reading=$!
        grow {WHOLE}
        tool 0 era_reload era
        [ "$(table_length era)" = {WHOLE} ]
        [ "$(table_length data)" = {WHOLE} ]
        live data
        live era
        [ ! -e /dev/mapper/era-new ]
        [ ! -e /dev/mapper/era-old ]
        touch /stop
        wait $reading
        [ ! -e /failed ]
        SIZE=$(({WHOLE} * 512))
        see_era
        """ + eras_of_writes(rng, 512, eras=2) + """
        dmsetup remove data
        deactivate
        """)
    assert_exact(tools, machine, 512)
    seen("the users read throughout, and write on; exact")


def test_with_vgs_in_a_loop(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(92)
    machine.run(GROWING + f"""
        up {HALF}
        dmsetup create data --table "0 {HALF} linear /dev/mapper/era 0"
        """ + eras_of_writes(rng, 256, eras=1) + f"""
        (while [ ! -e /stop ]; do vgs >/dev/null 2>&1 3>&-; done) &
        (while [ ! -e /stop ]; do
            dmsetup status era >/dev/null 2>&1 3>&-
         done) &
        grow {WHOLE}
        tool 0 era_reload era
        [ "$(table_length data)" = {WHOLE} ]
        live data
        live era
        touch /stop
        if [ -e /dev/mapper/era-old ]; then
            event old-device-hangs
            grep "hangs until the next reboot" /err
        fi
        SIZE=$(({WHOLE} * 512))
        see_era
        """ + eras_of_writes(rng, 512, eras=2) + "forced_reboot",
        ends="reboot")
    tools.repair_in_place(machine.metadata)
    assert_exact(tools, machine, 512)
    seen("the users' device never hangs, whoever asks; exact")


def test_each_step_is_undone_when_a_later_one_fails(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(93)
    machine.run(GROWING + f"""
        up {WHOLE}
        dmsetup create data --table "0 {WHOLE} linear /dev/mapper/era 0"
        unchanged() {{
            [ "$(table_length era)" = {WHOLE} ]
            [ "$(table_length data)" = {WHOLE} ]
            live era
            live data
            [ ! -e /dev/mapper/era-new ]
            [ ! -e /dev/mapper/era-old ]
            dd if=/dev/mapper/data of=/dev/null bs=64k count=1 status=none
            see_era
        }}
        """ + eras_of_writes(rng, 512, eras=2) + """
        # an origin that is not there any more when the table is loaded
        tool 2 era_reload --origin /dev/gone era
        unchanged
        # one that is too small
        piece tiny 8
        tool 2 era_reload --origin /dev/mapper/tiny era
        grep "would be lost" /err
        unchanged
        # a name that is taken
        dmsetup create era-new --table "0 8 linear /dev/vdd 0"
        tool 2 era_reload era
        grep "left from an earlier change" /err
        dmsetup remove era-new
        unchanged
        # the new table is refused in the middle: its origin is swapped to
        dmsetup remove tiny
        dmsetup create held --table "0 65536 linear /dev/vdd 0"
        mkswap /dev/mapper/held
        swapon /dev/mapper/held
        tool 2 era_reload --origin /dev/mapper/held era
        grep "goes on with its old table" /err
        swapoff /dev/mapper/held
        unchanged
        """ + eras_of_writes(rng, 512, eras=2) + """
        dmsetup remove data
        deactivate
        """)
    assert_exact(tools, machine, 512)
    seen("users and device as they were, exact")


def test_going_back_hangs_nobody_either(boot, tools, seen):
    """The new table is refused while others ask the suspended device."""
    machine = live_machine(boot, tools)
    rng = random.Random(94)
    machine.run(GROWING + f"""
        up {WHOLE}
        dmsetup create data --table "0 {WHOLE} linear /dev/mapper/era 0"
        """ + eras_of_writes(rng, 512, eras=2) + f"""
        dmsetup create held --table "0 {WHOLE} linear /dev/vdd 0"
        mkswap /dev/mapper/held
        swapon /dev/mapper/held
        (while [ ! -e /stop ]; do
            dmsetup status era >/dev/null 2>&1 3>&-
         done) &
        tool 2 era_reload --origin /dev/mapper/held era
        touch /stop
        grep "goes on with its old table" /err
        [ "$(table_length era)" = {WHOLE} ]
        [ "$(table_length data)" = {WHOLE} ]
        live era
        live data
        [ ! -e /dev/mapper/era-new ]
        dd if=/dev/mapper/data of=/dev/null bs=64k count=1 iflag=direct \
            status=none
        see_era
        """ + eras_of_writes(rng, 512, eras=2) + "forced_reboot",
        ends="reboot")
    tools.repair_in_place(machine.metadata)
    assert_exact(tools, machine, 512)
    seen("users and device as they were, whoever asks; exact")


@pytest.mark.parametrize("under", ["closed", "linear"])
def test_an_origin_that_shrinks(boot, tools, seen, under):
    machine = live_machine(boot, tools)
    rng = random.Random(95)
    linear = under == "linear"
    machine.run(GROWING + f"""
        up {WHOLE}
        dmsetup remove era
        dmsetup create era --uuid ERA-x --table "0 {WHOLE} era $METADATA \
            /dev/mapper/grows 128"
        """ + eras_of_writes(rng, 512, eras=2) + (f"""
        dmsetup create data --table "0 {WHOLE} linear /dev/mapper/era 0"
        """ if linear else "") + f"""
        grow {HALF}
        tool 2 era_reload era
        grep "what is past the end would be lost" /err
        [ "$(table_length era)" = {WHOLE} ]
        tool 0 era_reload --shrink era
        [ "$(table_length era)" = {HALF} ]
        [ "$(dmsetup info -c --noheadings -o uuid era)" = ERA-x ]
        """ + (f"""
        [ "$(table_length data)" = {HALF} ]
        live data
        """ if linear else "") + f"""
        SIZE=$(({HALF} * 512))
        see_era
        """ + eras_of_writes(rng, 256, eras=2)
        + ("dmsetup remove data\n" if linear else "") + """
        deactivate
        tool 0 era_check $METADATA
        """)
    assert_exact(tools, machine, 256)
    seen("refused unasked; with --shrink exact up to the new end")


def test_odd_names(boot, tools, seen):
    machine = live_machine(boot, tools)
    machine.run(GROWING + rf"""
        up {HALF}
        odd='a b"c$(d)'
        dmsetup rename era "$odd"
        grow {WHOLE}
        tool 0 era_reload "$odd"
        [ "$(table_length "$odd")" = {WHOLE} ]
        dmsetup create data --table "0 {WHOLE} linear             /dev/mapper/$(ls /dev/mapper | grep '^a') 0"
        tool 0 era_reload "$odd"
        [ "$(dmsetup ls | grep -c '^a')" = 1 ]
        live data
        dmsetup remove data
        dmsetup remove "$odd"
        # made without the way in which libdevmapper writes such a name
        dmsetup --manglename none create "x y"             --table "0 {HALF} era $METADATA /dev/mapper/grows 128"
        tool 2 era_reload "x y"
        grep "rename it first" /err
        dmsetup --manglename none remove "x y"
        tool 0 era_activate "$odd" $METADATA /dev/mapper/grows
        tool 0 era_changed -q --since 0 -o /list "$odd"
        [ -s /list ]
        tool 0 era_activate "$odd" $METADATA /dev/mapper/grows
        grep "active already" /err
        tool 0 era_activate --deactivate "$odd"
        [ -z "$(dmsetup ls | grep '^[ax]')" ]
        """)
    seen("blanks, quotes and what a shell would run: each tool takes them")


def test_an_open_device_is_refused_with_what_to_do(boot, tools, seen):
    machine = live_machine(boot, tools)
    machine.run(GROWING + f"""
        up {HALF}
        grow {WHOLE}
        refused() {{
            tool 2 era_reload era
            grep -q "$1" /err
            [ "$(table_length era)" = {HALF} ]
            live era
        }}
        sleep 100 </dev/mapper/era &
        user=$!
        while dmsetup info -c --noheadings -o open era | grep -q 0; do
            sleep 0.1
        done
        refused "not by one linear device"
        grep "dmsetup load 'era' --table \\"0 {WHOLE} era" /err
        dmsetup create data --table "0 {HALF} linear /dev/mapper/era 0"
        refused "by others than the device above it"
        kill $user
        wait $user || true
        dmsetup remove data
        dmsetup create data --uuid LVM-x \\
            --table "0 {HALF} linear /dev/mapper/era 0"
        refused "is LVM's"
        dmsetup remove data
        dmsetup create data --table "0 8 linear /dev/mapper/era 0
8 8 linear /dev/mapper/era 8"
        refused "not a linear one of one target"
        dmsetup remove data
        dmsetup suspend era
        tool 2 era_reload era
        grep "is suspended" /err
        dmsetup resume era
        dmsetup load era --table "0 {HALF} era $METADATA /dev/mapper/grows 128"
        tool 2 era_reload era
        grep "a new table was loaded" /err
        dmsetup clear era
        tool 2 era_reload gone
        tool 2 era_reload grows
        grep "no era device in use" /err
        tool 0 era_reload era
        [ "$(table_length era)" = {WHOLE} ]
        deactivate
        """)
    seen("each with a sentence and what to do instead")
