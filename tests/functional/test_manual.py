# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual: every option of every tool is in its page and the other way
round; the pages are clean; what bash completes is what there is."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.tools import FINAL_TOOLS, LIVE_TOOLS

TOP = Path(__file__).resolve().parents[2]
PAGES = sorted((TOP / "man").glob("*.[378]"))
COMPLETION = TOP / "completions/dm-era-tools"


def page_of(tool):
    return (TOP / f"man/{tool}.8").read_text("ascii")


def options_of(run, tool):
    """All options that --help names, by the lines that list them."""
    found = set()
    for line in run(tool, "--help").out.decode().splitlines():
        if re.match(r" {2,6}-", line):
            names = re.split(r"  +", line.strip())[0]
            found |= {re.split(r"[=\[ ]", name)[0]
                      for name in names.split(", ")}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_clean(page):
    if not shutil.which("mandoc"):
        pytest.skip("needs mandoc")
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page],
                          stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_refer_to_pages_that_are_there(page):
    ours = {(path.stem, path.suffix[1:]) for path in PAGES}
    theirs = {("dmsetup", "8"), ("open", "2"), ("lvconvert", "8"),
              ("lvcreate", "8"), ("dd", "1"), ("ddrescue", "1"),
              ("lvmconfig", "8"),
              ("thin_metadata_pack", "8"), ("thin_metadata_unpack", "8"),
              ("gzip", "1"), ("lvm", "8"), ("lvchange", "8")}
    for name, section in re.findall(r"^\.(?:It )?Xr (\S+) (\d)",
                                    page.read_text("ascii"), re.M):
        assert (name, section) in ours | theirs


@pytest.mark.parametrize("tool", FINAL_TOOLS + LIVE_TOOLS)
def test_the_page_has_the_options_that_there_are(run, tool):
    there_are = {option.lstrip("-") for option in options_of(run, tool)}
    listed = set()
    for line in re.findall(r"^\.It (Fl .*)$", page_of(tool), re.M):
        for words in re.split(r" , ", line):
            listed |= {word.lstrip("-") for word in words.split()
                       if re.fullmatch(r"-?[A-Za-z0-9][\w-]*", word)
                       and not word.isupper() or word in ("V", "J")}
    listed -= {"Fl", "Ns", "Ar", "No", "Op"}
    # argp has two more
    assert there_are - listed - {"?", "-?", "h", "usage"} == set()
    # those that --help hides are taken, too
    for option in listed - there_are:
        dashes = "-" if len(option) == 1 else "--"
        # what has a value takes the x
        assert run(tool, dashes + option, "x", "--help").status == 0


def complete(tool, *words):
    """What bash offers after these words."""
    script = f"source '{tool.parent / tool.name}.completion'\n" \
        "COMP_WORDS=(\"$@\")\nCOMP_CWORD=$(( $# - 1 ))\n_dm_era\n" \
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    done = subprocess.run(["bash", "-c", script, "bash", tool, *words],
                          stdout=subprocess.PIPE, text=True, check=True,
                          cwd=tool.parent)
    return set(done.stdout.split())


@pytest.fixture
def completing(all_tools, run, tmp_path):
    if all_tools.instrumented:
        pytest.skip("not under a wrapper or sanitizer")

    def complete_words(name, *words):
        run(name, "-V")  # skips what is not built
        tool = tmp_path / name
        if not tool.exists():
            tool.symlink_to(all_tools.path(name))
            shutil.copy(COMPLETION, f"{tool}.completion")
        return complete(tool, *words)
    return complete_words


@pytest.mark.parametrize("tool", FINAL_TOOLS + LIVE_TOOLS)
def test_bash_completes_the_options_that_there_are(run, completing, tool):
    assert completing(tool, "-") == options_of(run, tool)
    assert completing(tool, "--hel") == {"--help"}


