# SPDX-License-Identifier: GPL-2.0-or-later
"""The text forms: what dumps and lists of ranges say."""

import re
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

from .reader import expand


def parse_dump(text):
    """A dump as geometry, {era: (nr_bits, blocks)} and the list of eras;
    both forms of a writeset and of the era array."""
    root = ElementTree.fromstring(text)
    assert root.tag == "superblock"
    writesets = {}
    for element in root.findall("writeset"):
        blocks = {int(bit.get("block")) for bit in element.findall("bit")
                  if bit.get("value") == "true"}
        for run in element.findall("marked"):
            begin = int(run.get("block_begin"))
            blocks |= set(range(begin, begin + int(run.get("len"))))
        writesets[int(element.get("era"))] = \
            (int(element.get("nr_bits")), blocks)
    eras = []
    for element in root.find("era_array"):
        if element.tag == "eras":
            assert int(element.get("block_begin")) == len(eras)
            eras += [int(element.get("era"))] * int(element.get("len"))
        else:
            assert int(element.get("block")) == len(eras)
            eras.append(int(element.get("era")))
    return SimpleNamespace(attributes=dict(root.attrib), writesets=writesets,
                           eras=eras)


def dump_since(dump, era):
    """The blocks that a parsed dump says were written since an era."""
    blocks = {block for block, last in enumerate(dump.eras) if last >= era}
    for of_era, (_, marked) in dump.writesets.items():
        if of_era >= era:
            blocks |= {block for block in marked if block < len(dump.eras)}
    return blocks


def parse_ranges(text):
    """Ranges of era_invalidate's XML, read line by line as its clients do."""
    lines = text.decode("ascii").splitlines()
    assert (lines[0], lines[-1]) == ("<blocks>", "</blocks>")
    found = []
    for line in lines[1:-1]:
        block = re.fullmatch(r'  <block block="(\d+)"/>', line)
        run = re.fullmatch(r'  <range begin="(\d+)" end="(\d+)"/>', line)
        if block:
            found.append([int(block[1]), int(block[1]) + 1])
        else:
            found.append([int(run[1]), int(run[2])])
            assert found[-1][0] + 1 < found[-1][1], "a range of one block"
    for before, after in zip(found, found[1:]):
        assert before[1] < after[0], "not ascending, or not merged"
    return found


def parse_blocks(text):
    return expand(parse_ranges(text))


def make_dump(eras, writesets=(), current_era=None, block_size=128, uuid="",
              nr_blocks=None):
    """XML as era_dump prints it. writesets: (era, nr_bits, blocks)."""
    if current_era is None:
        current_era = max([0, *eras, *(w[0] for w in writesets)])
    lines = [f'<superblock uuid="{uuid}" block_size="{block_size}" '
             f'nr_blocks="{len(eras) if nr_blocks is None else nr_blocks}" '
             f'current_era="{current_era}">']
    for era, nr_bits, blocks in writesets:
        marked = set(blocks)
        lines.append(f'  <writeset era="{era}" nr_bits="{nr_bits}">')
        lines += [f'    <bit block="{b}" '
                  f'value="{"true" if b in marked else "false"}"/>'
                  for b in range(nr_bits)]
        lines.append("  </writeset>")
    lines.append("  <era_array>")
    lines += [f'    <era block="{b}" era="{era}"/>'
              for b, era in enumerate(eras)]
    lines += ["  </era_array>", "</superblock>", ""]
    return "\n".join(lines).encode()
