"""tributaryctl schema for developers and their CI, and the registry of a gateway over its restarts."""

import json
import subprocess
import sys

import jsonschema
import pytest
from gateway import BIN, ROOT

CTL = BIN / "tributaryctl"
ODCS = "3.2.0"
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


def test_a_reload_registers_new_files_and_refuses_changed_ones(make_gateway, tmp_path):
    folder = tmp_path / "checkout"
    first = write(folder, "orders/1.json", order())
    gateway = make_gateway({"schemas": {"folder": str(folder), "write": "false"}}).start()

    def reload():
        return subprocess.run([BIN / "tributaryctl", "--config", gateway.write_config(), "reload"], capture_output=True,
                              text=True, timeout=20)

    def known(subject):
        return ctl("export", "--odcs", "--data", gateway.data, subject).returncode == OK

    write(folder, "carts/1.json", order(maximum=9))
    assert not known("carts")
    assert reload().returncode == OK
    assert known("carts")
    first.write_text(json.dumps(order(minimum=3)))
    write(folder, "menus/1.json", order(maximum=8))
    done = reload()
    assert done.returncode == FAILED and "orders/1.json was changed: registered is sha256 " in done.stderr
    assert known("menus")  # the others' files are none the worse
    first.write_text(json.dumps(order()))
    assert reload().returncode == OK and known("orders")


def test_the_catalog_says_what_there_is_where_it_lies_and_who_answers(gateway, tmp_path):
    schema = order({"user": {"type": "string", "description": "who", "x-tributary": {"privacy": "personal"}}})
    assert ctl("register", "orders", write(tmp_path, "1.json", schema), "--data", gateway.data).returncode == OK
    catalog = [CTL, "catalog", "--data", gateway.data]
    done = subprocess.run([*catalog, "--json"], capture_output=True, text=True, check=True, timeout=30)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    orders = rows["orders"]
    assert (orders["version"], orders["id"], orders["owner"]) == (1, 1, "shop@example.org")
    assert orders["lake"] == "events/schema=orders"
    assert {a["name"]: a["privacy"] for a in orders["attributes"]} == {"count": "none", "user": "personal"}
    assert rows["session.end"]["built_in"] and rows["session.end"]["lake"] == "events/schema=session.end"
    table = subprocess.run(catalog, capture_output=True, text=True, check=True, timeout=30).stdout
    assert any(line.startswith("orders ") and "shop@example.org" in line for line in table.splitlines())
    page = subprocess.run([*catalog, "--markdown"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert "## orders" in page and "| user | string | no | personal | who |" in page
    assert subprocess.run([CTL, "catalog"], capture_output=True, check=False, timeout=30).returncode == USAGE


def test_built_in_schemas_can_be_registered_and_say_what_is_personal(tmp_path):
    folder = tmp_path / "schemas"
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json")):
        done = ctl("register", "--folder", folder, path.stem, path)
        assert done.returncode == OK, done.stderr
    done = subprocess.run([CTL, "catalog", "--folder", folder, "--json"], capture_output=True, text=True, check=True,
                          timeout=30)
    rows = [row for row in json.loads(done.stdout) if not row["built_in"]]
    assert len(rows) == 19
    for row in rows:
        assert [a["name"] for a in row["attributes"] if a["privacy"] != "none"] == ["user"]
        assert row["owner"] and row["lake"] == f"events/schema={row['name']}"


@pytest.mark.peers
def test_a_schema_is_exported_as_an_open_data_contract(tmp_path):
    """By the standard's own JSON Schema, from its package."""
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "odcs",
                           f"open-data-contract-standard=={ODCS}"], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"the package index does not answer: {done.stderr[-200:]}")
    standard = json.loads((tmp_path / "odcs" / "open_data_contract_standard" / "schema.json").read_text())
    folder = tmp_path / "schemas"
    more = {"at": {"type": "string", "x-tributary": {"lake": "timestamp"}}, "tags": {"type": ["array", "null"]}, "any": {},
            "user": {"type": "string", "x-tributary": {"privacy": "personal", "vocabulary": "user"}}}
    schema = {**order(more), "required": ["count"], "x-tributary": {"owner": "shop", "partition": "user", "lake": "shop/orders"}}
    assert ctl("register", "--folder", folder, "orders", write(tmp_path, "1.json", schema)).returncode == OK
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json")):
        assert ctl("register", "--folder", folder, path.stem, path).returncode == OK
    for subject in ["orders", *(path.stem for path in (ROOT / "docs" / "schemas").glob("*.json"))]:
        done = ctl("export", "--odcs", "--folder", folder, subject)
        assert done.returncode == OK
        contract = json.loads(done.stdout)
        jsonschema.Draft201909Validator(standard).validate(contract)
        if subject != "orders":
            continue
        table = contract["schema"][0]
        columns = {column["name"]: column for column in table["properties"]}
        assert table["physicalName"] == "shop/orders" and contract["team"]["name"] == "shop"
        assert columns["count"]["required"] and columns["count"]["logicalType"] == "integer"
        assert columns["at"]["logicalType"] == "timestamp" and columns["tags"]["logicalType"] == "array"
        assert columns["user"]["classification"] == "personal" and columns["user"]["partitioned"]
    assert ctl("export", "--odcs", "--folder", folder, "nobody").returncode == BAD
    assert ctl("export", "--odcs", "--folder", folder, "orders", "2").returncode == BAD
