#!/usr/bin/env python3
"""combinations.py COMPILER FOLDER: every combination of the options of tributary/options.h compiles without a warning and
links with an app that calls each public function. Only the files that the options reach are compiled anew each time."""
import itertools
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SDK = ROOT / "sdk"


def run(command):
    done = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:12]))} …\n{done.stderr}")


def main():
    compiler, folder = sys.argv[1], pathlib.Path(sys.argv[2]) / "combinations"
    folder.mkdir(parents=True, exist_ok=True)
    options = re.findall(r"^#ifdef (TRIB_WITHOUT_\w+)", (SDK / "include/tributary/options.h").read_text(), flags=re.M)
    listed = re.search(r"set\(TRIBUTARY_SDK_OPTIONS ([\w\s]+)\)", (ROOT / "cmake/options.cmake").read_text())[1].split()
    if sorted(options) != sorted(listed):
        sys.exit(f"tributary/options.h has {options}, cmake/options.cmake {listed}")
    sources = sorted(p for p in SDK.glob("*/*.c") if p.name != "vocabulary.c" and p.parent.name != "bindings")
    reached = [p for p in sources if re.search(r'"(client/client_internal|uplink/internal)\.h"|TRIB_HAS_', p.read_text())]
    common = [compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Wundef", "-Werror", "-ffunction-sections", "-Isdk", "-Isdk/include"]
    header = re.sub(r"/\*.*?\*/", "", (SDK / "include/tributary/tributary.h").read_text(), flags=re.S)
    functions = re.findall(r"^(?:TRIB_MUST_CHECK )?(?:\w+ )+\*?(trib_\w+)\(", header, flags=re.M)
    app = folder / "app.c"
    app.write_text('#include "tributary/tributary.h"\nint main(void)\n{\n    void (*volatile all[])(void) = {'
                   + ", ".join(f"(void (*)(void)){f}" for f in functions) + "};\n    return all[0] == 0;\n}\n")
    rest = []
    for source in sources:
        if source not in reached:
            rest.append(folder / f"{source.parent.name}_{source.stem}.o")
            run([*common, "-c", source, "-o", rest[-1]])
    count = 0
    for chosen in itertools.product((False, True), repeat=len(options)):
        without = [f"-D{o}" for o, left_out in zip(options, chosen) if left_out]
        run([*common, *without, "-Wno-cast-function-type", "-Wl,--gc-sections", app, *reached, *rest, "-o", folder / "app"])
        count += 1
    print(f"{count} combinations of {len(options)} options, {len(reached)} files each")


if __name__ == "__main__":
    main()
