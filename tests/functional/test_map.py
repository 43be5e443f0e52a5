# SPDX-License-Identifier: GPL-2.0-or-later
"""era_map: the cells, bars and labels of text and of SVG, held against an
independent reader. How it looks is for eyes; that it says the truth is here.
"""

import os
import pty
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest

from helpers import data
from helpers.builder import build
from helpers.reader import Metadata

SVG = "{http://www.w3.org/2000/svg}"
UTF8 = {"LC_ALL": "C.UTF-8"}
ESCAPE = re.compile(r"\x1b\[[\d;]*m")


def draw(run, path, *args, **options):
    result = run("era_map", *args, path, **options)
    assert (result.status, result.err) == (0, "")
    return result.out.decode()


def cells_of(text, columns=32):
    """The letters of a map without colours, row by row."""
    rows = [line[8:8 + columns] for line in text.splitlines()[3:]]
    return "".join(rows).rstrip(" ")


def bars_of(text):
    """Letter and size of each line of the histogram."""
    return re.findall(r"  (\S) +(\S+|< \d+)[ #]+? (\d[\d.]*[BKMGT])$", text,
                      re.M)


@pytest.mark.parametrize("name", data.SOUND)
def test_a_letter_for_each_block_of_a_small_device(run, image, name):
    """512 blocks in 640 cells: a block each."""
    path = image(name)
    metadata = Metadata(path.read_bytes())
    current = metadata.superblock().current_era
    if current > 15:
        pytest.skip("more eras than letters")
    expected = "".join("." if not era else chr(ord("A") + current - era)
                       for era in metadata.last_written())
    assert cells_of(draw(run, path)) == expected


def test_sizes_of_the_histogram(run, image):
    assert bars_of(draw(run, image("crash_k61"))) == [
        ("a", "4", "6.8M"), ("b", "3", "2.4M"), ("c", "2", "4.4M"),
        ("d", "1", "1.3M"), (".", "never", "17.1M")]


def test_older_eras_share_bars(run, image):
    eras = list(range(1, 1001))
    text = draw(run, image("many", build(eras, current_era=1000)))
    names = [name for _, name, _ in bars_of(text)]
    assert names == ["1000", "999", "997-998", "993-996", "985-992",
                     "969-984", "937-968", "873-936", "745-872", "489-744",
                     "1-488", "never"]


def test_written_since_tells_the_others_apart_from_nothing(run, image):
    text = draw(run, image("crash_k61"), "--written-since", "4")
    cells = Counter(cells_of(text))
    assert cells == {"A": 108, "-": 21 + 71 + 38, ".": 274}
    assert bars_of(text)[1] == ("-", "< 4", "8.1M")


