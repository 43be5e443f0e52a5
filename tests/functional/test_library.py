# SPDX-License-Identifier: GPL-2.0-or-later
"""libdmera as a program uses it that knows nothing but pkg-config: installed
to a directory of its own, its example built and run."""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers import blocks, data
from helpers.reader import Metadata, ranges
from test_any_tool import loop  # noqa: F401
from test_later import left_behind

TOP = Path(__file__).resolve().parents[2]
EXAMPLE = TOP / "doc/examples/changed.c"
PYTHON_EXAMPLE = TOP / "doc/examples/changed.py"
FUNCTIONS = {"dmera_check", "dmera_close", "dmera_dump",
             "dmera_get_superblock", "dmera_open", "dmera_open_fd",
             "dmera_version", "dmera_written_since"}
SNAPSHOT, SHARED, REACHABLE_ONLY = 1, 2, 4
LOGICAL = 1
CC = os.environ.get("CC", "cc").split()


def command(*args, **options):
    done = subprocess.run([*map(str, args)], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **options)
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


class Library:
    """libdmera, installed below a directory."""

    def __init__(self, build, root):
        self.root = root
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        command("make", "-C", build, "-s", f"DESTDIR={root}",
                "install-libLTLIBRARIES", "install-includeHEADERS",
                "install-pkgconfigDATA", "install-exec-hook",
                env=environment)
        self.directory = next(root.rglob("dmera.pc")).parents[1]
        self.include = next(root.rglob("dmera.h")).parent
        self.environment = {
            **os.environ, "PKG_CONFIG_SYSROOT_DIR": str(root),
            "PKG_CONFIG_PATH": str(self.directory / "pkgconfig")}
        self.flags = command("pkg-config", "--cflags", "--libs", "dmera",
                             env=self.environment).split()
        self.run_environment = {
            **os.environ, "LD_LIBRARY_PATH": str(self.directory)}

    def build(self, source, *more):
        program = self.root / source.stem
        command(*CC, "-o", program, source, *self.flags, *more)
        return program

    def run(self, program, *args):
        return command(program, *args, env=self.run_environment)


