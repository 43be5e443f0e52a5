# SPDX-License-Identifier: GPL-2.0-or-later
"""era_changed: the whole step of a backup, on a device in use.

The guest backs up its own origin: what is listed is copied to a third of the
last disk, and compared with the origin byte for byte once nothing is written
any more.
"""

import random

import pytest

from live import PRELUDE, live_machine
from workload import eras_of_writes

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
            local words=$1
            shift
            tool 1 era_changed --format=text -o /list "$@"
            grep -q "$words" /err
            [ ! -e /list ]
        }
        pieces
        era_up --format
        refused "no such device" --since 0 gone
        refused "no era device" --since 0 data-origin
        refused "has not reached" --since 99 data
        refused "is no era, and no file" --since /nothing data
        echo x >/bad
        refused "holds no era" --since /bad data
        refused "exited with 3" --since 0 --data-snapshot 'exit 3' data
        refused "not over after" --since 0 --timeout 1 \\
            --data-snapshot 'sleep 77' data
        no_process sleep
        dmsetup message data 0 take_metadata_snap
        refused "a metadata snapshot is held" --since 0 data
        tool 0 era_changed --since 0 --replace-snapshot -o /list data
        rm /list
        no_snapshot
        dmsetup suspend data
        refused "is suspended" --since 0 data
        dmsetup resume data
        dmsetup load data --table "0 4096 era /dev/mapper/data-meta \\
            /dev/mapper/data-origin 8"
        refused "a new table was loaded" --since 0 data
        dmsetup clear data
        tool 1 era_changed --since 0 --save /no/such/save -o /list data
        rm -f /list
        no_snapshot
        tool 0 era_changed --since 0 data
        nothing_left
        """)
    seen("each with a sentence, no list, no snapshot left")


@pytest.mark.parametrize("signal", ["INT", "TERM", "HUP", "KILL"])
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


def test_backups_across_crashes(boot, tools, seen):
    """Disks outlive the guest; what it has saved is on one of them."""
    machine = live_machine(boot, tools)
    keep = """
        cut_up() {
            pieces
            piece keep 2048
        }
        # the saved era, durable as the backup's own catalogue would be
        remember() {
            cp /saved /dev/mapper/keep 2>/dev/null ||
                dd if=/saved of=/dev/mapper/keep conv=sync status=none
            sync
        }
        recall() {
            head -n 1 /dev/mapper/keep >/saved
        }
        cut_up
        """
    boots = 4
    for number in range(boots):
        first = number == 0
        machine.run(BACKUP + keep + (
            "era_up --format\necho 0 >/saved\n" if first
            else "recall\nera_up\n") + f"""
            step --replace-snapshot
            remember
            writer {number + 1} &
            step --replace-snapshot
            remember
            sleep 1
            {"dmsetup message data 0 take_metadata_snap" if number % 2
             else "true"}
            forced_reboot
            """, ends="reboot")
    machine.run(BACKUP + keep + """
        recall
        era_up
        step --replace-snapshot
        same
        nothing_left
        era_activate --deactivate data
        tool 0 era_check /dev/mapper/data-meta
        """)
    seen(f"{boots} forced reboots under writes, two with a snapshot held: "
         "byte for byte")
