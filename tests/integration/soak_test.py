"""A sample of the proof `soak`: some seconds of clients that vanish, send garbage, dribble and flood."""

import json
import subprocess
import sys

import pytest
from gateway import ROOT

# What takes longer than a sample to show, or a quiet machine.
NOT_IN_A_SAMPLE = {"p99", "memory"}


@pytest.mark.slow
def test_bad_clients_harm_no_good_one(tmp_path):
    evidence = tmp_path / "evidence"
    subprocess.run([sys.executable, str(ROOT / "tools/proofs/soak"), "--seed", "5", "--evidence", str(evidence), "--minutes", "0.12",
                    "--calm", "3"], check=False, timeout=150, stdout=subprocess.DEVNULL)
    part = json.loads(evidence.read_text())
    assert all(part["bad_deeds"][deed] > 0 for deed in ("vanish", "garbage", "flood", "dribble", "crowd"))
    assert part["promised"] > 1000 and part["missing"] == 0 and part["duplicates"] == 0
    assert all(held for rule, held in part["rules"].items() if rule not in NOT_IN_A_SAMPLE), part
