"""What keeps a gateway from starting is one clear line and an exit code; what happens to its disk later is survived."""

import os
import shutil
import socket
import subprocess
import time

import pytest

import device as d
from device import Device, Gone, Refused


@pytest.fixture
def tiny_disk(tmp_path):
    """tiny_disk(megabytes) -> a folder on a file system of that size."""
    mounted = []

    def make(megabytes):
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)],
                              capture_output=True)
        if done.returncode != 0:
            pytest.skip("mounting a tmpfs needs root: " + done.stderr.decode().strip())
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def assert_fails(gateway, code, *words):
    got, said = gateway.run_to_failure()
    lines = [line for line in said.splitlines() if line.startswith("tributaryd: ")]
    assert got == code, said
    assert len(lines) == 1, said
    for word in words:
        assert word in lines[0], said
    return lines[0]


def test_port_in_use(make_gateway):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        gateway = make_gateway({"listen": {"port": port}})
        gateway.data.mkdir()
        assert_fails(gateway, 1, str(port), "in use")
    gateway.start().stop()


def test_the_port_of_another_gateway(make_gateway, gateway):
    second = make_gateway({"listen": {"port": gateway.port}})
    second.data.mkdir()
    assert_fails(second, 1, str(gateway.port), "in use")
    Device(gateway, "dev-a").online().work()


def test_a_bad_listen_address(make_gateway):
    gateway = make_gateway({"listen": {"address": "not-an-address"}})
    gateway.data.mkdir()
    assert_fails(gateway, 1, "not-an-address")


def test_data_folder_missing(make_gateway):
    gateway = make_gateway()
    assert_fails(gateway, 1, str(gateway.data), "No such file")


def test_data_folder_is_a_file(make_gateway):
    gateway = make_gateway()
    gateway.data.write_text("x")
    assert_fails(gateway, 1, str(gateway.data), "not a folder")


def test_data_folder_read_only(make_gateway, tiny_disk):
    folder = tiny_disk(64)
    gateway = make_gateway({"data": {"folder": str(folder)}})
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    assert_fails(gateway, 1, str(folder), "Read-only")


def test_data_folder_full(make_gateway, tiny_disk):
    folder = tiny_disk(1)
    with open(folder / "lost+found", "wb") as filler:
        try:
            while True:
                filler.write(b"x" * 65536)
                filler.flush()
        except OSError:
            pass
    gateway = make_gateway({"data": {"folder": str(folder)}})
    assert_fails(gateway, 1, str(folder), "space")


def test_data_folder_of_something_else(make_gateway):
    gateway = make_gateway()
    gateway.data.mkdir()
    (gateway.data / "holiday.jpg").write_text("x")
    assert_fails(gateway, 1, "holiday.jpg")


def test_data_folder_open_in_another_gateway(make_gateway, gateway):
    second = make_gateway({"data": {"folder": str(gateway.data)}})
    assert_fails(second, 1, str(gateway.data), "already open")
    Device(gateway, "dev-a").online().work()


def test_certificate_and_key_files(make_gateway, pki, tmp_path):
    foreign = pki.device("not-the-server")[1]
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    cases = [({"listen": {"certificate": str(tmp_path / "none.crt")}}, "none.crt"),
             ({"listen": {"certificate": str(garbage)}}, "garbage.pem"),
             ({"listen": {"key": str(tmp_path / "none.key")}}, "none.key"),
             ({"listen": {"key": str(foreign)}}, "not-the-server"),
             ({"auth": {"client_ca": [str(tmp_path / "none-ca.crt")]}}, "none-ca.crt"),
             ({"auth": {"jwks": str(tmp_path / "none.json")}}, "none.json"),
             ({"auth": {"jwks": str(garbage)}}, "garbage.pem")]
    for settings, word in cases:
        gateway = make_gateway(settings)
        gateway.data.mkdir()
        assert_fails(gateway, 1, word)


def test_configuration_errors_exit_with_two(make_gateway, tmp_path):
    gateway = make_gateway({"listen": {"prot": 1}})
    assert_fails(gateway, 2, "prot", "port")
    gateway = make_gateway({"limits": {"connections": "many"}})
    assert_fails(gateway, 2, "connections")


def test_command_line(gateway):
    binary = gateway.command()[0]

    def run(*arguments):
        done = subprocess.run([binary, *arguments], capture_output=True, timeout=20)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    assert run("--version")[0] == 0 and run("--version")[1].startswith("tributaryd ")
    assert run("--help")[0] == 0
    assert run("--nonsense")[0] == 2 and "--nonsense" in run("--nonsense")[2]
    assert run("--config")[0] == 2
    assert run("--config", "/nonexistent/x.yaml")[0] == 2
    code, out, _ = run("--check-config", "--config", str(gateway.write_config()))
    assert code == 0 and "listen:" in out


def test_no_core_files(gateway):
    with open(f"/proc/{gateway.process.pid}/limits") as limits:
        core = [line for line in limits if line.startswith("Max core file size")][0]
    assert core.split()[4:6] == ["0", "0"]


def test_a_disk_that_fills_up_stops_credit_and_recovers(make_gateway, tiny_disk):
    """Full: devices are sent away with a retry-after and lose nothing. Space comes back: the gateway goes on by itself."""
    folder = tiny_disk(64)
    gateway = make_gateway({"data": {"folder": str(folder), "segment_size": "1MiB"}, "lake": {"enabled": False},
                            "stream": {"enabled": False}}).start()
    device = Device(gateway, "dev-f").online().work(10)
    filler = folder / "lost+found"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(b"x" * 65536)
                file.flush()
        except OSError:
            pass
    events = [(d.FAVOURITE_ADD, {d.FIELD_ITEM: "i" * 100})] * 100
    refused = None
    for _ in range(400):
        try:
            device.connection.send(device.batch(events))
            device.next_seq += 100
            device.settle()
        except AssertionError as error:
            refused = str(error)
            break
    assert refused and "message 8" in refused, refused
    acked = device.acked
    assert gateway.metric("tributary_commit_failures_total") >= 1
    assert gateway.process.poll() is None
    with pytest.raises(AssertionError):  # BYE instead of WELCOME
        Device(gateway, "dev-f", stream=device.stream).online()
    filler.unlink()
    deadline = time.monotonic() + 30
    while True:
        try:
            device.next_seq = acked + 1
            device.online()
            break
        except (AssertionError, Gone, Refused):
            assert time.monotonic() < deadline, gateway.log()[-3000:]
            time.sleep(0.5)
    assert device.acked == acked
    device.work(10)
    assert "200" in gateway.http("/readyz") or "ready" in gateway.http("/readyz")
    gateway.stop()


def test_a_killed_gateway_leaves_nothing_that_keeps_it_from_starting(gateway):
    for _ in range(5):
        Device(gateway, "dev-k", stream=77).online()
        gateway.kill()
        gateway.start()
    assert os.path.exists(gateway.data / "run" / "port")
    assert gateway.stop() == 0
    shutil.rmtree(gateway.data)
