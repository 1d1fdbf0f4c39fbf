"""The registry of schemas over HTTP, by curl and by the Python client of the Confluent Schema Registry."""

import json
import os
import stat
import subprocess
import textwrap
import venv
from html.parser import HTMLParser
from pathlib import Path

import pytest

from custom_test import MENU, SCHEMA_FIELD, DATA_FIELD, ctl, quarantined, send, streamed
from device import CUSTOM, Device

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tributary"
CLIENT = "2.11.1"
TYPE = "application/vnd.schemaregistry.v1+json"


def curl(gateway, method, path, body=None, *options, remote=False):
    """(HTTP status, content type, JSON)."""
    where = ["--unix-socket", str(gateway.data / "run" / "admin.sock"), f"http://localhost{path}"]
    if remote:
        where = ["--cacert", str(gateway.pki.folder / "ca.crt"), f"https://127.0.0.1:{port(gateway)}{path}"]
    data = ["-H", f"Content-Type: {TYPE}", "--data-binary", "@-"] if body is not None else []
    done = subprocess.run(["curl", "-sS", "-X", method, "-w", "\n%{http_code} %{content_type}", *data, *options, *where],
                          input=json.dumps(body), capture_output=True, text=True, timeout=30, check=True)
    text, last = done.stdout.rsplit("\n", 1)
    status, _, content_type = last.partition(" ")
    return int(status), content_type, json.loads(text)


def port(gateway):
    return int((gateway.data / "run" / "admin_port").read_text())


def token(gateway):
    return (gateway.data / "keys" / "admin.token").read_text().strip()


def candidate(schema, **more):
    return {"schemaType": "JSON", "schema": schema if isinstance(schema, str) else json.dumps(schema), **more}


def with_attribute(name, **more):
    return {**MENU, "properties": {**MENU["properties"], name: {"type": "string"}}, **more}


@pytest.fixture
def remote(make_gateway):
    return make_gateway({"admin": {"http_address": "127.0.0.1", "http_port": 0}}).start()


def test_curl_registers_looks_up_and_is_refused_in_the_dialect(gateway):
    def ask(*words):
        status, content_type, answer = curl(gateway, *words)
        assert content_type == TYPE
        return (status, answer["error_code"]) if status != 200 else answer

    assert ask("GET", "/subjects") == []
    assert ask("GET", "/schemas/types") == ["JSON"]
    assert ask("GET", "/subjects/menu.opened/versions") == (404, 40401)
    one = ask("POST", "/subjects/menu.opened/versions", candidate(MENU))
    assert one["id"] == 1 and one["version"] == 1
    assert ask("POST", "/subjects/menu.opened/versions", candidate(json.dumps(MENU, indent=4)))["id"] == 1
    two = ask("POST", "/subjects/menu%2Eopened/versions", candidate(with_attribute("place")))
    assert (two["id"], two["version"]) == (2, 2)
    assert ask("GET", "/subjects") == ["menu.opened"]
    assert ask("GET", "/subjects/menu.opened/versions") == [1, 2]
    for version in ("2", "latest", "-1"):
        shown = ask("GET", f"/subjects/menu.opened/versions/{version}")
        assert (shown["id"], shown["version"], json.loads(shown["schema"])) == (2, 2, with_attribute("place"))
    assert ask("GET", "/subjects/menu.opened/versions/1/schema") == MENU
    assert ask("GET", "/subjects/menu.opened/versions/1/referencedby") == []
    assert ask("GET", "/subjects/menu.opened/versions/3") == (404, 40402)
    assert ask("GET", "/subjects/menu.opened/versions/0") == (422, 42202)
    assert ask("GET", "/subjects/menu.opened/versions/x") == (422, 42202)
    assert ask("POST", "/subjects/menu.opened", candidate(MENU))["version"] == 1
    assert ask("POST", "/subjects/menu.opened", candidate({"type": "object"})) == (404, 40403)
    assert ask("POST", "/subjects/other", candidate(MENU)) == (404, 40401)
    assert json.loads(ask("GET", "/schemas/ids/1")["schema"]) == MENU
    assert ask("GET", "/schemas/ids/2/schema") == with_attribute("place")
    assert ask("GET", "/schemas/ids/2/versions") == [{"subject": "menu.opened", "version": 2}]
    assert ask("GET", "/schemas/ids/3") == (404, 40403)

    removed = {**MENU, "properties": {"item": MENU["properties"]["item"]}}
    assert ask("POST", "/subjects/menu.opened/versions", candidate(removed)) == (409, 409)
    message = curl(gateway, "POST", "/subjects/menu.opened/versions", candidate(removed))[2]["message"]
    assert "attribute-removed" in message and "/properties/depth" in message
    check = "/compatibility/subjects/menu.opened/versions"
    assert ask("POST", f"{check}/latest", candidate(removed)) == {"is_compatible": False}
    verbose = ask("POST", f"{check}/1?verbose=true", candidate(removed))
    assert verbose["is_compatible"] is False and any("attribute-removed" in text for text in verbose["messages"])
    assert ask("POST", check, candidate({**with_attribute("place"), "title": "x"})) == {"is_compatible": True}
    assert ask("POST", f"{check}/9", candidate(MENU)) == (404, 40402)

    for bad in (candidate("{"), candidate({"type": "nothing"}), {"schema": json.dumps(MENU)}, {"schemaType": "JSON"},
                candidate(MENU, schemaType="AVRO"),
                candidate(MENU, references=[{"name": "a", "subject": "b", "version": 1}])):
        assert ask("POST", "/subjects/menu.opened/versions", bad) == (422, 42201)
    assert ask("GET", "/subjects/menu.opened/versions") == [1, 2]