@pytest.fixture(scope="session")
def library(all_tools, tmp_path_factory):
    if not (all_tools.directory / "libdmera.la").exists():
        pytest.skip("no libdmera beside the tools")
    if all_tools.instrumented:
        pytest.skip("not under a wrapper or sanitizer")
    for tool in (CC[0], "pkg-config"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    return Library(all_tools.directory, tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def archive(library):
    path = library.directory / "libdmera.a"
    if not path.exists():
        pytest.skip("built without a static library")
    return path


@pytest.fixture(scope="session")
def example(library):
    return library.build(EXAMPLE, "-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="session")
def client(library):
    program = library.build(TOP / "tests/library/client.c", "-Wall",
                            "-Wextra", "-Werror", "-pthread")
    return lambda *args: library.run(program, *args)


# --- the examples: one in C, one in Python ---------------------------------------

@pytest.fixture(params=["C", "Python"])
def changed(request, library):
    """Runs an example: its status, what it prints, and what it complains."""
    if request.param == "C":
        program = [request.getfixturevalue("example")]
    else:
        program = [sys.executable, PYTHON_EXAMPLE]

    def run_it(*args, **options):
        return subprocess.run(
            [*map(str, program), *map(str, args)], check=False, text=True,
            env=library.run_environment, stderr=subprocess.PIPE,
            **{"stdout": subprocess.PIPE, **options})
    return run_it


@pytest.mark.parametrize("name", data.SOUND)
def test_the_example_prints_what_era_invalidate_does(run, changed, image,
                                                     name):
    path = image(name)
    for era in (0, 1, 3):
        expected = run("era_invalidate", "--written-since", era,
                       "--format=text", path).out.decode()
        done = changed(era, path)
        assert (done.returncode, done.stdout, done.stderr) == \
            (0, expected, "")


def test_the_example_says_when_its_output_is_lost(changed, image):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        assert changed(0, image("clean"), stdout=full).returncode != 0


@pytest.mark.parametrize("era", ["", "x", "4x", " 4", "-1", "+4", "0x4",
                                 "4.0", "4294967296", "99999999999999999999",
                                 "\u0664"])
def test_the_example_refuses_an_era_that_is_no_number(changed, image, era):
    """strtoul() makes 0 of most of them, and a list of all blocks."""
    done = changed(era, image("clean"))
    assert done.returncode != 0
    assert done.stdout == "" and "ERA DEVICE" in done.stderr


def test_the_example_prints_no_part_for_a_whole(changed, image, tmp_path):
    for path, said in ((image("rot_crash_k61_era-array-leaf"), "checksum"),
                       (tmp_path / "absent", "absent"),
                       (tmp_path, "directory")):
        done = changed(1, path)
        assert done.returncode != 0 and said in done.stderr


def test_the_examples_fit_a_page():
    for example_file in (EXAMPLE, PYTHON_EXAMPLE):
        assert len(example_file.read_text("ascii").splitlines()) <= 75


def test_the_example_needs_only_what_pkg_config_says(library):
    assert "-ldmera" in library.flags
    assert all(flag == "-ldmera" or flag.startswith(("-I", "-L"))
               for flag in library.flags)


def test_the_shared_library_has_a_soname_and_versions(library):
    dynamic = command("readelf", "-dW", library.directory / "libdmera.so")
    assert "soname: [libdmera.so.1]" in dynamic
    assert re.findall(r"NEEDED.*\[(.*?)\]", dynamic) == ["libc.so.6"]
    symbols = command("nm", "-D", "--defined-only",
                      library.directory / "libdmera.so").splitlines()
    assert {line.split()[2] for line in symbols if " A " not in line} == \
        {f"{name}@@DMERA_1.0" for name in FUNCTIONS}


def test_the_static_library_keeps_its_names_to_itself(archive):
    symbols = command("nm", "-g", "--defined-only", archive)
    assert set(re.findall(r" [A-Z] (\w+)$", symbols, re.M)) == FUNCTIONS


@pytest.mark.usefixtures("archive")
def test_links_statically(library, image, example):
    program = library.root / "static"
    flags = command("pkg-config", "--static", "--cflags", "--libs", "dmera",
                    env=library.environment).split()
    command(*CC, "-o", program, EXAMPLE, "-Wl,-Bstatic", *flags,
            "-Wl,-Bdynamic")
    assert "libdmera" not in command("readelf", "-dW", program)
    path = image("crash_k61")
    assert command(program, 4, path) == library.run(example, 4, path)


@pytest.mark.parametrize("compiler, flags", [
    ("cc", ["-std=c90", "-pedantic"]), ("c++", ["-std=c++98", "-pedantic"])])
def test_the_header_stands_alone(library, compiler, flags):
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    language = "c++" if compiler == "c++" else "c"
    command(compiler, *flags, "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
            "-x", language, library.include / "dmera.h")


def test_the_header_and_the_map_name_the_same_functions():
    header = (TOP / "include/dmera.h").read_text("ascii")
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    assert set(re.findall(r"\b(dmera_\w+)\(", code)) == FUNCTIONS
    names = re.findall(r"\b(dmera_\w+);",
                       (TOP / "src/dmera/dmera.map").read_text("ascii"))
    assert set(names) == FUNCTIONS and names == sorted(names)


def test_the_manual_is_made_from_the_header(tmp_path):
    command(sys.executable, TOP / "scripts/man3", tmp_path)
    pages = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert pages.keys() == {path.name for path in (TOP / "man").glob("*.3")}
    for name, text in pages.items():
        assert (TOP / "man" / name).read_text() == text, \
            f"{name} is out of step: run scripts/man3"


def declarations():
    """The header as cffi takes it: without its lines for C++ and cpp."""
    header = (TOP / "include/dmera.h").read_text("ascii")
    header = re.sub(r"(?ms)^#ifdef __cplusplus.*?^#endif\n", "", header)
    return re.sub(r"(?m)^#.*\n", "", header)


def test_constants_are_enums_so_that_other_languages_can_read_them():
    header = (TOP / "include/dmera.h").read_text("ascii")
    assert set(re.findall(r"#define (\w+)", header)) == \
        {"DMERA_H", "DMERA_VERSION"}
    assert set(re.findall(r"^\t(DMERA_\w+) = (\d+)", header, re.M)) == {
        ("DMERA_SNAPSHOT", "1"), ("DMERA_SHARED", "2"),
        ("DMERA_REACHABLE_ONLY", "4"), ("DMERA_CHECK_SUPERBLOCK_ONLY", "1"),
        ("DMERA_DUMP_LOGICAL", "1"), ("DMERA_NOTE", "0"),
        ("DMERA_NON_FATAL", "1"), ("DMERA_FATAL", "2")}


def test_cffi_needs_the_header_and_no_more(library, image):
    cffi = pytest.importorskip("cffi", reason="needs cffi")
    ffi = cffi.FFI()
    ffi.cdef(declarations())
    dmera = ffi.dlopen(str(library.directory / "libdmera.so"))
    handle = ffi.new("struct dmera **")
    result = ffi.new("struct dmera_check_result *")
    kinds = []

    @ffi.callback("dmera_problem_fn")
    def problem(_, told):
        if told.severity == dmera.DMERA_FATAL:
            kinds.append((ffi.string(told.kind).decode(), told.error))

    path = str(image("stale_live")).encode()
    assert dmera.dmera_open(handle, path, dmera.DMERA_SHARED, problem,
                            ffi.NULL) == 0
    assert dmera.dmera_check(handle[0], 0, result) == 0
    dmera.dmera_close(handle[0])
    assert set(kinds) == {("newer_history", -errno.ENOTUNIQ)}
    assert result.error == -errno.ENOTUNIQ


# --- the functions one by one ---------------------------------------------------

@pytest.mark.parametrize("name", [*data.SOUND, *data.DAMAGED, *data.STALE])
def test_check_says_what_era_check_says(run, client, image, name):
    path = image(name)
    out = re.sub(r"^error .*\n", "", client("check", path), flags=re.M)
    report = json.loads(run("era_check", "--json", path).out)
    expected = report["counts"]
    assert out.splitlines()[-2] == \
        f"counts {expected['note']} {expected['non-fatal']} " \
        f"{expected['error']}"
    severities = {"note": 0, "non-fatal": 1, "error": 2}
    lines = []
    for problem in report["problems"]:
        steps = "".join(f" {step['role']}={step['block']}"
                        for step in problem["path"])
        line = f"problem {severities[problem['severity']]}{steps}: " \
            + problem["message"]
        if "data_blocks" in problem:
            line += " [{begin}, {end})".format(**problem["data_blocks"])
        lines.append(line)
    assert out.splitlines()[:-2] == lines


@pytest.mark.parametrize("name", data.SOUND)
def test_dump_gives_everything(client, image, name):
    path = image(name)
    metadata = Metadata(path.read_bytes())
    sb = metadata.superblock()
    found = [line.split() for line in client("dump", 0, path).splitlines()]
    assert [tuple(map(int, line[1:])) for line in found
            if line[0] == "writeset"] == \
        [(w.era, w.nr_bits) for w in metadata.writesets(sb)]
    assert [int(line[2]) for line in found if line[0] == "era"] == \
        metadata.eras(sb)
    assert found[-2:] == [["end"], ["returns", "0"]]
    logical = client("dump", LOGICAL, path).splitlines()
    assert [int(line.split()[2]) for line in logical
            if line.startswith("era")] == metadata.last_written()
    assert not any(line.startswith("w") for line in logical)


def test_a_dump_has_the_bits_of_the_open_writeset(client, image):
    out = client("dump", 0, image("crash_k61"))
    marked = {64 * int(number) + bit for number, word
              in re.findall(r"^word (\d+) (\d+)$", out, re.M)
              for bit in range(64) if int(word) >> bit & 1}
    assert [list(r) for r in ranges(marked)] == \
        dict(data.truth("crash_k61")["checks"])[4]


@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
def test_a_metadata_snapshot_can_be_read(client, image, name):
    path = image(name)
    metadata = Metadata(path.read_bytes())
    found = client("dump", SNAPSHOT << 4 | LOGICAL, path).splitlines()
    assert [int(line.split()[2]) for line in found
            if line.startswith("era")] == metadata.last_written(True)
    copy = metadata.snapshot()
    assert found[0].split()[3:5] == [str(copy.current_era), "0"]


def test_no_snapshot_and_damage_have_codes_of_their_own(client, image):
    assert client("superblock", SNAPSHOT, image("clean")) == \
        f"returns {-errno.ENODATA}\n"
    path = image("rot_crash_k61_era-array-leaf")
    out = client("dump", 0, path)
    assert out.endswith(f"returns {-errno.EUCLEAN}\n")
    assert "end\n" not in out


def of_version(number):
    content = bytearray(data.read("clean"))
    first = content[:blocks.SIZE]
    first[40] = number
    blocks.seal(first, blocks.SUPERBLOCK, 0)
    return first + content[blocks.SIZE:]


ERRORS = {
    "damage": (lambda: data.read("rot_crash_k61_era-array-leaf"), "EUCLEAN"),
    "unfinished or zeroed": (
        lambda: bytes(blocks.SIZE) + data.read("clean")[blocks.SIZE:],
        "EUCLEAN"),
    "newer history": (lambda: data.read("stale_live"), "ENOTUNIQ"),
    "old superblock": (lambda: left_behind(commits=2)[0], "ESTALE"),
    "zeroes": (lambda: bytes(1 << 20), "EMEDIUMTYPE"),
    "XML": (lambda: data.dump("clean"), "EMEDIUMTYPE"),
    "cut off": (lambda: data.read("clean")[:64 * blocks.SIZE], "EOVERFLOW"),
    "another version": (lambda: of_version(2), "EOPNOTSUPP"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_tell_apart_what_is_to_be_done(client, image, name):
    make, error = ERRORS[name]
    path = image("x", bytes(make()))
    code = -getattr(errno, error)
    assert client("dump", LOGICAL, path).splitlines()[-1] == f"returns {code}"
    assert f"error {code}\n" in client("check", path)
    page = (TOP / "man/dmera.3").read_text("ascii")
    assert f".Er -{error} :" in page


def test_sound_metadata_has_no_error(client, image):
    assert "error" not in client("check", image("crash_k61"))


# --- by file descriptor -----------------------------------------------------------

@pytest.mark.parametrize("mode", ["r", "w", "rw", "path", "lock", "excl"])
def test_a_descriptor_will_do(client, image, mode):
    """Whatever it was opened for: it is opened anew, and left as it is."""
    path = image("crash_snap")
    expected = client("superblock", 0, path)
    # what the caller has locked by it is locked for the library, too
    flags = SHARED if mode == "lock" else 0
    assert client("fd", flags, mode, path) == expected
    assert client("fd", SNAPSHOT, mode, path) == \
        client("superblock", SNAPSHOT, path)


def test_a_descriptor_is_locked_as_a_path_is(client, image):
    path = image("clean")
    assert client("fd", 0, "lock", path).endswith(f"returns {-errno.EBUSY}\n")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        out = client("fd", 0, "r", path)
        assert "problem 2: file descriptor" in out
        assert out.endswith(f"returns {-errno.EBUSY}\n")
        assert client("fd", SHARED, "r", path).endswith("returns 0\n")


def test_what_is_no_descriptor_or_no_device_is_an_error(client, image,
                                                        tmp_path):
    out = client("fd", 0, "none", image("clean"))
    assert out.endswith(f"returns {-errno.EBADF}\n")
    assert client("fd", 0, "r", tmp_path).endswith(
        f"returns {-errno.EISDIR}\n")
    assert client("fd", SHARED, "r", "/dev/null").endswith(
        f"returns {-errno.EINVAL}\n")
    out = client("inherited", 0, 9)
    assert out.endswith(f"returns {-errno.EBADF}\n")


@pytest.fixture
def handed_on(library, client):  # pylint: disable=unused-argument
    """Runs the client as nobody, with a descriptor that root has opened."""
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    nobody = 65534

    def run_it(flags, fd):
        with tempfile.TemporaryDirectory(prefix="era-test-") as directory:
            os.chmod(directory, 0o755)
            program = shutil.copy(library.root / "client", directory)
            shared = library.directory / "libdmera.so.1"
            shutil.copy(shared, directory)
            done = subprocess.run(
                ["setpriv", f"--reuid={nobody}", f"--regid={nobody}",
                 "--clear-groups", program, "inherited", str(flags), str(fd)],
                env={**os.environ, "LD_LIBRARY_PATH": directory},
                pass_fds=[fd], check=False, text=True, stdout=subprocess.PIPE)
        assert done.returncode == 0
        return done.stdout
    return run_it


@contextlib.contextmanager
def opened(path, mode):
    fd = os.open(path, mode)
    try:
        yield fd
    finally:
        os.close(fd)


def test_a_descriptor_that_may_not_be_opened_anew(client, handed_on, image):
    path = image("crash_snap")
    path.chmod(0o600)
    with opened(path, os.O_RDONLY) as fd:
        assert handed_on(SHARED, fd) == client("superblock", SHARED, path)
        assert handed_on(SNAPSHOT, fd) == client("superblock", SNAPSHOT, path)
        assert handed_on(0, fd).endswith(f"returns {-errno.EACCES}\n")
    with opened(path, os.O_WRONLY) as fd:
        assert handed_on(SHARED, fd).endswith(f"returns {-errno.EBADF}\n")


def test_a_block_device_is_never_read_from_its_page_cache(client, handed_on,
                                                          image, loop):  # noqa: F811
    device = loop(image("crash_snap"))
    expected = client("superblock", 0, device)
    with opened(device, os.O_RDONLY) as fd:
        out = handed_on(SHARED, fd)
        assert "O_DIRECT" in out
        assert out.endswith(f"returns {-errno.EACCES}\n")
    with opened(device, os.O_RDONLY | os.O_DIRECT) as fd:
        assert handed_on(SHARED, fd) == expected
    assert client("fd", 0, "r", device) == expected
    # a claim of the caller's is a claim
    assert client("fd", 0, "excl", device).endswith(
        f"returns {-errno.EBUSY}\n")
    assert client("fd", SHARED, "excl", device) == expected


@pytest.mark.parametrize("name", ["crash_k61", "clean_snap"])
def test_threads_share_a_handle(client, image, name):
    assert client("threads", 8, image(name)) == "returns 0\n"


@pytest.mark.parametrize("name", data.STALE_SOUND)
def test_a_newer_history_is_not_forgotten(library, client, example, image,
                                          name):
    path = image(name)
    done = subprocess.run([example, "1", path], check=False, text=True,
                          env=library.run_environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (1, "")
    assert "newer" in done.stderr
    assert client("dump", REACHABLE_ONLY << 4 | LOGICAL, path).endswith(
        "end\nreturns 0\n")


def test_misuse_is_an_error_code(client, image):
    found = dict(line.rsplit(" ", 1) for line in
                 client("misuse", image("crash_snap")).splitlines())
    assert found == {
        "flags": str(-errno.EINVAL), "handle": "1",
        "missing": str(-errno.ENOENT), "second": "0",
        "no fd": str(-errno.EBADF), "fd flags": str(-errno.EINVAL),
        "fd handle": str(-errno.EINVAL), "fd closed first": "0",
        "shared": "0", "snapshot check": str(-errno.EINVAL),
        "check flags": str(-errno.EINVAL), "dump flags": str(-errno.EINVAL),
        "dump nothing": "0", "stop": "4711", "nested": "0",
        "null path's handle": "1",
        **{name: str(-errno.EINVAL) for name in (
            "null path", "null handle", "null superblock",
            "superblock of null", "null range", "since of null",
            "null result", "check of null", "null visitor",
            "dump of null")}}


def test_what_somebody_writes_is_busy(client, image):
    path = image("clean_snap")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert client("superblock", 0, path) == f"returns {-errno.EBUSY}\n"
        assert client("superblock", SNAPSHOT, path).endswith("returns 0\n")


def test_prints_nothing_of_its_own(library, client, image):
    """All output is the callbacks'; there is nothing to print with."""
    undefined = command("nm", "-D", "--undefined-only",
                        library.directory / "libdmera.so")
    for name in ("printf", "puts", "fwrite", "write", "exit", "_exit",
                 "abort", "signal", "sigaction", "stdout", "stderr",
                 "__fprintf_chk", "__printf_chk"):
        assert not re.search(rf" {name}(@|$)", undefined, re.M), name
    assert client("superblock", 0, image("rot_crash_k61_superblock")) == \
        f"returns {-errno.EUCLEAN}\n"
