"""The promise on a live gateway: what was acked is there after a stop and after SIGKILL, once."""

import device as d
from device import Device


def test_a_device_is_welcomed_and_its_events_are_acked(gateway):
    device = Device(gateway, "dev-a").online()
    assert device.welcome[3] == [[device.stream, 0, 0]]
    device.work(5).leave()
    assert gateway.metric("tributary_events_committed_total") == 5
    assert gateway.stop() == 0


def test_a_token_is_as_good_as_a_certificate(gateway, pki):
    Device(gateway, "dev-es", token=pki.token("dev-es")).online().work().leave()
    token = pki.token("dev-ed", key=pki.ed25519, algorithm="EdDSA", kid="k-ed")
    Device(gateway, "dev-ed", token=token).online().work().leave()


def test_what_was_acked_is_known_after_sigkill(gateway):
    device = Device(gateway, "dev-a").online().work(40)
    gateway.kill()
    gateway.start()
    device.online()
    (stream, committed, crc), = device.welcome[3]
    assert (stream, committed) == (device.stream, 40)
    assert crc != 0
    device.work(2)


def test_a_graceful_stop_acks_what_was_sent_and_says_when_to_come_back(gateway):
    device = Device(gateway, "dev-a").online()
    device.send_events(100)
    device.settle()
    gateway.ended_by_us = True
    gateway.process.terminate()
    bye = device.expect_bye(d.BYE_DRAINING)
    assert bye[2] > 0
    assert gateway.process.wait(20) == 0
    gateway.start()
    assert device.online().acked == 100
