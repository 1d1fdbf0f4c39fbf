"""
Fixtures for everybody: `pki`, `gateway` (one on defaults, started) and `make_gateway` (as many as wanted, not started).
The programs come from $TRIBUTARY_BIN, else build/release/bin.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gateway import Gateway  # noqa: E402
from pki import Pki  # noqa: E402


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def make_gateway(tmp_path, pki):
    """make_gateway(settings, ...) -> a Gateway in a folder of its own; all are killed at the end."""
    made = []

    def make(settings=None, **more):
        folder = tmp_path / f"gateway-{len(made)}"
        folder.mkdir()
        made.append(Gateway(folder, pki, settings, **more))
        return made[-1]

    yield make
    try:
        for one in made:
            one.check()
    finally:
        for one in made:
            one.kill()


@pytest.fixture
def gateway(make_gateway):
    return make_gateway().start()
