"""python3 -m accounts --side FILE... --ctl PROGRAM --data FOLDER --lake FOLDER: prints the accounts.

Exit 0 when all agrees, 1 when something differs, 2 when something cannot be read.
"""

import argparse
import subprocess
import sys

from .compare import compare_all
from .events import Unreadable, read_lake, read_stream
from .side import read_side
from .summary import summary


def main():
    parser = argparse.ArgumentParser(prog="accounts", description="Compares side files with stream and lake.")
    parser.add_argument("--side", nargs="+", required=True, help="side files of the players")
    parser.add_argument("--ctl", required=True, help="the tributaryctl program")
    parser.add_argument("--data", required=True, help="the gateway's data folder")
    parser.add_argument("--lake", required=True, help="the lake's folder")
    parser.add_argument("--duplicates", type=int, help="events the gateway received twice, from its metrics")
    parser.add_argument("--not-in-clear", nargs="*", default=[], metavar="TEXT",
                        help="personal texts that must not be found anywhere in the data folder")
    arguments = parser.parse_args()
    try:
        sides = [read_side(path) for path in arguments.side]
        stream = read_stream(arguments.ctl, arguments.data)
        lake = read_lake(arguments.lake)
    except (OSError, Unreadable, subprocess.TimeoutExpired) as error:
        print(f"accounts: {error}", file=sys.stderr)
        return 2
    problems = compare_all(sides, stream, lake) + found_in_clear(arguments.data, arguments.not_in_clear)
    print("\n".join(summary(sides, stream, lake, problems, arguments.duplicates)))
    if arguments.not_in_clear and not problems:
        print(f"No user id ({', '.join(arguments.not_in_clear)}) is anywhere in the gateway's data folder in the clear.")
    return 1 if problems else 0


def found_in_clear(folder, texts):
    """Files of the data folder that hold a personal text."""
    from pathlib import Path

    problems = []
    for path in sorted(Path(folder).rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        problems += [f"personal data in the clear: {text!r} in {path}" for text in texts if text.encode() in data]
    return problems


sys.exit(main())
