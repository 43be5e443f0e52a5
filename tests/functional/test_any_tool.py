# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for any tool, whatever it is for: usage, inputs that are not
what they should be, outputs that cannot be written.

The tables say which tools there are and how each is called; a new tool is a
new line.
"""

import errno
import fcntl
import gzip
import os
import re
import resource
import shutil
import signal
import stat
import subprocess

import pytest

from helpers import data
from helpers.blocks import SIZE
from helpers.forms import make_dump
from helpers.tools import FINAL_TOOLS

# Tools that read metadata: the arguments before the device.
READ_METADATA = {
    "era_check": [],
    "era_dump": [],
    "era_invalidate": ["--written-since", "1"],
    "era_dump --metadata-snapshot": ["--metadata-snapshot"],
    "era_invalidate --metadata-snapshot": ["--metadata-snapshot",
                                           "--written-since", "1"],
    "era_ls": [],
    "era_ls --metadata-snapshot": ["--metadata-snapshot"],
    "era_map": [],
    "era_map --metadata-snapshot": ["--metadata-snapshot"],
}
# Tools that write a result to standard output, or to a file with -o.
WRITE_RESULT = {
    "era_dump": [],
    "era_dump --logical": ["--logical"],
    "era_dump --compact": ["--compact"],
    "era_invalidate": ["--written-since", "1"],
    "era_invalidate --format=json": ["--written-since", "1",
                                     "--format=json"],
    "era_map": [],
    "era_map --format=svg": ["--format=svg"],
}
XML = make_dump([i % 3 for i in range(20000)], [(3, 20000, [5])])

reads_metadata = pytest.mark.parametrize("tool", READ_METADATA)
writes_result = pytest.mark.parametrize("tool", WRITE_RESULT)
any_tool = pytest.mark.parametrize("tool", FINAL_TOOLS)


def name_of(tool):
    return tool.partition(" ")[0]


def read(run, tool, path, **options):
    return run(name_of(tool), *READ_METADATA[tool], path, **options)


def write(run, tool, path, *args, **options):
    return run(name_of(tool), *WRITE_RESULT[tool], *args, path, **options)


def assert_refused(result, *words, status=2):
    """status 1: what is there is not sound; 2: it was not looked at."""
    assert result.status == status, result.err
    assert result.out == b""
    assert result.err.count("\n") >= 1
    for word in words:
        assert str(word) in result.err, f"no {word!r} in: {result.err}"


# A root that file modes apply to, as they do to anybody else.
OBEY_MODES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture(scope="session")
def obey_modes():
    if os.geteuid():
        return []
    try:
        subprocess.run([*OBEY_MODES, "true"], check=True,
                       stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file modes do not apply to root, and setpriv cannot "
                    "change that here")
    return OBEY_MODES


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    path = tmp_path / "small"
    path.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path],
        stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not mounted:
        pytest.skip("cannot mount a small tmpfs")
    yield path
    subprocess.run(["umount", path], check=True)


# --- the command line -------------------------------------------------------

@any_tool
def test_is_built(all_tools, tool):
    assert all_tools.has(tool)


@any_tool
def test_no_argument(run, tool):
    assert_refused(run(tool), "Try", "--help")


@any_tool
@pytest.mark.parametrize("option", ["--no-such-option", "-Y"])
def test_unknown_option(run, tool, option):
    assert_refused(run(tool, option), "option", "Try", "--help")


@any_tool
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(run, tool, option):
    result = run(tool, option)
    assert (result.status, result.err) == (0, "")
    out = result.out.decode()
    assert out.startswith(f"Usage: {tool} ")
    assert "--help" in out and "--version" in out
    assert all(len(line) <= 80 for line in out.splitlines())


@any_tool
def test_help_names_the_address_for_bugs_where_there_is_one(
        run, all_tools, tool):
    config = all_tools.directory / "config.h"
    if not config.exists():
        pytest.skip("not a build directory")
    address = re.search(r'^#define PACKAGE_BUGREPORT "(.*)"$',
                        config.read_text(), re.M)[1]
    out = run(tool, "--help").out.decode()
    assert ("Report bugs to" in out) == bool(address)
    assert address in out


@any_tool
def test_usage(run, tool):
    result = run(tool, "--usage")
    assert (result.status, result.err) == (0, "")
    assert result.out.decode().startswith(f"Usage: {tool} ")


@any_tool
@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_bare(run, tool, option):
    result = run(tool, option)
    assert (result.status, result.err) == (0, "")
    assert result.out == run("era_check", "-V").out
    numbers = result.out.decode().removesuffix("\n").split(".")
    assert len(numbers) == 3 and all(map(str.isdigit, numbers))


@reads_metadata
def test_more_than_one_device(run, image, tool):
    path = image("clean_snap")
    assert_refused(run(name_of(tool), *READ_METADATA[tool], path, path),
                   "Try")


def test_restore_takes_no_other_argument(run, tmp_path):
    assert_refused(run("era_restore", "-i", "-", "-o", tmp_path / "out", "x",
                       stdin=XML), "Try")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["-i", "-o"])
def test_restore_needs_both_names(run, tmp_path, missing):
    other = "-o" if missing == "-i" else "-i"
    assert_refused(run("era_restore", other, tmp_path / "x"), missing)


@any_tool
def test_is_called_by_any_name(all_tools, run, tmp_path, tool):
    """As --program-prefix installs it: messages go by that name."""
    run(tool, "-V")  # skips what is not built
    if all_tools.wrapper:
        pytest.skip("a wrapper has its own way to name a program")
    os.symlink(all_tools.path(tool), tmp_path / "my_tool")
    done = subprocess.run([tmp_path / "my_tool", "--no-such-option"],
                          stderr=subprocess.PIPE, check=False)
    assert done.stderr.startswith(b"my_tool: ")


# --- inputs: metadata -------------------------------------------------------

@reads_metadata
def test_missing_file(run, tmp_path, tool):
    path = tmp_path / "nothing"
    assert_refused(read(run, tool, path), path, "No such file or directory")


@reads_metadata
def test_directory(run, tmp_path, tool):
    assert_refused(read(run, tool, tmp_path), tmp_path, "directory")


@reads_metadata
def test_unreadable_file(run, image, obey_modes, tool):
    path = image("clean_snap")
    path.chmod(0)
    assert_refused(read(run, tool, path, before=obey_modes), path,
                   "Permission denied")


@reads_metadata
@pytest.mark.parametrize("nr_bytes", [0, 1, 4095])
def test_less_than_a_block(run, image, tool, nr_bytes):
    path = image("short", b"\0" * nr_bytes)
    assert_refused(read(run, tool, path), "small", status=1)


@reads_metadata
def test_a_device_shorter_than_its_space_map(run, image, tool):
    """All that the trees are made of is there. What a newer history has left
    may be in what is not."""
    path = image("stale_live", data.read("stale_live")[:64 * SIZE])
    assert_refused(read(run, tool, path), "has 64 metadata blocks, "
                   "its space map counts 1024", status=1)


@reads_metadata
def test_zeroes(run, image, tool):
    assert_refused(read(run, tool, image("zeroes", bytes(1 << 20))), "zero",
                   status=1)


@reads_metadata
def test_noise(run, image, tool):
    noise = bytes(i * i % 251 for i in range(1 << 16))
    assert_refused(read(run, tool, image("noise", noise)), "superblock",
                   status=1)


@reads_metadata
@pytest.mark.parametrize("content", [
    XML, b"\xef\xbb\xbf" + XML, b"<?xml version='1.0'?>\n" + XML, b"\n" + XML,
], ids=["plain", "byte order mark", "declaration", "blank line"])
def test_xml_where_metadata_is_expected(run, image, tool, content):
    assert_refused(read(run, tool, image("xml", content)), "XML",
                   status=1)


@reads_metadata
def test_short_xml_where_metadata_is_expected(run, image, tool):
    """Less than a block, as the dump of a small device is."""
    assert_refused(read(run, tool, image("xml", make_dump([1]))), "XML",
                   status=1)


@reads_metadata
def test_compressed_metadata(run, image, tool):
    path = image("gzip", gzip.compress(data.read("clean_snap")))
    assert_refused(read(run, tool, path), "gzip", status=1)


@reads_metadata
@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/tty"])
def test_a_device_that_holds_no_blocks(run, tool, path):
    assert_refused(read(run, tool, path), path)


@reads_metadata
def test_a_fifo_does_not_block(run, tmp_path, tool):
    os.mkfifo(tmp_path / "fifo")
    assert_refused(read(run, tool, tmp_path / "fifo"), tmp_path / "fifo")


@pytest.mark.parametrize("tool", ["era_check", "era_dump", "era_invalidate"])
def test_a_device_in_use(run, image, tool):
    """Held by a writer; two readers do not disturb each other."""
    path = image("clean")
    with open(path, "rb+") as somebody_else:
        fcntl.flock(somebody_else, fcntl.LOCK_EX)
        assert_refused(read(run, tool, path), path, "in use")


@reads_metadata
def test_inputs_are_left_as_they_are(run, image, obey_modes, tool):
    """Even a file that can only be read does."""
    path = image("crash_snap")
    path.chmod(0o400)
    assert "denied" not in read(run, tool, path, before=obey_modes).err
    assert path.read_bytes() == data.read("crash_snap")


@pytest.mark.parametrize("call", [
    ["era_repair", "-i", "INPUT", "-o", "OUT"],
    ["era_repair", "--dry-run", "-i", "INPUT", "-o", "OUT"],
    ["era_repair", "--dry-run", "--in-place", "INPUT"],
    ["era_metadata_pack", "-i", "INPUT", "-o", "OUT"],
    ["era_metadata_unpack", "-i", "PACK", "-o", "OUT"],
    ["era_restore", "-i", "XML", "-o", "OUT"]], ids=" ".join)
def test_inputs_are_left_as_they_are_by_writers(run, image, obey_modes,
                                                tmp_path, call):
    words = {"INPUT": image("crash_snap"), "OUT": tmp_path / "out",
             "XML": image("xml", XML), "PACK": tmp_path / "pack"}
    run("era_metadata_pack", "-i", words["INPUT"], "-o", words["PACK"])
    inputs = [words[name] for name in ("INPUT", "XML", "PACK")]
    for path in inputs:
        path.chmod(0o400)
    before = [path.read_bytes() for path in inputs]
    result = run(*(words.get(word, word) for word in call), before=obey_modes)
    assert result.status == 0, result.err
    assert [path.read_bytes() for path in inputs] == before


@reads_metadata
def test_a_link_is_followed(run, image, tmp_path, tool):
    path = image("clean_snap")
    (tmp_path / "link").symlink_to(path)
    assert read(run, tool, tmp_path / "link").status == 0


@reads_metadata
def test_a_name_that_looks_like_an_option(run, image, tmp_path, tool):
    image("clean_snap").rename(tmp_path / "--help")
    result = run(name_of(tool), *READ_METADATA[tool], "--", "--help",
                 cwd=tmp_path)
    assert result.status == 0
    assert b"Usage" not in result.out


# --- inputs: XML -----------------------------------------------------------

@pytest.fixture
def restore(run, tmp_path):
    """restore(input): era_restore that must fail and leave no output."""
    def refused(path, *words, status=2, **options):
        output = tmp_path / "restored"
        result = run("era_restore", "-i", path, "-o", output, **options)
        assert_refused(result, *words, status=status)
        assert not output.exists()
    return refused


def test_restore_of_a_missing_file(restore, tmp_path):
    restore(tmp_path / "nothing", "No such file or directory", "nothing")


def test_restore_of_a_directory(restore, tmp_path):
    restore(tmp_path, "directory")


def test_restore_of_an_unreadable_file(restore, image, obey_modes):
    path = image("xml", XML)
    path.chmod(0)
    restore(path, path, "Permission denied", before=obey_modes)


@pytest.mark.parametrize("content", [b"", b"<", b"x", b"\n"],
                         ids=["empty", "bracket", "letter", "line feed"])
def test_restore_of_almost_nothing(restore, image, content):
    path = image("xml", content)
    restore(path, path, status=1)


def test_restore_of_metadata(restore, image):
    restore(image("clean"), "metadata", status=1)


def test_restore_of_noise(restore, image):
    restore(image("noise", bytes(i * i % 251 for i in range(1 << 16))),
            status=1)


def test_restore_of_no_gzip_in_truth(restore, image):
    restore(image("gzip", b"\x1f\x8b" + b"x" * 100), status=1)


# --- outputs: results ------------------------------------------------------

@writes_result
def test_output_in_a_missing_directory(run, image, tmp_path, tool):
    output = tmp_path / "no" / "out"
    assert_refused(write(run, tool, image("clean"), "-o", output), output,
                   "No such file or directory")


@writes_result
def test_output_is_a_directory(run, image, tmp_path, tool):
    output = tmp_path / "out"
    output.mkdir()
    assert_refused(write(run, tool, image("clean"), "-o", output), output,
                   "directory")
    assert list(output.iterdir()) == []


@writes_result
def test_output_is_the_input(run, image, tmp_path, tool):
    path = image("clean")
    (tmp_path / "link").symlink_to(path)
    os.link(path, tmp_path / "hard")
    for output in (path, tmp_path / "link", tmp_path / "hard"):
        assert_refused(write(run, tool, path, "-o", output), "input")
    assert path.read_bytes() == data.read("clean")
    assert len(list(tmp_path.iterdir())) == 3, "something was left"


@writes_result
def test_output_to_a_read_only_directory(run, image, tmp_path, obey_modes,
                                         tool):
    directory = tmp_path / "read-only"
    directory.mkdir()
    directory.chmod(0o555)
    assert_refused(write(run, tool, image("clean"), "-o", directory / "out",
                         before=obey_modes), directory / "out",
                   "Permission denied")


@writes_result
def test_standard_output_is_full(run, image, tool):
    with open("/dev/full", "wb") as full:
        result = write(run, tool, image("clean"), stdout=full)
    assert result.status == 2
    assert "No space left on device" in result.err


@writes_result
def test_output_is_full(run, image, small_disk, tool):
    """Nothing is left behind, and what was there before is kept."""
    (small_disk / "ballast").write_bytes(bytes(60 << 10))
    with open(small_disk / "ballast", "ab") as ballast:
        while True:
            try:
                os.write(ballast.fileno(), bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                break
    output = small_disk / "out"
    result = write(run, tool, image("clean"), "-o", output)
    assert_refused(result, "No space left on device", output)
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


@writes_result
def test_output_to_a_character_device_goes_there(run, image, tmp_path, tool):
    """/dev/null must still be /dev/null afterwards."""
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        device.open("wb").close()
    except OSError:
        pytest.skip("cannot make device nodes here")
    result = write(run, tool, image("clean"), "-o", device)
    assert (result.status, result.err) == (0, "")
    assert device.is_char_device()


@writes_result
def test_output_through_a_link_replaces_what_it_points_to(run, image,
                                                          tmp_path, tool):
    target = tmp_path / "target"
    target.write_bytes(b"<blocks>\n</blocks>\n")
    (tmp_path / "link").symlink_to(target)
    assert write(run, tool, image("clean"), "-o",
                 tmp_path / "link").status == 0
    assert (tmp_path / "link").is_symlink()
    assert target.read_bytes() == write(run, tool, image("clean")).out


@writes_result
def test_output_replaces_a_file_and_keeps_its_mode(run, image, tmp_path,
                                                   tool):
    output = tmp_path / "out"
    output.write_bytes(b"<blocks>\n" + b"old " * 100000)
    output.chmod(0o600)
    assert write(run, tool, image("clean"), "-o", output).status == 0
    assert output.read_bytes() == write(run, tool, image("clean")).out
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


@writes_result
def test_a_dash_is_standard_output(run, image, tmp_path, tool):
    path = image("clean")
    assert write(run, tool, path, "-o", "-", cwd=tmp_path).out == \
        write(run, tool, path).out
    assert not (tmp_path / "-").exists()


@writes_result
@pytest.mark.parametrize("ignored", [False, True],
                         ids=["SIGPIPE kills", "SIGPIPE is ignored"])
def test_a_closed_pipe_ends_quietly(all_tools, image, tool, ignored):
    handler = signal.SIG_IGN if ignored else signal.SIG_DFL
    process = all_tools.popen(
        name_of(tool), *WRITE_RESULT[tool], image("clean"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, handler))
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) in (0, 2, -signal.SIGPIPE)
    process.stderr.close()


@any_tool
def test_help_that_cannot_be_written(run, tool):
    """argp prints it and does not look; nothing crashes, nothing is said that
    is not the tool's."""
    with open("/dev/full", "wb") as full:
        run(tool, "--help", stdout=full)  # run() holds it to that


