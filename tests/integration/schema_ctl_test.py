"""tributaryctl schema: exit codes and what is printed, against Python's jsonschema where both have a say."""

import json
import subprocess

import jsonschema
import pytest
from gateway import BIN, ROOT

CTL = BIN / "tributaryctl"
OK, BAD, USAGE, FAILED = 0, 1, 2, 4


def ctl(*arguments):
    return subprocess.run([CTL, "schema", *arguments], capture_output=True, text=True, check=False, timeout=30)


def write(folder, name, value):
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


SCHEMA = {"type": "object", "properties": {"ms": {"type": "integer", "minimum": 0}, "tags": {"items": {"type": "string"}}},
          "required": ["ms"]}


def test_schema_validate_exits_by_its_verdict_and_prints_each_fault(tmp_path):
    schema = write(tmp_path, "schema.json", SCHEMA)
    good, bad = write(tmp_path, "good.json", {"ms": 1}), write(tmp_path, "bad.json", {"ms": -1, "tags": ["a", 2]})
    assert ctl("validate", schema, good).returncode == OK
    done = ctl("validate", schema, good, bad)
    assert done.returncode == BAD
    assert "good.json: valid" in done.stdout
    assert "/ms: is below the minimum\n    by /properties/ms/minimum (#/properties/ms/minimum)" in done.stdout
    assert "/tags/1:" in done.stdout


def test_schema_validate_reports_as_json_what_a_peer_finds(tmp_path):
    schema = write(tmp_path, "schema.json", SCHEMA)
    instance = {"ms": 1.5, "tags": [1, "a", None]}
    done = ctl("validate", schema, write(tmp_path, "bad.json", instance), "--json")
    assert done.returncode == BAD
    (result,) = json.loads(done.stdout)
    found = {error["instanceLocation"] for error in result["errors"]}
    peers = {"".join(f"/{part}" for part in error.absolute_path)
             for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(instance)}
    assert found == peers and not result["valid"]


@pytest.mark.parametrize("schema", ["{", '{"type": 7}', '{"$ref": "missing.json"}', '{"pattern": "("}'])
def test_what_is_no_schema_is_told(tmp_path, schema):
    done = ctl("validate", write(tmp_path, "schema.json", schema), write(tmp_path, "one.json", 1))
    assert done.returncode == BAD and "schema.json: schema " in done.stderr


def test_schema_usage_and_missing_files_are_told(tmp_path):
    schema = write(tmp_path, "schema.json", SCHEMA)
    assert ctl().returncode == USAGE
    assert ctl("validate", schema).returncode == USAGE
    assert ctl("validate", schema, "--draft", "9").returncode == USAGE
    assert ctl("validate", schema, tmp_path / "missing.json").returncode == FAILED
    assert ctl("suite", tmp_path / "missing").returncode == FAILED


def test_schema_suite_names_each_failing_case(tmp_path):
    cases = [{"description": "group", "schema": {"type": "string"}, "tests": [
        {"description": "right", "data": "a", "valid": True}, {"description": "wrong", "data": 1, "valid": True}]}]
    write(tmp_path, "one.json", cases)
    done = ctl("suite", tmp_path)
    assert done.returncode == BAD
    assert done.stdout == "FAIL one.json: group: wrong (expected valid, got invalid)\n1 of 2\n"


def test_the_schemas_of_built_in_events_compile(tmp_path):
    event = write(tmp_path, "event.json", {"type": "ping"})
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json")):
        done = ctl("validate", path, event)
        assert done.returncode == BAD and '"device" is missing' in done.stdout, done.stderr
