# SPDX-License-Identifier: GPL-2.0-or-later
"""era_changed: the whole step of a backup, on a device in use.

The guest backs up its own origin: what is listed is copied to a third of the
last disk, and compared with the origin byte for byte once nothing is written
any more.
"""

import os
import random
import time

import pytest

from live import PRELUDE, live_machine

# A device whose origin has a copy beside it, of 512 blocks of 4K.
BACKUP = PRELUDE + """
era_up() {
	era_activate "$@" data /dev/mapper/data-meta /dev/mapper/data-origin 8
}

pieces() {
	piece data-meta 2048
	piece data-origin 4096
	piece data-copy 4096
}

# writer SEED: writes blocks here and there until /stop is there
writer() {
	local n=$1 block
	while [ ! -e /stop ]; do
		n=$(((n * 1103515245 + 12345) % 2147483648))
		block=$((n / 65536 % 512))
		echo "$n $block" | dd of=/dev/mapper/data bs=4096 count=1 \\
			conv=sync,notrunc oflag=direct seek=$block 2>/dev/null
		usleep 20000
	done
}

# copy LIST: the blocks that a list in sectors names
copy() {
	local begin length
	while read -r begin length; do
		dd if=/dev/mapper/data of=/dev/mapper/data-copy bs=4096 \\
			iflag=direct oflag=direct conv=notrunc status=none \\
			skip=$((begin / 8)) seek=$((begin / 8)) \\
			count=$((length / 8))
	done <"$1"
}

# step: one list, copied; the era of the next one counts from then on
step() {
	tool 0 era_changed --since /saved --save /next --format=text \\
		--unit=sectors -o /list "$@" data
	copy /list
	mv /next /saved
	event listed "$(wc -l </list)" "$(cat /saved)"
}

same() {
	cmp /dev/mapper/data /dev/mapper/data-copy
	event same
}

no_snapshot() {
	dmsetup status data | grep ' -$'
}

nothing_left() {
	no_snapshot
	no_process era_changed
	[ -z "$(ls /list.* /next.* 2>/dev/null)" ]
}
"""
SNAPSHOT_OF_DATA = r"""
# a real snapshot would do it at once; here the writers are held meanwhile
cat >/snap <<'END'
set -e
dmsetup suspend --noflush data-origin
dmsetup resume data-origin
echo made >>/made
END
"""


@pytest.mark.ci
def test_backups_under_writes(boot, tools, seen):
    machine = live_machine(boot, tools)
    guest = machine.run(BACKUP + SNAPSHOT_OF_DATA + """
        pieces
        era_up --format
        echo 0 >/saved
        step
        writer 1 &
        writer 2 &
        for i in 1 2 3 4 5; do step; done
        step --data-snapshot 'sh /snap'
        [ "$(cat /made)" = made ]
        touch /stop
        wait
        step
        same
        nothing_left
        era_activate --deactivate data
        tool 0 era_check /dev/mapper/data-meta
        """)
    lists = [line.split() for line in guest.events()
             if line.startswith("listed ")]
    eras = [int(words[2]) for words in lists]
    assert eras == sorted(set(eras))
    seen("lists under continuous writes; the copy is the origin byte for byte")


