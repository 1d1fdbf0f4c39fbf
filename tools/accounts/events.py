"""Reads delivered events: JSON lines of the stream (`tributaryctl stream cat`) and of the lake's partitions."""

import json
import subprocess
from pathlib import Path


class Unreadable(Exception):
    """Something in stream or lake is not what it should be."""


def parse_lines(lines, where):
    """Events of an iterable of JSON lines; blank lines are skipped."""
    events = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError as error:
            raise Unreadable(f"{where}:{number}: not a JSON line ({error})") from None
        if not isinstance(event, dict) or "id" not in event or "type" not in event:
            raise Unreadable(f"{where}:{number}: not an event")
        events.append(event)
    return events


def read_stream(ctl, data_folder, timeout=60):
    """All events of the embedded stream, read back with tributaryctl."""
    command = [str(ctl), "--data", str(data_folder), "stream", "cat"]
    done = subprocess.run(command, capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Unreadable(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return parse_lines(done.stdout.decode().splitlines(), "stream")


def read_lake(folder):
    """All events of the lake's finished partition files. Unfinished files begin with a dot or an underscore."""
    events = []
    for path in sorted(Path(folder).rglob("*.json*")):
        relative = path.relative_to(folder)
        if any(part.startswith((".", "_")) for part in relative.parts):
            continue
        with open(path, encoding="utf-8") as file:
            events += parse_lines(file, str(relative))
    return events


def of_device(events, device):
    """A device's events in the order of its record calls."""
    mine = [event for event in events if event["device"] == device]
    return sorted(mine, key=lambda event: (event["boot"], event["ord"]))
