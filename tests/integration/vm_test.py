"""tools/dev/vm: a command under a kernel of its own."""

import os
import subprocess

import pytest
from gateway import ROOT


def vm(*arguments, **environment):
    return subprocess.run([ROOT / "tools/dev/vm", *map(str, arguments)], capture_output=True, text=True, timeout=100, check=False,
                          env=dict(os.environ, **environment))


@pytest.fixture
def kernel():
    """It comes from Debian's packages, and is fetched when it is first used. Some machines have no place for it (ptrace is refused)."""
    done = vm("--timeout", "60", "--", "true")
    if done.returncode == 125:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr


def guests():
    """Folders and processes of guests."""
    found = subprocess.run(["pgrep", "-f", f"uml_dir={ROOT}/build/vm-"], capture_output=True, text=True, check=False)
    return {*map(str, (ROOT / "build").glob("vm-*")), *found.stdout.split()}


@pytest.mark.peers
@pytest.mark.usefixtures("kernel")
def test_a_guest_has_limits_of_its_own_and_keeps_what_it_is_told_to(tmp_path):
    elsewhere = ROOT / "build/vm_test.elsewhere"
    script = f"ulimit -n; echo kept >{tmp_path}/keep/a; echo lost >{elsewhere}; cat {elsewhere}; exit 7"
    done = vm("--keep", tmp_path / "keep", "--", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split() == ["1000000", "lost"]
    assert (tmp_path / "keep/a").read_text() == "kept\n"
    assert not elsewhere.exists()


@pytest.mark.peers
@pytest.mark.usefixtures("kernel")
def test_a_guest_whose_time_is_up_leaves_nothing_behind(tmp_path):
    before = guests()
    done = vm("--timeout", "1", "--keep", tmp_path, "--", "sleep", "50")
    assert done.returncode == 124 and "1 s are up" in done.stderr
    assert not guests() - before


def test_a_kernel_that_cannot_be_fetched_is_told_and_not_passed_over(tmp_path):
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'no such package' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    done = vm("--", "true", XDG_CACHE_HOME=str(tmp_path / "cache"), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 125
    assert done.stderr.startswith("vm: apt-get download") and "no such package" in done.stderr
    assert not list((tmp_path / "cache/tributary").iterdir())
