# SPDX-License-Identifier: GPL-2.0-or-later
"""era_invalidate and the others as the programs use them that were written
for the tools of the same names in thin-provisioning-tools.

Some read the XML line by line with sscanf, some with a parser that takes no
more than 16 MiB, some run `-V` and read a version number.
"""

import ctypes
import re
import subprocess
import xml.etree.ElementTree as ElementTree
import xml.sax
from io import BytesIO

import pytest

from helpers import data
from helpers.builder import build
from helpers.reader import Metadata, expand
from helpers.tools import FINAL_TOOLS

XML_LIMIT = 16 << 20  # bytes


LIBC = ctypes.CDLL(None)


def scan(form, line):
    """The numbers that sscanf(3) assigns by a format of %lld."""
    numbers = [ctypes.c_longlong() for _ in range(form.count("%lld"))]
    found = LIBC.sscanf(line.encode("ascii"), form.encode("ascii"),
                        *map(ctypes.byref, numbers))
    return [number.value for number in numbers[:max(found, 0)]]


def read_by_lines(text):
    """What such a client makes of a list. It stops at the first line that it
    does not know, and takes what it has for everything."""
    lines = text.splitlines(keepends=True)
    assert lines[0].strip() == "<blocks>", "the client gives up here"
    blocks = set()
    for line in lines[1:]:
        pair = scan(' <range begin = " %lld " end = " %lld " />', line)
        one = scan(' <block block = " %lld " />', line)
        if len(pair) == 2:
            blocks |= set(range(*pair))
        elif len(one) == 1:
            blocks.add(one[0])
        else:
            assert line.strip() == "</blocks>"
            break
    return blocks


def since(run, path, era, *args):
    result = run("era_invalidate", "--written-since", era, *args, path)
    assert result.status == 0
    return result.out


def test_the_scanner_stops_where_the_form_ends():
    form = ' <range begin = " %lld " end = " %lld " />'
    assert scan(form, '  <range begin="10" end="20"/>\n') == [10, 20]
    assert scan(form, "<range begin='10'") == []
    assert scan(form, '  <range begin="10" len="20"/>') == [10]


@pytest.mark.parametrize("name", data.SOUND)
def test_readers_of_lines_see_every_block(run, image, name):
    path = image(name)
    metadata = Metadata(path.read_bytes())
    for era in range(metadata.superblock().current_era + 1):
        assert read_by_lines(since(run, path, era).decode("ascii")) == \
            metadata.since(era)


@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
@pytest.mark.parametrize("option", ["--metadata-snapshot",
                                    "--metadata-snap"])
def test_readers_of_lines_see_a_snapshot(run, image, name, option):
    path = image(name)
    metadata = Metadata(path.read_bytes())
    text = since(run, path, 2, option).decode("ascii")
    assert read_by_lines(text) == metadata.since(2, snapshot=True)


def test_an_empty_list_is_two_lines(run, image):
    path = image("built", build([1, 0, 1], current_era=3))
    assert since(run, path, 3) == b"<blocks>\n</blocks>\n"


@pytest.mark.parametrize("name", [*data.DAMAGED, *data.STALE])
def test_nobody_takes_half_a_list_for_a_whole(run, image, name):
    """Either all is there, because what is damaged is nothing that the list
    needs, or a client that only looks at the output cannot miss it."""
    result = run("era_invalidate", "--written-since", 1, image(name))
    if result.status == 0:
        assert read_by_lines(result.out.decode("ascii")) >= \
            expand(dict(data.truth(name)["checks"])[1])
        return
    assert b"</blocks>" not in result.out
    if result.out:
        with pytest.raises(ElementTree.ParseError):
            ElementTree.fromstring(result.out)


class Blocks(xml.sax.ContentHandler):
    """A reader that knows three elements and no others."""

    def __init__(self):
        super().__init__()
        self.blocks = set()

    def startElement(self, name, attrs):
        if name == "range":
            assert set(attrs.keys()) == {"begin", "end"}
            self.blocks |= set(range(int(attrs["begin"]), int(attrs["end"])))
        elif name == "block":
            assert set(attrs.keys()) == {"block"}
            self.blocks.add(int(attrs["block"]))
        else:
            assert (name, len(attrs)) == ("blocks", 0)


@pytest.mark.parametrize("name", data.SOUND)
def test_strict_parsers_see_every_block(run, image, name):
    path = image(name)
    handler = Blocks()
    xml.sax.parse(BytesIO(since(run, path, 2)), handler)
    assert handler.blocks == Metadata(path.read_bytes()).since(2)


# --- lists that must stay small -------------------------------------------------

