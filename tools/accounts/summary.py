"""The demo's accounts for people."""

from .compare import duplicate_count, expected_events, lost_count, run_recorded
from .events import of_device


def _minutes(ms):
    return f"{ms // 60000}:{ms % 60000 / 1000:04.1f}"


def _table(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  " + "   ".join(cells).rstrip())
        if number == 0:
            lines.append("  " + "   ".join("─" * width for width in widths))
    return lines


def watched_by_content(sides, events):
    """Rows: content, sessions, played, watched and the same as libmpv reported it, for all devices together."""
    told, reported = {}, {}
    for event in events:
        if event["type"] == "session.end":
            row = told.setdefault(event.get("content", "?"), [0, 0, 0])
            row[0] += 1
            row[1] += event.get("played_ms", 0)
            row[2] += event.get("watched_ms", 0)
    for side in sides:
        for session in side.sessions:
            row = reported.setdefault(session.content, [0, 0])
            row[0] += session.played_ms
            row[1] += session.watched_ms
    rows = [("content", "sessions", "played", "libmpv", "unique", "libmpv")]
    for content in sorted(told.keys() | reported.keys()):
        sessions, played, watched = told.get(content, (0, 0, 0))
        oracle_played, oracle_watched = reported.get(content, (0, 0))
        rows.append((content, sessions, _minutes(played), _minutes(oracle_played), _minutes(watched),
                     _minutes(oracle_watched)))
    return rows


def favourites(events):
    """{(user, list): items} as they stand after all events."""
    lists = {}
    for event in events:
        items = lists.setdefault((event.get("user", "nobody"), event.get("list", "favourites")), [])
        if event["type"] == "favourite.add" and event["item"] not in items:
            items.append(event["item"])
        elif event["type"] == "favourite.remove" and event["item"] in items:
            items.remove(event["item"])
    return lists


def buffered(side):
    """Events that waited in the device when the gateway was back."""
    return sum(waiting for _, online, waiting in side.outages if online is not None)


def summary(sides, stream, lake, problems, duplicates=None):
    """The lines to print."""
    lines = ["What the players watched (as the gateway tells it, and as libmpv reported it to the side file):", ""]
    lines += _table(watched_by_content(sides, stream))
    lines += ["", "Favourites (users are pseudonyms):"]
    for side in sides:
        changes = [event for event in of_device(stream, side.device) if event["type"].startswith("favourite.")]
        for (user, name), items in sorted(favourites(changes).items()):
            lines.append(f"  {side.device}: {name} of {user[:18]}…: {', '.join(items) or '(empty again)'}")
    rows = [("device", "asked for", "recorded", "buffered", "acked", "in stream", "in lake", "duplicates", "lost")]
    for side in sides:
        copies = [of_device(stream, side.device), of_device(lake, side.device)]
        acked = side.stats.get("acked_vital", 0) + side.stats.get("acked_routine", 0)
        rows.append((side.device, len(expected_events(side.calls)), sum(run_recorded(side.lines)), buffered(side), acked,
                     *map(len, copies), sum(map(duplicate_count, copies)),
                     max(lost_count(side, events) for events in copies)))
    lines += ["", "Events (stream and lake also hold the first record of each stream):", ""] + _table(rows)
    if duplicates is not None:
        lines.append(f"  ({duplicates} events were sent twice, since the gateway died before it could acknowledge them: "
                     "recognised, kept once)" if duplicates else "  (no event had to be sent twice)")
    if problems:
        lines += ["", f"DIFFERENT in {len(problems)} ways:"] + [f"  {problem}" for problem in problems[:40]]
        if len(problems) > 40:
            lines.append(f"  and {len(problems) - 40} more")
    else:
        lines += ["", "Equal: each SDK call's event is in the stream once and in the lake once, with its values;",
                  "watched times agree with libmpv within 300 ms."]
    return lines
