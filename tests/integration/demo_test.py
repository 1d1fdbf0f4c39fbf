"""The scripts a newcomer meets first: bootstrap, the development CA, the videos, the demo."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from gateway import BIN, ROOT


def run(*command, timeout=120, **environment):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, check=False,
                          env={**os.environ, **environment})


def bootstrap(tmp_path, release, packages=None, *arguments, **environment):
    (tmp_path / "os-release").write_text(release)
    if packages is not None:
        (tmp_path / "packages").write_text(packages)
        environment["TRIBUTARY_PACKAGES"] = str(tmp_path / "packages")
    return run(ROOT / "tools/bootstrap", *arguments, TRIBUTARY_OS_RELEASE=str(tmp_path / "os-release"), **environment)


def test_bootstrap_leaves_other_systems_alone_and_says_what_is_missing(tmp_path):
    done = bootstrap(tmp_path, "ID=fedora\nVERSION_ID=40\n", PKG_CONFIG_LIBDIR=str(tmp_path))
    assert done.returncode == 1
    assert "nothing was installed" in done.stdout
    assert "missing here: libwebsockets" in done.stdout
    assert "libmpv-dev" in done.stdout


def test_bootstrap_is_content_elsewhere_if_all_is_found(tmp_path):
    done = bootstrap(tmp_path, "ID=ubuntu\nVERSION_ID=24.04\n")
    assert done.returncode == 0
    assert "all found" in done.stdout


@pytest.mark.parametrize("version", ["12", "13"])
def test_bootstrap_knows_what_is_installed(tmp_path, version):
    done = bootstrap(tmp_path, f'ID=debian\nVERSION_ID="{version}"\n', "bash # the shell\nno-such-package | coreutils\n")
    assert (done.returncode, done.stdout) == (0, "bootstrap: all 2 packages are installed\n")


def test_bootstrap_check_installs_nothing(tmp_path):
    done = bootstrap(tmp_path, 'ID=debian\nVERSION_ID="12"\n', "bash\nno-such-package\n", "--check")
    assert done.returncode == 1
    assert "1 of 2 packages are missing: no-such-package" in done.stdout


def test_bootstrap_is_quick_when_all_is_there():
    run(ROOT / "tools/bootstrap", timeout=600)
    begun = time.monotonic()
    assert run(ROOT / "tools/bootstrap").returncode == 0
    assert time.monotonic() - begun < 2


def test_the_development_ca_signs_what_verifies(tmp_path):
    assert run(ROOT / "tools/dev/dev-ca", "all", tmp_path, "kitchen").returncode == 0
    server = run("openssl", "verify", "-CAfile", tmp_path / "server-ca.pem", "-purpose", "sslserver", "-verify_ip",
                 "127.0.0.1", "-verify_hostname", "localhost", tmp_path / "server.pem")
    device = run("openssl", "verify", "-CAfile", tmp_path / "device-ca.pem", "-purpose", "sslclient",
                 tmp_path / "device-kitchen.pem")
    foreign = run("openssl", "verify", "-CAfile", tmp_path / "server-ca.pem", tmp_path / "device-kitchen.pem")
    assert (server.returncode, device.returncode) == (0, 0), server.stderr + device.stderr
    assert foreign.returncode != 0
    names = run("openssl", "x509", "-in", tmp_path / "device-kitchen.pem", "-noout", "-ext", "subjectAltName").stdout
    assert "URI:urn:tributary:device:kitchen" in names
    assert (tmp_path / "device-kitchen.key").stat().st_mode & 0o077 == 0


def test_the_development_ca_keeps_what_is_still_good(tmp_path):
    run(ROOT / "tools/dev/dev-ca", "all", tmp_path, "kitchen")
    before = (tmp_path / "device-kitchen.pem").read_bytes()
    run(ROOT / "tools/dev/dev-ca", "all", tmp_path, "kitchen", "living-room")
    assert (tmp_path / "device-kitchen.pem").read_bytes() == before
    assert (tmp_path / "device-living-room.pem").exists()


def test_the_development_ca_can_sign_what_has_expired(tmp_path):
    run(ROOT / "tools/dev/dev-ca", "all", tmp_path)
    done = run(ROOT / "tools/dev/dev-ca", "device", tmp_path, "old", NOT_AFTER="20210101000000Z")
    assert done.returncode == 0, done.stderr
    assert "expired" in run("openssl", "verify", "-CAfile", tmp_path / "device-ca.pem", tmp_path / "device-old.pem").stderr


@pytest.mark.parametrize("name", ["two words", "a/b", "", "x" * 65, "a,URI:urn:b"])
def test_the_development_ca_refuses_odd_device_names(tmp_path, name):
    run(ROOT / "tools/dev/dev-ca", "all", tmp_path)
    assert run(ROOT / "tools/dev/dev-ca", "device", tmp_path, name).returncode == 1


def test_a_video_is_made_once(tmp_path):
    first = run(ROOT / "tools/media/make", tmp_path, "2:h264", "1:mpeg4").stdout.split()
    times = [Path(path).stat().st_mtime_ns for path in first]
    assert run(ROOT / "tools/media/make", tmp_path, "2:h264", "1:mpeg4").stdout.split() == first
    assert [Path(path).stat().st_mtime_ns for path in first] == times
    assert run(ROOT / "tools/media/make", tmp_path, "2:betamax").returncode == 2


def test_the_demo_touches_no_folder_that_is_not_its_own(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for arguments in (["--clean"], []):
        done = run(ROOT / "tools/demo", "--out", tmp_path, "--bin", BIN, *arguments)
        assert done.returncode == 2
        assert "not the demo's" in done.stderr
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.slow
def test_the_demo_succeeds_and_cleans_up(tmp_path):
    out = tmp_path / "demo out"
    done = run(ROOT / "tools/demo", "--quick", "--bin", BIN, "--out", out, timeout=180)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "Equal: each SDK call's event is in the stream once and in the lake once" in done.stdout
    assert run(ROOT / "tools/demo", "--clean", "--out", out).returncode == 0
    assert not out.exists()


@pytest.mark.slow
def test_the_demo_fails_when_an_event_is_lost(tmp_path):
    """Takes one line out of the lake of a kept demo and lets the comparison run again."""
    out = tmp_path / "out"
    done = run(ROOT / "tools/demo", "--quick", "--keep", "--bin", BIN, "--out", out, timeout=180)
    try:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        file = next(path for path in sorted((out / "data/lake").rglob("*.json*")) if path.stat().st_size)
        file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
        sides = sorted((out / "devices").glob("*.side.jsonl"))
        again = subprocess.run(["/usr/bin/python3", "-m", "accounts", "--ctl", BIN / "tributaryctl", "--data", out / "data",
                                "--lake", out / "data/lake", "--side", *sides], cwd=ROOT / "tools", capture_output=True,
                               text=True, timeout=60, check=False)
        assert again.returncode == 1
        assert "DIFFERENT" in again.stdout
    finally:
        run(ROOT / "tools/demo", "--clean", "--out", out)
