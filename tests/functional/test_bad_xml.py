# SPDX-License-Identifier: GPL-2.0-or-later
"""era_restore refuses XML that does not describe metadata, names the place,
and leaves nothing behind that looks whole."""

import gzip
import re

import pytest

from helpers import data
from helpers.forms import make_dump
from helpers.reader import Damage, Metadata

GOOD = """\
<superblock uuid="" block_size="128" nr_blocks="3" current_era="5">
  <writeset era="3" nr_bits="3">
    <bit block="0" value="false"/>
    <bit block="1" value="true"/>
    <bit block="2" value="false"/>
  </writeset>
  <writeset era="4" nr_bits="3">
    <marked block_begin="0" len="1"/>
    <marked block_begin="2" len="1"/>
  </writeset>
  <era_array>
    <era block="0" era="1"/>
    <era block="1" era="2"/>
    <era block="2" era="0"/>
  </era_array>
</superblock>
"""


def edit(*pairs):
    text = GOOD
    for old, new in zip(pairs[::2], pairs[1::2]):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


BIT1 = '<bit block="1" value="true"/>'
BIT2 = '<bit block="2" value="false"/>'
RUN2 = '<marked block_begin="2" len="1"/>'
ERA1 = '<era block="1" era="2"/>'
ERA2 = '<era block="2" era="0"/>'
EMPTY = '  <writeset era="{}" nr_bits="0">\n  </writeset>\n  <era_array>'

