# SPDX-License-Identifier: GPL-2.0-or-later
"""Running the tools, and what holds for each run of any of them."""

import os
import re
import subprocess
import tempfile
import threading
from types import SimpleNamespace

# All tools of the project: the one place where they are listed.
FINAL_TOOLS = (
    "era_check", "era_dump", "era_restore", "era_invalidate", "era_repair",
    "era_metadata_pack", "era_metadata_unpack", "era_metadata_size",
    "era_ls", "era_map",
)

# Those that are there where configure has found libdevmapper.
LIVE_TOOLS = tuple(
    name for name in ("era_activate", "era_changed", "era_reload", "era_status")
    if os.path.exists(os.path.join(os.environ.get("ERA_TOOLS", "."), name)))
# What a monitor takes for more than yes and no.
STATUSES = {"era_status": (0, 1, 2, 3)}

# A status that neither a tool nor a shell uses, for what finds bugs.
_BUG = 99
_SANITIZERS = {
    "ASAN_OPTIONS": f"exitcode={_BUG}:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": f"exitcode={_BUG}:halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"exitcode={_BUG}",
}
_TIMEOUT = 120  # seconds; nothing here takes one, but under a wrapper
_MAX_OUTPUT = 128 << 20  # bytes


class Tools:
    def __init__(self, directory, wrapper):
        self.directory = directory
        self.wrapper = wrapper
        self.instrumented = bool(wrapper) or self._counts_or_checks()

    def _counts_or_checks(self):
        """Built for a sanitizer or for coverage."""
        path = self.directory / "era_check"
        return path.exists() and any(
            name in path.read_bytes() for name in (b"__asan_init", b"__gcov_"))

    def path(self, name):
        return self.directory / name

    def has(self, name):
        return self.path(name).exists()

    def command(self, name, *args):
        return [*self.wrapper, str(self.path(name)), *map(str, args)]

    def popen(self, name, *args, env=None, before=(), **options):
        """before: a command that runs the tool, such as setpriv."""
        environment = {**os.environ, **_SANITIZERS, "LC_ALL": "C",
                       **(env or {})}
        return subprocess.Popen([*before, *self.command(name, *args)],
                                env=environment, **options)

    def run(self, name, *args, stdin=None, stdout=subprocess.PIPE,
            **options):
        """Runs a tool to its end. stdin: bytes, or nothing. Returns status,
        out (bytes) and err (text)."""
        with tempfile.TemporaryFile() as err:
            process = self.popen(
                name, *args, stdout=stdout, stderr=err,
                stdin=subprocess.DEVNULL if stdin is None
                else subprocess.PIPE, **options)
            timer = threading.Timer(_TIMEOUT, process.kill)
            timer.start()
            feeder = threading.Thread(target=_feed, args=(process, stdin))
            feeder.start()
            # a tool that prints without end ends here, and not our memory
            out = process.stdout.read(_MAX_OUTPUT) if process.stdout else b""
            if len(out) == _MAX_OUTPUT:
                process.kill()
            process.wait()
            timer.cancel()
            feeder.join()
            if process.stdout:
                process.stdout.close()
            err.seek(0)
            result = SimpleNamespace(status=process.returncode, out=out,
                                     err=err.read(_MAX_OUTPUT).decode())
        assert_promises(name, result)
        return result


def _feed(process, stdin):
    if stdin is None:
        return
    try:
        process.stdin.write(stdin)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has seen enough


def assert_promises(name, result):
    """What any tool promises of any run."""
    assert result.status in STATUSES.get(name, (0, 1, 2)), \
        f"{name} ended with {result.status}: {result.err[:2000]}"
    for line in result.err.splitlines():
        assert line.startswith(f"{name}: ") or \
            re.match(r"Try [`']|information\.|Usage: ", line), \
            f"a message without the program's name: {line!r}"
