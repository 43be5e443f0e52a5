# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes of the manual pages, and what the pages print."""

import re
from pathlib import Path

HERE = Path(__file__).parent
RECIPES = HERE / "recipes"
PAGES = {"era": "era.7", "era_recovery": "era_recovery.7"}


def recipes(page):
    return sorted(file.stem for file in (RECIPES / page).glob("*.sh"))


def steps(page, recipe):
    """The commands of a recipe."""
    lines = (RECIPES / page / f"{recipe}.sh").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def in_guest(page, recipe):
    return "\n".join(steps(page, recipe)) + "\n"


def printed(page):
    """The lines of a page's literal blocks, a command of several as one."""
    text = (HERE.parents[1] / "man" / PAGES[page]).read_text()
    text = re.sub(r"\s*\\e\n\s*", " ", text)
    text = text.replace("\\-", "-").replace("\\(aq", "'")
    return [line for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$",
                                         text, re.M | re.S)
            for line in block.splitlines()]


def printed_commands(page):
    """Those that are commands: they have a prompt, or begin with a program
    that a recipe of the page begins with."""
    programs = {step.split()[0] for recipe in recipes(page)
                for step in steps(page, recipe)}
    return [line.removeprefix("# ") for line in printed(page)
            if line.startswith("# ") or line.split()[0] in programs]
