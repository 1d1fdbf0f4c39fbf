#!/usr/bin/python3
"""Runs the test of a mutant, which must fail by its verdict: a line that matches, and a status that no signal gave.

    must_fail.py REGEX COMMAND...

A mutant that crashes, hangs or cannot start was not caught by the test's oracle, so that counts as not caught. What a
test that ends at a failed assertion leaves allocated is no crash.
"""

import os
import re
import subprocess
import sys

CRASHED = re.compile(r"failed with exception|Sanitizer|Assertion .* failed|Segmentation fault")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    verdict, command = sys.argv[1], sys.argv[2:]
    options = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "detect_leaks=0")))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          env={**os.environ, "ASAN_OPTIONS": options})
    found = re.search(verdict, done.stdout)
    crash = CRASHED.search(done.stdout)
    if done.returncode > 0 and found and not crash:
        print(f"caught: {found.group(0)}")
        return 0
    print(done.stdout[-4000:])
    print(f"not caught: status {done.returncode}, verdict {'found' if found else 'not found'}"
          f"{', crashed: ' + crash.group(0) if crash else ''}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
