"""tributary-load against the real gateway: what it reports, and that its proof would notice a broken promise."""

import json
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization

from gateway import BIN, ROOT


def key_file(pki, name, key):
    path = pki.folder / f"{name}.key"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))
    return str(path)


def arguments(gateway, *more, credentials=None):
    pki = gateway.pki
    who = credentials or ["--device-ca", str(pki.folder / "device-ca.crt"), "--ca-key",
                          key_file(pki, "device-ca", pki.device_ca.key)]
    return [str(BIN / "tributary-load"), "--url", f"wss://localhost:{gateway.port}/v1", "--ca",
            str(pki.folder / "ca.crt"), "--format", "json", "--quiet", *who, *map(str, more)]


def load(gateway, *more, credentials=None, status=0, timeout=90):
    done = subprocess.run(arguments(gateway, *more, credentials=credentials), capture_output=True, text=True,
                          timeout=timeout, check=False)
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout) if done.stdout else done.stderr


def broken(report):
    return {name: count for name, count in report["violations"].items() if count}


def stream_file(gateway, path):
    path.write_text("".join(json.dumps(event) + "\n" for event in gateway.stream_events()))
    return path


def check(obligations, stream, *more):
    done = subprocess.run([str(BIN / "tributary-load"), "check", "--obligations", str(obligations), "--stream-json",
                           str(stream), *more], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def used_seconds(pid):
    """Processor time of a process of one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def wait_for_stream(gateway, count, seconds=20):
    deadline = time.monotonic() + seconds
    while len(gateway.stream_events()) < count and time.monotonic() < deadline:
        time.sleep(0.2)


def test_devices_with_a_rate_and_nothing_to_send_take_no_core(gateway):
    command = arguments(gateway, "--devices", 8, "--events", 20, "--batch", 10, "--rate", 4000, "--hold")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as held:
        try:
            assert "holding 8 connections" in held.stderr.readline()
            before = used_seconds(held.pid)
            time.sleep(1.5)
            assert used_seconds(held.pid) - before < 0.3
        finally:
            held.terminate()
        report = json.loads(held.communicate(timeout=20)[0])
    assert report["complete"] and report["events_acked"] == 160


def test_all_is_acked_and_found_in_the_stream(gateway, tmp_path):
    report = load(gateway, "--devices", 8, "--events", 500, "--batch", 50, "--users", 10, "--obligations",
                  tmp_path / "acked")
    assert report["complete"] and report["events_acked"] == 4000 and not broken(report)
    assert report["events_sent"] == 4000 and report["rejected"] == 0 and report["reconnects"] == 0
    assert 10 < report["bytes_per_event"] < 40
    assert report["ack_latency_ms"]["p50"] <= report["ack_latency_ms"]["p99"] <= report["ack_latency_ms"]["max"]
    wait_for_stream(gateway, 4000)
    events = gateway.stream_events()
    assert not [event for event in events if event.get("user", "").startswith("user-")]  # pseudonyms only
    assert len({event["user"] for event in events}) == 10
    status, result = check(tmp_path / "acked", stream_file(gateway, tmp_path / "stream"))
    assert (status, result["promised"], result["seen"]) == (0, 4000, 4000), result


def test_the_stream_is_as_the_schemas_say(gateway):
    schemas = {path.stem: jsonschema.Draft202012Validator(json.loads(path.read_text()))
               for path in (ROOT / "docs" / "schemas").glob("*.json")}
    load(gateway, "--devices", 2, "--events", 300, "--users", 3)
    wait_for_stream(gateway, 600)
    events = gateway.stream_events()
    assert len({event["type"] for event in events}) > 12
    for event in events:
        schema = schemas[event["type"]]
        schema.validate(event)
        assert set(event) <= set(schema.schema["properties"]), event
        assert not schemas["ping" if event["type"] != "ping" else "pause"].is_valid(event)


def test_credit_smaller_than_the_window_only_slows_down(make_gateway, tmp_path):
    gateway = make_gateway({"limits": {"credit_events": 30, "message_size": "4KiB"}}).start()
    report = load(gateway, "--devices", 3, "--events", 1000, "--batch", 100, "--window", 8)
    assert report["complete"] and not broken(report) and report["byes"] == {}


def test_each_kind_of_credentials_is_understood(gateway, pki, tmp_path):
    token = tmp_path / "token"
    token.write_text(pki.token("dev-token") + "\n")
    certificate, key = pki.device("dev-cert")
    for index in range(2):
        made = pki.device(f"load-{index:05}")
        (tmp_path / f"device-load-{index:05}.pem").write_bytes(made[0].read_bytes())
        (tmp_path / f"device-load-{index:05}.key").write_bytes(made[1].read_bytes())
    signing = ["--jwt-key", key_file(pki, "es256", pki.es256), "--jwt-kid", "k-es", "--jwt-audience", "tributary-test"]
    for devices, credentials in [
            (1, ["--token-file", str(token)]), (1, ["--token", pki.token("dev-token-2")]),
            (1, ["--cert", str(certificate), "--key", str(key)]), (2, ["--cert-dir", str(tmp_path)]),
            (3, [*signing, "--device-prefix", "jwt-"])]:
        report = load(gateway, "--events", 50, "--devices", devices, credentials=credentials)
        assert report["complete"] and report["events_acked"] == 50 * devices and not broken(report)
    wait_for_stream(gateway, 400)
    assert {event["device"] for event in gateway.stream_events()} == {
        "dev-token", "dev-token-2", "dev-cert", "load-00000", "load-00001", "jwt-00000", "jwt-00001", "jwt-00002"}


def test_credentials_that_are_refused_are_said_so(gateway, pki):
    text = load(gateway, "--patience", 1, status=1, credentials=["--token", pki.token("dev", kid="k-none")])
    assert text["refused_devices"] == 0 and not text["complete"]
    done = subprocess.run(arguments(gateway, "--patience", 1, credentials=["--token", pki.token("dev", kid="x")]),
                          capture_output=True, text=True, timeout=30, check=False)
    assert "the gateway refuses the device's credentials" in done.stderr


def test_chaos_is_refused_correctly_and_harms_nothing(gateway, tmp_path):
    report = load(gateway, "--devices", 6, "--events", 4000, "--batch", 40, "--chaos", "--seed", 7, "--obligations",
                  tmp_path / "acked")
    assert report["complete"] and not broken(report), report
    assert report["expected_nacks"] > 5 and report["duplicates_sent"] > 100 and report["reconnects"] > 5
    assert report["nacks"] == report["expected_nacks"]
    wait_for_stream(gateway, 24000)
    status, result = check(tmp_path / "acked", stream_file(gateway, tmp_path / "stream"))
    assert (status, result["promised"], result["seen"]) == (0, 24000, 24000), result


def test_sigkill_of_the_gateway_loses_nothing_that_was_acked(make_gateway, tmp_path):
    gateway = make_gateway()
    gateway.start()
    gateway.settings["listen"]["port"] = gateway.port  # devices come back to the same port
    run = subprocess.Popen(arguments(gateway, "--devices", 5, "--events", 20000, "--rate", 20000, "--batch", 50,
                                     "--chaos", "--obligations", tmp_path / "acked"),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(3):
            time.sleep(0.7)
            gateway.kill()
            gateway.start()
        out, err = run.communicate(timeout=90)
    finally:
        if run.poll() is None:
            run.kill()
    report = json.loads(out)
    assert run.returncode == 0 and report["complete"] and not broken(report), err + out
    assert report["reconnects"] >= 5
    wait_for_stream(gateway, 100000)
    status, result = check(tmp_path / "acked", stream_file(gateway, tmp_path / "stream"))
    assert (status, result["promised"], result["missing"], result["duplicates"]) == (0, 100000, 0, 0), result


def test_draining_devices_come_back_and_finish(make_gateway, tmp_path):
    gateway = make_gateway()
    gateway.start()
    gateway.settings["listen"]["port"] = gateway.port
    run = subprocess.Popen(arguments(gateway, "--devices", 4, "--events", 3000, "--rate", 8000), text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        time.sleep(0.7)
        gateway.restart()
        out, err = run.communicate(timeout=60)
    finally:
        if run.poll() is None:
            run.kill()
    report = json.loads(out)
    assert report["complete"] and not broken(report), err
    assert report["byes"].get("draining", 0) >= 1


def test_duration_ends_an_endless_run(gateway):
    begin = time.monotonic()
    report = load(gateway, "--devices", 2, "--events", 0, "--duration", 2, "--rate", 500)
    assert 1.9 < time.monotonic() - begin < 10
    assert not report["complete"] and not broken(report)
    assert 600 < report["events_acked"] <= 1100  # half of 500 a second for each of two devices, for 2 s


def test_a_former_run_is_continued_with_its_seed(gateway):
    assert load(gateway, "--events", 300, "--seed", 5)["events_acked"] == 300
    report = load(gateway, "--events", 500, "--seed", 5)
    assert (report["events_before"], report["events_acked"], report["complete"]) == (300, 200, True)
    assert not broken(report)  # and the CRC of its last event was the same


def test_obligations_carry_the_position_of_the_counter(gateway, tmp_path):
    counter = tmp_path / "counter"
    counter.write_bytes((4711).to_bytes(8, "little"))
    load(gateway, "--events", 100, "--obligations", tmp_path / "acked", "--ack-position", counter)
    lines = [line.split() for line in (tmp_path / "acked").read_text().splitlines()]
    assert lines and all(line[4] == "4711" for line in lines)
    assert sum(int(line[3]) - int(line[2]) + 1 for line in lines) == 100


def test_a_gateway_that_is_not_there_is_given_up(gateway):
    gateway.stop()
    done = subprocess.run(arguments(gateway, "--events", 10, "--patience", 1), capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 1 and "nobody listens there" in done.stderr


def test_a_gateway_of_another_authority_is_not_trusted(gateway):
    done = subprocess.run(arguments(gateway, "--events", 10, "--patience", 1, "--ca",
                                    gateway.pki.folder / "device-ca.crt"), capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 1 and "not trusted" in done.stderr


# --- the check must be able to fail ---

EVENTS = [("d1", "00000000000000a1", seq) for seq in (1, 2, 3, 4)]


def written(tmp_path, acked, events):
    (tmp_path / "acked").write_text(acked)
    (tmp_path / "stream").write_text("".join(
        json.dumps({"device": device, "stream": stream, "seq": seq}) + "\n" for device, stream, seq in events))
    return check(tmp_path / "acked", tmp_path / "stream")


@pytest.mark.parametrize("acked, events, status, wrong", [
    ("d1 00000000000000a1 1 4 0\n", EVENTS, 0, {}),
    ("d1 00000000000000a1 4\n", EVENTS, 0, {}),
    ("d1 00000000000000a1 1 2 0\n", EVENTS, 0, {"not_promised": 2}),
    ("d1 00000000000000a1 1 5 0\n", EVENTS, 1, {"missing": 1}),
    ("d2 00000000000000a1 1 1 0\n", EVENTS, 1, {"missing": 1}),
    ("d1 00000000000000a2 1 1 0\n", EVENTS, 1, {"missing": 1}),
    ("d1 00000000000000a1 1 5 0\nrejected d1 00000000000000a1 5 1\n", EVENTS, 0, {}),
    ("d1 00000000000000a1 1 6 0\nrejected-more d1 1\n", EVENTS, 1, {"missing": 1}),
    ("d1 00000000000000a1 1 4 0\n", EVENTS + EVENTS[2:3], 1, {"duplicates": 1}),
    ("d1 00000000000000a1 1 4 0\n", EVENTS[:1] + EVENTS[2:1:-1] + EVENTS[1:2] + EVENTS[3:], 1, {"out_of_order": 1}),
])
def test_the_check_notices(tmp_path, acked, events, status, wrong):
    got, result = written(tmp_path, acked, events)
    assert got == status, result
    for name in ("missing", "duplicates", "out_of_order"):
        assert result[name] == wrong.get(name, 0), result


def test_the_check_can_be_cut_at_a_position(tmp_path):
    (tmp_path / "acked").write_text("d1 00000000000000a1 1 4 10\nd1 00000000000000a1 5 9 20\n")
    (tmp_path / "stream").write_text("".join(
        json.dumps({"device": device, "stream": stream, "seq": seq}) + "\n" for device, stream, seq in EVENTS))
    assert check(tmp_path / "acked", tmp_path / "stream", "--at", "15")[0] == 0
    assert check(tmp_path / "acked", tmp_path / "stream", "--at", "20")[0] == 1


def test_the_check_refuses_what_it_cannot_read(tmp_path):
    assert written(tmp_path, "what is this\n", EVENTS)[0] == 1
    (tmp_path / "stream").write_text("{\"device\":\n")
    assert check(tmp_path / "acked", tmp_path / "stream")[0] == 1