def test_refusals_leave_all_as_it_is(boot, tools, seen):
    machine = live_machine(boot, tools)
    machine.run(BACKUP + """
        refused() {
            local status=$1 words=$2
            shift 2
            tool "$status" era_changed --format=text -o /list "$@"
            grep -q "$words" /err
            [ ! -e /list ]
        }
        pieces
        era_up --format
        refused 2 "no such device" --since 0 gone
        refused 2 "no era device" --since 0 data-origin
        refused 2 "has not reached" --since 99 data
        refused 2 "is no era, and no file" --since /nothing data
        echo x >/bad
        refused 1 "holds no era" --since /bad data
        refused 2 "exited with 3" --since 0 --data-snapshot 'exit 3' data
        refused 2 "not over after" --since 0 --timeout 1 \\
            --data-snapshot 'sleep 77' data
        no_process sleep
        dmsetup message data 0 take_metadata_snap
        refused 2 "a metadata snapshot is held" --since 0 data
        tool 0 era_changed --since 0 --replace-snapshot -o /list data
        rm /list
        no_snapshot
        dmsetup suspend data
        refused 2 "is suspended" --since 0 data
        dmsetup resume data
        dmsetup load data --table "0 4096 era /dev/mapper/data-meta \\
            /dev/mapper/data-origin 8"
        refused 2 "a new table was loaded" --since 0 data
        dmsetup clear data
        tool 2 era_changed --since 0 --save /no/such/save -o /list data
        rm -f /list
        no_snapshot
        tool 0 era_changed --since 0 data
        nothing_left
        """)
    seen("each with a sentence, no list, no snapshot left")


# not INT, which a shell has its background processes ignore
@pytest.mark.parametrize("signal", ["TERM", "HUP", "KILL"])
def test_a_signal_leaves_nothing_behind(boot, tools, seen, signal):
    machine = live_machine(boot, tools)
    # a fifo with no reader holds the list, and with it the snapshot
    machine.run(BACKUP + f"""
        pieces
        era_up --format
        echo 1 >/saved
        mkfifo /fifo
        sleep 300 </fifo &
        reader=$!
        dd if=/dev/zero of=/dev/mapper/data bs=4096 count=512 status=none
        comb() {{ awk 'BEGIN {{ for (i = 0; i < 256; i++) print i * 2 }}'; }}
        for block in $(comb | head -n 40); do
            dd if=/init of=/dev/mapper/data bs=4096 count=1 seek=$block \\
                conv=notrunc status=none
        done
        era_changed --since 0 --save /next -o /fifo data \\
            --data-snapshot 'echo in >/in; sleep 60' &
        pid=$!
        while [ ! -e /in ]; do sleep 0.1; done
        kill -{signal} $pid
        wait $pid || true
        sleep 3
        no_snapshot
        no_process era_changed
        [ ! -e /next ]
        # and while the snapshot is held
        kill $reader
        n=0
        while [ $n -lt 12 ]; do
            n=$((n + 1))
            era_changed -q --since 0 --save /next -o /list data &
            pid=$!
            # at ever later moments
            usleep $((n * 40000))
            kill -{signal} $pid 2>/dev/null || true
            wait $pid || true
        done
        i=0
        while pidof era_changed && [ $i -lt 50 ]; do
            i=$((i + 1)); sleep 0.2
        done
        no_process era_changed
        no_snapshot
        rm -f /list.* /next.*
        tool 0 era_changed -q --since 0 -o /list data
        nothing_left
        """)
    seen(f"SIG{signal} at any moment: no snapshot, no process")


def test_writes_that_never_rest_are_listed_twice(boot, tools, seen):
    """A write under way at the checkpoint may come after the data's copy."""
    machine = live_machine(boot, tools)
    machine.run(BACKUP + """
        pieces
        era_up --format
        tool 0 era_changed --since 0 --save /saved -o /list data
        before=$(cat /saved)
        dd if=/dev/zero of=/dev/mapper/data bs=4096 count=1 seek=7 conv=notrunc \
            oflag=direct status=none
        # a write that the origin holds back is one that never rests
        dmsetup suspend --noflush data-origin
        dd if=/dev/zero of=/dev/mapper/data bs=4096 count=1 seek=9 conv=notrunc \
            oflag=direct status=none &
        inflight() {
            cat /sys/dev/block/$(dmsetup info -c --noheadings \
                --separator : -o major,minor data)/inflight
        }
        for tenth in $(seq 100); do
            [ "$(inflight | awk '{ print $2 }')" = 0 ] || break
            sleep 0.1
        done
        tool 0 era_changed --since /saved --save /next --format=text \
            -o /list data
        grep "writes were under way all the time" /err
        dmsetup resume data-origin
        wait
        # the era of that write is in the next list as well
        tool 0 era_changed --since /next --save /last --format=text \
            -o /again data
        ! grep "under way" /err
        for list in /list /again; do
            awk '$1 <= 9 && 9 < $1 + $2 { found = 1 }
                 END { exit !found }' $list
        done
        [ "$(cat /next)" -gt "$before" ]
        [ "$(cat /last)" -gt "$(cat /next)" ]
        nothing_left
        """)
    seen("the era of a write that never rests is in the next list, too")


