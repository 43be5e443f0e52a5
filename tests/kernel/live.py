# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools for devices in use, in a guest, and what they said there."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.initramfs import Archive, add_program
from workload import MIB

# In the guest: unpacks the tools, and cuts the last disk up as a host would.
PRELUDE = """
(cd / && cpio -id </dev/vdc)

# piece NAME SECTORS: the next part of the last disk, as /dev/mapper/NAME
USED=0
piece() {
	dmsetup create "$1" --table "0 $2 linear /dev/vdd $USED"
	USED=$((USED + $2))
}

# era_device NAME: an era device with 512 blocks of 4K
era_device() {
	piece "$1-meta" 2048
	piece "$1-origin" 4096
	dmsetup create "$1" --table "$(table_of "$1")"
}

table_of() {
	echo "0 4096 era /dev/mapper/$1-meta /dev/mapper/$1-origin 8"
}

# tool STATUS COMMAND...: which is to exit so, and soon; what it said is in
# /out and /err, and in the log
tool() {
	local wanted=$1 status=0
	shift
	timeout -s KILL 60 "$@" >/out 2>/err || status=$?
	cat /out /err
	event tool "$status" "$*"
	[ $status = "$wanted" ]
}

# json STATUS COMMAND...: the same, of which all that was said is JSON
json() {
	tool "$@"
	event json "$(tr -d '\\n' </out)"
}

# no_process NAME: fails where one of that name is left
no_process() {
	! pidof "$1"
}
"""
TOOLS = ("era_check", "era_repair", "era_invalidate", "era_restore",
         "era_dump", "era_status", "era_changed", "era_activate",
         "era_reload")


def disk_with_tools(tools, disk):
    archive = Archive()
    with tempfile.TemporaryDirectory() as directory:
        for name in TOOLS:
            if (tools.directory / name).exists():
                add_program(archive, _stripped(tools.directory / name,
                                               Path(directory)))
    disk.write_bytes(archive.finish().ljust(disk.stat().st_size, b"\0"))


def _stripped(program, directory):
    """Without what a debugger wants, which an emulated guest is slow with."""
    copy = directory / program.name
    shutil.copy(program, copy)
    try:
        subprocess.run(["strip", copy], check=False)
    except FileNotFoundError:
        pass  # it is only slower
    return copy


def live_machine(boot, tools, **options):
    """A machine with the tools on its third disk and a fourth to cut up."""
    if not (tools.directory / "era_status").exists():
        pytest.skip("built without libdevmapper: there is no era_status")
    machine = boot(spares=(32 * MIB, 64 * MIB), **options)
    disk_with_tools(tools, machine.disks[2])
    return machine


def reports(guest):
    """The reports of era_status that the guest has logged, in order."""
    found = [json.loads(line.removeprefix("json "))
             for line in guest.events() if line.startswith("json ")]
    for report in found:
        _validate(report)
    return found


def _validate(report):
    """Against the schema, where this host can do that."""
    try:
        import jsonschema
    except ImportError:
        return
    schema = Path(__file__).parents[2] / "doc/era_status.schema.json"
    jsonschema.validate(report, json.loads(schema.read_text("ascii")))
