# SPDX-License-Identifier: GPL-2.0-or-later
"""make install: what goes where, under other names too."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.tools import FINAL_TOOLS, LIVE_TOOLS

TOOLS = FINAL_TOOLS + LIVE_TOOLS


TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("file, pattern", [
    ("include/dmera.h", r'#define DMERA_VERSION "(.*)"'),
    ("dm-era-tools.spec", r"^Version: *(.*)$"),
    ("dm-era-tools.spec", r"dm-era-tools-([\d.]*)\.tar"),
    ("debian/changelog", r"\Adm-era-tools \((.*)\)"),
    ("CHANGES", r"\A(\S*)")])
def test_the_version_is_the_same_everywhere(run, file, pattern):
    text = (TOP / file).read_text("ascii")
    assert re.search(pattern, text, re.M)[1] == \
        run("era_check", "-V").out.decode().strip()


@pytest.fixture
def install(all_tools, tmp_path):
    """install(variables of make): the files below DESTDIR."""
    if not (all_tools.directory / "Makefile").exists():
        pytest.skip("not a build directory")
    if all_tools.instrumented:
        pytest.skip("not under a wrapper or sanitizer")
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}

    def make_install(*variables):
        done = subprocess.run(
            ["make", "-s", "-C", all_tools.directory, "install",
             f"DESTDIR={tmp_path}", *variables], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout
        return {path.relative_to(tmp_path).as_posix(): path
                for path in tmp_path.rglob("*") if not path.is_dir()}
    return make_install


def names_in(files, pattern):
    return {match[1] for match in
            (re.search(pattern, name) for name in files) if match}


def completed(files):
    """The programs that bash, fish and zsh complete, if they are the same."""
    names = names_in(files, r"/bash-completion/completions/([^/]*)$")
    assert names_in(files, r"/vendor_completions\.d/([^/]*)\.fish$") == names
    zsh, = (path for name, path in files.items()
            if name.endswith("/zsh/site-functions/_dm_era_tools"))
    first = zsh.read_text("ascii").split("\n", 1)[0]
    assert set(first.split()) == {"#compdef"} | names
    return names


def test_everything_is_installed(install, all_tools):
    # whatever the build was configured with
    files = install("transform=s,x,x,")
    tools = set(TOOLS)
    assert names_in(files, r"/sbin/([^/]*)$") == tools
    assert names_in(files, r"/man8/([^/]*)\.8$") == tools
    assert completed(files) == tools
    assert {"era.7", "dmera.3"} <= names_in(files, r"/man\d/([^/]*)$")
    assert len(names_in(files, r"/dm-era-tools/(\w+)\.schema\.json$")) == 6
    library = names_in(files, r"/(libdmera[^/]*|dmera[^/]*)$")
    assert library >= {"libdmera.so", "libdmera.so.1", "dmera.pc", "dmera.h"}
    assert ("libdmera.a" in library) == \
        (all_tools.directory / ".libs/libdmera.a").exists()


@pytest.mark.skipif(not LIVE_TOOLS, reason="built without libdevmapper")
def test_what_runs_at_boot_calls_what_is_installed(install):
    files = install("transform=s,x,x,")
    sbin = next(name for name in files if name.endswith("/sbin/era_activate"))
    called = {}
    for end in ("/system/era@.service", "/initramfs-tools/hooks/dm-era",
                "/initramfs-tools/scripts/local-block/dm-era",
                "/90dm-era/module-setup.sh", "/90dm-era/era_up.sh"):
        path = next(path for name, path in files.items()
                    if name.endswith(end))
        text = path.read_text("ascii")
        assert not re.search(r"@\w+@", text), f"{end}: not filled in"
        assert "era_activate" in text
        called[end] = set(re.findall(r'"(/[^"]*)/(?:era_activate|\$tool)"',
                                     text))
        if end.endswith(".service"):
            continue
        assert os.access(path, os.X_OK)
        subprocess.run(["sh", "-n", path], check=True)
    for end in ("/system/era@.service", "/initramfs-tools/hooks/dm-era",
                "/90dm-era/module-setup.sh"):
        # below DESTDIR
        assert {f"/{sbin}".endswith(f"{path}/era_activate")
                for path in called[end]} == {True}, end


UNITS = Path("/usr/lib/systemd/system")


@pytest.mark.skipif(not LIVE_TOOLS, reason="built without libdevmapper")
@pytest.mark.skipif(not shutil.which("systemd-analyze") or not UNITS.is_dir(),
                    reason="no systemd")
def test_systemd_has_nothing_to_say_of_the_unit(install, tmp_path):
    files = install("transform=s,x,x,")
    unit = next(path for name, path in files.items()
                if name.endswith("/system/era@.service"))
    etc = tmp_path / "etc/systemd/system"
    etc.mkdir(parents=True, exist_ok=True)
    shutil.copy(unit, etc)
    shutil.copytree(UNITS, tmp_path / UNITS.relative_to("/"), symlinks=True,
                    dirs_exist_ok=True)
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={tmp_path}", "--man=no",
         r"era@my\x2ddata.service"], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    # systemd 247 verifies nothing below another root
    if "unrecognized option" in done.stdout:
        pytest.skip("systemd-analyze is too old")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_program_prefix_goes_through_everything(install):
    files = install("transform=s,^,x-,")
    tools = {"x-" + tool for tool in TOOLS}
    assert names_in(files, r"/sbin/([^/]*)$") == tools
    assert names_in(files, r"/man8/([^/]*)\.8$") == tools
    assert completed(files) == tools
    # those are no programs
    assert {"era.7", "dmera.3"} <= names_in(files, r"/man\d/([^/]*)$")
    for name, path in files.items():
        if "/man8/" in name or name.endswith("/era.7"):
            text = path.read_text("ascii")
            for tool in TOOLS:
                assert not re.search(rf"(?<!x-)\b{tool}\b", text), name
                assert not re.search(rf"(?<!X-)\b{tool.upper()}\b", text)
    page = next(path for name, path in files.items()
                if name.endswith("x-era_ls.8"))
    assert ".Nm x-era_ls\n" in page.read_text("ascii")
    assert ".Dt X-ERA_LS 8\n" in page.read_text("ascii")


def test_a_tool_goes_by_its_new_name(install):
    files = install("transform=s,^,x-,")
    tool = next(path for name, path in files.items()
                if name.endswith("/sbin/x-era_check"))
    done = subprocess.run([tool, "/no/such/device"], text=True, check=False,
                          stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith("x-era_check: ")
    done = subprocess.run([tool, "--help"], text=True, check=True,
                          stdout=subprocess.PIPE)
    assert done.stdout.startswith("Usage: x-era_check ")


def make_variables(directory):
    """The variables that configure has set."""
    return dict(re.findall(r"^(\w+) = (.*)$",
                           (directory / "Makefile").read_text(), re.M))


def readelf(*args):
    return subprocess.run(["readelf", "-W", *args], text=True, check=True,
                          stdout=subprocess.PIPE).stdout


@pytest.fixture
def hardened(all_tools, install):
    """Programs and library as installed."""
    if not shutil.which("readelf"):
        pytest.skip("needs readelf")
    variables = make_variables(all_tools.directory)
    if not variables["HARDEN_CFLAGS"]:
        pytest.skip("built with --disable-hardening")
    files = install()
    return {name: path for name, path in files.items()
            if "/sbin/" in name or name.endswith("/libdmera.so.1")}


def test_what_is_installed_is_hardened(hardened, all_tools):
    variables = make_variables(all_tools.directory)
    assert len(hardened) == len(TOOLS) + 1
    for name, path in hardened.items():
        dynamic, headers = readelf("-d", path), readelf("-lh", path)
        symbols = readelf("--dyn-syms", path)
        assert re.search(r"Type: +DYN ", headers), name
        if variables["HARDEN_LDFLAGS"]:
            assert "GNU_RELRO" in headers, f"{name}: RELRO"
            assert re.search(r"FLAGS.*\bNOW\b", dynamic), f"{name}: BIND_NOW"
        if "/sbin/" in name and variables["PIE_LDFLAGS"]:
            assert re.search(r"FLAGS_1.*\bPIE\b", dynamic), f"{name}: PIE"
        assert re.search(r"GNU_STACK.* RW +0x", headers), f"{name}: stack"
        assert not re.search(r"TEXTREL|RPATH|RUNPATH", dynamic), name
        assert " __stack_chk_fail" in symbols, f"{name}: stack protector"
        if variables["HARDEN_CPPFLAGS"]:
            assert re.search(r" __\w+_chk@", symbols), f"{name}: fortify"
