"""Says in which ways stream and lake differ from what the players wrote down. No difference: an empty list."""

from collections import Counter

WATCHED_TOLERANCE_MS = 300
# At a change of rate libmpv has up to a quarter of a second of sound under way at the old one, and skips or waits: by so
# much the advance of time-pos is off as a clock.
RATE_CHANGE_MS = 300

# Events that the SDK makes by itself: no call of the app stands behind each.
OF_THE_SDK = {"stream.start", "ping", "progress", "checkpoint", "buffer.start", "buffer.end"}

class _Session:
    """What a session's reports must lead to. A report that says what is known already leads to no event."""

    def __init__(self, content):
        self.content = content
        self.position = self.seek = None  # seek: [from, to] while one is on
        self.started = self.paused = self.play_asked = False
        self.rate = 1000

    def event(self, kind, **fields):
        fields = {name: value for name, value in fields.items() if value is not None}
        return [(kind, {"content": self.content, **fields})]

    def end_seek(self):
        if self.seek is None:
            return []
        (start, end), self.seek = self.seek, None
        return self.event("seek", from_ms=start if start is not None else end, to_ms=end)

    def report(self, call):
        handler = getattr(self, "on_" + call["report"], None)
        position = call["position_ms"]
        if self.seek is None and call["report"] not in ("seeking", "seeked") and position is not None:
            self.position = position
        return handler(call, position if self.seek is None else None) if handler else []

    def on_play(self, _, position):
        self.play_asked = True
        return self.event("play", position_ms=position)

    def on_playing(self, call, position):
        if self.seek is not None and call["position_ms"] is not None:
            self.seek[1] = self.position = position = call["position_ms"]
        events = self.end_seek()
        if not self.started or self.paused or self.play_asked:
            events += self.event("playing", position_ms=position)
        self.started, self.paused, self.play_asked = True, False, False
        return events

    def on_paused(self, _, position):
        if self.paused:
            return []
        self.paused, self.play_asked = True, False
        return self.event("pause", position_ms=position)

    def on_seeking(self, call, _):
        if self.seek is None:
            self.seek = [self.position, None]
        self.seek[1] = call["position_ms"]
        return []

    def on_seeked(self, call, _):
        if self.seek is None:
            self.seek = [self.position, None]
        self.seek[1] = self.position = call["position_ms"]
        return self.end_seek()

    def on_rate(self, call, position):
        if call["value"] == self.rate:
            return []
        self.rate = call["value"]
        return self.event("rate", rate_milli=call["value"], position_ms=position)

    def on_error(self, call, _):
        return self.event("error", code=call["value"])

    def on_complete(self, _, position):
        self.paused = True
        return self.end_seek() + self.event("complete", position_ms=position)

    def end(self, reason):
        return self.end_seek() + self.event("session.end", reason=reason)


def expected_events(calls):
    """What the calls into the SDK must lead to: [(type, {field: value})] in order.

    A field that is None must be absent; fields that are not named are not looked at. This is the API's contract
    written down a second time, on purpose: the SDK's own code is not asked.
    """
    expected, session = [], None
    for call in calls:
        name = call["name"]
        if name == "trib_session_start":
            session = _Session(call["content"])
            expected += session.event("session.start")
        elif name == "trib_session_report":
            expected += session.report(call)
        elif name == "trib_session_end":
            expected += session.end(call["reason"])
        elif name in ("trib_favourite_add", "trib_favourite_remove"):
            kind = name.replace("trib_", "").replace("_", ".", 1)
            expected.append((kind, {"item": call["item"], "list": call["list"]}))
        elif name == "trib_custom_record":
            data = {key[5:]: value for key, value in call.items() if key.startswith("data.")}
            expected.append(("custom", {"schema": call["schema"], "data": data}))
    return expected


def _differing(event, fields):
    return [f"{name} is {event.get(name)!r} and not {value!r}" for name, value in fields.items()
            if event.get(name) != value]


def compare_calls(where, side, events):
    """Each call's event is there exactly once, in the order of the calls, with its values."""
    problems = []
    expected = expected_events(side.calls)
    got = [event for event in events if event["type"] not in OF_THE_SDK]
    wanted_types, got_types = [kind for kind, _ in expected], [event["type"] for event in got]
    if wanted_types != got_types:
        missing, extra = Counter(wanted_types) - Counter(got_types), Counter(got_types) - Counter(wanted_types)
        problems += [f"{where}: {count} × {kind} of {side.device} missing" for kind, count in sorted(missing.items())]
        problems += [f"{where}: {count} × {kind} of {side.device} too many" for kind, count in sorted(extra.items())]
        at = next((i for i, (a, b) in enumerate(zip(wanted_types, got_types)) if a != b),
                  min(len(wanted_types), len(got_types)))
        wanted = expected[at] if at < len(expected) else "nothing more"
        found = got[at]["type"] if at < len(got) else "nothing more"
        problems.append(f"{where}: event {at + 1} of {side.device} should be {wanted}, found {found}")
        return problems
    for index, ((kind, fields), event) in enumerate(zip(expected, got), 1):
        problems += [f"{where}: event {index} of {side.device} ({kind}, {event['id']}): {difference}"
                     for difference in _differing(event, fields)]
    return problems


