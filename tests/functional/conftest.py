# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the functional tests: each runs a tool as a person would.

    ERA_TOOLS       directory of the built tools (default: the source's top)
    ERA_WRAPPER     a command to run each tool under: "valgrind -q ..."
    ERA_RUST_TOOLS  pdata_tools of the Rust thin-provisioning-tools
    ERA_CPP_TOOLS   that of the C++ ones (both default to an installed one)
"""

import os
import tempfile
from pathlib import Path

import pytest

from helpers import data, peers
from helpers.repaired import IMAGES, Repaired
from helpers.tools import Tools


def pytest_addoption(parser):
    parser.addoption("--one-in", type=int, default=1, metavar="N",
                     help="of each test's cases run only one in N "
                          "(for slow wrappers)")
    parser.addoption("--thin", type=int, default=1, metavar="N",
                     help="of all that is left run only one in N")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "bare: measures or limits the tool's process, which a "
        "wrapper or a sanitizer would distort")


def pytest_collection_modifyitems(config, items):
    one_in = config.getoption("--one-in")
    seen = {}
    kept, dropped = [], []
    for item in items:
        name = item.nodeid.partition("[")[0]
        count = seen[name] = seen.get(name, -1) + 1
        (dropped if count % one_in else kept).append(item)
    thin = config.getoption("--thin")
    dropped += [item for i, item in enumerate(kept) if i % thin]
    items[:] = kept[::thin]
    config.hook.pytest_deselected(items=dropped)


@pytest.fixture(scope="session")
def all_tools():
    return Tools(Path(os.environ.get("ERA_TOOLS",
                                     Path(__file__).parents[2])).resolve(),
                 os.environ.get("ERA_WRAPPER", "").split())


@pytest.fixture
def run(all_tools, request):
    """Runs a tool and holds it to what all tools promise."""
    if request.node.get_closest_marker("bare") and all_tools.instrumented:
        pytest.skip("not under a wrapper or sanitizer")

    return all_tools.run


@pytest.fixture
def tmp_path():
    """In place of pytest's, which keeps those of three runs: at 4 MiB an
    image that is gigabytes."""
    with tempfile.TemporaryDirectory(prefix="era-test-") as path:
        yield Path(path)


@pytest.fixture
def image(tmp_path):
    """image(name): a private copy of an image of tests/data, unpacked.
    image(name, bytes): a file with these bytes."""
    def unpack(name, content=None):
        path = tmp_path / f"{name}.img"
        path.write_bytes(data.read(name) if content is None else content)
        return path
    return unpack


@pytest.fixture(scope="session", params=IMAGES)
def repaired(request, all_tools):
    """Each image of tests/data in turn, and what repairs make of it."""
    return Repaired(request.param, all_tools.run)


@pytest.fixture(scope="session")
def rust():
    return peers.find_or_skip("rust")


@pytest.fixture(scope="session")
def cpp():
    return peers.find_or_skip("cpp")
