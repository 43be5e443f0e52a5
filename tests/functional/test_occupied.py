# SPDX-License-Identifier: GPL-2.0-or-later
"""A mistyped name costs no file system: what holds something is overwritten
only with --force, by all tools alike, and what was found is named."""

import shutil
import subprocess

import pytest

from test_any_tool import XML, loop  # noqa: F401

MIB = 1 << 20
WRITERS = {
    "era_restore": ["era_restore", "-i", "XML", "-o", "OUTPUT"],
    "era_repair": ["era_repair", "-i", "INPUT", "-o", "OUTPUT"],
    "era_metadata_unpack": ["era_metadata_unpack", "-i", "PACK", "-o",
                            "OUTPUT"],
}
any_writer = pytest.mark.parametrize("tool", WRITERS)
# What makes it, and what it is called; the file comes last.
MAKERS = {
    "ext4": (["mke2fs", "-q", "-F", "-t", "ext4"], "a file system (ext4)"),
    "swap": (["mkswap", "-q"], "(swap)"),
    "a partition table": (["sfdisk", "-q", "--label", "gpt"],
                          "a partition table (gpt)"),
    "LVM": (["pvcreate", "-q", "--config",
             "devices { use_devicesfile = 0 }"],
            "a member of LVM or RAID (LVM2_member)"),
    "LUKS": (["cryptsetup", "-q", "luksFormat", "--pbkdf", "pbkdf2",
              "--pbkdf-force-iterations", "1000", "--key-file",
              "/proc/version"], "an encrypted volume (crypto_LUKS)"),
}


@pytest.fixture
def write(run, image, tmp_path):
    """write(tool, output, *options)"""
    words = {"INPUT": image("clean"), "XML": tmp_path / "xml",
             "PACK": tmp_path / "pack"}
    words["XML"].write_bytes(XML)
    assert run("era_metadata_pack", "-i", words["INPUT"],
               "-o", words["PACK"]).status == 0

    def call(tool, output, *options):
        name, *args = WRITERS[tool]
        return run(name, *options, *(
            words.get(arg, output if arg == "OUTPUT" else arg)
            for arg in args))
    return call


@pytest.fixture(scope="session")
def knows_file_systems(all_tools):
    done = subprocess.run(["ldd", all_tools.path("era_restore")], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode or b"libblkid" not in done.stdout:
        pytest.skip("built without libblkid, or ldd cannot tell")


def assert_only_forced(run, write, tool, output, *words):
    before = output.read_bytes()
    result = write(tool, output)
    assert (result.status, result.out) == (2, b"")
    for word in (*words, str(output), "--force overwrites it"):
        assert word in result.err
    assert output.read_bytes() == before
    assert write(tool, output, "--force").status == 0
    assert run("era_check", output).status == 0


@any_writer
@pytest.mark.parametrize("what", MAKERS)
@pytest.mark.usefixtures("knows_file_systems")
def test_what_libblkid_knows_is_named(run, write, loop,  # noqa: F811
                                      tmp_path, tool, what):
    maker, name = MAKERS[what]
    if not shutil.which(maker[0]):
        pytest.skip(f"needs {maker[0]}")
    output = tmp_path / "output"
    with open(output, "wb") as file:
        file.truncate(32 * MIB)
    device = loop(output)
    made = subprocess.run([*maker, device], check=False, input=b"start=64\n",
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if made.returncode:
        pytest.skip(f"{maker[0]} does not work here: {made.stderr[:100]}")
    subprocess.run(["sync", device], check=True)
    before = output.read_bytes()
    result = write(tool, device)
    assert (result.status, result.out) == (2, b"")
    assert f"{device} holds" in result.err
    assert name in result.err
    assert "--force" in result.err
    assert output.read_bytes() == before
    assert write(tool, device, "--force").status == 0
    assert run("era_check", device).status == 0


@any_writer
@pytest.mark.parametrize("name", ["crash_k61", "rot_crash_k61_era-array-node"])
def test_metadata_is_named(run, write, image, tool, name):
    """Damaged metadata, too."""
    assert_only_forced(run, write, tool, image(name), "holds metadata")


@any_writer
def test_metadata_whose_superblock_is_lost_is_not_nothing(run, write, image,
                                                          tool):
    assert_only_forced(run, write, tool, image("rot_crash_k61_superblock"))


@any_writer
@pytest.mark.parametrize("at", [0, 100, 4 * MIB - 1])
def test_a_file_that_is_not_empty(run, write, tmp_path, tool, at):
    output = tmp_path / "output"
    with open(output, "wb") as file:
        file.truncate(4 * MIB)
        file.seek(at)
        file.write(b"x")
    assert_only_forced(run, write, tool, output, "is a file that is not empty")


@any_writer
@pytest.mark.parametrize("kind", ["hole", "zeroes", "device"])
def test_nothing_stands_in_the_way_of_what_is_empty(
        run, write, loop, tmp_path, tool, kind):  # noqa: F811
    output = tmp_path / "output"
    if kind == "zeroes":
        output.write_bytes(bytes(4 * MIB))
    else:
        with open(output, "wb") as file:
            file.truncate(4 * MIB)
    target = loop(output) if kind == "device" else output
    assert write(tool, target).status == 0
    assert run("era_check", target).status == 0


@any_writer
def test_a_device_with_what_nobody_knows_is_written(run, write, loop,  # noqa: F811
                                                    tmp_path, tool):
    """As mkfs does: a device is seldom all zero."""
    output = tmp_path / "output"
    output.write_bytes(b"\x5a" * (4 * MIB))
    device = loop(output)
    assert write(tool, device).status == 0
    assert run("era_check", device).status == 0
