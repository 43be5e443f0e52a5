# SPDX-License-Identifier: GPL-2.0-or-later
"""What others may do while a tool that runs as root is at work, or have done
before: links and files put where results go, two tools on one device, a
device that is written, shortened or replaced underneath.
"""

import fcntl
import filecmp
import fnmatch
import itertools
import os
import re
import shlex
import shutil
import stat
import struct
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import pytest

from helpers import data
from helpers.blocks import SIZE, SUPERBLOCK, SUPERBLOCK_FIELDS, seal
from helpers.reader import Metadata
from test_any_tool import (  # noqa: F401
    READ_METADATA, WRITE_RESULT, XML, assert_refused, loop, name_of, read,
    write)
from test_pack import DAMAGED_MAGIC, chunk, header, literal, superblock

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SOMEBODY_ELSE = 12345


@pytest.fixture
def sticky(tmp_path):
    """A directory such as /tmp."""
    path = tmp_path / "sticky"
    path.mkdir()
    path.chmod(0o1777)
    return path


def give_away(path):
    os.chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE, follow_symlinks=False)


# Ways to write over what somebody else has put at OUTPUT; the old content of
# what a link leads to is that of crash_k61.
WRITERS = {
    **{tool: [name_of(tool), *args, "--force", "-o", "OUTPUT", "INPUT"]
       for tool, args in WRITE_RESULT.items()},
    "era_repair -o": ["era_repair", "--force", "-i", "INPUT", "-o", "OUTPUT"],
    "era_repair --in-place": ["era_repair", "--in-place", "OUTPUT"],
    "era_restore": ["era_restore", "--force", "-i", "XML", "-o", "OUTPUT"],
    "era_metadata_pack": ["era_metadata_pack", "--force", "-i", "INPUT",
                          "-o", "OUTPUT"],
    "era_metadata_unpack": ["era_metadata_unpack", "--force", "-i", "PACK",
                            "-o", "OUTPUT"],
}
writer = pytest.mark.parametrize("call", WRITERS)


@pytest.fixture
def call_writer(run, image, tmp_path):
    def call_with(call, output):
        path = image("clean")
        words = {"INPUT": path, "OUTPUT": output, "XML": tmp_path / "xml",
                 "PACK": tmp_path / "pack"}
        words["XML"].write_bytes(XML)
        run("era_metadata_pack", "-i", path, "-o", words["PACK"])
        return run(*(words.get(word, word) for word in WRITERS[call]))
    return call_with


@needs_root
@writer
@pytest.mark.parametrize("dangling", [False, True],
                         ids=["to a file", "to nothing"])
def test_a_link_of_somebody_else_is_not_followed(call_writer, tmp_path, sticky,
                                                 call, dangling):
    victim = tmp_path / "victim"
    if not dangling:
        victim.write_bytes(data.read("crash_k61"))
    (sticky / "trap").symlink_to(victim)
    give_away(sticky / "trap")
    # one's own link is followed, and the one that it leads to is not
    (tmp_path / "link").symlink_to(sticky / "trap")
    for output in (sticky / "trap", tmp_path / "link"):
        assert_refused(call_writer(call, output), output)
    assert victim.exists() != dangling
    if not dangling:
        assert victim.read_bytes() == data.read("crash_k61")
    assert len(list(sticky.iterdir())) == 1


@needs_root
@writer
def test_a_file_of_somebody_else_is_not_written(call_writer, sticky, call):
    trap = sticky / "trap"
    trap.write_bytes(data.read("crash_k61"))
    give_away(trap)
    assert_refused(call_writer(call, trap), trap, "somebody else")
    assert trap.read_bytes() == data.read("crash_k61")
    assert len(list(sticky.iterdir())) == 1


@needs_root
@pytest.mark.parametrize("tool", WRITE_RESULT)
def test_a_fifo_of_somebody_else_is_not_waited_for(run, image, sticky, tool):
    os.mkfifo(sticky / "trap")
    give_away(sticky / "trap")
    assert_refused(write(run, tool, image("clean"), "-o", sticky / "trap"),
                   "somebody else")


@needs_root
def test_ones_own_link_in_such_a_directory_is_followed(run, image, tmp_path,
                                                       sticky):
    (sticky / "link").symlink_to(tmp_path / "out")
    assert run("era_dump", image("clean"), "-o", sticky / "link").status == 0
    assert (tmp_path / "out").read_bytes() == data.dump("clean")


