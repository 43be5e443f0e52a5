# SPDX-License-Identifier: GPL-2.0-or-later
"""doc/design.md: where it sends whoever changes something, there is something,
and its words are those of the code."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
DESIGN = (TOP / "doc/design.md").read_text("utf-8")


def section(title):
    return DESIGN.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title):
    """The cells of a table, a list for each row, less its head."""
    lines = [line for line in section(title).splitlines()
             if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in lines[2:]]


CHANGES = rows("Where a change begins")
WORDS = rows("Words")
FILE = r"[\w.-]+(?:/[\w.-]+)+|README|CHANGES"


def paths_in(text):
    return [TOP / name.rstrip(".") for name in re.findall(FILE, text)]


def test_the_map_comes_first_and_has_what_is_changed_most():
    assert DESIGN.index("## Where a change begins") == DESIGN.index("\n## ") + 1
    assert len(CHANGES) >= 10
    assert len({change for change, _, _ in CHANGES}) == len(CHANGES)


@pytest.mark.parametrize("change, begins, then", CHANGES,
                         ids=[row[0] for row in CHANGES])
def test_a_change_begins_where_the_map_says(change, begins, then):
    assert change
    assert paths_in(begins), "no file to begin in"
    for path in paths_in(begins) + paths_in(then):
        assert path.exists(), path
    text = "".join(path.read_text("utf-8", "replace")
                   for path in paths_in(begins + " " + then) if path.is_file())
    for name in re.findall(r"`([^`]+)`", begins + " " + then):
        if name.startswith("--"):
            continue
        if name.endswith("()"):
            assert re.search(rf"\b{name[:-2]}\(", text), f"no {name} there"
        else:
            assert re.search(rf"\b{name}\b", text), f"no {name} there"


def test_a_word_is_explained_once():
    words = [word for word, _ in WORDS]
    assert len(set(words)) == len(words)
    assert all(meaning for _, meaning in WORDS)


@pytest.mark.parametrize("word, where", [
    ("era_class", "src/era/layers.h"), ("era_role", "src/era/scan.h"),
    ("nr_reused", "src/pdata/btree.h"), ("orphan_writeset", "src/era/orphans.h"),
    ("foreign_fault", "src/era/superblock.c")])
def test_the_code_has_the_words_of_the_glossary(word, where):
    assert re.search(rf"\b{word}\b", (TOP / where).read_text("ascii"))
    last = {"nr_reused": "reused", "foreign_fault": "foreign",
            "orphan_writeset": "orphan"}.get(word, word.split("_")[1])
    assert last in [row[0] for row in WORDS]
