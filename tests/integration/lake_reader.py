"""The embedded lake as any reader sees it: a folder of Hive partitions with newline-delimited JSON."""

import json
import re

PART = re.compile(r"part-([0-9a-f]{16})-(\d{20})-(\d{20})\.jsonl")


def parts(data):
    """Every finished file: (path, schema, date, epoch, first offset, last offset)."""
    for path in sorted((data / "lake" / "events").glob("schema=*/date=*/*")):
        found = PART.fullmatch(path.name)
        assert found, f"a stranger in the lake: {path}"
        yield (path, path.parent.parent.name.removeprefix("schema="), path.parent.name.removeprefix("date="),
               found.group(1), int(found.group(2)), int(found.group(3)))


def events(data):
    """Every event in the lake; each must lie in the partition of its type and date."""
    for path, schema, date, _, _, _ in parts(data):
        text = path.read_text()
        assert text.endswith("\n"), f"{path} does not end with a whole line"
        for line in text.splitlines():
            event = json.loads(line)
            assert event["type"] == schema and event["time"][:10] == date, (path, event)
            yield event