def test_upper_case_where_half_of_a_cell_was_written(run, image):
    """Cells of 4 blocks: 1, 2, 3, 4 of them written, and none."""
    eras = [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    text = draw(run, image("cells", build(eras + [0] * 620, current_era=1)),
                "--height", "5")
    assert text.splitlines()[1].startswith("a cell is 256K")
    assert cells_of(text).startswith("aAAA.")


def of_shares(shares):
    """A device of cells that each have so many blocks of each era, 0: never;
    640 cells, which are as many as there is room for."""
    cell = [era for era, nr in shares.items() for _ in range(nr)]
    return build(cell * 640, current_era=max(shares), nr_blocks=128)


def test_cells_show_their_eras_in_proportion(run, image):
    """Each cell one of those that it holds, and all in all as much of each as
    there is; the youngest an eighth at the least, at the next one's cost."""
    path = image("cells", of_shares({1: 8, 2: 4, 3: 3, 4: 1}))
    cells = Counter(cells_of(draw(run, path)))
    assert sum(cells.values()) == 640
    for letter, share in ("D", 8), ("C", 4), ("B", 2), ("A", 2):
        assert abs(cells[letter] - 640 * share / 16) < 640 / 24, cells


def test_a_cell_shows_no_era_that_it_does_not_hold(run, image):
    path = image("cells", of_shares({1: 9, 5: 7}))
    assert set(cells_of(draw(run, path))) == {"A", "E"}


@pytest.mark.parametrize("color", ["256", "true"])
@pytest.mark.parametrize("locale", [{}, UTF8])
def test_no_colour_is_but_in_the_legend(run, image, color, locale):
    """A device written all over, in all eras that have bars."""
    eras = [1 + i * 7919 % 64 for i in range(40000)]
    path = image("all", build(eras, current_era=64, nr_blocks=128))
    text = draw(run, path, f"--color={color}", "--height", 8, env=locale)
    bars = set(re.findall(r"\x1b\[38;([\d;]+)m[#\u2588-\u258f]", text))
    cells = set(re.findall(r"[34]8;(5;\d+|2;\d+;\d+;\d+)(?=[;m])", text))
    # those and grey, of which there is no bar here
    assert cells - {"5;236", "2;44;44;50"} == bars and len(bars) == 7


def test_a_written_block_is_never_lost_from_sight(run, image):
    """One of a thousand, wherever it lies."""
    for block in 0, 777, 12345, 39999:
        eras = [0] * 40000
        eras[block] = 1
        path = image("one", build(eras, current_era=1, nr_blocks=128))
        assert cells_of(draw(run, path)).count("a") == 1
        text = draw(run, path, "--color=true", "--height", 4, env=UTF8)
        assert text.count("253;231;37") == 2  # the cell, and the bar
        root = picture(draw(run, path, "--format=svg"))
        assert [rect.get("fill") for rect in
                root.iterfind(f"{SVG}g[@shape-rendering]/{SVG}g/{SVG}rect")
                ].count("#fde725") == 1


def test_light_rises_with_the_era(run, image):
    """So that nobody has to tell colours apart to tell old from young."""
    path = image("eras", build(list(range(1, 14)), current_era=13))
    text = draw(run, path, "--color=true")
    bars = [tuple(map(int, c.split(";"))) for c in
            re.findall(r"\x1b\[38;2;([\d;]+)m#", text)]
    light = [0.2126 * (r / 255) ** 2.2 + 0.7152 * (g / 255) ** 2.2
             + 0.0722 * (b / 255) ** 2.2 for r, g, b in bars]
    assert len(light) == 13 and light == sorted(light, reverse=True)


def test_bars_take_the_width_that_cells_leave(run, image):
    path = image("crash_k61")
    for width in 74, 80, 100, 120, 170:
        text = draw(run, path, "--width", width)
        longest = max(text.splitlines()[3:], key=lambda line: line.count("#"))
        assert width - 6 < len(longest) <= width


def test_offsets_are_round(run, image):
    for nr in 60000, 40000, 33000, 512, 100:
        for width in 60, 80, 120, 200:
            text = draw(run, image("big", build([1] * nr, current_era=1,
                                                nr_blocks=128)),
                        "--width", width)
            labels = re.findall(r"^ *(\d[\d.]*)[BKMGT] [A-Za-z.]", text, re.M)
            assert labels[0] == "0"
            assert all(re.fullmatch(r"\d+(\.5)?", label)
                       for label in labels), labels


@pytest.mark.parametrize("width", [40, 41, 73, 74, 80, 81, 132, 400])
@pytest.mark.parametrize("color", ["never", "256", "true"])
@pytest.mark.parametrize("locale", [{}, UTF8])
def test_is_no_wider_than_it_may_be(run, image, width, color, locale):
    text = draw(run, image("crash_k72"), "--color", color, "--width", width,
                env=locale)
    lines = [ESCAPE.sub("", line) for line in text.splitlines()]
    # the title has the name, which is as long as it is
    assert max(map(len, lines[1:])) <= width
    assert len(lines) <= 3 + 20 + 20
    assert text.isascii() or locale


def test_columns_sets_the_width(run, image):
    path = image("crash_k61")
    assert draw(run, path, env={"COLUMNS": "120"}) == \
        draw(run, path, "--width", "120")
    assert draw(run, path, env={"COLUMNS": "nonsense"}) == draw(run, path)


def test_height_is_that_of_the_cells(run, image):
    eras = [1] * 5000
    text = draw(run, image("high", build(eras, current_era=1)),
                "--height", "7")
    assert len(text.splitlines()) <= 3 + 7


def test_colours_are_the_same_cells(run, image):
    """Half blocks, two cells a character."""
    text = draw(run, image("crash_k61"), "--color=true", env=UTF8)
    rows = [line for line in text.splitlines()[3:] if "\u2580" in line]
    assert len(rows) == 512 // (32 * 2)
    first = re.findall(r"38;2;(\d+;\d+;\d+);48;2;(\d+;\d+;\d+)m", rows[0])
    never, era_2 = "44;44;50", first[1][0]
    assert first[0] == (never, era_2)  # block 0 and, below, block 32


@pytest.mark.parametrize("nr_eras", [1, 7, 10, 13])
def test_256_colours_tell_eras_apart(run, image, nr_eras):
    eras = [0, *range(1, nr_eras + 1)]
    text = draw(run, image("eras", build(eras, current_era=nr_eras)),
                "--color=256")
    colours = re.findall(r"\x1b\[38;5;(\d+)m#", text)
    assert len(set(colours)) == len(colours) == nr_eras + 1


@pytest.mark.parametrize("color", ["auto", "never"])
def test_a_pipe_gets_no_colours(run, image, color):
    assert "\x1b" not in draw(run, image("clean"), "--color", color)


def on_a_terminal(all_tools, path, **env):
    """What it prints on a terminal of 100 columns."""
    try:
        master, slave = pty.openpty()
    except OSError as error:  # a chroot without /dev/pts
        pytest.skip(f"no terminal to be had: {error}")
    subprocess.run(["stty", "cols", "100", "rows", "30"], stdin=slave,
                   check=True)
    process = subprocess.Popen(
        all_tools.command("era_map", path), stdout=slave,
        env={**{k: v for k, v in os.environ.items()
                if k not in ("NO_COLOR", "COLUMNS", "COLORTERM")},
             "TERM": "xterm", "LC_ALL": "C.UTF-8", **env})
    os.close(slave)
    out = b""
    try:
        while part := os.read(master, 65536):
            out += part
    except OSError:
        pass  # the other end is closed
    os.close(master)
    assert process.wait() == 0
    return out.decode()


def test_a_terminal_gets_colours_unless_told_otherwise(all_tools, run, image):
    path = image("crash_k61")
    run("era_map", "-V")
    assert "\x1b[38;5;" in on_a_terminal(all_tools, path)
    assert ";2;" in on_a_terminal(all_tools, path, COLORTERM="truecolor")
    assert "\x1b" not in on_a_terminal(all_tools, path, NO_COLOR="1")
    assert "\x1b" in on_a_terminal(all_tools, path, NO_COLOR="")
    assert "\x1b" not in on_a_terminal(all_tools, path, TERM="dumb")
    lines = ESCAPE.sub("", on_a_terminal(all_tools, path)).splitlines()
    assert 80 < max(map(len, lines[3:])) <= 100


# --- SVG ------------------------------------------------------------------------

def picture(text):
    root = ElementTree.fromstring(text)
    assert root.tag == SVG + "svg"
    return root


@pytest.mark.parametrize("name", data.SOUND)
def test_svg_has_each_block_and_each_bar(run, image, name):
    path = image(name)
    metadata = Metadata(path.read_bytes())
    root = picture(draw(run, path, "--format=svg"))
    columns = 32 if metadata.superblock().nr_blocks > 256 else 16
    size = 512 // columns
    cells = {}
    ground = set()
    for rect in root.iterfind(f"{SVG}g[@shape-rendering]/{SVG}g/{SVG}rect"):
        x, y, width, height = (int(rect.get(key)) for key in
                               ("x", "y", "width", "height"))
        assert height == size and width % size == 0
        for i in range(width // size):
            block = (y - 100) // size * columns + (x - 88) // size + i
            if block in ground:
                assert cells[block] == "#2c2c32"
            ground.add(block)
            cells[block] = rect.get("fill")
    eras = metadata.last_written()
    assert sorted(cells) == list(range(len(eras)))
    pairs = {(era, cells[block]) for block, era in enumerate(eras)}
    assert len({era for era, _ in pairs}) == len(pairs), "a colour an era"
    bars = root.findall(f"{SVG}g[{SVG}text]")
    blocks = sum(int(bar.find(SVG + "title").text.split()[0])
                 for bar in bars)
    assert blocks == len(eras)


def test_a_name_that_ends_in_svg_means_svg(run, image, tmp_path):
    path = image("clean")
    for name in ("map.svg", "map.svg.gz", "map.txt"):
        draw(run, path, "-o", tmp_path / name)
    assert (tmp_path / "map.svg").read_text() == \
        draw(run, path, "--format=svg")
    assert (tmp_path / "map.svg.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert (tmp_path / "map.txt").read_text() == draw(run, path)


def test_a_hostile_name_stays_text(run, image, tmp_path):
    path = image("clean")
    name = tmp_path / "<b>&\"'\x1b[31m\xff.img"
    path.rename(name)
    root = picture(draw(run, name, "--format=svg"))
    assert root.find(SVG + "title").text.endswith("<b>&\"'?[31m??.img")
    assert "\x1b" not in draw(run, name)


def test_svg_is_bounded(run, image):
    """A cell for each block there is room for, and no more."""
    eras = [i * 7919 % 97 for i in range(40000)]
    text = draw(run, image("big", build(eras, current_era=96, nr_blocks=128)),
                "--format=svg")
    root = picture(text)
    widths = [int(rect.get("width")) // 4 for rect in
              root.iterfind(f"{SVG}g[@shape-rendering]/{SVG}g/{SVG}rect[1]")]
    assert sum(widths) == 10000  # of 4 blocks; 16384 at the most
    assert len(text) < 2 << 20


def test_labels_of_the_axis_are_exact(run, image):
    path = image("big", build([1] * 60000, current_era=1, nr_blocks=128))
    root = picture(draw(run, path, "--format=svg"))
    labels = [text.text for text in root.iterfind(f"{SVG}text")
              if text.get("text-anchor") == "end"]
    # every 256M there would be room for a label
    assert labels[:8] == ["0B", "512M", "1G", "1.5G", "2G", "2.5G", "3G",
                          "3.5G"]
    assert labels[8] == "3.7G"  # the end, where it is


def test_a_device_without_blocks(run, image):
    path = image("empty", build([], current_era=1))
    assert "0B in 0 blocks" in draw(run, path)
    picture(draw(run, path, "--format=svg"))


@pytest.mark.parametrize("args, word", [
    (["--width", "39"], "--width"), (["--width", "401"], "--width"),
    (["--height", "3"], "--height"), (["--color", "blue"], "blue"),
    (["--format", "png"], "png"), (["--written-since", "x"], "x")])
def test_bad_usage(run, image, args, word):
    result = run("era_map", *args, image("clean"))
    assert (result.status, result.out) == (2, b"")
    assert word in result.err


def test_damage_leaves_no_picture(run, image, tmp_path):
    result = run("era_map", "-o", tmp_path / "map.svg",
                 image("rot_crash_k61_era-array-leaf"))
    assert result.status == 1 and "data blocks" in result.err
    assert not (tmp_path / "map.svg").exists()