def ranges_of(text):
    """Each element, as [begin, end)."""
    found = []
    for element in ElementTree.fromstring(text):
        if element.tag == "range":
            found.append((int(element.get("begin")), int(element.get("end"))))
        else:
            found.append((int(element.get("block")),
                          int(element.get("block")) + 1))
    return found


def scattered(nr_blocks, seed=1):
    """Eras of a device written here and there; gaps of all sizes."""
    eras, value = [], seed
    while len(eras) < nr_blocks:
        value = value * 1103515245 + 12345 & 0x7fffffff
        eras += [value >> 16 & 1] * (1 << (value >> 8) % 7)
    return eras[:nr_blocks]


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 100, 1000, 10**6])
def test_max_ranges_lists_every_block_in_no_more_ranges(run, image, limit):
    path = image("scattered", build(scattered(20000), current_era=1))
    exact = ranges_of(since(run, path, 1))
    result = run("era_invalidate", "--written-since", 1, "--max-ranges",
                 limit, path)
    found = ranges_of(result.out)
    assert len(found) <= limit
    assert all(a[1] < b[0] for a, b in zip(found, found[1:]))
    blocks, written = expand(found), expand(exact)
    assert written <= blocks
    extra = len(blocks) - len(written)
    if len(exact) <= limit:
        assert (found, result.err) == (exact, "")
    else:
        assert f"{extra} blocks are listed that were not written" \
            in result.err
        # one gap narrower would not have done: half of it, at the least
        gap = max(b - a for a, b in
                  zip([e for _, e in exact], [b for b, _ in exact[1:]])
                  if set(range(a, b)) <= blocks)
        narrow = 0
        while narrow * 2 < gap:
            narrow = narrow * 2 or 1
        assert sum(b - a > narrow // 2 for a, b in
                   zip([e for _, e in exact], [b for b, _ in exact[1:]])) \
            >= limit


@pytest.mark.parametrize("form", ["text", "json", "xml"])
def test_max_ranges_is_for_all_formats(run, image, form):
    result = run("era_invalidate", "--written-since", 1, "--max-ranges", 1,
                 f"--format={form}", image("crash_k61"))
    assert result.status == 0
    assert result.out.count({"text": b"\n", "json": b"begin",
                             "xml": b"range"}[form]) == 1


def test_max_ranges_keeps_a_list_below_a_limit(run, image):
    """The longest range there is, as often as the manual says."""
    longest = len('  <range begin="2147483640" end="2147483646"/>\n')
    assert 250000 * longest + len("<blocks>\n</blocks>\n") < XML_LIMIT
    eras = [i % 2 for i in range(200000)]
    path = image("every", build(eras, current_era=1, nr_blocks=512))
    assert len(since(run, path, 1)) > 2 << 20
    result = run("era_invalidate", "--written-since", 1, "--max-ranges",
                 50000, path)
    assert len(result.out) < 50000 * longest
    assert expand(ranges_of(result.out)) >= \
        {i for i, era in enumerate(eras) if era}


@pytest.mark.parametrize("value", ["0", "-1", "x", ""])
def test_max_ranges_must_be_a_number(run, image, value):
    result = run("era_invalidate", "--written-since", 1, "--max-ranges",
                 value, image("clean"))
    assert (result.status, result.out) == (2, b"")
    assert "--max-ranges" in result.err


# --- scripts ---------------------------------------------------------------------

@pytest.mark.parametrize("tool", FINAL_TOOLS)
def test_scripts_read_a_version(run, all_tools, tool):
    """version=$(era_check -V); the parts, by `.`"""
    run(tool, "-V")
    if all_tools.wrapper:
        pytest.skip("a wrapper has output of its own")
    script = f'IFS=. read -r major minor patch <<E\n$("{all_tools.path(tool)}"' \
        ' -V)\nE\ntest "$major" -ge 0 && test "$minor" -ge 0 && ' \
        'test "$patch" -ge 0 && echo $(( major * 10000 + minor * 100 + ' \
        'patch ))'
    out = subprocess.run(["sh", "-ec", script], stdout=subprocess.PIPE,
                         check=True).stdout
    assert int(out) > 0


def test_a_backup_script_works_as_it_always_did(run, image, tmp_path):
    """Check, list, copy what is listed: with dd's skip= and count=."""
    path = image("crash_k61")
    truth = dict(data.truth("crash_k61")["checks"])[4]
    assert run("era_check", "-q", path).status == 0
    run("era_invalidate", "--written-since", 4, "--format=text",
        "--unit=sectors", "-o", tmp_path / "list", path)
    lines = (tmp_path / "list").read_text().splitlines()
    copied = expand([(int(begin) // 128, (int(begin) + int(length)) // 128)
                     for begin, length in map(str.split, lines)])
    assert copied >= expand(truth)