@pytest.mark.parametrize("call", ["era_dump", "era_restore",
                                  "era_metadata_pack", "era_metadata_unpack"])
def test_a_new_file_opens_to_whom_the_umask_says(call_writer, tmp_path, call):
    before = os.umask(0o027)
    try:
        assert call_writer(call, tmp_path / "out").status == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


@needs_root
def test_a_file_that_is_replaced_keeps_its_owner(call_writer, tmp_path):
    out = tmp_path / "out"
    out.write_bytes(b"old")
    out.chmod(0o660)
    os.chown(out, SOMEBODY_ELSE, SOMEBODY_ELSE)
    assert call_writer("era_dump", out).status == 0
    assert (out.stat().st_uid, out.stat().st_gid) == (SOMEBODY_ELSE,) * 2
    assert stat.S_IMODE(out.stat().st_mode) == 0o660


# --- somebody who is quicker --------------------------------------------------

RACE = Path(__file__).parents[1] / "fault" / "race.c"
# What is under the name at first, and what is planted there, in turn. "mine"
# is the tool's own user's, "theirs" somebody else's file, "link" their link to
# the victim.
RACES = [
    ("mine", "link"), ("theirs", "link"), ("nothing", "link"),
    # a link while its end is looked at, a file while links are
    ("link", "theirs", "link"), ("mine", "theirs", "link"),
    ("nothing", "theirs", "link"),
]
RACERS = {
    # one for each way to open what is written, and each thing to read
    "era_dump": ["era_dump", "-o", "OUTPUT", "INPUT"],
    "era_restore": WRITERS["era_restore"],
    "era_repair --in-place": WRITERS["era_repair --in-place"],
    "era_repair --undo-apply": ["era_repair", "--undo-apply", "UNDO",
                                "OUTPUT"],
}
UNFORCED = {"era_restore": ["era_restore", "-i", "XML", "-o", "OUTPUT"],
            "era_repair -o": ["era_repair", "-i", "INPUT", "-o", "OUTPUT"]}
UNFORCED = {f"{call}, without --force": words
            for call, words in UNFORCED.items()}


@pytest.fixture(scope="session")
def race(all_tools, tmp_path_factory):
    compiler = shutil.which("cc")
    if all_tools.instrumented or not compiler:
        pytest.skip("not under a wrapper or sanitizer, nor without cc")
    path = tmp_path_factory.mktemp("race") / "race.so"
    done = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path,
                           RACE, "-ldl"], stderr=subprocess.PIPE,
                          check=False, text=True)
    if done.returncode:
        pytest.skip(f"cannot build {RACE.name}: {done.stderr[:200]}")
    return path


class Race:
    """A directory such as /tmp, with a name that somebody else plays with."""

    def __init__(self, run, library, sticky, words):
        self.run, self.library, self.words = run, library, words
        self.sticky = sticky
        self.victim = sticky.parent / "victim"
        words["OUTPUT"] = sticky / "target"

    def make(self, kind, path):
        if kind == "nothing":
            return None
        if kind.endswith("link"):
            path.symlink_to(self.victim)
        else:
            path.write_bytes(data.read("crash_k61"))
        if kind not in ("mine", "own link"):
            give_away(path)
        return path

    def hold(self, call, kinds, moments):
        """Runs a tool while kinds[1:] are planted at these moments. Returns
        how many moments there were, by the calls that named the target."""
        self.victim.write_bytes(data.read("crash_k61"))
        for path in self.sticky.iterdir():
            path.unlink()
        self.make(kinds[0], self.words["OUTPUT"])
        env = {"LD_PRELOAD": str(self.library), "RACE_NAME": "target",
               "RACE_DIR": str(self.sticky)}
        for i, (kind, moment) in enumerate(zip(kinds[1:], moments)):
            number = str(i + 1) if i else ""
            planted = self.make(kind, self.sticky / f"planted{i}")
            env[f"RACE_PLANT{number}"] = str(planted)
            env[f"RACE_AT{number}"] = str(moment)
        with tempfile.TemporaryFile() as told:
            env["RACE_FD"] = str(told.fileno())
            name, *args = {**RACERS, **UNFORCED}[call]
            self.run(name, *(self.words.get(word, word) for word in args),
                     env=env, pass_fds=[told.fileno()])
            return os.fstat(told.fileno()).st_size


