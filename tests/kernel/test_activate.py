# SPDX-License-Identifier: GPL-2.0-or-later
"""era_activate: up again after a crash, an early table, rot; and not blindly."""

import random

from live import PRELUDE, live_machine
from workload import assert_complete, assert_exact, eras_of_writes

UP = PRELUDE + """
mkdir -p /var/lib
up() {
	tool 0 era_activate "$@"
	SIZE=$(($(sectors /dev/mapper/era) * 512))
	see_era
}
down() {
	tool 0 era_activate --deactivate era
}
"""
FORMAT = UP + "up --format era $METADATA $ORIGIN 128\n"
AGAIN = UP + """
mkdir -p /etc/era
cat >/etc/era/era.conf <<END
# as an administrator writes it
METADATA = /dev/vda
origin=/dev/vdb
BLOCK_SIZE = 64K
END
up era
"""


def damage(path, block):
    with open(path, "r+b") as file:
        file.seek(block * 4096 + 100)
        file.write(b"rot")


def some_tree_block(tools, machine):
    """A block whose damage era_check minds."""
    pristine = machine.metadata.read_bytes()
    for block in range(1, 40):
        damage(machine.metadata, block)
        if not tools.is_sound(machine.metadata):
            return block
        machine.metadata.write_bytes(pristine)
    raise AssertionError("no block matters")


def test_after_a_crash(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(80)
    machine.run(FORMAT + eras_of_writes(rng, 512, eras=3) + "forced_reboot",
                ends="reboot")
    machine.run(AGAIN + "ls /var/lib/dm-era/era.undo\n"
                "grep -q 'active already' /err || tool 0 era_activate era\n"
                "grep 'active already' /err\n"
                + eras_of_writes(rng, 512, eras=2) + "down\n"
                "tool 0 era_check $METADATA")
    assert_exact(tools, machine, 512)
    seen("repaired with an undo file, active, exact; asked again it says so")


def test_after_an_early_table(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(81)
    machine.run(FORMAT + eras_of_writes(rng, 512, eras=3) + "load_table\n"
                + eras_of_writes(rng, 512, eras=3) + """
                (dmsetup suspend era; dmsetup resume era) || true
                """ + eras_of_writes(rng, 512, eras=2) + "forced_reboot",
                ends="reboot")
    tools.run("era_check", machine.metadata, expect=1)
    machine.run(AGAIN + "ls /var/lib/dm-era/era.undo\n"
                + eras_of_writes(rng, 512, eras=2) + "down")
    extra = assert_complete(tools, machine, 512)
    seen(f"repaired, active, nothing lost, {extra} blocks too many")


def test_after_rot(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(82)
    machine.run(FORMAT + eras_of_writes(rng, 512, eras=3) + "down")
    some_tree_block(tools, machine)
    machine.run(AGAIN + eras_of_writes(rng, 512, eras=2) + "down")
    extra = assert_complete(tools, machine, 512)
    seen(f"repaired, active, nothing lost, {extra} blocks too many")


def test_a_zeroed_superblock_is_not_formatted_unasked(boot, tools, seen):
    machine = live_machine(boot, tools)
    rng = random.Random(83)
    machine.run(FORMAT + eras_of_writes(rng, 512, eras=2) + "down")
    before = machine.metadata.read_bytes()
    with open(machine.metadata, "r+b") as file:
        file.write(bytes(4096))
    machine.run(UP + """
        tool 1 era_activate era $METADATA $ORIGIN 128
        grep "superblock is all zero" /err
        [ ! -e /dev/mapper/era ]
        """)
    assert machine.metadata.read_bytes()[4096:] == before[4096:]
    machine.run(UP + """
        tool 2 era_activate --format era $METADATA $ORIGIN
        grep "takes a block size" /err
        up --format era $METADATA $ORIGIN 128
        write 3
        down
        tool 0 era_check $METADATA
        """)
    seen("refused, and left as it is; with --format it begins anew")


def test_refusals_leave_all_as_it_is(boot, tools, seen):
    machine = live_machine(boot, tools)
    machine.run(FORMAT + r"""
        write 3
        refused() {
            local status=$1 words=$2
            shift 2
            tool "$status" era_activate "$@"
            grep -q "$words" /err
        }
        refused 2 "in use" other $METADATA $ORIGIN 128
        refused 2 "not this one" era $ORIGIN $METADATA 128
        sleep 100 </dev/mapper/era &
        user=$!
        while dmsetup info -c --noheadings -o open era | grep -q 0; do
            sleep 0.1
        done
        refused 2 "is in use (open" --deactivate era
        kill $user
        wait $user || true
        down
        refused 2 "no such device-mapper device" --deactivate era
        dmsetup create small --table "0 1024 linear $ORIGIN 0"
        before=$(sha256sum <$METADATA)
        refused 2 "kernel would forget the rest" era $METADATA /dev/mapper/small
        refused 2 "not of 64" era $METADATA $ORIGIN 64
        refused 2 "holds metadata" --format era $METADATA $ORIGIN 128
        refused 2 "both metadata device and origin" era $METADATA $METADATA
        refused 2 "No such file" era /dev/gone $ORIGIN 128
        refused 2 "No such file" era $METADATA /dev/gone 128
        refused 2 "no block device" era /init $ORIGIN 128
        refused 2 "/etc/era/era.conf: No such file" era
        mkdir -p /etc/era
        echo "nonsense" >/etc/era/era.conf
        refused 1 "line 1 is none of" era
        echo "METADATA=/dev/vda" >/etc/era/era.conf
        refused 1 "names no ORIGIN" era
        [ "$before" = "$(sha256sum <$METADATA)" ]
        [ ! -e /dev/mapper/era ]
        # devices that come late are waited for
        (sleep 2; ln -s $ORIGIN /dev/late) &
        up --wait=60 era $METADATA /dev/late 128
        down
        """)
    seen("each with a sentence, and the metadata untouched")
