"""The golden vectors, read by two independent implementations: cbor2, and the `cddl` program (RFC 8610)."""

import ast
import os
import pathlib
import shutil
import subprocess

import cbor2
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*.hex"))
CDDL_VERSION = "0.9.5"


def vector(path):
    return dict(line.split(": ", 1) for line in path.read_text().splitlines())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_vector_means_what_it_says(path):
    entry = vector(path)
    assert entry["name"] == path.stem
    assert cbor2.loads(bytes.fromhex(entry["hex"])) == ast.literal_eval(entry["diag"])


def test_there_are_vectors():
    types = {cbor2.loads(bytes.fromhex(vector(path)["hex"]))[0] for path in GOLDEN}
    assert types == set(range(1, 9))


@pytest.fixture(scope="session")
def cddl():
    """The `cddl` program: from the PATH, else from our cache, else built into our cache."""
    found = shutil.which("cddl")
    if found:
        return found
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tributary" / "cddl"
    program = cache / "bin" / "cddl"
    if not program.exists():
        if not shutil.which("cargo"):
            pytest.skip("neither cddl nor cargo is installed")
        built = subprocess.run(
            ["cargo", "install", "cddl", "--version", CDDL_VERSION, "--locked", "--root", str(cache)],
            capture_output=True, text=True, timeout=900, check=False)
        if built.returncode != 0:
            pytest.skip("cargo could not install cddl: " + built.stderr.strip().splitlines()[-1])
    return str(program)


def accepts(cddl, folder, rule, data):
    """Whether the bytes match a rule of the grammar."""
    grammar = folder / "grammar.cddl"
    wire = ROOT / "sdk" / "wire"
    # The first rule is the root.
    grammar.write_text("\n".join([f"root = {rule}", (wire / "tributary.cddl").read_text(),
                                  (wire / "vocabulary.cddl").read_text()]))
    message = folder / "message.cbor"
    message.write_bytes(data)
    run = subprocess.run([cddl, "--ci", "validate", "--cddl", str(grammar), "--cbor", str(message)],
                         capture_output=True, text=True, timeout=60, check=False)
    return run.returncode == 0 and "is successful" in run.stdout + run.stderr


@pytest.mark.peers
def test_golden_vectors_match_the_grammar(cddl, tmp_path):
    for path in GOLDEN:
        data = bytes.fromhex(vector(path)["hex"])
        assert accepts(cddl, tmp_path, path.stem.split("_")[0], data), path.stem
        assert accepts(cddl, tmp_path, "message", data), path.stem


STREAM = 0x0123456789ABCDEF
FIRST = {1: "d", 2: 1, 5: 1, 6: 0, 7: [[STREAM, 0, 1, 0]]}
BATCH = {1: [[STREAM, 1]], 2: [1, 0, 0]}


@pytest.mark.peers
@pytest.mark.parametrize("rule, message, good", [
    ("hello", [1, FIRST], True),
    ("hello", [1, {**FIRST, 40: "a later key"}], True),
    ("hello", [2, FIRST], False),
    ("hello", [1, {**FIRST, 1: ""}], False),
    ("hello", [1, {**FIRST, 1: True}], False),
    ("hello", [1, {**FIRST, 2: 2}], False),
    ("hello", [1, {key: FIRST[key] for key in (1, 2, 5, 6)}], False),
    ("hello", [1, {**FIRST, 7: [[STREAM, 2, 1, 0]]}], False),
    ("nack", [5, {1: STREAM, 2: 0}], False),
    ("ack", [4, {1: [[STREAM, 5]], 4: [1, 2]}], True),
    ("ack", [4, {1: [[STREAM, 5]]}], False),
    ("ack", [4, {1: [[STREAM, 5]], 2: [[STREAM, 5, 99]], 4: [1, 2]}], False),
    ("batch", [3, {**BATCH, 4: [[12, 0, {1: 0}]]}], True),
    ("event", [12, 0, 1, {1: 0}, 2], True),
    ("batch", [3, {**BATCH, 4: [[12, 0, {1: "user"}]]}], False),
    ("batch", [3, {**BATCH, 4: [[12, 0, 16, {1: 0}]]}], False),
    ("batch", [3, {**BATCH, 4: [[12, -1, {1: 0}]]}], False),
    ("batch", [3, {**BATCH, 4: [[4, 0, 0, 0]]}], False),
    ("batch", [3, BATCH], False),
    ("message", [9, {}], False),
])
def test_the_grammar_is_as_strict_as_it_says(cddl, tmp_path, rule, message, good):
    assert accepts(cddl, tmp_path, rule, cbor2.dumps(message)) == good