@needs_root
@pytest.mark.parametrize("kinds", RACES, ids=" ".join)
@pytest.mark.parametrize("call", RACERS)
def test_nobody_is_quick_enough_to_have_a_link_followed(
        run, race, image, tmp_path, sticky, call, kinds):
    """Whatever is put in the place of a target, before whichever look at it:
    what a link of somebody else leads to is not written."""
    path = image("clean")
    words = {"INPUT": path, "XML": tmp_path / "xml", "PACK": tmp_path / "pack",
             "UNDO": tmp_path / "undo"}
    words["XML"].write_bytes(XML)
    run("era_metadata_pack", "-i", path, "-o", words["PACK"])
    run("era_repair", "--undo", words["UNDO"], "--in-place",
        image("crash_k61"))
    attempt = Race(run, race, sticky, words)
    reached = attempt.hold(call, kinds, [])
    assert reached
    for moments in itertools.combinations(range(reached + 3), len(kinds) - 1):
        attempt.hold(call, kinds, moments)
        assert attempt.victim.read_bytes() == data.read("crash_k61"), moments


@needs_root
@pytest.mark.parametrize("call", ["era_repair --in-place", "era_restore"])
def test_ones_own_link_is_followed_unless_it_changes_before_the_first_write(
        run, race, image, sticky, tmp_path, call):
    words = {"INPUT": image("clean"), "XML": tmp_path / "xml"}
    words["XML"].write_bytes(XML)
    attempt = Race(run, race, sticky, words)
    kinds = ("own link", "link")
    reached = attempt.hold(call, kinds, [])
    assert reached > 1
    assert attempt.victim.read_bytes() != data.read("crash_k61")
    for moment in range(reached):
        attempt.hold(call, kinds, [moment])
        assert attempt.victim.read_bytes() == data.read("crash_k61"), moment


@needs_root
@pytest.mark.parametrize("call", UNFORCED)
def test_what_was_not_there_is_not_overwritten_when_it_comes(
        run, race, image, sticky, tmp_path, call):
    """Nobody has said --force, for there was nothing."""
    words = {"INPUT": image("clean"), "XML": tmp_path / "xml"}
    words["XML"].write_bytes(XML)
    attempt = Race(run, race, sticky, words)
    reached = attempt.hold(call, ("nothing",), [])
    assert reached > 2
    for kind, moment in itertools.product(("own link", "mine"),
                                          range(reached)):
        attempt.hold(call, ("nothing", kind), [moment])
        assert attempt.victim.read_bytes() == data.read("crash_k61"), moment


@needs_root
def test_a_device_is_not_taken_for_the_file_that_was_looked_at(
        run, race, image, sticky, tmp_path):
    """One's own file is not written in the place of another, either."""
    words = {"INPUT": image("clean"), "UNDO": tmp_path / "undo"}
    attempt = Race(run, race, sticky, words)
    assert attempt.hold("era_repair --in-place", ("mine", "mine"), [1]) > 1
    assert words["OUTPUT"].read_bytes() == data.read("crash_k61")


# --- nothing but what was asked for -------------------------------------------

HOSTILE = {
    "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": ":/etc/passwd",
    "HOME": "/nonexistent", "TMPDIR": "/nonexistent", "PATH": "",
    "XML_CATALOG_FILES": "/etc/passwd", "XML_DEBUG_CATALOG": "1",
    "SGML_CATALOG_FILES": "/etc/passwd", "http_proxy": "http://127.0.0.1:9",
    "POSIXLY_CORRECT": "1", "ARGP_HELP_FMT": "rmargin=1", "COLUMNS": "1",
    "GZIP": "-9", "ZLIB": "x", "JANSSON_SEED": "0", "NO_COLOR": "1",
    "COLORTERM": "truecolor", "TERM": "xterm-256color",
}


@pytest.mark.bare  # the environment would be the wrapper's, too
@pytest.mark.parametrize("call", [
    # whose picture in text is as wide as a terminal
    call for call in WRITERS if call != "era_map"])
def test_no_environment_variable_changes_what_is_written(
        call_writer, tmp_path, monkeypatch, call):
    out = tmp_path / "out"
    contents = []
    for environment in ({}, HOSTILE):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        out.write_bytes(data.read("crash_k61"))
        result = call_writer(call, out)
        assert result.status == 0, result.err
        contents.append((result.out, out.read_bytes()))
    assert contents[0] == contents[1]


