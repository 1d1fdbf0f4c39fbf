"""The side file of the set-top player: what it asked of the SDK, and what libmpv reported.

Sessions and watched times are computed from libmpv's own reports only, never from the calls into the SDK.
"""

import json
from dataclasses import dataclass, field

# A step of time-pos above this is a jump, not playback (frames come 25 times a second; seconds of content).
STEP_MAX_S = 1.0


@dataclass
class Session:
    """One file played, from libmpv's start-file to its end-file. Times in ms."""

    content: str = ""
    user: str | None = None
    start_ms: int = 0
    end_ms: int = 0
    reason: str = ""
    played_ms: int = 0  # while core-idle was false, no seek was on and the cache was not awaited
    advanced_ms: int = 0  # by the advance of time-pos, divided by the speed: a second opinion on played_ms
    paused_ms: int = 0
    rate_changes: int = 0
    intervals: list = field(default_factory=list)  # of content seconds, as played

    @property
    def watched_ms(self):
        """Unique content time: what was played twice counts once."""
        total, reach = 0.0, float("-inf")
        for low, high in sorted(self.intervals):
            total += max(0.0, high - max(low, reach))
            reach = max(reach, high)
        return round(total * 1000)


@dataclass
class SideFile:
    device: str
    lines: list
    sessions: list
    calls: list  # lines of kind sdk that record an event when the SDK says 0
    gaps: list  # reasons why the oracle cannot be trusted

    @property
    def stats(self):
        """The SDK's newest statistics; {} if there are none."""
        found = [line for line in self.lines if line["k"] == "stats"]
        return found[-1] if found else {}

    @property
    def outages(self):
        """[(offline at ms, online again at ms or None, events waiting then)] after the first time online."""
        result, online = [], False
        for line in self.lines:
            if line["k"] == "run" and line["name"] == "begin":
                online = False
            if line["k"] != "state":
                continue
            if line["name"] == "online":
                if result and result[-1][1] is None:
                    result[-1] = (result[-1][0], line["t"], line.get("waiting", 0))
                online = True
            elif online:
                result.append((line["t"], None, 0))
                online = False
        return result


def read_side(path):
    """Reads a side file; a last line cut by a kill is left out."""
    lines, gaps = [], []
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            lines.append(json.loads(line))
        except ValueError:
            gaps.append(f"{path}:{number}: not a JSON line")
    device = next((line["device"] for line in lines if line["k"] == "run" and line["name"] == "begin"), "")
    if not device:
        gaps.append(f"{path}: no line tells which device it is of")
    if any(line["k"] == "event" and line["name"] == "event-queue-overflow" for line in lines):
        gaps.append(f"{path}: libmpv's event queue overflowed")
    calls = [line for line in lines if line["k"] == "sdk" and line.get("rc") == 0]
    return SideFile(device, lines, oracle_sessions(lines), calls, gaps)


class _Oracle:
    """Follows libmpv's reports line by line."""

    def __init__(self):
        self.sessions = []
        self.session = None
        self.props = {}
        self.seeking = False
        self.restarted = False
        self.since = 0
        self.position = None
        self.expected = ("", None)

    def playing(self):
        return (self.session is not None and self.restarted and not self.seeking
                and self.props.get("core-idle") is False and not self.props.get("paused-for-cache")
                and not self.props.get("pause"))

    def paused(self):
        return self.session is not None and self.restarted and not self.seeking and bool(self.props.get("pause"))

    def spend(self, now):
        """Books the time since the last line under what the player was doing."""
        if self.playing():
            self.session.played_ms += now - self.since
        elif self.paused():
            self.session.paused_ms += now - self.since
        self.since = now

    def move(self, position):
        """A new time-pos: content played, if it went on from the last one."""
        if position is not None and self.position is not None and self.playing():
            step = position - self.position
            if 0 < step <= STEP_MAX_S * max(1.0, self.speed()):
                self.session.intervals.append((self.position, position))
                self.session.advanced_ms += step * 1000 / self.speed()
        self.position = position

    def speed(self):
        return self.props.get("speed") or 1.0

    def event(self, line):
        name, now = line["name"], line["t"]
        if name == "start-file":
            self.session = Session(*self.expected, start_ms=now)
            self.seeking = self.restarted = False
            self.position = None
        elif name == "seek":
            self.seeking = True
            self.position = None
        elif name == "playback-restart":
            self.seeking = False
            self.restarted = True
        elif name == "end-file" and self.session is not None:
            self.session.end_ms, self.session.reason = now, line["reason"]
            self.session.advanced_ms = round(self.session.advanced_ms)
            self.sessions.append(self.session)
            self.session = None

    def feed(self, line):
        kind, name = line["k"], line["name"]
        self.spend(line["t"])
        if kind == "event":
            self.event(line)
        elif kind == "get" and name == "time-pos":
            self.position = None if self.seeking else line["value"]
        elif kind == "mpv" and name == "time-pos":
            self.move(None if self.seeking else line["value"])
        elif kind == "mpv":
            self.props[name] = line["value"]
            if name == "speed" and self.session is not None:
                self.session.rate_changes += 1
        elif kind == "run" and name == "begin":
            self.session, self.props, self.position = None, {}, None
        elif kind == "action" and name == "load":
            self.expected = (line.get("content", ""), line.get("user"))


def oracle_sessions(lines):
    """The sessions that libmpv's reports tell of. A load action gives content and user; libmpv does not know them."""
    oracle = _Oracle()
    for line in lines:
        oracle.feed(line)
    return oracle.sessions