@pytest.mark.parametrize("tool, words, expected", [
    ("era_invalidate", ["--format", "="], {"xml", "text", "json", "csv", "ddrescue"}),
    ("era_invalidate", ["--format", "=", "t"], {"text"}),
    ("era_invalidate", ["--format", "j"], {"json"}),
    ("era_map", ["--format", "=", ""], {"text", "svg"}),
    ("era_map", ["--color", "=", "a"], {"auto", "always"}),
    ("era_ls", ["--columns", "=", "SINCE%"], {"SINCE%"}),
    ("era_ls", ["-o", "ERA,ST"], {"ERA,STATE"}),
    ("era_ls", ["-o", "+SN"], {"+SNAPSHOT"}),
    ("era_ls", ["--columns", "=", "+SINCE%,SNAP"], {"+SINCE%,SNAPSHOT"}),
    ("era_map", ["-o", "era_m"], {"era_map", "era_map.completion"}),
    ("era_metadata_size", ["-u", ""], {"s", "K", "M", "G", "T"}),
    ("era_metadata_size", ["-b", ""], set()),
    ("era_metadata_size", ["-s", "era"], set()),
    ("era_invalidate", ["--written-since", "="], set()),
    ("era_invalidate", ["era_i"],
     {"era_invalidate", "era_invalidate.completion"})])
def test_bash_completes_values(completing, tool, words, expected):
    assert completing(tool, *words) == expected


# What zsh calls to offer words, outside of a completion: all that is offered
# goes to stdout, less what does not begin as the word does.
ZSH = r"""
words=("$@") CURRENT=$# PREFIX=$words[-1]
compset() { PREFIX=${PREFIX##${~2}} }
compadd() {
	shift
	for word; do [[ $word != $PREFIX* ]] || print -r -- $word; done
}
_files() { print -r -- FILES }
_message() { print -r -- NUMBER }
source COMPLETION
"""


def complete_zsh(completion, tool, *words):
    done = subprocess.run(
        ["zsh", "-f", "-c", ZSH.replace("COMPLETION", str(completion)), "zsh",
         tool, *words], stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def complete_fish(completion, tool, *words):
    # fish finds the name of the command in that of the file
    file = tool.parent / f"{tool.name}.fish"
    shutil.copy(completion, file)
    line = " ".join([tool.name, *words])
    done = subprocess.run(
        ["fish", "-N", "-c", f"source {file}; complete -C '{line}'"],
        stdout=subprocess.PIPE, text=True, check=True, cwd=tool.parent,
        env={**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}",
             "HOME": str(tool.parent)})
    return {line.split("\t")[0] for line in done.stdout.splitlines()}


@pytest.fixture(params=["fish", "zsh"])
def other_shell(request, all_tools, tmp_path):
    """A shell, and complete(tool, words): what it offers."""
    if all_tools.instrumented:
        pytest.skip("not under a wrapper or sanitizer")
    if not shutil.which(request.param):
        pytest.skip(f"needs {request.param}")
    completion = all_tools.directory / "completions" / request.param
    if not completion.exists():
        pytest.skip("not a build directory")
    call = {"fish": complete_fish, "zsh": complete_zsh}[request.param]

    def complete_words(name, *words):
        tool = tmp_path / name
        if not tool.exists():
            tool.symlink_to(all_tools.path(name))
        return call(completion, tool, *words)
    return request.param, complete_words


@pytest.mark.parametrize("tool", FINAL_TOOLS + LIVE_TOOLS)
def test_fish_and_zsh_complete_the_options_that_there_are(
        run, other_shell, tool):
    run(tool, "-V")  # skips what is not built
    _, offered = other_shell
    assert offered(tool, "--") == \
        {word for word in options_of(run, tool) if word.startswith("--")}


@pytest.mark.parametrize("tool, words, expected", [
    ("era_invalidate", ["--format", "j"], {"json"}),
    ("era_invalidate", ["--format", "d"], {"ddrescue"}),
    ("era_map", ["--format", ""], {"text", "svg"}),
    ("era_metadata_size", ["--unit", ""], {"s", "K", "M", "G", "T"})])
def test_fish_and_zsh_complete_values(run, other_shell, tool, words, expected):
    run(tool, "-V")
    _, offered = other_shell
    assert offered(tool, *words) == expected


def test_fish_and_zsh_complete_a_value_behind_its_option(other_shell):
    shell, offered = other_shell
    before = "--format=" if shell == "fish" else ""
    assert offered("era_map", "--format=s") == {before + "svg"}