# --- outputs: metadata -----------------------------------------------------

def restore_to(run, output, **options):
    return run("era_restore", "--force", "-i", "-", "-o", output, stdin=XML,
               **options)


@pytest.mark.parametrize("nr_blocks", [0, 1, 2, 5, 20])
def test_restore_to_a_device_too_small(run, tmp_path, nr_blocks):
    """Said before anything is written: how much is needed, what is there."""
    output = tmp_path / "out"
    output.write_bytes(b"\xaa" * SIZE * nr_blocks)
    result = restore_to(run, output)
    assert_refused(result, "too small", nr_blocks)
    assert output.read_bytes() == b"\xaa" * SIZE * nr_blocks


def test_restore_to_a_device_that_is_just_large_enough(run, tmp_path):
    """And one block less is found out, at the latest before it is whole."""
    from helpers.reader import Metadata
    output = tmp_path / "out"
    assert restore_to(run, output).status == 0
    reader = Metadata(output.read_bytes())
    assert reader.problems() == []
    needed = len(reader.references)
    for nr_blocks, status in ((needed, 0), (needed - 1, 2)):
        output.unlink()
        with open(output, "wb") as file:
            file.truncate(nr_blocks * SIZE)
        result = restore_to(run, output)
        assert result.status == status, result.err
    assert run("era_check", output).status == 1