def test_references_are_kept_with_the_schema_and_shown_beside_it(gateway):
    def ask(*words):
        status, _, answer = curl(gateway, *words)
        return (status, answer["error_code"]) if status != 200 else answer

    address = {"type": "object", "properties": {"zip": {"type": "string"}}}
    customer = {"type": "object", "properties": {"home": {"$ref": "address.json#"}}}
    names = [{"name": "address.json", "subject": "address", "version": 1}]
    versions = "/subjects/customer/versions"
    assert ask("POST", versions, candidate(customer, references=names)) == (422, 42201)  # not registered
    assert ask("POST", "/subjects/address/versions", candidate(address))["id"] == 1
    one = ask("POST", versions, candidate(customer, references=names))
    assert (one["id"], one["references"], json.loads(one["schema"])) == (2, names, customer)
    assert ask("POST", versions, candidate(customer, references=names))["id"] == 2
    assert ask("POST", "/subjects/customer", candidate(customer, references=names))["version"] == 1
    for bad in ([{"name": "address.json", "subject": "address"}], [names[0], names[0]], ["address"],
                [{**names[0], "version": 1.5}], [{**names[0], "version": -1}]):
        assert ask("POST", versions, candidate(customer, references=bad)) == (422, 42201)

    def check():
        for path in (f"{versions}/1", "/schemas/ids/2"):
            shown = ask("GET", path)
            assert shown["references"] == names and json.loads(shown["schema"]) == customer
        assert ask("GET", f"{versions}/1/schema") == customer == ask("GET", "/schemas/ids/2/schema")
        assert ask("GET", "/subjects/address/versions/1/referencedby") == [2]
        assert "references" not in ask("GET", "/schemas/ids/1")

    check()
    gateway.kill()
    gateway.start()
    check()
    tv = Device(gateway, "tv-1").online()
    send(tv, [(CUSTOM, {SCHEMA_FIELD: "customer", DATA_FIELD: {"home": {"zip": "1", "mail": "planted"}}}),
              (CUSTOM, {SCHEMA_FIELD: "customer", DATA_FIELD: {"home": {"zip": 1}}})])
    event, = streamed(gateway, 1)
    assert event["data"] == {"home": {"zip": "1"}}  # what is referred to says what is declared
    assert [item["keyword"] for item in quarantined(gateway)] == ["type"]


def test_the_catalog_tells_what_there_is_and_where_it_lies(gateway):
    described = {**MENU, "description": "a menu was opened", "x-tributary": {"owner": "menus@example.org"}}
    assert curl(gateway, "POST", "/subjects/menu.opened/versions", candidate(described))[0] == 200
    status, _, rows = curl(gateway, "GET", "/v1/catalog")
    menu = next(row for row in rows if row["name"] == "menu.opened")
    assert status == 200 and menu["owner"] == "menus@example.org" and menu["lake"] == "events/schema=menu.opened"
    assert (menu["version"], menu["id"], menu["description"]) == (1, 1, "a menu was opened")
    assert {a["name"]: a["privacy"] for a in menu["attributes"]} == {"item": "none", "depth": "none", "mail": "personal"}
    assert {"pause", "session.end"} <= {row["name"] for row in rows if row["built_in"]}
    assert rows == ctl(gateway, "catalog")


