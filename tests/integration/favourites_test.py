"""Operations on favourites that replace each other in a device's full ring, over TLS against the real gateway."""

import time

from python_binding_test import load, make_client  # noqa: F401  the fixtures tributary and client_of

ITEMS, TOGGLES = 6, 1500


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "refused for good"
        time.sleep(0.005)  # the client's polls make room meanwhile


def accepted(tributary, call, *arguments):
    try:
        call(*arguments)
    except tributary.Full:
        return False
    return True


def watch(client, film):
    client.session(film).end()


def test_a_full_lane_keeps_the_last_operation_on_each_item(make_gateway, client_of, tributary):
    """A device that is long offline: toggles without end are not refused, the sessions among them stay, also over a
    restart; what comes to the gateway is in its order, ends as the user left it, and the rest was declared."""
    gateway = make_gateway().start()
    gateway.kill()
    folder = {"sector_bytes": 1024, "vital_sectors": 4}
    client = client_of(gateway, "toggler", **folder)
    state, kept = {}, 0
    for i in range(TOGGLES):
        item = f"item-{i * 7 % ITEMS}"
        state[item] = not state.get(item, False)
        call = client.add_favourite if state[item] else client.remove_favourite
        until(lambda: accepted(tributary, call, item, None, "ana"))
        if i in (10, 500):
            until(lambda: accepted(tributary, watch, client, f"film-{i}"))
            kept += 1
        if i == TOGGLES // 2:
            client.close(0)
            client = client_of(gateway, "toggler", **folder)
    assert client.flush()
    recorded = TOGGLES + 2 * kept
    gateway.settings["listen"]["port"] = gateway.port
    gateway.start()
    assert client.flush(20)
    committed = gateway.metric("tributary_events_committed_total")
    until(lambda: len(gateway.stream_events()) >= committed)  # acked is in the journal; the stream follows
    stored = [event for event in gateway.stream_events() if event["device"] == "toggler"]
    operations = [event for event in stored if event["type"].startswith("favourite.")]
    left = {event["item"]: event["type"] == "favourite.add" for event in operations}
    assert left == state
    versions = [event["item_version"] for event in operations]
    assert versions == sorted(set(versions)) and versions[-1] == TOGGLES
    ends = [event["content"] for event in stored if event["type"] == "session.end"]
    assert ends == ["film-10", "film-500"]
    arrived = sum(event["type"] != "stream.start" for event in stored)
    assert arrived < recorded / 2  # else nothing had to give way
    assert gateway.metric("tributary_events_declared_dropped_total") == recorded - arrived
