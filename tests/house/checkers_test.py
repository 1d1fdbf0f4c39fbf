"""The checkers in tools/dev find what they are for, and leave alone what is allowed."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).parents[2] / "tools" / "dev"


def run(tool, files):
    """The tool's exit code and output on a tree of these files."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for half in ("gateway", "sdk"):
            (root / half).mkdir(exist_ok=True)
        subprocess.run(["git", "init", "-q", folder], check=True)
        result = subprocess.run([sys.executable, str(TOOLS / tool), folder], capture_output=True, text=True, check=False)
        return result.returncode, result.stdout + result.stderr


class Includes(unittest.TestCase):
    def check(self, path, include, allowed, word=""):
        code, output = run("check-includes", {path: f"#include {include}\n"})
        self.assertEqual(code, 0 if allowed else 1, output)
        if not allowed:
            self.assertIn(f"{path}:1: includes ", output)
            self.assertIn(word, output)

    def test_wire_stands_alone(self):
        self.check("sdk/wire/a.c", "<string.h>", True)
        self.check("sdk/wire/a.c", '"wire/cbor.h"', True)
        self.check("sdk/wire/a.c", "<unistd.h>", False, "must build anywhere")
        self.check("sdk/wire/a.c", '"tributary/port.h"', False)

    def test_sdk_modules_do_not_know_each_other(self):
        self.check("sdk/uplink/a.c", '"tributary/port.h"', True)
        self.check("sdk/uplink/a.c", '"websocket/websocket.h"', True)
        self.check("sdk/uplink/a.c", '"websocket/digest.h"', False, "private to sdk/websocket")
        self.check("sdk/client/a.c", '"websocket/digest.h"', True)
        self.check("sdk/uplink/a.c", "<sys/socket.h>", False, "by a port")
        self.check("sdk/uplink/a.c", '"base/error.h"', False)

    def test_public_headers_need_nothing(self):
        self.check("sdk/include/tributary/tributary.h", '"tributary/port.h"', True)
        self.check("sdk/include/tributary/uplink_state.h", '"uplink/uplink.h"', True)
        self.check("sdk/include/tributary/tributary.h", '"uplink/uplink.h"', False)
        self.check("sdk/include/tributary/tributary.h", "<sys/types.h>", False)

    def test_gateway_folders_keep_their_order(self):
        self.check("gateway/journal/a.c", '"privacy/seal.h"', True)
        self.check("gateway/journal/a.c", '"journal/entry.h"', True)
        self.check("gateway/journal/a.c", '"wire/message.h"', True)
        self.check("gateway/journal/a.c", '"session/admit.h"', False, "stands behind")
        self.check("gateway/session/a.c", "<tributary/port.h>", False, "not the SDK")
        self.check("gateway/session/a.c", '"uplink/uplink.h"', False, "not the SDK")

    def test_some_libraries_have_one_home(self):
        self.check("gateway/journal/a.c", "<lmdb.h>", True)
        self.check("tests/bench/a.c", "<lmdb.h>", True)
        self.check("gateway/session/a.c", "<lmdb.h>", False, "only gateway/journal")
        self.check("tools/ctl/a.c", "<lmdb.h>", False)
        self.check("gateway/session/a.c", "<libwebsockets.h>", False)

    def test_examples_and_ports_use_the_contracts(self):
        self.check("firmware-examples/x/a.c", "<tributary/tributary.h>", True)
        self.check("firmware-examples/x/a.c", '"wire/cbor.h"', False)
        self.check("ports/posix/a.c", '"uplink/uplink.h"', False)
        self.check("ports/posix/a.c", "<sys/socket.h>", True)


class Style(unittest.TestCase):
    def check(self, files, allowed, word=""):
        code, output = run("check-style", files)
        self.assertEqual(code, 0 if allowed else 1, output)
        self.assertIn(word, output)

    def test_a_clean_tree_passes(self):
        self.check({"gateway/base/a.c": "int a;\n", "gateway/base/README.md": "# base\n"}, True, "2 files are in form")

    def test_each_slip_is_found(self):
        todo = "TO" + "DO"
        self.check({"a.md": "good\nbad \n"}, False, "a.md:2: space at the end")
        self.check({"a.md": "no end"}, False, "a.md: no line end")
        self.check({"a.c": "\tint a;\n"}, False, "a.c:1: a tab")
        self.check({"a.md": f"{todo}: later\n"}, False, f"a.md:1: `{todo}`")
        self.check({"a.md": "see /" + "root/notes.txt\n"}, False, "a path of one machine")
        self.check({"a.md": "from https://" + "pypi" + ".org/simple\n"}, False, "a registry's host name")
        self.check({"a.md": "a favo" + "rite\n"}, False, "favourite")
        self.check({"gateway/base/a.c": "int a;\n"}, False, "gateway/base: no README.md")

    def test_links_lead_somewhere(self):
        self.check({"docs/a.md": "[b](b.md#part), [c](../c.md), [web](https://example.org/x), [here](#part)\n", "docs/b.md": "b\n",
                    "c.md": "c\n"}, True)
        self.check({"docs/a.md": "see\n[b](b.md)\n"}, False, "docs/a.md:2: links to b.md, which is not there")

    def test_paths_of_the_product_are_no_paths_of_a_machine(self):
        self.check({"a.md": "in /var/lib/tributary and /etc/tributary, https://host/home/page, $HOME/x, ${X}/work/y\n"}, True)

    def test_long_files_are_only_a_warning(self):
        self.check({"a.c": "int a;\n" * 601}, True, "warning: a.c: 601 lines")


if __name__ == "__main__":
    unittest.main()
