#!/usr/bin/env python3
"""Each test, ctest and proof that docs/promises.md names must exist."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def defined_tests():
    names = set()
    for pattern, definition in (("*.c", r"static void (test_\w+)\("), ("*.py", r"^def (test_\w+)\(")):
        for path in (ROOT / "tests").rglob(pattern):
            names.update(re.findall(definition, path.read_text(encoding="utf-8"), re.M))
    return names


def defined_ctests():
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("CMakeLists.txt"))
    text += "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.cmake"))
    return set(re.findall(r"add_test\(\s*NAME ([\w.]+)", text))


def missing(text):
    """Names in the page that nothing defines."""
    named = set(re.findall(r"`(test_\w+)`", text))
    lost = sorted(named - defined_tests())
    ctests = set(re.findall(r"`((?:powercut|scenario)\.\w+)`", text))
    lost += sorted(ctests - defined_ctests())
    proofs = set(re.findall(r"proof `([\w-]+)`", text))
    lost += sorted(name for name in proofs if not (ROOT / "tools" / "proofs" / name).is_file())
    return named, lost


def main():
    named, lost = missing((ROOT / "docs" / "promises.md").read_text(encoding="utf-8"))
    _, invented = missing("`test_that_nobody_wrote`, proof `nothing`, `powercut.nothing`")
    if len(invented) != 3:
        print(f"this check does not notice invented names: {invented}")
        return 1
    for name in lost:
        print(f"docs/promises.md: {name} is not defined in the tree: name the test that shows the promise")
    print(f"{len(named)} tests named, {len(lost)} names missing")
    return 1 if lost or not named else 0


sys.exit(main())
