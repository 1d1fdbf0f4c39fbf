"""Erasure, consent and the gateway's configuration, over TLS against the real gateway."""

import random
import signal
import time

import pytest
from python_binding_test import events_of, load, make_client  # noqa: F401  the fixtures tributary and client_of

ROUNDS = 6
ITEMS = 400


def until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def test_erasure_wins_against_an_upload_in_flight(make_gateway, client_of):
    """What is stored after an erasure's stream.start is from after it; and all of that is stored."""
    gateway = make_gateway({"limits": {"credit_events": 20}}).start()  # many batches, many acks
    client = client_of(gateway, "eraser", vital_sectors=32)
    dice, in_flight = random.Random(1), 0
    for era in range(ROUNDS):
        held = era % 2 == 0 and era < ROUNDS - 1  # what is sent now is read by the gateway after the erasure
        for item in range(ITEMS):
            client.add_favourite(f"{era}-{item}", user_id="ana")
            if item % 50 == 49:
                client.flush()
            if held and item == ITEMS // 2:
                gateway.process.send_signal(signal.SIGSTOP)
        if era < ROUNDS - 1:
            time.sleep(dice.uniform(0, 0.05))
            in_flight += client.stats.waiting > 0
            client.erase()
        if held:
            gateway.process.send_signal(signal.SIGCONT)
    assert client.flush(20)
    assert in_flight >= ROUNDS // 2, "no erasure met an upload"
    stored = [event for event in gateway.stream_events() if event["device"] == "eraser"]
    newest, stored_of = 0, [0] * ROUNDS
    for event in stored:
        if event["type"] == "favourite.add":
            era = int(event["item"].split("-")[0])
            assert era >= newest, f"{event['item']} was stored after an item of era {newest}"
            newest = era
            stored_of[era] += 1
    assert stored_of[-1] == ITEMS
    starts = [event for event in stored if event["type"] == "stream.start"]
    erased = [event for event in starts if event["start_reason"] == "erased"]
    streams = {event["stream"] for event in starts}
    # Who follows `previous` finds every stream that is to be forgotten. A start that was itself erased never came.
    assert len(erased) >= 2 and all(event["previous"] for event in erased)
    assert {event["previous"] for event in erased} & streams


def test_consent_is_kept_and_holds_sending_back(gateway, client_of, tributary):
    client = client_of(gateway, "consent", consent_required=True)
    with pytest.raises(tributary.NotRecording):
        client.add_favourite("early")
    assert client.state == tributary.State.OFFLINE
    client.set_consent(True)
    client.add_favourite("one")
    assert client.flush(10)
    client.set_consent(False)
    with pytest.raises(tributary.NotRecording):
        client.add_favourite("never")
    client.close(0)
    client = client_of(gateway, "consent")  # a later start, whose default would be yes
    with pytest.raises(tributary.NotRecording):
        client.add_favourite("never")
    client.set_consent(True)
    client.add_favourite("two")
    assert client.flush(10)
    assert [event["item"] for event in events_of(gateway, "consent", 2)] == ["one", "two"]


def test_devices_do_what_the_gateway_configures_also_without_it(make_gateway, client_of, tributary):
    gateway = make_gateway({"devices": {"recording": False}}).start()
    client = client_of(gateway, "configured")

    def stopped():
        try:
            client.add_favourite("before it heard of it")
            return False
        except tributary.NotRecording:
            return True

    until(stopped)
    client.close(2)
    gateway.kill()
    client = client_of(gateway, "configured")
    assert stopped()  # no gateway is needed
    gateway.settings["devices"]["recording"] = True
    gateway.settings["devices"]["heartbeat"] = "1s"
    gateway.settings["listen"]["port"] = gateway.port
    gateway.start()
    until(lambda: not stopped())
    with client.session("film") as session:
        session.playing(0)
        time.sleep(2.3)
    assert client.flush(10)
    pings = [event for event in events_of(gateway, "configured", 4) if event["type"] == "ping"]
    assert len(pings) == 2


def test_a_draining_gateway_sends_its_devices_to_another(make_gateway, client_of, tributary):
    other = make_gateway().start()
    first = make_gateway({"drain": {"alternates": [f"127.0.0.1:{other.port}"], "retry_after": "1h"}}).start()
    client = client_of(first, "moved")
    client.add_favourite("one")
    assert client.flush(10)
    assert first.stop() == 0
    client.add_favourite("two")
    until(lambda: client.stats.connects == 2 and client.state == tributary.State.ONLINE)
    assert client.flush(10)
    assert [event["item"] for event in events_of(other, "moved", 1)] == ["two"]
