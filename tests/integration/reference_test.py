"""The reference made from the public headers: no warning, and every public function is in it with words of its own."""

import re
import subprocess

from gateway import ROOT

HEADERS = ["sdk/include/tributary/tributary.h", "ports/posix/net_tcp.h", "ports/posix/platform.h",
           "ports/posix/storage_file.h", "ports/mbedtls/net_tls.h"]


def doxygen(folder, change=lambda text: text):
    """Runs it with its output in the folder, and the Doxyfile changed."""
    text = (ROOT / "docs/Doxyfile").read_text().replace("build/reference", str(folder))
    return subprocess.run(["doxygen", "-"], input=change(text), cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_reference_is_made_without_a_warning(tmp_path):
    done = doxygen(tmp_path)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    pages = "".join(page.read_text() for page in (tmp_path / "html").glob("*_8h.html"))
    for header in HEADERS:
        functions = re.findall(r"^(?:TRIB_MUST_CHECK )?[\w ]+[ *](trib_\w+)\(", (ROOT / header).read_text(), re.M)
        assert functions
        for function in functions:
            assert re.search(rf"\b{function}</[ab]>\s*\(", pages), function


def test_a_function_without_a_comment_fails_it(tmp_path):
    header = tmp_path / "bare.h"
    header.write_text("/* A file. */\n#ifndef BARE_H\n#define BARE_H\n\nint trib_bare(void);\n#endif\n")
    done = doxygen(tmp_path / "out", lambda text: text.replace("ports/mbedtls/net_tls.h", f"ports/mbedtls/net_tls.h {header}"))
    assert done.returncode != 0 and "trib_bare" in done.stderr
