# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the kernel suite, and its options.

    python3 -m pytest tests/kernel -m ci --kernels bookworm,sid
    python3 -m pytest tests/kernel --matrix doc/kernels.md
"""

import gzip
import json
import os
from pathlib import Path

import pytest

from harness import CannotRun, kernels, matrix
from harness.machine import Machine
from harness.tools import Tools

TOP = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    group = parser.getgroup("kernel suite")
    group.addoption("--kernels", default=",".join(kernels.RELEASES),
                    help="Debian releases whose kernels to boot "
                         "(default: %(default)s)")
    group.addoption("--matrix", metavar="FILE",
                    help="write what was seen, kernel by scenario, to FILE")
    group.addoption("--parts", metavar="FILE",
                    help="keep in FILE what runs of parts of the suite saw, "
                         "for the matrix to hold all of it")
    group.addoption("--save-images", metavar="DIR",
                    help="save the metadata that kernels leave behind, "
                         "with its truth, as test data")


def pytest_configure(config):
    config.kernel_matrix = matrix.Matrix()
    parts = config.getoption("--parts")
    if parts and Path(parts).exists():
        config.kernel_matrix.load(Path(parts))


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
    request.config.kernel_matrix.add_kernel(fetched)
    return fetched


@pytest.fixture(scope="session")
def tools():
    try:
        return Tools(os.environ.get("ERA_TOOLS", TOP))
    except CannotRun as reason:
        pytest.skip(str(reason))


@pytest.fixture
def boot(kernel, tmp_path):
    """Makes machines that boot the kernel: boot(block_size=8, ...)."""
    machines = []

    def make(**options):
        directory = tmp_path / f"machine-{len(machines)}"
        directory.mkdir()
        machines.append(Machine(kernel, directory, **options))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture
def seen(request, kernel):
    """Notes what a scenario saw, for the matrix."""
    def note(what):
        request.config.kernel_matrix.note(request.node, kernel, what)
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
    outcome = yield
    item.config.kernel_matrix.add_report(item, outcome.get_result())


def pytest_sessionfinish(session):
    config = session.config
    if file := config.getoption("--parts"):
        config.kernel_matrix.save(Path(file))
    if file := config.getoption("--matrix"):
        Path(file).write_text(config.kernel_matrix.render())
