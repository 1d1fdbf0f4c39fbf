"""
The official JSON Schema test suite through `tributaryctl schema suite`: every required case of drafts 2020-12 and 7, each
by its name, and the cases of the formats we assert where the copy has them.

    schema_suite.py TRIBUTARYCTL DRAFT      DRAFT: draft2020-12 or draft7

The suite is taken from $TRIBUTARY_SCHEMA_SUITE, else from a folder shared/json-schema-test-suite beside the tree, else from
the source distribution of Python's jsonschema, which carries it, fetched by pip into ~/.cache/tributary. Exit code 77: it
cannot be had. How many cases there are is counted here, not believed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = "4.26.0"
FORMATS = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uuid", "regex",
           "json-pointer", "relative-json-pointer"]


# pip builds a package's metadata before it keeps the archive. Nothing of the package is wanted but its files, so this
# stands in for its build backend.
BACKEND = f"""
import pathlib
def prepare_metadata_for_build_wheel(folder, settings=None):
    name = "jsonschema-{VERSION}.dist-info"
    info = pathlib.Path(folder) / name
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: jsonschema\\nVersion: {VERSION}\\n")
    return name
def build_wheel(*_):
    raise NotImplementedError
"""


def download(cache):
    """The archive by pip; what pip said if it did not come."""
    with tempfile.TemporaryDirectory() as folder:
        backend = pathlib.Path(folder) / "hatchling"
        backend.mkdir()
        (backend / "__init__.py").touch()
        (backend / "build.py").write_text(BACKEND)
        try:
            got = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation",
                                  "--no-binary", ":all:", "-d", cache, f"jsonschema=={VERSION}"], capture_output=True, text=True,
                                 check=False, timeout=60, env={**os.environ, "PYTHONPATH": folder})
        except subprocess.TimeoutExpired:
            return "pip took too long"
    return got.stderr.strip()[-300:]


def fetched():
    """The suite in the source distribution; None if it cannot be had."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tributary"
    folder = cache / f"jsonschema-{VERSION}"
    if not (folder / "json" / "tests").exists():
        cache.mkdir(parents=True, exist_ok=True)
        said = download(cache)
        archive = cache / f"jsonschema-{VERSION}.tar.gz"
        if not archive.exists():
            print("the source distribution cannot be had:", said)
            return None
        with tarfile.open(archive) as tar:
            wanted = [m for m in tar.getmembers() if m.isfile() and ".." not in m.name and not m.name.startswith("/")]
            tar.extractall(cache, members=wanted)
    return folder / "json"


def find_suite():
    named = os.environ.get("TRIBUTARY_SCHEMA_SUITE")
    if named:
        return pathlib.Path(named)
    for above in list(ROOT.parents)[:3]:
        shared = above / "shared" / "json-schema-test-suite"
        if (shared / "tests").exists():
            return shared
    return fetched()


def count(paths):
    return sum(len(group["tests"]) for path in paths for group in json.loads(path.read_text()))


def run(program, folder, suite, draft, expected, *more):
    done = subprocess.run([program, "schema", "suite", folder, "--remotes", suite / "remotes", "--draft", draft, "--verbose",
                           *more], capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="")
    good = done.returncode == 0 and done.stdout.splitlines()[-1:] == [f"{expected} of {expected}"]
    return good and sum(line.startswith("ok ") for line in done.stdout.splitlines()) == expected


def run_formats(program, folder, suite, draft):
    """The formats that are asserted, and no other file of that folder."""
    paths = [folder / f"{name}.json" for name in FORMATS if (folder / f"{name}.json").exists()]
    with tempfile.TemporaryDirectory() as scratch:
        for path in paths:
            (pathlib.Path(scratch) / path.name).write_text(path.read_text())
        return run(program, scratch, suite, draft, count(paths), "--formats")


def main():
    program, draft = sys.argv[1:3]
    suite = find_suite()
    if suite is None:
        return 77
    folder = suite / "tests" / draft
    good = run(program, folder, suite, draft, count(sorted(folder.glob("*.json"))))
    formats = folder / "optional" / "format"
    if not formats.exists():
        other = fetched()
        formats = other / "tests" / draft / "optional" / "format" if other else formats
    if formats.exists():
        good = run_formats(program, formats, suite, draft) and good
    return 0 if good else 1


sys.exit(main())
