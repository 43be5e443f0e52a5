# SPDX-License-Identifier: GPL-2.0-or-later
"""What the manual pages print is what the recipes run, and nothing else is.

These boot nothing.
"""

import pytest

from recipe import PAGES, printed_commands, recipes, steps


@pytest.mark.ci
@pytest.mark.parametrize("page, recipe", [
    (page, recipe) for page in PAGES for recipe in recipes(page)])
def test_a_recipe_is_printed_in_order(page, recipe):
    lines = printed_commands(page)
    for step in steps(page, recipe):
        assert step in lines, f"{step!r} is not printed there in order"
        lines = lines[lines.index(step) + 1:]


@pytest.mark.ci
@pytest.mark.parametrize("page", PAGES)
def test_every_command_printed_is_in_a_recipe(page):
    run = {step for recipe in recipes(page) for step in steps(page, recipe)}
    commands = printed_commands(page)
    assert commands
    assert not [line for line in commands if line not in run]
