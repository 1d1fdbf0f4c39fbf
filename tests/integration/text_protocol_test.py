"""tributary.v1.json on a live gateway: what a browser sees."""

import json
import time

import pytest

import device as d
from device import Connection

STREAM = "00000000000000a1"


class Browser:
    def __init__(self, gateway, name="tv"):
        self.connection = Connection(gateway, certificate=gateway.pki.device(name), subprotocol="tributary.v1.json")
        self.name = name

    def say(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        self.connection.send(text.encode(), opcode=d.TEXT)

    def hear(self):
        opcode, payload = self.connection.receive_frame()
        assert opcode == d.TEXT, payload
        return json.loads(payload)

    def online(self, next_seq="1"):
        self.say({"type": "hello", "device": self.name, "version": 1, "boot": 1, "mono_ms": 0,
                  "streams": [{"stream": STREAM, "lane": "routine", "next_seq": next_seq}]})
        self.welcome = self.hear()
        assert self.welcome["type"] == "welcome", self.welcome
        return self

    def batch(self, first, *events):
        return {"type": "batch", "lanes": [None, {"stream": STREAM, "first_seq": str(first)}], "boot": 1,
                "items": [{"kind": "event", "lane": "routine", "type": kind, "mono_ms": 1000 + i, "fields": fields}
                          for i, (kind, fields) in enumerate(events)]}


def test_a_browsers_events_arrive(gateway):
    browser = Browser(gateway).online()
    assert browser.welcome["streams"] == [{"stream": STREAM, "committed": "0", "crc": browser.welcome["streams"][0]["crc"]}]
    browser.say(browser.batch(1, ("pause", {"cause": "user", "position_ms": 1500}), ("pause", {"position_ms": "soon"}),
                              ("poke", {}), ("favourite.add", {"item": "film-7"})))
    ack = browser.hear()
    assert ack["type"] == "ack"
    assert ack["acked"] == [{"stream": STREAM, "seq": "4"}]
    assert [entry["seq"] for entry in ack["rejected"]] == ["2", "3"]
    browser.say(browser.batch(9, ("pause", {})))
    assert browser.hear() == {"type": "nack", "stream": STREAM, "expected": "5"}
    deadline = time.monotonic() + 20
    while len(gateway.stream_events()) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    events = gateway.stream_events()
    assert [(event["type"], event["seq"]) for event in events] == [("pause", 1), ("favourite.add", 4)]
    assert events[0]["cause"] == "user" and events[1]["item"] == "film-7"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"type":"hello"}', "[" * 5000, '{"type":5}', "\u0000"])
def test_a_bad_text_says_where(gateway, text):
    browser = Browser(gateway)
    browser.say(text)
    bye = browser.hear()
    assert bye["type"] == "bye" and bye["text"]
    assert browser.connection.receive_close()[0] in (1002, 1009)


def test_binary_on_the_text_protocol(gateway):
    browser = Browser(gateway).online()
    browser.connection.send(b"\x00\x01", opcode=d.BINARY)
    assert browser.hear()["type"] == "bye"
    assert browser.connection.receive_close()[0] == 1002


def test_text_that_is_not_utf8(gateway):
    browser = Browser(gateway).online()
    browser.connection.send(b'{"type":"\xff"}', opcode=d.TEXT)
    assert browser.connection.receive_close()[0] == 1007
