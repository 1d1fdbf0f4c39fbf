"""The examples of the READMEs, compiled from their own text; README.md's runs against the real gateway."""

import re
import subprocess
import time

import pytest
from gateway import BIN, ROOT

LIBRARIES = BIN.parent / "lib"
MAIN = """
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    struct trib_mbedtls_blob ca = {(const uint8_t *)argv[4], strlen(argv[4]) + 1};
    return argc == 5 ? watch_a_movie(argv[1], "localhost", (uint16_t)atoi(argv[2]), argv[3], ca) : 2;
}
"""


def code_of(document, heading):
    """The one C block below a heading."""
    section = (ROOT / document).read_text().split(heading, 1)[1].split("\n## ")[0]
    (code,) = re.findall(r"^```c\n(.*?)^```$", section, re.S | re.M)
    return code


@pytest.fixture(name="include")
def installed_layout(tmp_path):
    """The headers where `cmake --install` puts them, without installing."""
    folder = tmp_path / "include/tributary"
    folder.mkdir(parents=True)
    for header in (ROOT / "sdk/include/tributary").glob("*.h"):
        (folder / header.name).symlink_to(header)
    for name, source in (("posix", "ports/posix"), ("mbedtls", "ports/mbedtls"), ("wire", "sdk/wire"),
                         ("uplink", "sdk/uplink"), ("websocket", "sdk/websocket")):
        (folder / name).symlink_to(ROOT / source)
    return [f"-I{folder.parent}", f"-I{folder}"]


def gcc(*arguments):
    done = subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", *map(str, arguments)], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_example_in_the_readme_runs_against_a_gateway(gateway, pki, include, tmp_path):
    (tmp_path / "watch.c").write_text(code_of("README.md", "## In your app") + MAIN)
    gcc(tmp_path / "watch.c", *include, "-o", tmp_path / "watch", f"-L{LIBRARIES}", "-ltributary_mbedtls", "-ltributary_posix",
        "-ltributary", "-ltributary_wire", "-lmbedtls", "-lmbedx509", "-lmbedcrypto", "-pthread")
    done = subprocess.run([tmp_path / "watch", "tv-1", str(gateway.port), pki.token("tv-1"), (pki.folder / "ca.crt").read_text()],
                          cwd=tmp_path, timeout=60)
    assert done.returncode == 0
    end, found = time.monotonic() + 15, []
    while len(found) < 4 and time.monotonic() < end:
        found = gateway.stream_events() if (gateway.data / "stream").exists() else []
        time.sleep(0.05)
    kinds = [event["type"] for event in found if event["type"] != "stream.start"]
    assert kinds[:2] == ["session.start", "playing"] and kinds[-1] == "session.end"
    assert {event.get("content") for event in found if event["type"] != "stream.start"} == {"movie-1"}


def test_the_example_of_the_sdk_compiles(include, tmp_path):
    (tmp_path / "example.c").write_text(code_of("sdk/README.md", "# The SDK"))
    gcc("-fsyntax-only", tmp_path / "example.c", *include, f"-I{ROOT}/ports/posix", f"-I{ROOT}/ports/mbedtls")
