"""The lake as DuckDB sees it, with the queries of docs/lake.md."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lake_reader
from device import FAVOURITE_ADD, FIELD_ITEM, FIELD_USER, PAUSE, FIELD_POSITION, Device
from outputs_test import wait_until

ROOT = Path(__file__).resolve().parents[2]
DUCKDB_VERSION = "2.0.0"

RUN = """
import json, sys, duckdb
for query in json.load(sys.stdin):
    print(json.dumps(duckdb.sql(query).fetchall(), default=str))
"""


@pytest.fixture(scope="session")
def duckdb():
    """DuckDB from PyPI, in a cache of our own. query(folder, *queries) -> one list of rows for each."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tributary" / f"duckdb-{DUCKDB_VERSION}"
    if not (cache / "duckdb").exists():
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(cache),
                               f"duckdb=={DUCKDB_VERSION}"], capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            pytest.skip("pip could not install duckdb: " + done.stderr.strip().splitlines()[-1])

    def query(folder, *queries):
        done = subprocess.run([sys.executable, "-c", RUN], input=json.dumps(queries), cwd=folder, capture_output=True,
                              text=True, timeout=120, env=dict(os.environ, PYTHONPATH=str(cache)), check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return query


@pytest.fixture
def filled(gateway):
    for number in range(3):
        device = Device(gateway, f"dev-{number}").online()
        device.send_events(4, PAUSE, {FIELD_POSITION: 1000 * number})
        device.send_events(2, FAVOURITE_ADD, {FIELD_ITEM: "film-\"1\" é", FIELD_USER: f"user-{number}"})
        device.settle()
        device.leave()
    wait_until(lambda: len(list(lake_reader.events(gateway.data))) == 18, "events in the lake")
    return gateway


@pytest.mark.peers
def test_duckdb_reads_partitions_and_values(filled, duckdb):
    lake = "read_json('lake/events/**/*.jsonl', hive_partitioning = true, union_by_name = true)"
    total, kinds, items, users, previous = duckdb(
        filled.data,
        f"SELECT count(*), count(DISTINCT id) FROM {lake}",
        f"SELECT schema, count(*) FROM {lake} GROUP BY ALL ORDER BY 1",
        f"SELECT DISTINCT item FROM {lake} WHERE schema = 'favourite.add'",
        f"SELECT count(DISTINCT \"user\") FROM {lake}",
        f"SELECT count(*) FROM {lake} WHERE CAST(time AS TIMESTAMPTZ) > now() - INTERVAL 1 DAY")
    assert total == [[18, 18]]
    assert kinds == [["favourite.add", 6], ["pause", 12]]
    assert items == [["film-\"1\" é"]]
    assert users == [[3]]
    assert previous == [[18]]


@pytest.mark.peers
def test_the_queries_of_the_lake_page_run(filled, duckdb):
    page = (ROOT / "docs" / "lake.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", page, re.S)
    assert len(queries) >= 3
    for text in queries:
        duckdb(filled.data, text.strip().rstrip(";"))