def test_restore_to_a_full_disk(run, small_disk):
    output = small_disk / "out"
    result = restore_to(run, output)
    assert_refused(result, "No space left on device", output)
    assert list(small_disk.iterdir()) == []


def test_restore_to_a_device_on_a_full_disk(run, small_disk):
    """A file that has the size, but not the room: the offset is named, and
    what it holds is not taken for whole."""
    output = small_disk / "out"
    with open(output, "wb") as file:
        file.truncate(4 << 20)
    result = restore_to(run, output)
    assert_refused(result, "No space left on device", output, "offset")
    assert run("era_check", output).status == 1


def test_restore_to_a_read_only_file(run, image, obey_modes):
    path = image("clean")
    path.chmod(0o444)
    assert_refused(restore_to(run, path, before=obey_modes), path,
                   "Permission denied")
    assert path.read_bytes() == data.read("clean")


# The others write a file that is there in place, by whichever name.
TO_STANDARD_OUTPUT = [
    (["era_restore", "-i", "XML"], "-"), (["era_repair", "-i", "IMAGE"], "-"),
    (["era_metadata_unpack", "-i", "PACK"], "-"),
    (["era_metadata_unpack", "-i", "PACK"], "/dev/stdout"),
]


@pytest.mark.parametrize("how", ["pipe", "appending"])
@pytest.mark.parametrize("command, name", TO_STANDARD_OUTPUT)
def test_metadata_to_standard_output(run, image, tmp_path, command, name,
                                     how):
    """Each block has its place there, which what only appends has not."""
    inputs = {"XML": tmp_path / "xml", "IMAGE": image("crash_k61"),
              "PACK": tmp_path / "pack"}
    run("era_dump", "-o", inputs["XML"], inputs["IMAGE"])
    run("era_metadata_pack", "-i", inputs["IMAGE"], "-o", inputs["PACK"])
    command = [inputs.get(word, word) for word in command]
    output = tmp_path / "old"
    output.write_bytes(b"old")
    with open(output, "ab") as file:
        result = run(*command, "-o", name, cwd=tmp_path,
                     **({} if how == "pipe" else {"stdout": file}))
    assert_refused(result, "device", "file")
    assert output.read_bytes() == b"old"
    assert not (tmp_path / "-").exists()


