# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the kernel suite, and its options.

    python3 -m pytest tests/kernel -m ci --kernels bookworm,sid
    python3 -m pytest tests/kernel --record FILE --go-on
    python3 -m pytest tests/kernel --record FILE --matrix doc/kernels.md
"""

import gzip
import json
import os
from pathlib import Path

import pytest

from harness import CannotRun, kernels, matrix
from harness.booted import Booted
from harness.machine import Machine
from harness.tools import Tools

TOP = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    group = parser.getgroup("kernel suite")
    group.addoption("--kernels", default=",".join(kernels.RELEASES),
                    help="Debian releases whose kernels to boot "
                         "(default: %(default)s)")
    group.addoption("--record", metavar="FILE", type=Path,
                    help="add to FILE what each scenario saw")
    group.addoption("--go-on", action="store_true",
                    help="leave out what has passed according to the record")
    group.addoption("--matrix", metavar="FILE", type=Path,
                    help="run nothing, write what the record holds, kernel "
                         "by scenario, to FILE")
    group.addoption("--save-images", metavar="DIR",
                    help="save the metadata that kernels leave behind, "
                         "with its truth, as test data")


def pytest_configure(config):
    file = config.getoption("--record")
    config.kernel_record = matrix.Record(file) if file else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    file = config.getoption("--record")
    booting = [item for item in items if matrix.release_of(item)]
    if page := config.getoption("--matrix"):
        rows = dict.fromkeys(matrix.row_of(item) for item in booting)
        page.write_text(matrix.render(file, rows), encoding="utf-8")
        left_out = list(items)
    elif config.getoption("--go-on"):
        over = matrix.passed(file)
        left_out = [item for item in booting if
                    (*matrix.row_of(item), matrix.release_of(item)) in over]
    else:
        return
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_generate_tests(metafunc):
    if "kernel" in metafunc.fixturenames:
        releases = metafunc.config.getoption("--kernels").split(",")
        metafunc.parametrize("kernel", releases, indirect=True,
                             scope="session")


@pytest.fixture(scope="session")
def kernel(request):
    """The kernel of one Debian release."""
    try:
        fetched = kernels.fetch(request.param)
    except CannotRun as reason:
        pytest.skip(f"cannot boot {request.param}'s kernel: {reason}")
    return fetched


@pytest.fixture(scope="session")
def booted(kernel, tmp_path_factory):
    """The kernel, booted and saved."""
    return Booted(kernel, tmp_path_factory.mktemp(kernel.release))


@pytest.fixture(scope="session")
def tools():
    try:
        return Tools(os.environ.get("ERA_TOOLS", TOP))
    except CannotRun as reason:
        pytest.skip(str(reason))


@pytest.fixture
def boot(booted, tmp_path):
    """Makes machines that boot the kernel: boot(block_size=8, ...)."""
    machines = []

    def make(**options):
        directory = tmp_path / f"machine-{len(machines)}"
        directory.mkdir()
        machines.append(Machine(booted, directory, **options))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture
def seen(request):
    """Notes what a scenario saw, for the matrix."""
    def note(what):
        if record := request.config.kernel_record:
            record.note(request.node, what)
    return note


@pytest.fixture
def save_image(request, kernel):
    """Saves a metadata device and its truth, where the run was told to."""
    directory = request.config.getoption("--save-images")

    def save(name, machine, state, note, nr_blocks, checks=None):
        if not directory:
            return
        base = Path(directory) / f"{name}_{kernel.short.replace('.', '')}"
        base.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(f"{base}.img.gz", "wb") as file:
            file.write(Path(machine.metadata).read_bytes())
        with open(f"{base}.json", "w", encoding="ascii") as file:
            json.dump({"state": state, "block_size": machine.block_size,
                       "note": note,
                       "checks": checks or machine.history.checks(nr_blocks)},
                      file)
    return save


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Records a scenario once it is over, or has come to nothing."""
    report = (yield).get_result()
    record = item.config.kernel_record
    if not record or not matrix.release_of(item):
        return
    if report.when == "call" or not report.passed:
        kernel = item.funcargs.get("kernel")
        outcome = {"passed": "ok", "failed": "FAILED"}.get(report.outcome,
                                                           report.outcome)
        if kernel:
            record.add(item, kernel.version, outcome)