def compare_identities(where, device, events):
    """No identity twice; each stream's numbers run from 1 without a hole."""
    problems = []
    identities = Counter(event["id"] for event in events)
    problems += [f"{where}: {identity} is there {count} times" for identity, count in identities.items() if count > 1]
    for stream, missing in holes_of(events).items():
        problems.append(f"{where}: stream {stream} of {device} lacks {len(missing)} events, the first is {missing[0]}")
    return problems


def holes_of(events):
    """{stream: the numbers below its newest that are not there}, for streams that have any."""
    by_stream = {}
    for event in events:
        by_stream.setdefault(event["stream"], set()).add(event["seq"])
    holes = {stream: sorted(set(range(1, max(numbers) + 1)) - numbers) for stream, numbers in by_stream.items()}
    return {stream: missing for stream, missing in sorted(holes.items()) if missing}


def duplicate_count(events):
    """Events beyond the first of each identity."""
    return len(events) - len({event["id"] for event in events})


def lost_count(side, events):
    """Events that the SDK recorded, or that a call must have led to, and that are not there."""
    there = {event["id"]: event for event in events}.values()
    from_calls = sum(event["type"] not in OF_THE_SDK for event in there)
    recorded_there = sum(event["type"] != "stream.start" for event in there)
    return max(0, len(expected_events(side.calls)) - from_calls, sum(run_recorded(side.lines)) - recorded_there,
               sum(map(len, holes_of(events).values())))


def compare_counts(where, side, events):
    """As many events as the SDK says it recorded, all of them acked."""
    stats, problems = side.stats, []
    if not stats:
        return [f"{where}: the side file of {side.device} has no statistics"]
    for name in ("waiting", "dropped", "refused", "rejected", "damaged"):
        if stats[name]:
            problems.append(f"{side.device}: the SDK counts {stats[name]} events {name}")
    starts = sum(event["type"] == "stream.start" for event in events)
    recorded = sum(run_recorded(side.lines))
    if len(events) - starts != recorded:
        problems.append(f"{where}: {len(events) - starts} events of {side.device}, but the SDK recorded {recorded}")
    return problems


def run_recorded(lines):
    """What the SDK counted as recorded, one number a run (its count begins anew each time)."""
    result = []
    for line in lines:
        if line["k"] == "run" and line["name"] == "begin":
            result.append(0)
        elif line["k"] == "stats" and result:
            result[-1] = line["recorded"]
    return result


def compare_sessions(side, events):
    """Played and watched time of each session within the tolerance of what libmpv reported."""
    problems = []
    ends = [event for event in events if event["type"] == "session.end"]
    if len(ends) != len(side.sessions):
        return [f"{side.device}: {len(ends)} sessions ended, libmpv reported {len(side.sessions)}"]
    for number, (end, oracle) in enumerate(zip(ends, side.sessions), 1):
        name = f"{side.device}: session {number} ({oracle.content})"
        if end.get("content") != oracle.content:
            problems.append(f"{name}: content is {end.get('content')!r}")
        played, watched = end.get("played_ms", 0), end.get("watched_ms", 0)
        for what, told, reported, more in (("played", played, oracle.played_ms, 0),
                                           ("watched", watched, oracle.watched_ms, 0),
                                           ("played (by time-pos)", played, oracle.advanced_ms,
                                            RATE_CHANGE_MS * oracle.rate_changes)):
            if abs(told - reported) > WATCHED_TOLERANCE_MS + more:
                problems.append(f"{name}: {what} {told} ms, libmpv reported {reported} ms")
    return problems


def compare_copies(stream, lake):
    """Stream and lake hold the same events with the same values."""
    problems = []
    left, right = {event["id"]: event for event in stream}, {event["id"]: event for event in lake}
    problems += [f"lake: {identity} ({left[identity]['type']}) is missing" for identity in sorted(left.keys() - right.keys())]
    problems += [f"stream: {identity} ({right[identity]['type']}) is missing" for identity in sorted(right.keys() - left.keys())]
    for identity in sorted(left.keys() & right.keys()):
        if left[identity] != right[identity]:
            problems.append(f"{identity} differs between stream and lake")
    return problems


def compare_all(sides, stream, lake):
    """Everything that differs, as lines for people."""
    from .events import of_device

    problems = [gap for side in sides for gap in side.gaps]
    known = {side.device for side in sides}
    for where, events in (("stream", stream), ("lake", lake)):
        strangers = {event["device"] for event in events} - known
        problems += [f"{where}: events of an unknown device {device}" for device in sorted(strangers)]
        for side in sides:
            mine = of_device(events, side.device)
            problems += compare_identities(where, side.device, mine)
            problems += compare_counts(where, side, mine)
            problems += compare_calls(where, side, mine)
    for side in sides:
        problems += compare_sessions(side, of_device(stream, side.device))
    return problems + compare_copies(stream, lake)