def test_restore_to_a_directory(run, tmp_path):
    assert_refused(restore_to(run, tmp_path), tmp_path, "directory")


def test_restore_in_a_missing_directory(run, tmp_path):
    assert_refused(restore_to(run, tmp_path / "no" / "out"),
                   "No such file or directory")


def test_restore_to_a_character_device(run):
    assert_refused(restore_to(run, "/dev/null"), "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_restore_to_its_own_input(run, image, tmp_path):
    path = image("xml", XML)
    (tmp_path / "link").symlink_to(path)
    os.link(path, tmp_path / "hard")
    for output in (path, tmp_path / "link", tmp_path / "hard"):
        assert_refused(run("era_restore", "-i", path, "-o", output), "input")
    assert path.read_bytes() == XML


def test_restore_to_a_device_in_use(run, image):
    path = image("clean")
    with open(path, "rb") as somebody_else:
        fcntl.flock(somebody_else, fcntl.LOCK_SH)
        assert_refused(restore_to(run, path), path, "in use")
    assert path.read_bytes() == data.read("clean")


# --- block devices -----------------------------------------------------------

@pytest.fixture
def loop(image):
    """A loop device over an image; read-only on request."""
    devices = []

    def attach(path, *options):
        if os.geteuid() or not shutil.which("losetup"):
            pytest.skip("loop devices need root and losetup")
        done = subprocess.run(["losetup", "-f", "--show", *options, path],
                              stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.DEVNULL, text=True)
        if done.returncode:
            pytest.skip("no loop devices here")
        devices.append(done.stdout.strip())
        # udev locks a new device while it looks what is on it
        with open(devices[-1], "rb") as device:
            fcntl.flock(device, fcntl.LOCK_EX)
        return devices[-1]

    yield attach
    for device in devices:
        subprocess.run(["losetup", "-d", device], check=True)


def test_metadata_on_a_block_device(run, image, loop):
    device = loop(image("crash_k612"))
    assert run("era_dump", device).out == data.dump("crash_k612")
    assert restore_to(run, device).status == 0
    assert run("era_dump", device).out == XML


def test_a_block_device_that_somebody_holds(run, image, loop):
    device = loop(image("crash_snap"))
    holder = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        assert_refused(run("era_check", device), "in use")
        assert_refused(run("era_dump", device), "in use",
                       "--metadata-snapshot")
        assert_refused(restore_to(run, device), "in use")
        assert run("era_dump", "--metadata-snapshot", device).status == 0
    finally:
        os.close(holder)


def test_a_read_only_block_device(run, image, loop):
    device = loop(image("clean"), "-r")
    assert run("era_check", device).status == 0
    assert_refused(restore_to(run, device), device)


def test_results_do_not_go_to_a_block_device(run, image, loop, tmp_path):
    device = loop(image("clean"))
    (tmp_path / "other").write_bytes(data.read("crash_k61"))
    assert_refused(run("era_dump", "-o", device, tmp_path / "other"), device)
    assert run("era_dump", device).out == data.dump("clean")


# --- an environment that is not what it should be ----------------------------

DESCRIPTORS = [(1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
WRITE_METADATA = {
    "era_repair --in-place": ["--block-size=128", "--in-place", "DEVICE"],
    "era_repair -o": ["--force", "--block-size=128", "-i", "INPUT", "-o", "DEVICE"],
    "era_restore": ["--force", "-i", "XML", "-o", "DEVICE"],
    "era_restore of nothing": ["-i", "/dev/null", "-o", "DEVICE"],
    "era_check": ["DEVICE"],
    "era_dump": ["DEVICE"],
}


@pytest.mark.parametrize("closed", DESCRIPTORS, ids=str)
@pytest.mark.parametrize("call", WRITE_METADATA)
def test_no_message_goes_to_a_device(all_tools, image, tmp_path, call, closed):
    """Where standard descriptors are closed, a device must not get their
    numbers: all bytes are the same as with all of them open."""
    xml = tmp_path / "xml"
    xml.write_bytes(XML)
    device, source = tmp_path / "device", image("rot_crash_k61_four")
    words = {"DEVICE": device, "INPUT": source, "XML": xml}
    contents = []
    for shut in ((), closed):
        device.write_bytes(source.read_bytes())
        process = all_tools.popen(
            name_of(call), *(words.get(word, word)
                             for word in WRITE_METADATA[call]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda fds=shut: [os.close(fd) for fd in fds])
        # 2: the summary went nowhere, or the device is occupied
        assert process.wait(60) in (0, 1, 2)
        contents.append(device.read_bytes())
    assert contents[0] == contents[1]


@writes_result
def test_a_limit_on_the_size_of_files(all_tools, image, tmp_path, tool):
    """SIGXFSZ would leave the temporary file."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    output = tmp_path / "dir"
    output.mkdir()
    # stderr of run() is a file, and of no more than ten bytes then
    process = all_tools.popen(
        name_of(tool), *WRITE_RESULT[tool], "-o", output / "out",
        image("clean"), stderr=subprocess.PIPE, preexec_fn=limit)
    assert b"File too large" in process.stderr.read()
    assert process.wait(60) == 2
    process.stderr.close()
    assert list(output.iterdir()) == []


def test_works_without_a_dev_null(run, image):
    """As in a bare chroot, or an initramfs."""
    hidden = ["unshare", "-rm", "sh", "-c",
              'mount -t tmpfs none /dev && exec "$@"', "sh"]
    try:
        subprocess.run([*hidden, "true"], check=True, timeout=60,
                       stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs unshare(1) and user namespaces")
    result = run("era_check", image("clean"), before=hidden)
    assert (result.status, result.err) == (0, "")