def test_no_tool_can_execute_map_or_connect(all_tools):
    """By the symbols that they take from libraries: no program is started, no
    library loaded by name, no socket made; and no file is mapped, so that one
    which is cut short underneath is an error and no SIGBUS."""
    if all_tools.instrumented:
        pytest.skip("not under a sanitizer")
    forbidden = {
        "execl", "execle", "execlp", "execv", "execve", "execveat", "execvp",
        "execvpe", "fexecve", "fork", "vfork", "popen", "system",
        "posix_spawn", "posix_spawnp", "dlopen", "dlmopen", "socket",
        "mmap", "mmap64", "wordexp", "xmlLoadCatalog", "xmlLoadCatalogs",
    }
    for tool in sorted({name_of(call) for call in [*READ_METADATA, *WRITERS]}):
        path = all_tools.directory / tool
        listed = subprocess.run(["nm", "-D", "--undefined-only", path],
                                stdout=subprocess.PIPE, text=True, check=False)
        if listed.returncode or "write" not in listed.stdout:
            pytest.skip("nm does not list what the tools take of libraries")
        taken = {line.split()[-1].partition("@")[0]
                 for line in listed.stdout.splitlines()}
        assert not taken & forbidden


# --- two at once --------------------------------------------------------------

@pytest.mark.parametrize("kind", ["file", "loop"])
def test_several_repairs_of_one_device_at_once(all_tools, image, loop, kind):
    """Each is done, or refused because the device is in use."""
    path = image("crash_k61")
    device = loop(path) if kind == "loop" else path
    refused = 0
    for _ in range(5):
        if kind == "file":
            path.write_bytes(data.read("crash_k61"))
        repairs = [all_tools.popen("era_repair", "--in-place", device,
                                   stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
                   for _ in range(6)]
        for repair in repairs:
            said = repair.communicate()[1]
            if repair.returncode:
                assert repair.returncode == 2
                assert b"in use" in said
                refused += 1
        assert Metadata(path.read_bytes()).problems() == []
        assert Metadata(path.read_bytes()).superblock().writeset_root == 0
    assert refused < 5 * 6


def test_a_repair_waits_for_nobody(all_tools, run, image, tmp_path):
    """A dump that is not read on holds its device meanwhile."""
    path = image("crash_k61")
    with open(path, "rb") as ours:
        fcntl.flock(ours, fcntl.LOCK_SH)
        if not in_locks(os.getpid()):
            pytest.skip("/proc/locks does not name the processes here")
    os.mkfifo(tmp_path / "fifo")
    dump = all_tools.popen("era_dump", path, "-o", tmp_path / "fifo",
                           stderr=subprocess.DEVNULL)
    while not in_locks(dump.pid):
        assert dump.poll() is None
        time.sleep(0.01)
    try:
        assert_refused(run("era_repair", "--in-place", path), "in use")
        assert_refused(run("era_metadata_unpack", "--force", "-i",
                           pack_of(run, image, tmp_path), "-o", path),
                       "in use")
    finally:
        dump.kill()
        dump.wait()
    assert path.read_bytes() == data.read("crash_k61")


def in_locks(pid):
    if not os.path.exists("/proc/locks"):
        return False
    with open("/proc/locks", encoding="ascii") as locks:
        return any(line.split()[4] == str(pid) for line in locks)


def pack_of(run, image, tmp_path):
    run("era_metadata_pack", "-i", image("clean"), "-o", tmp_path / "pack")
    return tmp_path / "pack"


# --- a device that changes underneath -----------------------------------------

def test_a_repair_is_not_undone_once_the_device_was_used(run, image, tmp_path):
    """The old state would forget what was recorded since."""
    path, undo = image("crash_k61"), tmp_path / "undo"
    assert run("era_repair", "--undo", undo, "--in-place", path).status == 0
    content = bytearray(path.read_bytes())
    block = content[:SIZE]
    at = SUPERBLOCK_FIELDS["current_era"][0]
    block[at] += 1
    seal(block, SUPERBLOCK)
    content[:SIZE] = block
    path.write_bytes(content)
    assert_refused(run("era_repair", "--undo-apply", undo, path), "since", status=1)
    assert path.read_bytes() == content


def test_another_device_is_not_undone(run, image, tmp_path):
    undo = tmp_path / "undo"
    run("era_repair", "--undo", undo, "--in-place", image("crash_k61"))
    other = image("clean")
    assert_refused(run("era_repair", "--undo-apply", undo, other), status=1)
    assert other.read_bytes() == data.read("clean")


def test_an_unpack_leaves_nothing_of_what_was_there(run, image, loop, tmp_path):
    """Past the end of the pack as well: it would look like a newer history."""
    pack = tmp_path / "pack"
    small = image("clean")
    run("era_metadata_pack", "-i", small, "-o", pack)
    content = data.read("stale_live")
    large = image("large", content + content[SIZE:])
    device = loop(large)
    assert run("era_metadata_unpack", "--force", "-i", pack, "-o",
               device).status == 0
    assert run("era_check", device).status == 0
    unpacked = large.read_bytes()
    assert unpacked[:len(data.read("clean"))] == data.read("clean")
    assert not any(unpacked[len(data.read("clean")):])


def test_an_unpack_makes_no_device_that_a_kernel_formats(run, image, loop,
                                                         tmp_path):
    """Whatever a pack says that block 0 holds."""
    pack = tmp_path / "pack"
    zeroes = struct.pack("<Q", DAMAGED_MAGIC) + \
        zlib.compress(literal(0, bytes(SIZE)))
    pack.write_bytes(header() + chunk(
        zlib.compress(literal(5, superblock())) + zeroes))
    path = image("clean")
    device = loop(path)
    result = run("era_metadata_unpack", "--force", "-i", pack, "-o", device)
    assert result.status == 0, result.err
    assert "no superblock" in result.err
    assert any(path.read_bytes()[:SIZE])
    assert_refused(run("era_check", device), "cut short", status=1)


@pytest.mark.parametrize("tool", READ_METADATA)
@pytest.mark.parametrize("kept", [1, 3, 100])
def test_a_file_that_was_cut_short(run, image, tool, kept):
    path = image("clean_snap")
    os.truncate(path, kept * SIZE)
    assert_refused_whatever(read(run, tool, path))


def assert_refused_whatever(result):
    assert result.status in (1, 2)
    assert result.err.count("\n") >= 1


@pytest.mark.bare
@pytest.mark.parametrize("kind", ["file", "loop"])
def test_a_device_that_is_cut_short_while_it_is_read(all_tools, run, tmp_path,
                                                     loop, kind):
    """An error at any moment, and never a signal."""
    xml = tmp_path / "xml"
    nr_blocks = 3000000
    with open(xml, "w", encoding="ascii") as file:
        file.write(f'<superblock uuid="" block_size="128" '
                   f'nr_blocks="{nr_blocks}" current_era="3">\n'
                   f'  <era_array>\n')
        file.writelines(f'    <era block="{i}" era="{i % 3}"/>\n'
                        for i in range(nr_blocks))
        file.write('  </era_array>\n</superblock>\n')
    path = tmp_path / "large"
    assert run("era_restore", "-i", xml, "-o", path).status == 0
    content, ends = path.read_bytes(), set()
    device = loop(path) if kind == "loop" else path
    for delay in range(12):
        path.write_bytes(content)
        if kind == "loop":
            set_capacity(device)
        process = all_tools.popen("era_dump", device, "-o", tmp_path / "out",
                                  stderr=subprocess.DEVNULL)
        time.sleep(delay / 100)
        os.truncate(path, len(content) // 8)
        if kind == "loop":
            set_capacity(device)
        ends.add(process.wait(60))
        if not process.returncode:
            assert filecmp.cmp(xml, tmp_path / "out", shallow=False)
    assert ends <= {0, 1, 2}


def set_capacity(device):
    """Tells a loop device that its file has another size."""
    subprocess.run(["losetup", "-c", device], check=True)


# --- doc/reliability.md -------------------------------------------------------

ROOT = Path(__file__).parents[2]


def named_commands():
    text = (ROOT / "doc/reliability.md").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("|"):
            yield from re.findall(r"`((?:unit|functional|kernel|tests/)[^`]*)`", line)


def is_there(command):
    """unit FILE 'SUITE/PATTERN', functional or kernel FILE 'NAME or NAME', or
    a test program."""
    kind, *words = shlex.split(command)
    if kind in ("functional", "kernel"):
        text = (ROOT / f"tests/{kind}/test_{words[0]}.py").read_text()
        names = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
        return all(any(part in name for name in names)
                   for part in words[1].split(" or "))
    if kind == "unit":
        text = (ROOT / f"tests/unit/test_{words[0]}.c").read_text()
        names = [f"{suite}/{name}" for suite, name in
                 re.findall(r"^Test\((\w+), (\w+)", text, re.MULTILINE)]
        return bool(fnmatch.filter(names, words[1]))
    return (ROOT / f"{kind}.c").exists()


def test_each_promise_names_tests_that_there_are():
    commands = list(named_commands())
    assert commands
    assert [command for command in commands if not is_there(command)] == []
