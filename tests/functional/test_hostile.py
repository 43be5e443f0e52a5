# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that claim more than they hold cost no more than those that hold it:
each tool ends within the CPU time and the memory that doc/reliability.md
promises of whatever is on a device. The limits are the process's own, so that
it is the work that is judged and not how busy the machine is.
"""

import pytest

from helpers import hostile

pytestmark = pytest.mark.bare

LIMITS = ["prlimit", f"--as={256 << 20}", "--cpu=10"]
READERS = [
    ["era_check", "-q"], ["era_check", "--json"],
    ["era_invalidate", "--written-since", "1"], ["era_ls"], ["era_map"],
    ["era_dump", "--logical"], ["era_repair", "--dry-run", "-i"],
]


@pytest.fixture(scope="module")
def devices(tmp_path_factory):
    """Each is made once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("hostile") / "device"
            made[name].write_bytes(hostile.DEVICES[name]())
        return made[name]
    return make


@pytest.mark.parametrize("tool", READERS, ids=" ".join)
@pytest.mark.parametrize("name", hostile.DEVICES)
def test_a_device_that_claims_much_costs_little(run, devices, name, tool):
    result = run(*tool, devices(name), before=LIMITS, stdout=-3)
    assert "memory" not in result.err
    assert result.status == 0 or result.err or "-q" in tool \
        or "--json" in tool


def test_problems_are_told_up_to_a_number_and_counted_all(run, devices):
    """Of which there are 40,200 here."""
    result = run("era_check", devices("many bitsets that are lost"))
    assert result.status == 1
    assert 10000 < result.err.count("\n") < 10100
    assert "counted and not told" in result.err