def test_the_catalog_is_a_page_too_and_texts_of_schemas_stay_texts(gateway):
    hostile = {**MENU, "description": "<script>alert(1)</script> & \"more\"", "x-tributary": {"owner": "<b>menus</b>"}}
    assert curl(gateway, "POST", "/subjects/menu.opened/versions", candidate(hostile))[0] == 200
    socket = str(gateway.data / "run" / "admin.sock")
    done = subprocess.run(["curl", "-sS", "-D", "-", "--unix-socket", socket, "http://localhost/catalog"], capture_output=True,
                          text=True, timeout=30, check=True)
    head, _, page = done.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200") and "Content-Type: text/html; charset=utf-8" in head

    class Seen(HTMLParser):
        def __init__(self):
            super().__init__()
            self.tags, self.text = set(), ""

        def handle_starttag(self, tag, attrs):
            self.tags.add(tag)

        def handle_data(self, data):
            self.text += data

    seen = Seen()
    seen.feed(page)
    assert not seen.tags & {"script", "b"}
    rows = curl(gateway, "GET", "/v1/catalog")[2]
    for row in rows:
        wanted = [row["name"], row["description"], row["owner"], row["lake"], *(a["name"] for a in row["attributes"])]
        assert not [text for text in wanted if text not in seen.text], row["name"]


def test_curl_changes_levels_and_modes_but_deletes_nothing(gateway):
    def ask(*words):
        status, _, answer = curl(gateway, *words)
        return (status, answer["error_code"]) if status != 200 else answer

    ask("POST", "/subjects/a/versions", candidate(MENU))
    assert ask("GET", "/config") == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert ask("GET", "/config/a") == (404, 40408)
    assert ask("GET", "/config/a?defaultToGlobal=true") == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert ask("PUT", "/config/a", {"compatibility": "NONE"}) == {"compatibility": "NONE"}
    assert ask("GET", "/config/a") == {"compatibilityLevel": "NONE"}
    assert ask("PUT", "/config/a", {"compatibility": "SOME"}) == (422, 42203)
    assert ask("PUT", "/config", {"compatibility": "FULL"}) == {"compatibility": "FULL"}
    assert ask("DELETE", "/config/a") == {"compatibilityLevel": "FULL"}
    assert ask("GET", "/config/a") == (404, 40408)
    assert ask("GET", "/mode") == {"mode": "READWRITE"}
    assert ask("PUT", "/mode", {"mode": "READONLY"}) == {"mode": "READONLY"}
    assert ask("POST", "/subjects/a/versions", candidate(with_attribute("new"))) == (422, 42205)
    assert ask("PUT", "/mode", {"mode": "IMPORT"}) == (422, 42204)
    assert ask("PUT", "/mode", {"mode": "READWRITE"}) == {"mode": "READWRITE"}
    for path in ("/subjects/a", "/subjects/a/versions/1", "/schemas/ids/1"):
        assert ask("DELETE", path) == (405, 405)
    assert ask("GET", "/subjects/a/versions") == [1]


def test_the_port_for_other_machines_wants_tls_and_the_token(remote):
    assert stat.S_IMODE((remote.data / "keys" / "admin.token").stat().st_mode) == 0o600
    for wrong in ((), ("-H", "Authorization: Bearer " + "0" * 64), ("-u", "me:" + "0" * 64)):
        for path in ("/subjects", "/v1/status", "/metrics", "/nothing"):
            status, _, answer = curl(remote, "GET", path, None, *wrong, remote=True)
            if wrong:
                assert status in (401, 429)
            else:
                assert (status, answer["error_code"]) == (401, 401)
    assert curl(remote, "GET", "/subjects", None, "-u", f"me:{token(remote)}", remote=True)[0] == 429
    plain = subprocess.run(["curl", "-sS", "-m", "5", f"http://127.0.0.1:{port(remote)}/subjects"], capture_output=True)
    assert plain.returncode != 0
    remote.restart()  # what was held against the address is forgotten
    for right in (("-u", f"me:{token(remote)}"), ("-H", f"Authorization: Bearer {token(remote)}")):
        status, _, answer = curl(remote, "POST", "/subjects/a/versions", candidate(MENU), *right, remote=True)
        assert status == 200 and answer["id"] == 1
        assert curl(remote, "GET", "/v1/status", None, *right, remote=True)[2]["ready"] is True
    large = {**MENU, "description": "x" * 200000}
    assert curl(remote, "POST", "/subjects/large/versions", candidate(large), *right, remote=True)[0] == 200
    shown = curl(remote, "GET", "/subjects/large/versions/1/schema", None, *right, remote=True)[2]
    assert shown == large
    assert token(remote) not in remote.log()


@pytest.fixture(scope="session")
def client():
    """The client's own Python, in the cache."""
    folder = CACHE / f"confluent-kafka-{CLIENT}"
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run([str(python), "-m", "pip", "install", "-q",
                               f"confluent-kafka[json,schemaregistry]=={CLIENT}"], capture_output=True, text=True,
                              timeout=600, check=False)
        if done.returncode != 0:
            pytest.skip("pip could not install confluent-kafka: " + done.stderr.strip().splitlines()[-1])
        (folder / "whole").touch()
    return str(python)