# name -> (XML, line that must be named, or None where it is open)
CASES = {
    # not XML
    "an element that is not closed": (edit("</era_array>\n", ""), None),
    "a wrong end tag": (edit("</era_array>", "</eras>"), 15),
    "cut short": (GOOD[:len(GOOD) // 2], None),
    "cut short at the end": (GOOD[:-len("</superblock>\n")], None),
    "an attribute without quotes": (edit('block="1" era="2"',
                                         'block=1 era="2"'), 13),
    "an unescaped ampersand": (edit('era="2"/>', 'era="2&"/>'), 13),
    "a control character": (edit('era="2"/>', 'era="2\x01"/>'), 13),
    "something after the end": (GOOD + "<more/>\n", 17),
    "text after the end": (GOOD + "more\n", 17),
    "text only": ("hello\n", 1),
    "an undefined entity": (edit('era="2"/>', 'era="&two;"/>'), 13),
    "zeroes": ("\0" * 4096, 1),
    "bad UTF-8": (None, 13),
    # roots
    "another root": ("<thin/>\n", 1),
    "a superblock within another root": ("<x>\n" + GOOD + "</x>\n", 1),
    "an empty superblock": (
        '<superblock uuid="" block_size="128" nr_blocks="3" '
        'current_era="5"/>\n', 1),
    # attributes
    "an unknown attribute of the superblock": (
        edit('uuid=""', 'uuid="" colour="red"'), 1),
    "an unknown attribute of an era": (
        edit(ERA1, '<era block="1" era="2" x="1"/>'), 13),
    "an unknown attribute of the era array": (
        edit("<era_array>", '<era_array x="1">'), 11),
    "a repeated attribute": (edit(ERA1, '<era block="1" era="2" era="2"/>'),
                             13),
    "no block size": (edit(' block_size="128"', ""), 1),
    "no number of blocks": (edit(' nr_blocks="3"', ""), 1),
    "no current era": (edit(' current_era="5"', ""), 1),
    "no era of a writeset": (edit('era="3" ', ""), 2),
    "no bits of a writeset": (edit('era="3" nr_bits="3"', 'era="3"'), 2),
    "no value of a bit": (edit(BIT1, '<bit block="1"/>'), 4),
    "no block of a bit": (edit(BIT1, '<bit value="true"/>'), 4),
    "no length of a run": (edit(RUN2, '<marked block_begin="2"/>'), 9),
    "no era of a block": (edit(ERA1, '<era block="1"/>'), 13),
    "no block of an era": (edit(ERA1, '<era era="2"/>'), 13),
    "a namespace": (edit("<superblock ", '<superblock xmlns="x" '), 1),
    # values
    "a value that is neither true nor false": (
        edit(BIT1, '<bit block="1" value="yes"/>'), 4),
    "an odd uuid": (edit('uuid=""', 'uuid="123"'), 1),
    "a uuid that is not hexadecimal": (
        edit('uuid=""', f'uuid="{"g" * 32}"'), 1),
    "a block size of 0": (edit('"128"', '"0"'), 1),
    "a block size that is no multiple of 8": (edit('"128"', '"12"'), 1),
    "2^31 blocks": (edit('nr_blocks="3"', 'nr_blocks="2147483648"'), 1),
    "2^32 blocks": (edit('nr_blocks="3"', 'nr_blocks="4294967296"'), 1),
    "2^32 bits": (edit('era="3" nr_bits="3"', 'era="3" nr_bits="4294967296"'),
                  2),
    # blocks
    "a bit out of range": (edit(BIT2, BIT2.replace("2", "3")), 5),
    "a bit out of order": (edit(BIT1, BIT1.replace("1", "2"),
                                BIT2, BIT2.replace("2", "1")), 4),
    "a bit twice": (edit(BIT2, BIT2.replace("2", "1")), 5),
    "a bit that is missing": (edit("    " + BIT1 + "\n", ""), 4),
    "a last bit that is missing": (edit("    " + BIT2 + "\n", ""), None),
    "a false bit among true ones only": (
        edit('<bit block="0" value="false"/>', "",
             BIT2, '<bit block="2" value="false"/>'), 5),
    "a run out of range": (edit(RUN2, RUN2.replace('"1"', '"2"')), 9),
    "a run that begins out of range": (edit(RUN2, RUN2.replace('"2"', '"3"')),
                                       9),
    "a run that overflows": (
        edit(RUN2, RUN2.replace('"1"', '"4294967295"')), 9),
    "a run out of order": (
        edit(RUN2, '<marked block_begin="1" len="1"/>',
             '"0" len="1"', '"2" len="1"'), 9),
    "a run twice": (edit(RUN2, '<marked block_begin="0" len="1"/>'), 9),
    "runs that overlap": (edit('"0" len="1"', '"0" len="3"'), 9),
    "an era out of order": (edit(ERA1, ERA1.replace('"1"', '"2"')), 13),
    "an era of a block twice": (edit(ERA2, '<era block="1" era="0"/>'), 14),
    "an era out of range": (edit(ERA2, ERA2 + '\n<era block="3" era="0"/>'),
                            15),
    "a run of eras out of order": (
        edit(ERA1, '<eras block_begin="2" len="1" era="0"/>'), 13),
    "a run of eras out of range": (
        edit(ERA1, '<eras block_begin="1" len="3" era="0"/>'), 13),
    "a run of no eras": (
        edit(ERA1, '<eras block_begin="1" len="0" era="0"/>'), 13),
    "a run of an era above the current one": (
        edit(ERA1, '<eras block_begin="1" len="1" era="6"/>'), 13),
    "no era array": (GOOD[:GOOD.index("  <era_array>")] + "</superblock>\n",
                     None),
    "two era arrays": (edit("  <era_array>",
                            "  <era_array></era_array>\n  <era_array>"),
                       None),
    # eras
    "an era above the current one": (edit(ERA1, ERA1.replace('"2"', '"6"')),
                                     13),
    "a writeset above the current era": (edit('era="4"', 'era="6"'), 7),
    "a writeset twice": (edit('era="4"', 'era="3"'), 7),
    "a writeset after the era array": (
        edit("</superblock>",
             '<writeset era="5" nr_bits="0"></writeset>\n</superblock>'), 16),
    # nesting
    "an unknown element": (edit("<era_array>", "<foo/>\n<era_array>"), 11),
    "a bit outside of a writeset": (
        edit("  <era_array>", "  " + BIT1 + "\n<era_array>"), 11),
    "a bit in the era array": (edit(ERA1, BIT1), 13),
    "an era in a writeset": (edit(BIT1, ERA1), 4),
    "a writeset in a writeset": (
        edit(BIT1, '<writeset era="4" nr_bits="0"/>'), 4),
    "a superblock in a superblock": (edit(ERA1, GOOD.strip()), 13),
    "an element in an era": (
        edit(ERA1, '<era block="1" era="2"><x/></era>'), 13),
    # text
    "text between elements": (edit(ERA1, "hello" + ERA1), 13),
    "text at the start of an element": (edit("<era_array>",
                                             "<era_array>1"), None),
    "text in an era": (edit(ERA1, '<era block="1" era="2">x</era>'), 13),
    "a CDATA section": (edit(ERA1, "<![CDATA[x]]>" + ERA1), 13),
    # a DTD, whatever it does
    "a DTD": ("<!DOCTYPE superblock>\n" + GOOD, 1),
    "an external DTD": (
        '<!DOCTYPE superblock SYSTEM "file:///etc/passwd">\n' + GOOD, 1),
    "an internal entity": (
        '<!DOCTYPE superblock [<!ENTITY two "2">]>\n'
        + edit('era="2"/>', 'era="&two;"/>'), 1),
    "an external entity": (
        '<!DOCTYPE superblock [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n'
        + edit(ERA1, ERA1 + "&x;"), 1),
    "expanding entities": (
        '<!DOCTYPE superblock [<!ENTITY a "aaaaaaaaaa">' + "".join(
            f'<!ENTITY {b} "{f"&{a};" * 10}">'
            for a, b in zip("abcdefgh", "bcdefghi")) + "]>\n"
        + edit(ERA1, ERA1 + "&i;"), 1),
}
CASES["bad UTF-8"] = (
    edit('era="2"/>', 'era="2\xff"/>').encode("latin-1"), 13)

# The same for each number, wherever it stands.
NUMBERS = {
    "block_size": ('block_size="128"', 1), "nr_blocks": ('nr_blocks="3"', 1),
    "current_era": ('current_era="5"', 1), "bit": ('bit block="1"', 4),
    "writeset": ('writeset era="3"', 2), "nr_bits": ('3" nr_bits="3"', 2),
    "block_begin": ('block_begin="2"', 9), "len": ('"2" len="1"', 9),
    "era": ('block="1" era="2"', 13), "era block": ('<era block="1"', 13),
}
NO_NUMBERS = {
    "nothing": "", "a sign": "+{}", "a minus": "-{}", "a blank": " {}",
    "a trailing blank": "{} ", "hexadecimal": "0x{}", "a fraction": "{}.0",
    "letters": "{}x", "words": "many", "65 bits": "36893488147419103232",
    "33 bits": "8589934592",
}
for where, (attribute, line) in NUMBERS.items():
    before, number = re.fullmatch(r'(.*")(\d+)"', attribute).groups()
    for what, form in NO_NUMBERS.items():
        CASES[f"{what} as {where}"] = (
            edit(attribute, before + form.format(number) + '"'), line)


def assert_names_the_place(err, line):
    found = re.search(r": line (\d+), column (\d+): ", err)
    assert found, f"no line and column: {err}"
    assert line is None or int(found[1]) == line, err


def assert_is_refused(content):
    try:
        Metadata(content).superblock()
    except Damage:
        return
    raise AssertionError("what was left is taken for metadata")


@pytest.mark.parametrize("name", CASES)
def test_refuses(run, tmp_path, name):
    xml, line = CASES[name]
    path = tmp_path / "in.xml"
    path.write_bytes(xml if isinstance(xml, bytes) else xml.encode())
    output = tmp_path / "out"
    result = run("era_restore", "-i", path, "-o", output)
    assert result.status == 1
    assert_names_the_place(result.err, line)
    assert len(result.err.splitlines()) == 1, "said once"
    assert sorted(tmp_path.iterdir()) == [path], "an output was left"


def test_accepts_what_all_cases_are_made_from(run, tmp_path):
    assert run("era_restore", "-i", "-", "-o", tmp_path / "out",
               stdin=GOOD.encode()).status == 0


@pytest.mark.parametrize("name", [
    "a block size of 0", "another root", "no era array",
    "a run out of range", "cut short at the end"])
def test_a_device_is_left_as_it_was(run, image, name):
    """All of the XML is read before the first write to what exists."""
    path = image("clean")
    result = run("era_restore", "--force", "-i", "-", "-o", path,
                 stdin=CASES[name][0].encode())
    assert result.status == 1
    assert path.read_bytes() == data.read("clean")


@pytest.mark.parametrize("name", ["a block size of 0", "another root",
                                  "2^31 blocks", "an external entity"])
def test_a_device_is_untouched_where_the_first_element_is_bad(run, image,
                                                             name):
    path = image("clean")
    run("era_restore", "--force", "-i", "-", "-o", path, stdin=CASES[name][0].encode())
    assert path.read_bytes() == data.read("clean")


def test_external_entities_are_not_opened(run, tmp_path):
    """They are refused, unread: naming a FIFO would block for ever."""
    import os
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    xml = f'<!DOCTYPE superblock SYSTEM "{fifo}">\n' + GOOD
    result = run("era_restore", "--force", "-i", "-", "-o", tmp_path / "out",
                 stdin=xml.encode())
    assert result.status == 1


def test_very_long_names_and_values_are_refused(run, tmp_path):
    long = "9" * (20 << 20)
    for xml in (edit('era="2"/>', f'era="{long}"/>'),
                edit(ERA1, f"<{long}/>"), edit(ERA1, f"<!--{long}--{ERA1}")):
        assert run("era_restore", "--force", "-i", "-", "-o", tmp_path / "out",
                   stdin=xml.encode()).status == 1


def test_deep_nesting_is_refused(run, tmp_path):
    assert run("era_restore", "--force", "-i", "-", "-o", tmp_path / "out",
               stdin=b"<superblock>" * 1000000).status == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "trailing garbage"])
