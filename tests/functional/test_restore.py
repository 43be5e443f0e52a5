# SPDX-License-Identifier: GPL-2.0-or-later
"""era_restore: any legal XML becomes sound metadata, exactly."""

import gzip
import re
import resource
import struct

import pytest

from helpers import data
from helpers.blocks import SIZE
from helpers.forms import make_dump, parse_dump
from helpers.reader import Metadata


@pytest.fixture
def restore(run, tmp_path):
    """restore(xml): the metadata made of it, known to be sound."""
    def restored(xml, output=None):
        path = output or tmp_path / "restored.img"
        result = run("era_restore", "--force", "-i", "-", "-o", path,
                     stdin=xml)
        assert (result.status, result.err) == (0, ""), result.err
        content = path.read_bytes()
        assert Metadata(content).problems() == []
        check = run("era_check", path)
        assert (check.status, check.err) == (0, "")
        return content
    return restored


def written_sets(content):
    reader = Metadata(content)
    return {w.era: (w.nr_bits, w.blocks)
            for w in reader.writesets(reader.superblock())}


@pytest.mark.parametrize("name", data.SOUND)
def test_dump_restore_dump_gives_the_same_bytes(run, image, restore, tmp_path,
                                                name):
    xml = run("era_dump", image(name)).out
    restore(xml)
    assert run("era_dump", tmp_path / "restored.img").out == xml


@pytest.mark.parametrize("name", data.SOUND)
def test_knows_what_was_written_since_each_era(restore, name):
    reader = Metadata(restore(data.dump(name)))
    for era, truth in data.truth(name)["checks"]:
        assert reader.since(era) == \
            {b for begin, end in truth for b in range(begin, end)}


def test_archives_every_writeset(restore):
    """The kernel opens the next era itself."""
    content = restore(data.dump("crash_k61"))
    assert Metadata(content).superblock().writeset_root == 0


@pytest.mark.parametrize("name", data.SOUND)
def test_compact_and_full_form_make_the_same_metadata(run, image, restore,
                                                      name):
    compact = run("era_dump", "--compact", image(name)).out
    assert restore(compact) == restore(data.dump(name))


def test_a_metadata_snapshot_can_be_restored(run, image, restore):
    xml = run("era_dump", "--metadata-snapshot", image("clean_snap")).out
    reader = Metadata(data.read("clean_snap"))
    assert Metadata(restore(xml)).last_written() == \
        reader.last_written(snapshot=True)


# Boundaries of eras a block, words a block, entries a node.
@pytest.mark.parametrize("nr_blocks", [
    0, 1, 63, 64, 65, 1017, 1018, 1019, 32575, 32576, 32577,
    252 * 1018, 252 * 1018 + 1])
def test_sizes_around_every_boundary(run, restore, tmp_path, nr_blocks):
    eras = [i % 7 for i in range(nr_blocks)]
    marked = [0, nr_blocks - 1] if nr_blocks else []
    xml = make_dump(eras, [(7, nr_blocks, marked)] if nr_blocks < 40000
                    else [], current_era=8)
    content = restore(xml)
    reader = Metadata(content)
    assert reader.eras(reader.superblock()) == eras
    assert run("era_dump", tmp_path / "restored.img").out == xml


@pytest.mark.parametrize("nr_writesets", [1, 200, 201, 202, 500])
def test_many_writesets(restore, nr_writesets):
    writesets = [(era, 64, [era % 64]) for era in range(1, nr_writesets + 1)]
    content = restore(make_dump([0] * 64, writesets))
    assert written_sets(content) == {era: (64, {era % 64})
                                     for era in range(1, nr_writesets + 1)}


@pytest.mark.parametrize("nr_bits", [0, 1, 100, 129])
def test_a_writeset_may_have_another_size_than_the_device(restore, nr_bits):
    content = restore(make_dump([0] * 128, [(1, nr_bits, range(nr_bits))]))
    assert written_sets(content) == {1: (nr_bits, set(range(nr_bits)))}


def test_keeps_a_uuid(restore):
    uuid = "00112233445566778899aabbccddeeff"
    content = restore(make_dump([0], uuid=uuid))
    assert Metadata(content).superblock().uuid == bytes.fromhex(uuid)


