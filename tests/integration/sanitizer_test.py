"""
No leak and no bad access over whole lives of a gateway: started, used well and badly, stopped, started again.

The same integration tests run on sanitizer builds with TRIBUTARY_BIN=build/asan/bin or build/tsan/bin; every test
then fails on a report in the gateway's log. TSan needs no suppressions: what libwebsockets, libuv, OpenSSL and LMDB
share between threads goes through calls that it intercepts.
"""

import shutil
import struct
import subprocess

import pytest

import device as d
from device import Connection, Device, Gone, Refused
from gateway import BIN

VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--num-callers=30", "--child-silent-after-fork=yes"]


def instrumented():
    linked = subprocess.run(["ldd", str(BIN / "tributaryd")], capture_output=True, text=True).stdout
    return "libasan" in linked or "libtsan" in linked


def use_it(gateway):
    """All kinds of ends that a connection can come to."""
    pki = gateway.pki
    good = Device(gateway, "dev-good").online()
    for _ in range(5):
        good.work(10)
    Device(gateway, "dev-leaves", token=pki.token("dev-leaves")).online().work().leave()
    cut = Device(gateway, "dev-cut").online()
    cut.send_events(20)
    cut.connection.close()
    first = Device(gateway, "dev-twice", stream=5).online().work(2)
    second = Device(gateway, "dev-twice", stream=5)
    second.next_seq = 3
    second.online()
    first.expect_bye(d.BYE_REPLACED)
    second.connection.send_raw(struct.pack(">H", 0x8203) + b"abc")  # unmasked
    second.expect_bye(d.BYE_PROTOCOL)
    for refused in ({"token": "x.y.z"}, {}, {"token": pki.token("a"), "path": "/other"}):
        with pytest.raises(Refused):
            Connection(gateway, **refused)
    with pytest.raises((Gone, OSError)):
        Connection(gateway, certificate=pki.device("expired", expired=True))
    half = Device(gateway, "dev-half").online()
    half.connection.send_raw(b"\x82\xfe\x10\x00abcd" + b"x" * 100)  # a message that never ends
    rejected = Device(gateway, "dev-rejected").online()
    rejected.connection.send(rejected.batch([(99, {})] * 40))
    rejected.take_ack()
    gateway.stream_events()
    return good, half


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_valgrind_finds_nothing_in_stop_start_cycles(make_gateway):
    if instrumented():
        pytest.skip("valgrind cannot run a sanitizer build")
    gateway = make_gateway({"limits": {"connections": 50}}, wrapper=VALGRIND)
    for _ in range(2):
        gateway.start(wait=90)
        open_connections = use_it(gateway)
        assert gateway.stop(wait=60) == 0, gateway.log()
        assert len(open_connections) == 2
    assert "==" not in gateway.log(), gateway.log()


def test_stop_start_cycles_end_clean(make_gateway):
    """On the ASan build its leak check runs at each of these ends."""
    gateway = make_gateway({"limits": {"connections": 50}})
    for _ in range(3):
        gateway.start()
        use_it(gateway)
        assert gateway.stop() == 0, gateway.log()
    gateway.check()
