"""tributaryctl schema for developers and their CI, and the registry of a gateway over its restarts."""

import json
import subprocess

import pytest
from gateway import BIN

CTL = BIN / "tributaryctl"
OK, BAD, USAGE, UNREACHABLE, FAILED = 0, 1, 2, 3, 4


def ctl(*arguments):
    return subprocess.run([CTL, "schema", *arguments], capture_output=True, text=True, check=False, timeout=30)


def write(folder, name, value):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def order(more=None, **attribute):
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "an order", "type": "object",
            "x-tributary": {"owner": "shop@example.org"},
            "properties": {"count": {"type": "integer", "description": "pieces", **attribute}, **(more or {})}}


def test_a_folder_takes_what_may_follow_and_refuses_the_rest(tmp_path):
    folder = tmp_path / "schemas"
    first, narrower = write(tmp_path, "1.json", order()), write(tmp_path, "2.json", order(minimum=0))
    wider = write(tmp_path, "3.json", order({"note": {"type": "string"}}))
    assert "version 1 of orders, id 1" in ctl("register", "--folder", folder, "orders", first).stdout
    before = sorted(path.name for path in (folder / "orders").iterdir())
    for command in ("check", "register"):
        done = ctl(command, "--folder", folder, "orders", narrower)
        assert done.returncode == BAD
        assert "/properties/count/minimum: smaller numbers were allowed" in done.stdout
        assert "by rule minimum (backward, version 1)" in done.stdout
    assert sorted(path.name for path in (folder / "orders").iterdir()) == before
    assert ctl("check", "--folder", folder, "orders", narrower, "--level", "FORWARD").returncode == OK
    assert ctl("check", "--folder", folder, "orders", wider).returncode == OK
    assert ctl("register", "--folder", folder, "orders", wider).returncode == OK
    assert json.loads((folder / "orders" / "2.json").read_text()) == json.loads(wider.read_text())
    assert "1 subjects, 2 versions" in ctl("check", "--folder", folder).stdout
    assert [line.split()[0] for line in (folder / "ids").read_text().splitlines()] == ["1", "2"]


def test_a_folder_whose_versions_do_not_follow_is_not_well(tmp_path):
    write(tmp_path, "schemas/orders/1.json", order(minimum=0))
    write(tmp_path, "schemas/orders/2.json", order(minimum=5))
    done = ctl("check", "--folder", tmp_path / "schemas")
    assert done.returncode == BAD and "orders/2.json" in done.stderr
    assert not (tmp_path / "schemas" / "ids").exists(), "check writes nothing"
    assert ctl("check", "--folder", tmp_path / "schemas", "--level", "FORWARD").returncode == OK


def test_diff_names_what_changed_and_exits_by_the_verdict(tmp_path):
    old = write(tmp_path, "old.json", order({"note": {"type": "string"}}))
    new = write(tmp_path, "new.json", order({"user": {"type": "string", "x-tributary": {"privacy": "personal"}}}))
    done = ctl("diff", old, new)
    assert done.returncode == BAD
    assert "- note: string\n" in done.stdout and "+ user: string, personal\n" in done.stdout
    assert "by rule attribute-removed (house)" in done.stdout
    assert ctl("diff", old, old).returncode == OK
    faults = json.loads(ctl("diff", old, new, "--json").stdout)
    assert [(fault["rule"], fault["path"]) for fault in faults] == [("attribute-removed", "/properties/note")]


def test_lint_tells_what_is_worth_a_second_look(tmp_path):
    good = write(tmp_path, "good.json", order())
    bad = write(tmp_path, "bad.json", {"properties": {"user_email": {"type": "string"}, "what": {}}})
    assert ctl("lint", good).returncode == OK
    done = ctl("lint", good, bad)
    assert done.returncode == BAD
    for words in ("no $schema", "no title", "no owner", "/properties/user_email: sounds personal",
                  "/properties/what: has no type"):
        assert words in done.stdout
    stated = order({"user_email": {"type": "string", "description": "of the shop", "x-tributary": {"privacy": "none"}}})
    assert ctl("lint", write(tmp_path, "stated.json", stated)).returncode == OK


def test_examples_are_run_against_a_schema(tmp_path):
    schema = write(tmp_path, "schema.json", order())
    write(tmp_path, "examples/valid/1.json", {"count": 1})
    write(tmp_path, "examples/invalid/1.json", {"count": "one"})
    done = ctl("test", schema, tmp_path / "examples")
    assert done.returncode == OK and done.stdout == "2 of 2\n"
    write(tmp_path, "examples/invalid/2.json", {"count": 2})
    write(tmp_path, "examples/valid/2.json", {"count": None})
    done = ctl("test", schema, tmp_path / "examples")
    assert done.returncode == BAD and done.stdout.endswith("2 of 4\n")
    assert "invalid/2.json: is valid" in done.stdout and "valid/2.json: /count:" in done.stdout
    (tmp_path / "examples" / "invalid" / "1.json").unlink()
    (tmp_path / "examples" / "invalid" / "2.json").unlink()
    assert ctl("test", schema, tmp_path / "examples").returncode == FAILED, "a test that tests nothing is none"


@pytest.mark.parametrize("arguments", [["check"], ["check", "--folder"], ["register", "a"], ["diff", "a"], ["lint"],
                                       ["test", "a"], ["check", "--folder", "x", "--level", "BEST"], ["nonsense"]])
def test_wrong_usage_is_told(arguments):
    assert ctl(*arguments).returncode == USAGE


def test_register_asks_the_gateway_and_prints_its_reason(gateway, tmp_path):
    first, narrower = write(tmp_path, "1.json", order()), write(tmp_path, "2.json", order(minimum=0))
    data = ("--data", gateway.data)
    assert "id 1" in ctl("register", "orders", first, *data).stdout
    done = ctl("register", "orders", narrower, *data)
    assert done.returncode == BAD and "minimum" in done.stderr
    assert ctl("register", "orders", first, "--data", tmp_path).returncode == UNREACHABLE


def test_the_registry_outlives_the_gateway_and_stands_as_files(gateway, tmp_path):
    first = write(tmp_path, "1.json", order())
    assert ctl("register", "orders", first, "--data", gateway.data).returncode == OK
    file = gateway.data / "schemas" / "orders" / "1.json"
    assert json.loads(file.read_text()) == json.loads(first.read_text())
    gateway.kill()
    gateway.start()
    assert ctl("register", "orders", first, "--data", gateway.data).stdout.endswith("id 1\n")
    gateway.stop()
    file.write_text(json.dumps(order(minimum=3)))
    code, told = gateway.run_to_failure()
    assert code != 0 and "orders/1.json was changed: registered is sha256 " in told
    file.write_text(json.dumps(order()))
    gateway.start()


def test_a_gateway_takes_schemas_from_a_folder_of_its_configuration(make_gateway, tmp_path):
    folder = tmp_path / "checkout"
    write(folder, "orders/1.json", order())
    gateway = make_gateway({"schemas": {"folder": str(folder), "write": "false"}}).start()
    assert ctl("register", "orders", folder / "orders" / "1.json", "--data", gateway.data).stdout.endswith("id 1\n")
    assert ctl("register", "carts", folder / "orders" / "1.json", "--data", gateway.data).returncode == OK
    assert not (folder / "carts").exists() and not (folder / "ids").exists()
