# SPDX-License-Identifier: GPL-2.0-or-later
"""Every JSON report against its schema in doc/, and every schema against the
report: a member that no schema describes is an error here, so that none is
added in silence."""

import copy
import json
import re
from pathlib import Path

import pytest

from helpers import data
from helpers.reader import Metadata
from helpers.tools import LIVE_TOOLS

jsonschema = pytest.importorskip("jsonschema")

DOC = Path(__file__).resolve().parents[2] / "doc"
SCHEMAS = sorted(path.name.removesuffix(".schema.json")
                 for path in DOC.glob("*.schema.json"))
ALL = [*data.SOUND, *data.DAMAGED, *data.STALE]


def load(name):
    return json.loads((DOC / f"{name}.schema.json").read_text("ascii"))


def closed(schema):
    """The same schema, in which no object has members but those named."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        result["additionalProperties"] = False
    return result


def validate(name, text):
    report = json.loads(text)
    validator = jsonschema.Draft202012Validator(closed(load(name)))
    errors = [f"{list(error.absolute_path)}: {error.message}"
              for error in validator.iter_errors(report)]
    assert not errors
    return report


def test_there_is_a_schema_for_each_report():
    assert SCHEMAS == ["era_check", "era_invalidate", "era_ls",
                       "era_metadata_size", "era_repair", "era_status"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_sound(name):
    jsonschema.Draft202012Validator.check_schema(load(name))


# Of each tool a report in which no list is empty, for what is in the lists to
# be looked at, too.
REPORTS = {
    "era_check": ["--json", "rot_crash_k61_era-array-leaf"],
    "era_invalidate": ["--written-since=1", "--format=json", "clean"],
    "era_ls": ["--json", "crash_snap"],
    "era_ls --commits": ["--commits", "--json", "crash_snap"],
    "era_metadata_size": ["--json", "-b", "64K", "-s", "1G"],
    "era_repair": ["--json", "--dry-run", "--in-place",
                   "rot_crash_k61_era-array-leaf"],
    # tests/kernel has those of devices that there are
    "era_status": ["--json", "no-such-device"],
}


@pytest.fixture
def report_of(run, image):
    def made(name):
        args = REPORTS[name]
        tool = name.split()[0]
        if tool == "era_status" and tool not in LIVE_TOOLS:
            pytest.skip("built without libdevmapper")
        if tool not in ("era_metadata_size", "era_status"):
            args = [*args[:-1], image(args[-1])]
        return validate(tool, run(tool, *args).out)
    return made


def places(value, path=()):
    """(path, value) of every member of every object in a report; of a list
    its first item stands for all."""
    if isinstance(value, list):
        yield from places(value[0], (*path, 0)) if value else ()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), item
            yield from places(item, (*path, key))


def parent_of(report, path):
    for step in path[:-1]:
        report = report[step]
    return report


@pytest.mark.parametrize("name", REPORTS)
def test_schemas_refuse_another_type(report_of, name):
    report = report_of(name)
    schema = load(name.split()[0])
    for path, value in places(report):
        wrong = copy.deepcopy(report)
        parent_of(wrong, path)[path[-1]] = \
            1.5 if value is None or isinstance(value, str) else "wrong"
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
            pytest.fail(f"{path} may be anything")


@pytest.mark.parametrize("name", REPORTS)
def test_schemas_miss_what_is_left_out(report_of, name):
    report = report_of(name)
    schema = load(name.split()[0])
    optional = ("repair",), ("problems", 0, "data_blocks")
    for path, _ in places(report):
        less = copy.deepcopy(report)
        del parent_of(less, path)[path[-1]]
        if path in optional:
            jsonschema.validate(less, schema)
            continue
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(less, schema)
            pytest.fail(f"{path} may be absent")


@pytest.mark.parametrize("name", ALL)
def test_era_check(run, image, name):
    result = run("era_check", "--json", image(name))
    report = validate("era_check", result.out)
    assert report["sound"] == (result.status == 0)


@pytest.mark.parametrize("name", ["clean", "rot_clean_snap_superblock"])
def test_era_check_of_the_superblock(run, image, name):
    result = run("era_check", "--json", "--super-block-only", image(name))
    validate("era_check", result.out)


def test_era_check_of_what_is_not_there(run, tmp_path):
    result = run("era_check", "--json", tmp_path / "nothing")
    assert result.status == 2
    report = validate("era_check", result.out)
    assert report["counts"]["error"] == 1


def test_era_repair(repaired):
    for result in (repaired.in_place_in_json, repaired.dry_run,
                   repaired.dry_run_in_place):
        report = validate("era_repair", result.out)
        assert report["sound"] == (result.status == 0)


def test_era_repair_that_needs_an_option(run, image, tmp_path):
    result = run("era_repair", "--json", "-i",
                 image("rot_crash_k61_superblock"), "-o",
                 tmp_path / "repaired")
    report = validate("era_repair", result.out)
    assert report["outcome"] == "unknown" and result.status == 2


@pytest.mark.parametrize("name", data.SOUND)
@pytest.mark.parametrize("unit", ["blocks", "sectors", "bytes"])
def test_era_invalidate(run, image, name, unit):
    current = Metadata(data.read(name)).superblock().current_era
    for era in (0, 2, current):
        result = run("era_invalidate", "--written-since", era,
                     "--format=json", f"--unit={unit}", image(name))
        report = validate("era_invalidate", result.out)
        assert report["unit"] == unit


@pytest.mark.parametrize("name", [*data.SOUND,
                                  "rot_clean_snap_snapshot-superblock"])
@pytest.mark.parametrize("args", [[], ["--written-since", "5"],
                                  ["--lines", "16"]])
def test_era_ls(run, image, name, args):
    validate("era_ls", run("era_ls", "--json", *args, image(name)).out)


@pytest.mark.parametrize("name", data.WITH_SNAPSHOT)
def test_era_ls_of_a_metadata_snapshot(run, image, name):
    report = validate("era_ls", run("era_ls", "--json", "--metadata-snapshot",
                                    image(name)).out)
    assert report["source"] == "metadata_snapshot"


@pytest.mark.parametrize("name", ALL)
def test_era_ls_of_commits(run, image, name):
    report = validate("era_ls", run("era_ls", "--commits", "--json",
                                    image(name)).out)
    assert report["branches"]


@pytest.mark.parametrize("args", [
    ["-n", "0"], ["-n", "70"], ["-n", str(2**31 - 1)],
    ["-b", "64K", "-s", "10T"], ["-b", "4K", "-s", "1G", "--no-snapshot"],
    ["-n", "1000000", "-e", "1000000"]])
def test_era_metadata_size(run, args):
    validate("era_metadata_size",
             run("era_metadata_size", "--json", *args).out)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_manual_lists_all_members(name):
    page = (DOC.parent / "man" / f"{name}.8").read_text("ascii")
    listed = set(re.findall(r"^(?:\.It )?\.?(?:Li )(\w+)", page, re.M))

    def members(schema):
        if isinstance(schema, dict):
            if isinstance(schema.get("properties"), dict):
                yield from schema["properties"]
            for value in schema.values():
                yield from members(value)
        elif isinstance(schema, list):
            for value in schema:
                yield from members(value)
    # the words of severities and classes are values there
    assert set(members(load(name))) - listed <= {"non-fatal"}
