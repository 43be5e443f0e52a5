# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever era_check and era_repair print at three in the morning is in
era_recovery(7) and doc/recovery.md, with what to do about it: the tables there
are held against the source, and against what the tools print.

In a table dots stand for what differs."""

import json
import re
from pathlib import Path

import pytest

from helpers import blocks, data
from test_later import left_behind

TOP = Path(__file__).resolve().parents[2]
ROOMS = ["base", "device", "pdata", "era", "history"]
TOOLS = ["era_check", "era_repair", "in_place", "occupied", "tool"]

# What is no message by itself: names of blocks on the way to a problem, and
# parts that fill in a message that the tables have.
FRAGMENTS = {
    "%s%s %", "%s node", "%s block", "btree node", "array block",
    "space map index", "space map bitmap", "unknown block",
    "metadata snapshot superblock", "writeset tree node", "era array",
    "ref-count tree node", "old writeset %", "old era array", "writeset %",
    "unnamed bitset", ", ", ", ...", " -> ", " and following", " \\t\\r\\n",
    "the block is of another kind", "out of memory",
    "the block is of another kind: btree node",
    "cannot open %s: %s", "%s: %s",
    "cannot open the undo file %s: %s",
    "dm-era-tools: the writing of this metadata was cut short\\n",
    "dm-era-tools: this block could not be read\\n",
    "%s has no array block %%s", "%s (%s)",
    "%s is in use by another program or by the kernel%s",
    "%s, which the space map in block % proves, dates % blocks written since "
    "era % later; run era_repair",
    "% metadata block%s %s: %s (the first: % pointers lead there, the space "
    "map counts %)",
    "the tree holds a writeset of era %, the current era is %%s",
    "%s is too small: more than % metadata blocks are needed, it has %%s",
    "%s; but other blocks here are metadata: the superblock is lost",
}

# Of eras that are asked for, of XML, and of libdmera's descriptors.
OF_OTHERS = {
    "era % is not in the metadata snapshot, which holds eras 0 to %: it was "
    "taken too early, or era % is that of another device or from before it "
    "was formatted anew",
    "era % has not begun, there are eras 0 to % (the current one): era % is "
    "that of another device or from before this one was formatted anew",
    "the writeset of era % is given twice",
    "%s cannot be opened anew and is not read past the page cache: open the "
    "block device with O_DIRECT",
}

TOKEN = re.compile(
    r'/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\]|\\.)\'|PRI[a-z]+\d*|\w+'
    r'|#[^\n]*|\s+|.', re.S)


def literals(code):
    """Its strings, those beside each other as one, PRIu64 and so on as %."""
    found = None
    for token in TOKEN.findall(code):
        if token[0] == '"':
            found = (found or "") + token[1:-1]
        elif found is not None and not token.isspace() and \
                not token.startswith(("/*", "PRI")):
            yield found
            found = None


def calls(code):
    """Of what is passed to era_report() and its like."""
    for match in re.finditer(r"\bera_report\w*\(", code):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        yield code[match.end():end]


def in_words(text):
    """A format as a table has it."""
    text = re.sub(r"(?<=[a-z])%s", "s", text)  # of a plural
    return re.sub(r"%[a-z]?(?![a-z])|%s", "...", text).strip(" .")


def messages():
    """What can be printed: a format, and where it is."""
    for room in ROOMS:
        for path in sorted((TOP / "src" / room).glob("*.c")):
            if path.name in ("kind.c", "progress.c"):
                continue
            for text in literals(path.read_text("ascii")):
                if " " in text and "<" not in text:
                    yield text, path.name
    for name in TOOLS:
        code = (TOP / f"src/tools/{name}.c").read_text("ascii")
        for call in calls(code):
            for text in literals(call):
                if " " in text:
                    yield text, f"{name}.c"


def plain(page):
    """A manual page's lines as one, without its escapes."""
    return " ".join(page.replace("\\&", "").split())


def of_manual(section, end):
    page = (TOP / "man/era_recovery.7").read_text("ascii")
    page = page.partition(f".{section}\n")[2].partition(f".{end}\n")[0]
    items = re.findall(r"^\.It\n(.*?)(?=^\.)", page, re.M | re.S)
    items += re.findall(r"^\.It (.+)$", page, re.M)
    return [plain(item) for item in items]


def of_document(heading, end):
    text = (TOP / "doc/recovery.md").read_text("ascii")
    text = text.partition(heading)[2].partition(end)[0]
    return re.findall(r"^\| `(.*?)` \|", text, re.M)