def test_fish_and_zsh_complete_a_list_of_columns(other_shell):
    shell, offered = other_shell
    before = "ERA," if shell == "fish" else ""
    assert offered("era_ls", "-o", "ERA,ST") == {before + "STATE"}
    assert offered("era_ls", "--commits", "-o", "PR") == {"PROOF"}


def test_fish_and_zsh_offer_nothing_for_a_number(other_shell):
    shell, offered = other_shell
    nothing = set() if shell == "fish" else {"NUMBER"}
    assert offered("era_metadata_size", "-b", "") == nothing


def test_fish_and_zsh_complete_files(other_shell):
    shell, offered = other_shell
    expected = {"era_check", "era_check.fish"} if shell == "fish" \
        else {"FILES"}
    assert expected <= offered("era_check", "era_c")


def test_the_values_that_bash_completes_are_taken(run, image, completing):
    path = image("clean")
    for tool, options in (("era_invalidate", ["--written-since=1"]),
                          ("era_map", [])):
        for value in completing(tool, "--format", "="):
            assert run(tool, *options, f"--format={value}", path).status == 0
    for value in completing("era_map", "--color", "="):
        assert run("era_map", f"--color={value}", path).status == 0
    columns = ",".join(sorted(completing("era_ls", "--columns", "=")))
    assert run("era_ls", "-o", columns, path).status == 0
    for value in completing("era_metadata_size", "--unit", "="):
        assert run("era_metadata_size", "-n", 9, "-u", value).status == 0


# --- examples ---------------------------------------------------------------------

def examples(page):
    """Commands and what they print."""
    for block in re.findall(r"\.Bd -literal.*?\n(.*?)\.Ed",
                            (TOP / "man" / page).read_text("ascii"), re.S):
        command, _, output = block.replace("\\e", "\\").partition("\n")
        yield command.removeprefix("# "), output.replace("\\&...\n", "")


@pytest.mark.parametrize("page", ["era_ls.8", "era_map.8",
                                  "era_metadata_size.8"])
def test_examples_print_what_the_page_says(all_tools, run, image, page):
    image("crash_k61").rename(image("clean").parent / "crashed")
    image("stale_short").rename(image("clean").parent / "stale")
    ran = 0
    for command, output in examples(page):
        if "/dev/" in command:
            continue
        run(command.split()[0], "-V")
        if all_tools.wrapper:
            pytest.skip("a wrapper has output of its own")
        done = subprocess.run(
            ["sh", "-c", command], cwd=image("clean").parent, text=True,
            stdout=subprocess.PIPE, check=True,
            env={"PATH": f"{all_tools.directory}:/usr/bin:/bin",
                 "LC_ALL": "C"})
        assert done.stdout.startswith(output) and output
        ran += 1
    assert ran


def test_the_recipe_for_a_bug_report_works_as_printed(
        run, image, all_tools, tmp_path):
    if all_tools.instrumented:
        pytest.skip("not under a wrapper or sanitizer")
    path = image("crash_snap")
    before = path.read_bytes()
    readme = (TOP / "README").read_text("ascii")
    section = readme.split("Reporting a bug\n", 1)[1].split("\nPack before")[0]
    lines = re.findall(r"^    (.*)$", section, re.M)
    assert len(lines) == 4
    script = "\n".join(lines).replace("/dev/vg/meta", str(path))
    subprocess.run(
        ["sh", "-c", script], check=False, cwd=tmp_path,
        stderr=subprocess.DEVNULL,  # a host may have no dmsetup
        env={**os.environ,
             "PATH": f"{all_tools.directory}:{os.environ['PATH']}"})
    assert path.read_bytes() == before
    unpacked = tmp_path / "unpacked"
    assert run("era_metadata_unpack", "-i", tmp_path / "meta.pack",
               "-o", unpacked).status == 0
    # all but the name is the same of what whoever gets it unpacks
    for name, said in (("check", run("era_check", unpacked).err), (
            "commits", run("era_ls", "--commits", unpacked).out.decode())):
        assert (tmp_path / f"{name}.txt").read_text() == \
            said.replace(str(unpacked), str(path))
    version = run("era_check", "-V").out.decode()
    assert (tmp_path / "versions.txt").read_text().startswith(version)
