# SPDX-License-Identifier: GPL-2.0-or-later
"""A mistyped -o must not cost somebody's file: results go over results, and
over anything else only with --force. And what is given by mistake is called by
its name, whichever tool it is given to."""

import gzip

import pytest

from helpers import data
from test_any_tool import loop  # noqa: F401

RESULTS = {
    "XML": ["era_dump"], "compact XML": ["era_dump", "--compact"],
    **{f"list as {form}": ["era_invalidate", "--written-since", "1",
                           f"--format={form}"]
       for form in ("xml", "text", "json", "csv", "ddrescue")},
    "list with a header": ["era_invalidate", "--written-since", "1",
                           "--format=text", "--header"],
    "map": ["era_map"], "map in colour": ["era_map", "--color=256"],
    "map as SVG": ["era_map", "--format=svg"],
}
results = pytest.mark.parametrize("name", RESULTS)

FOREIGN = {
    "a letter": b"Dear Sir\n", "zeroes": bytes(4096),
    "numbers and words": b"1 2\n3 4\nbread 5\n", "three columns": b"1 2 3\n",
    "XML": b"<?xml version=\"1.0\"?>\n<letter/>\n",
    "a picture": b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\""
                 b"http://www.w3.org/2000/svg\" width=\"2\"></svg>\n",
    "JSON": b"{\"name\": 1}\n", "gzip": gzip.compress(b"Dear Sir\n"),
    "half a gzip": gzip.compress(b"Dear Sir\n" * 999)[:20],
    "metadata": data.read("clean"),
}


def make(run, path, name, image, *options):
    tool, *args = RESULTS[name]
    return run(tool, *args, *options, image, "-o", path)


def pack(run, path, _, image, *options):
    return run("era_metadata_pack", *options, "-i", image, "-o", path)


@results
def test_a_result_may_be_replaced_by_any_other(run, image, tmp_path, name):
    source = image("crash_k61")
    for suffix in "", ".gz":
        for other in RESULTS:
            path = tmp_path / f"out{suffix}"
            path.unlink(missing_ok=True)
            assert make(run, path, name, source).status == 0
            assert make(run, path, other, source).status == 0
        assert pack(run, path, None, source).status == 0
        assert make(run, path, name, source).status == 0


@results
@pytest.mark.parametrize("what", FOREIGN)
def test_nothing_else_is(run, image, tmp_path, name, what):
    source = image("crash_k61")
    path = tmp_path / "out"
    for how in make, pack:
        path.write_bytes(FOREIGN[what])
        result = how(run, path, name, source)
        assert result.status == 2
        assert f"{path} " in result.err and "--force" in result.err
        assert path.read_bytes() == FOREIGN[what]
        assert how(run, path, name, source, "--force").status == 0
        assert path.read_bytes() != FOREIGN[what]


def test_an_empty_file_is_nobody_s(run, image, tmp_path):
    source = image("crash_k61")
    for name in RESULTS:
        (tmp_path / "out").write_bytes(b"")
        assert make(run, tmp_path / "out", name, source).status == 0


def test_an_empty_list_is_a_result(run, image, tmp_path):
    for form in "xml", "text", "json", "csv", "ddrescue":
        for _ in range(2):
            result = run("era_invalidate", "--written-since", "4", "-o",
                         tmp_path / "list", f"--format={form}",
                         image("clean"))
            assert result.status == 0, result.err


@pytest.mark.parametrize("form", ["text", "csv"])
def test_a_list_in_text_can_carry_the_era(run, image, form):
    args = ["era_invalidate", "--written-since", "2", f"--format={form}"]
    path = image("crash_k61")
    assert run(*args, "--header", path).out == \
        b"# current_era: 4\n" + run(*args, path).out


@pytest.mark.parametrize("form", ["xml", "json", "ddrescue"])
def test_other_lists_have_no_header(run, image, form):
    result = run("era_invalidate", "--written-since", "2", "--header",
                 f"--format={form}", image("crash_k61"))
    assert result.status == 2 and "--header" in result.err


def test_a_long_list_is_a_result(run, image, tmp_path):
    """Of which what is looked at ends within a line."""
    path = tmp_path / "list"
    path.write_text("".join(f"{i * 7} 3\n" for i in range(4000)), "ascii")
    assert run("era_invalidate", "--written-since", "1", "--format=text",
               "-o", path, image("clean")).status == 0


def test_what_the_shell_has_opened_is_the_shell_s(run, image, tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"Dear Sir\n")
    with path.open("ab") as file:
        assert run("era_dump", "-o", "/dev/stdout", image("clean"),
                   stdout=file).status == 0


# --- what is given by mistake ------------------------------------------------------

def test_a_pack_given_for_xml_is_named(run, image, tmp_path):
    pack(run, tmp_path / "pack", None, image("clean"))
    result = run("era_restore", "-i", tmp_path / "pack", "-o", tmp_path / "o")
    assert result.status == 1
    assert "is a pack, not XML (era_metadata_unpack makes" in result.err


@pytest.mark.parametrize("attributes, kind", [
    ('uuid="" block_size="128" nr_cache_blocks="512" policy="smq" '
     'hint_width="4"', "cache"),
    ('uuid="" time="1" transaction="2" version="2" data_block_size="128" '
     'nr_data_blocks="64"', "thin")])
def test_xml_of_another_target_is_named(run, image, tmp_path, attributes,
                                        kind):
    path = image("xml", f"<superblock {attributes}>\n</superblock>\n"
                 .encode())
    result = run("era_restore", "-i", path, "-o", tmp_path / "o")
    assert result.status == 1
    assert f"XML of dm-{kind} metadata" in result.err
    assert f"{kind}_restore" in result.err


def test_era_repair_of_a_file_says_how(run, image):
    path = image("crash_k61")
    result = run("era_repair", path)
    assert result.status == 2
    assert f"--in-place {path} repairs it" in result.err
    assert f"-i {path} -o NEW_DEVICE" in result.err


def test_a_pack_to_a_device_does_not_speak_of_text(run, image,
                                                   loop):  # noqa: F811
    device = loop(image("clean"))
    result = run("era_metadata_pack", "--force", "-i", image("crash_k61"),
                 "-o", device)
    assert result.status == 2
    assert "block device" in result.err and "text" not in result.err