def test_refuses_damaged_gzip(run, tmp_path, damage):
    packed = bytearray(gzip.compress(make_dump([1] * 5000)))
    if damage == "cut":
        del packed[-20:]
    elif damage == "flipped":
        packed[-6] ^= 1  # of the checksum
    else:
        packed += b"garbage"
    output = tmp_path / "out"
    result = run("era_restore", "--force", "-i", "-", "-o", output, stdin=bytes(packed))
    assert result.status == 1
    assert result.err and not output.exists()


@pytest.mark.parametrize("xml", [
    '<superblock uuid="\u4e2d\u4e2d\u4e2d\u4e2d" block_size="128" nr_blocks="1" '
    'current_era="1"/>',
    '<superblock \u4e2d="1" uuid="">',
    '<superblock uuid="" block_size="\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9">',
    '\u00e9', '<\u00e9 \u00e9="\u00e9"/>', '<superblock uuid="&#233;"/>',
    '<superblock uuid="' + '\u00e9' * 5000 + '"/>',
])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_a_place_is_a_place_whatever_the_characters(run, tmp_path, xml,
                                                    encoding):
    """Lines and columns count from 1."""
    result = run("era_restore", "-i", "-", "-o", tmp_path / "out",
                 stdin=xml.encode(encoding))
    assert result.status == 1
    found = re.search(r": line (-?\d+), column (-?\d+): ", result.err)
    if found:
        assert int(found[1]) >= 1
        assert 1 <= int(found[2]) <= len(xml) + 2


ESCAPE = "\x1b[31m\x9b\x7f\u202e\u2066"


@pytest.mark.parametrize("xml", [
    f'<{ESCAPE}/>', f'<superblock {ESCAPE}=""/>',
    f'<superblock uuid="" block_size="{ESCAPE}" nr_blocks="" current_era=""/>',
    f'<superblock uuid="" block_size="8\u202e" nr_blocks="" current_era=""/>',
    '<superblock>&\u202e;</superblock>', '<a\u202e/>', '<a\u0085\u202e/>',
    '<superblock></superblock\u202e>',
])
def test_what_xml_says_is_no_command_to_a_terminal(run, tmp_path, xml):
    path = tmp_path / f"name{ESCAPE}"
    path.write_text(xml, encoding="utf-8")
    result = run("era_restore", "-i", path, "-o", tmp_path / "out")
    assert result.status == 1
    assert not set(ESCAPE) & set(result.err) - set("[31m")
    assert "\\x1b[31m" in result.err