def test_blocks_are_contiguous_and_nodes_are_full(restore):
    content = restore(make_dump([1] * 300000))
    reader = Metadata(content)
    reader.problems()
    used = sorted(reader.references)
    assert used == list(range(len(used)))
    nodes = [number for number, role in reader.roles.items()
             if role == "era array node"]
    entries = [struct.unpack_from("<I", content, number * SIZE + 16)[0]
               for number in nodes]
    # 295 array blocks need two leaves, which the root leads to
    assert entries[0] == 2
    assert sum(entries[1:]) == -(-300000 // 1018)
    assert min(entries[1:]) >= 252 // 3


# --- XML that nobody prints but anybody may write ---------------------------

PLAIN = make_dump([1, 2, 0], [(2, 3, [1])], current_era=3)

LEGAL = {
    "a declaration": b'<?xml version="1.0" encoding="UTF-8"?>\n' + PLAIN,
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "single quotes": PLAIN.replace(b'"', b"'"),
    "other order of attributes": PLAIN.replace(
        b'era="2" nr_bits="3"', b'nr_bits="3" era="2"').replace(
        b'block="1" value="true"', b'value="true" block="1"'),
    "comments": PLAIN.replace(b"<era_array>", b"<!-- eras -->\n<era_array>")
        + b"<!-- that was all -->",
    "processing instructions": PLAIN.replace(b"<era_array>",
                                             b"<?what ever?><era_array>"),
    "CRLF": PLAIN.replace(b"\n", b"\r\n"),
    "one line": b"".join(line.strip() for line in PLAIN.splitlines()),
    "tabs and blanks": PLAIN.replace(b"  ", b"\t \n").replace(
        b'block="1" era', b'block = "1"\n\tera'),
    "elements with an end tag": PLAIN.replace(
        b'era="0"/>', b'era="0"></era>'),
    "entities of characters": PLAIN.replace(b'block="1"', b'block="&#49;"')
        .replace(b'value="true"', b'value="&#x74;rue"'),
    "UTF-16": PLAIN.decode().encode("utf-16"),
    "Latin-1": b'<?xml version="1.0" encoding="ISO-8859-1"?>\n' +
        PLAIN.replace(b"<era_array>", b"<!-- \xe9 --><era_array>"),
    "no final line feed": PLAIN.rstrip(),
    "gzip": gzip.compress(PLAIN),
    "gzip in two members": gzip.compress(PLAIN[:99]) +
        gzip.compress(PLAIN[99:]),
}


@pytest.mark.parametrize("what", LEGAL)
def test_reads(restore, what):
    assert restore(LEGAL[what]) == restore(PLAIN)


def test_an_empty_uuid_is_all_zero(restore):
    assert Metadata(restore(PLAIN)).superblock().uuid == bytes(16)


# --- where it writes ---------------------------------------------------------

def test_reads_a_file_and_standard_input_alike(run, tmp_path):
    xml = tmp_path / "in.xml"
    xml.write_bytes(PLAIN)
    assert run("era_restore", "-i", xml, "-o", tmp_path / "a").status == 0
    assert run("era_restore", "-i", "-", "-o", tmp_path / "b",
               stdin=PLAIN).status == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_finds_gzip_by_content(run, tmp_path):
    xml = tmp_path / "in.xml"
    xml.write_bytes(gzip.compress(PLAIN))
    assert run("era_restore", "-i", xml, "-o", tmp_path / "a").status == 0


@pytest.mark.parametrize("nr_blocks", [16, 1024, 16320, 16321, 40000])
def test_keeps_the_size_of_what_it_writes_to(restore, tmp_path, nr_blocks):
    output = tmp_path / "device"
    with open(output, "wb") as file:
        file.truncate(nr_blocks * SIZE)
    content = restore(PLAIN, output)
    assert len(content) == nr_blocks * SIZE
    assert Metadata(content).superblock().sm_nr_blocks == nr_blocks


def test_leaves_nothing_of_what_was_there(restore, image):
    """Leftovers could look like a newer history later."""
    output = image("stale_live")
    content = restore(PLAIN, output)
    reader = Metadata(content)
    reader.problems()
    last = max(reader.references)
    assert content[(last + 1) * SIZE:].count(0) == \
        len(content) - (last + 1) * SIZE


def test_quiet(run, tmp_path):
    result = run("era_restore", "-q", "-i", "-", "-o", tmp_path / "a",
                 stdin=PLAIN)
    assert (result.status, result.out, result.err) == (0, b"", "")
    result = run("era_restore", "-q", "-i", "-", "-o", tmp_path / "b",
                 stdin=b"<x/>")
    assert (result.status, result.out, result.err) == (1, b"", "")


@pytest.mark.bare
def test_memory_does_not_grow_with_the_xml(run, tmp_path):
    """2 million blocks in the space that 20 thousand need, or little
    more: the metadata, 8 MB, is not held in memory either."""
    def peak(nr_blocks):
        xml = tmp_path / "in.xml.gz"
        with gzip.open(xml, "wb", compresslevel=1) as file:
            file.write(f'<superblock uuid="" block_size="8" nr_blocks='
                       f'"{nr_blocks}" current_era="1">\n'
                       f'<era_array>\n'.encode())
            for first in range(0, nr_blocks, 20000):
                file.write("".join(
                    f'<era block="{b}" era="1"/>\n'
                    for b in range(first, first + 20000)).encode())
            file.write(b"</era_array>\n</superblock>\n")
        output = tmp_path / "out"
        limit = 80 << 20
        result = run("era_restore", "-i", xml, "-o", output,
                     preexec_fn=lambda: resource.setrlimit(
                         resource.RLIMIT_DATA, (limit, limit)))
        assert result.status == 0, result.err
        output.unlink()
    peak(20000)
    peak(2000000)


def test_a_dump_says_what_was_read(restore):
    assert parse_dump(PLAIN).writesets == written_sets(restore(PLAIN))


# --- a device that exists -----------------------------------------------------

def needed_blocks(result):
    return int(re.search(r"(\d+) metadata blocks", result.err)[1])


@pytest.mark.parametrize("piped", [False, True], ids=["a file", "a pipe"])
@pytest.mark.parametrize("zipped", [False, True], ids=["XML", "gzip"])
def test_a_device_that_is_too_small_is_left_as_it_was(run, tmp_path, piped,
                                                      zipped):
    """Whatever its size, and the number that is named suffices."""
    xml = make_dump([i % 9 for i in range(65536)],
                    [(era, 65536, [era]) for era in range(1, 9)])
    xml = gzip.compress(xml) if zipped else xml
    (tmp_path / "xml").write_bytes(xml)
    path = tmp_path / "device"

    def restore_to(nr_blocks):
        path.write_bytes(b"\xa5" * SIZE * nr_blocks)
        if piped:
            return run("era_restore", "--force", "-i", "-", "-o", path, stdin=xml)
        return run("era_restore", "--force", "-i", tmp_path / "xml", "-o", path)

    needed = needed_blocks(restore_to(1))
    for nr_blocks in {0, 2, 66, 71, needed // 2, needed - 5, needed - 1}:
        result = restore_to(nr_blocks)
        assert result.status == 2
        assert needed_blocks(result) == needed
        assert path.read_bytes() == b"\xa5" * SIZE * nr_blocks
    for nr_blocks in needed, needed + 1, 4 * needed:
        result = restore_to(nr_blocks)
        assert (result.status, result.err) == (0, "")
        assert Metadata(path.read_bytes()).problems() == []


def test_a_device_is_left_as_it_was_by_xml_with_a_mistake(run, image):
    path = image("clean")
    xml = make_dump([1] * 512)
    for wrong in xml[:-20], xml.replace(b'block="500"', b'block="501"'):
        assert run("era_restore", "--force", "-i", "-", "-o", path,
                   stdin=wrong).status == 1
        assert path.read_bytes() == data.read("clean")


@pytest.mark.bare  # valgrind wants the directory for itself
def test_a_pipe_is_kept_where_tmpdir_says(run, image, tmp_path):
    xml = make_dump([1] * 512)
    result = run("era_restore", "--force", "-i", "-", "-o", image("clean"), stdin=xml,
                 env={"TMPDIR": str(tmp_path / "none")})
    assert result.status == 2
    assert str(tmp_path / "none") in result.err
    (tmp_path / "some").mkdir()
    assert run("era_restore", "--force", "-i", "-", "-o", image("clean"), stdin=xml,
               env={"TMPDIR": str(tmp_path / "some")}).status == 0
    assert list((tmp_path / "some").iterdir()) == []


# --- what programs generate ---------------------------------------------------

def elements(*lines, nr_blocks=200, current_era=9):
    return "\n".join([
        f'<superblock uuid="" block_size="128" nr_blocks="{nr_blocks}" '
        f'current_era="{current_era}">', *lines, "</superblock>", ""]).encode()


def writeset(era, *blocks, nr_bits=200):
    return "\n".join([f'  <writeset era="{era}" nr_bits="{nr_bits}">',
                      *(f'    <bit block="{b}" value="true"/>'
                        for b in blocks), "  </writeset>"])


def era_array(*eras):
    return "\n".join(["  <era_array>", *(
        f'    <era block="{b}" era="{era}"/>' for b, era in enumerate(eras)),
        "  </era_array>"])


@pytest.fixture
def completed(run, tmp_path):
    """completed(xml, over): restored to a new file, or over an old one, with
    what was said, which is once."""
    def restored(xml, over):
        path = tmp_path / "restored.img"
        if over:
            path.write_bytes(bytes(4 << 20))
        result = run("era_restore", "--force", "-i", "-", "-o", path, stdin=xml)
        assert result.status == 0, result.err
        assert Metadata(path.read_bytes()).problems() == []
        return path.read_bytes(), result.err
    return restored


over_too = pytest.mark.parametrize("over", [False, True],
                                   ids=["new", "existing"])


@over_too
@pytest.mark.parametrize("eras", [(5, 4, 3, 2, 1), (2, 5, 1, 4, 3)])
def test_writesets_in_any_order(completed, eras, over):
    xml = elements(*(writeset(era, *range(200)) for era in eras),
                   era_array(*[0] * 200))
    content, said = completed(xml, over)
    assert written_sets(content) == {era: (200, set(range(200)))
                                     for era in range(1, 6)}
    assert said.count("\n") == 1
    assert "order of their eras" in said


@over_too
@pytest.mark.parametrize("blocks", [[0], [199], [63, 64, 130], [5, 6, 7]])
def test_writesets_that_name_only_marked_blocks(completed, blocks, over):
    xml = elements(writeset(3, *blocks), era_array(*[0] * 200))
    content, said = completed(xml, over)
    assert written_sets(content) == {3: (200, set(blocks))}
    assert said.count("\n") == 1
    assert f"1 writeset names only marked blocks: the {200 - len(blocks)} " \
        "without a <bit> count as not marked" in said


@over_too
@pytest.mark.parametrize("nr", [0, 1, 150])
def test_blocks_that_the_era_array_leaves_out_count_as_written(completed, nr,
                                                               over):
    content, said = completed(elements(era_array(*[1] * nr)), over)
    reader = Metadata(content)
    assert reader.eras(reader.superblock()) == [1] * nr + [9] * (200 - nr)
    assert said.count("\n") == 1
    assert f"<era_array> has {nr} entries, nr_blocks says 200" in said
    assert "written in the current era, 9" in said


@over_too
@pytest.mark.parametrize("eras", [(3, 5, 3), (5, 3, 5), (4, 4)])
def test_a_writeset_given_twice_is_refused(run, tmp_path, eras, over):
    xml = elements(*(writeset(era, *range(200)) for era in eras),
                   era_array(*[0] * 200))
    path = tmp_path / "restored.img"
    if over:
        path.write_bytes(data.read("clean"))
    result = run("era_restore", "--force", "-i", "-", "-o", path, stdin=xml)
    assert result.status == 1
    assert "given twice" in result.err
    assert path.read_bytes() == data.read("clean") if over \
        else not path.exists()


def test_many_writesets_in_descending_order(restore, run, tmp_path):
    writesets = [(era, 64, [era % 64]) for era in range(1000, 0, -1)]
    path = tmp_path / "restored.img"
    result = run("era_restore", "--force", "-i", "-", "-o", path,
                 stdin=make_dump([0] * 64, writesets))
    assert result.status == 0
    assert run("era_check", path).status == 0
    assert written_sets(path.read_bytes()) == {
        era: (64, {era % 64}) for era in range(1, 1001)}