PROGRAM = textwrap.dedent("""
    import json, struct, sys
    from confluent_kafka.schema_registry import SchemaRegistryClient, Schema, SchemaRegistryError
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

    url, ca, token, menu, wider, narrower = sys.argv[1:]
    client = SchemaRegistryClient({"url": url, "ssl.ca.location": ca, "basic.auth.user.info": "me:" + token})
    subject = "menu.opened-value"
    context = SerializationContext("menu.opened", MessageField.VALUE)
    serialize = JSONSerializer(menu, client)  # registers
    data = serialize({"item": "settings", "depth": 2}, context)
    magic, schema_id = struct.unpack(">bI", data[:5])
    assert magic == 0 and client.get_subjects() == [subject]
    assert JSONDeserializer(menu, schema_registry_client=client)(data, context) == {"item": "settings", "depth": 2}
    try:
        serialize({"depth": -1}, context)
    except SerializationError as error:
        assert "minimum" in str(error), error
    else:
        raise SystemExit("an invalid event was serialized")
    assert json.loads(client.get_schema(schema_id).schema_str) == json.loads(menu)
    assert client.register_schema(subject, Schema(menu, "JSON")) == schema_id
    assert client.test_compatibility(subject, Schema(wider, "JSON"))
    second = client.register_schema(subject, Schema(wider, "JSON"))
    assert second != schema_id and client.get_versions(subject) == [1, 2]
    assert not client.test_compatibility(subject, Schema(narrower, "JSON"))
    try:
        client.register_schema(subject, Schema(narrower, "JSON"))
    except SchemaRegistryError as error:
        assert error.http_status_code == 409, error
    else:
        raise SystemExit("an incompatible schema was registered")
    latest = client.get_latest_version(subject)
    assert (latest.version, latest.schema_id, latest.subject) == (2, second, subject)
    assert client.get_version(subject, 1).schema_id == schema_id
    assert client.lookup_schema(subject, Schema(menu, "JSON")).version == 1
    client.set_compatibility(subject, "FULL")
    assert client.get_compatibility(subject) == "FULL"
    from confluent_kafka.schema_registry import SchemaReference
    client.register_schema("address", Schema('{"type": "object", "properties": {"zip": {"type": "string"}}}', "JSON"))
    names = [SchemaReference("address.json", "address", 1)]
    customer = Schema('{"title": "customer", "type": "object", "properties": {"home": {"$ref": "address.json"}}}',
                      "JSON", names)
    serialize = JSONSerializer(customer, client)  # registers
    where = SerializationContext("customer", MessageField.VALUE)
    data = serialize({"home": {"zip": "1"}}, where)
    deserialize = JSONDeserializer(customer, schema_registry_client=client)
    assert deserialize(data, where) == {"home": {"zip": "1"}}
    try:
        serialize({"home": {"zip": 1}}, where)
    except SerializationError as error:
        assert "string" in str(error), error
    else:
        raise SystemExit("an event that is invalid by a reference was serialized")
    shown = client.get_latest_version("customer-value").schema
    assert shown.schema_str == customer.schema_str, shown.schema_str
    assert [(r.name, r.subject, r.version) for r in shown.references] == [("address.json", "address", 1)]
    assert client.lookup_schema("customer-value", customer).version == 1
    try:
        client.delete_subject(subject)
    except SchemaRegistryError as error:
        assert error.http_status_code == 405, error
    else:
        raise SystemExit("a subject was deleted")
    print(json.dumps({"id": schema_id}))
""")


@pytest.mark.peers
def test_the_confluent_client_and_its_serializer_work(remote, client):
    wider = with_attribute("place")
    narrower = {**MENU, "properties": {"item": MENU["properties"]["item"]}}
    arguments = [f"https://127.0.0.1:{port(remote)}", str(remote.pki.folder / "ca.crt"), token(remote)]
    done = subprocess.run([client, "-c", PROGRAM, *arguments, *map(json.dumps, (MENU, wider, narrower))],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["id"] == 1
    tv = Device(remote, "tv-1").online()  # what the client registered is the contract at the door
    send(tv, [(CUSTOM, {SCHEMA_FIELD: "menu.opened-value", DATA_FIELD: {"item": "a", "place": "top"}}),
              (CUSTOM, {SCHEMA_FIELD: "menu.opened-value", DATA_FIELD: {"depth": 1}})])
    event, = streamed(remote, 1)
    assert event["schema_version"] == 2 and event["data"] == {"item": "a", "place": "top"}
    assert [item["keyword"] for item in quarantined(remote)] == ["required"]