# What a host has across crashes: a disk with the copy, and the saved era.
ACROSS = BACKUP + """
cut_up() {
	pieces
	piece keep 2048
}
# durable, as the backup's own catalogue is
remember() {
	dd if=/saved of=/dev/mapper/keep bs=512 conv=sync oflag=direct \\
		status=none
}
recall() {
	head -n 1 /dev/mapper/keep >/saved
}
cut_up
"""
AGAIN = """
recall
era_up
step --replace-snapshot
remember
same
nothing_left
"""


def test_backups_across_crashes(boot, tools, seen):
    machine = live_machine(boot, tools)
    boots = 4
    for number in range(boots):
        machine.run(ACROSS + (
            AGAIN if number else
            "era_up --format\necho 0 >/saved\nstep\nremember\n") + f"""
            writer {number + 1} &
            step
            remember
            sleep 1
            {"dmsetup message data 0 take_metadata_snap" if number % 2
             else "true"}
            forced_reboot
            """, ends="reboot")
    machine.run(ACROSS + AGAIN + """
        era_activate --deactivate data
        tool 0 era_check /dev/mapper/data-meta
        """)
    seen(f"{boots} forced reboots under writes, two with a snapshot held: "
         "byte for byte")


def test_backups_in_a_loop(boot, tools, seen):
    """For as many seconds as ERA_SOAK says; crashes whenever they come."""
    seconds = int(os.environ.get("ERA_SOAK", "0"))
    if not seconds:
        pytest.skip("takes ERA_SOAK seconds, and none are given")
    end = time.monotonic() + seconds
    machine = live_machine(boot, tools)
    rng = random.Random(os.environ.get("ERA_SOAK_SEED", "1"))
    machine.run(ACROSS + "era_up --format\necho 0 >/saved\nstep\nremember\n"
                "era_activate --deactivate data")
    cuts = reboots = lists = compared = 0
    while time.monotonic() < end:
        reboot = rng.random() < 0.5
        guest = machine.start(ACROSS + AGAIN + f"""
            for seed in 1 2 3; do writer $((seed * {rng.randrange(9999)})) & done
            end=$(($(date +%s) + {rng.randint(5, 40)}))
            while {"[ $(date +%s) -lt $end ]" if reboot else "true"}; do
                step --max-ranges=8
                remember
                nothing_left
            done
            forced_reboot
            """)
        if reboot:
            assert guest.wait(600), guest.tail()
        else:
            assert guest.wait_for_events("same", seconds=600), guest.tail()
            guest.wait(rng.uniform(0, 40))
            assert guest.running(), guest.tail()
        guest.power_cut()
        events = guest.events()
        assert "same" in events and "finished" not in " ".join(events[-1:]), \
            guest.tail()
        cuts += not reboot
        reboots += reboot
        lists += sum(line.startswith("listed") for line in events)
        compared += events.count("same")
        with open(machine.directory / "progress", "w", encoding="ascii") as f:
            print(f"{lists} lists, {cuts} power cuts, {reboots} forced "
                  f"reboots, {compared} comparisons", file=f)
    machine.run(ACROSS + AGAIN + "era_activate --deactivate data\n"
                "tool 0 era_check /dev/mapper/data-meta")
    seen(f"{lists} lists, {cuts} power cuts, {reboots} forced reboots: "
         f"{compared + 1} times byte for byte, nothing left behind")