def rows():
    return of_manual("Sh MESSAGES", "Ss Any other error")


def test_each_message_has_a_row():
    missing = [(text, where) for text, where in messages()
               if text not in FRAGMENTS | OF_OTHERS
               and not any(in_words(text) in row for row in rows())]
    assert missing == []


def test_each_row_is_of_a_message():
    words = [in_words(text) for text, _ in messages()]
    stale = [row for row in rows()
             if not any(len(part) > 12 and part in row for part in words)]
    assert stale == []


def test_what_is_left_out_is_there():
    found = {text for text, _ in messages()} | {"%s (%s)"}
    assert (FRAGMENTS | OF_OTHERS) - found == set()


def test_the_page_and_the_document_say_the_same():
    assert of_document("## Every message", "| **any other error**") == rows()
    for part in ("What comes next", "What a repair advises"):
        assert of_manual(f"Ss {part}", "Sh SEE ALSO")[:3] != []
    assert of_document("ends with, after `next:`", "## ") == \
        of_manual("Ss What comes next", "Ss What a repair advises")
    assert of_document("| advice | then |", "4. After") == \
        of_manual("Ss What a repair advises", "Sh SEE ALSO")


def test_there_is_a_last_row_for_any_other_error():
    assert ".Ss Any other error\n" in \
        (TOP / "man/era_recovery.7").read_text("ascii")


@pytest.mark.parametrize("source, end, heading", [
    ("src/base/kind.c", "Ss What a repair advises", "Ss What comes next"),
    ("src/tools/repair_summary.c", "Sh SEE ALSO",
     "Ss What a repair advises")])
def test_each_advice_has_a_row(source, end, heading):
    code = (TOP / source).read_text("ascii")
    listed = of_manual(heading, end)
    found = []
    for text in literals(code):
        if "kind.c" in source:
            if " " in text:
                found.append(re.sub("%s", "...", text))
        elif re.search(r"full backup|complete", text) and "{" not in text \
                and " " in text:
            found.append(re.sub("%", "...", text))
    assert sorted(found) == sorted(listed)


# --- what is printed ---------------------------------------------------------------

CASES = {
    **{name: lambda name=name: data.read(name)
       for name in [*data.SOUND, *data.DAMAGED, *data.STALE]},
    "zeroes": lambda: bytes(1 << 20),
    "zeroed": lambda: bytes(blocks.SIZE) + data.read("clean")[blocks.SIZE:],
    "short": lambda: data.read("clean")[:64 * blocks.SIZE],
    "tiny": lambda: b"x",
    "XML": lambda: data.dump("clean"),
    "old superblock": lambda: bytes(left_behind(commits=2)[0]),
}


def is_of(row, message):
    pattern = re.escape(row).replace(re.escape("..."), ".*")
    pattern = re.sub(r"\b(block)s\b", r"\1s?", pattern)
    return re.fullmatch(pattern + r"(, not all of them free)?", message)


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed_is_in_the_table(run, image, name):
    path = image("x", CASES[name]())
    told = []
    for tool, *options in (["era_check", "--json"],
                           ["era_repair", "--json", "--dry-run", "-i"]):
        report = json.loads(run(tool, *options, path).out)
        told += [problem["message"] for problem in report["problems"]]
    assert [message for message in told
            if not any(is_of(row, message) for row in rows())] == []


def test_each_error_of_era_check_ends_with_what_comes_next(run, image):
    for name, make in CASES.items():
        path = image("x", make())
        result = run("era_check", path)
        if result.status:
            next_one = result.err.splitlines()[-1].partition("next: ")[2]
            assert any(is_of(row, next_one) for row in of_manual(
                "Ss What comes next", "Ss What a repair advises")), name


def test_a_pack_is_named_as_one(run, image, tmp_path):
    pack = tmp_path / "pack"
    run("era_metadata_pack", "-i", image("clean"), "-o", pack)
    for tool in "era_check", "era_dump", "era_ls", "era_map":
        result = run(tool, pack)
        assert result.status == 1
        assert "this is a pack, not metadata (era_metadata_unpack" in \
            result.err


def test_a_lost_superblock_is_told_from_no_metadata(run, image):
    """The kernel would format either of them; one is worth a repair."""
    empty = run("era_check", image("empty", CASES["zeroes"]())).err
    lost = run("era_check", image("lost", CASES["zeroed"]())).err
    assert "all zero" in empty and "all zero" in lost
    assert "other blocks here are metadata" not in empty
    assert "other blocks here are metadata: the superblock is lost" in lost
