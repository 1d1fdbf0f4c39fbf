"""
ports/freertos on a real kernel: a firmware for a Cortex-M3 under QEMU. The kernel comes from a pinned package of the Rust
registry that carries FreeRTOS's sources (V11.2.0, MIT); it is kept in our cache and never in the tree.
"""
import json
import os
import pathlib
import random
import shutil
import subprocess
import time

import pytest
from gateway import BIN, ROOT

PACKAGE, VERSION = "freertos-next", "0.10.0"
CHECKSUM = "da129eb4e6e87cc12ac6f8668e0102b8568082b7be5ac6375794a5c60b9dabaf"
FIRMWARE = ROOT / "tests/firmware/freertos"
FLASH_BYTES = 16 << 20
SECTORS = 64
CC = ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", "-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror",
      "-ffunction-sections", "-fdata-sections"]
pytestmark = [pytest.mark.slow, pytest.mark.peers]


@pytest.fixture(scope="session")
def kernel(tmp_path_factory):
    """The folder of the kernel's sources."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tributary" / f"{PACKAGE}-{VERSION}"
    if not (cache / "FreeRTOS-Kernel/tasks.c").exists():
        if not shutil.which("cargo"):
            pytest.skip("cargo is not installed: it is what fetches the kernel's sources")
        folder = tmp_path_factory.mktemp("kernel")
        (folder / "src").mkdir()
        (folder / "src/lib.rs").write_text("")
        (folder / "Cargo.toml").write_text(f'[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n\n'
                                           f'[dependencies]\n{PACKAGE} = "={VERSION}"\n')
        done = subprocess.run(["cargo", "vendor", "--quiet", "vendor"], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            pytest.skip("cargo could not fetch the kernel's sources: " + done.stderr.strip().splitlines()[-1])
        found = folder / "vendor" / PACKAGE
        assert json.loads((found / ".cargo-checksum.json").read_text())["package"] == CHECKSUM
        cache.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(found, cache, dirs_exist_ok=True)
    return cache / "FreeRTOS-Kernel"


def build(kernel, folder):
    port = kernel / "portable/GCC/ARM_CM3"
    sources = [*(kernel / f"{name}.c" for name in ("tasks", "list", "queue")), port / "port.c", *sorted(FIRMWARE.glob("*.c")),
               ROOT / "ports/freertos/freertos_port.c", ROOT / "ports/nor/nor.c",
               *(ROOT / f"ports/conformance/{name}.c" for name in ("conformance", "storage_rules", "platform_rules", "net_rules"))]
    for module in ("wire", "journal", "lane", "playback", "websocket", "uplink", "client"):
        sources += [path for path in sorted((ROOT / "sdk" / module).glob("*.c")) if path.name != "vocabulary.c"]
    return subprocess.run([str(part) for part in [
        *CC, "-Wno-unused-parameter", "-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections",
        f"-Wl,-T,{FIRMWARE / 'mps2-an385.ld'}", "-isystem", kernel / "include", "-isystem", port, f"-I{FIRMWARE}", f"-I{ROOT / 'sdk'}",
        f"-I{ROOT / 'sdk/include'}", *(f"-I{ROOT / 'ports' / name}" for name in ("nor", "freertos", "conformance")), *sources,
        "-o", folder / "firmware.elf"]], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="session")
def firmware(kernel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("firmware")
    done = build(kernel, folder)
    assert done.returncode == 0, done.stderr
    return folder / "firmware.elf"


def start(firmware, flash, mode):
    return subprocess.Popen([
        "qemu-system-arm", "-M", "mps2-an385,memory-backend=nor", "-object",
        f"memory-backend-file,id=nor,mem-path={flash},size={FLASH_BYTES},share=on", "-kernel", str(firmware), "-display", "none",
        "-monitor", "none", "-serial", "stdio", "-semihosting-config", f"enable=on,target=native,arg=firmware,arg={mode}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.fixture
def flash(tmp_path):
    path = tmp_path / "flash"
    path.write_bytes(b"\xff" * FLASH_BYTES)
    return path


def test_the_port_keeps_the_contract_on_the_kernel(firmware, flash):
    process = start(firmware, flash, "c")
    lines, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "FAIL" not in lines, lines
    assert "ok clock.tick_wrap" in lines and "ok lock.lets_in_one_at_a_time" in lines
    assert "20 passed, 0 failed, 4 skipped" in lines, lines


def test_a_firmware_without_a_source_of_entropy_does_not_link(kernel, tmp_path):
    text = (FIRMWARE / "main.c").read_text().replace("int trib_freertos_random(", "int elsewhere(")
    assert "elsewhere" in text
    (tmp_path / "main.c").write_text("int elsewhere(unsigned char *out_buffer, unsigned length);\n" + text)
    done = subprocess.run([str(p) for p in [
        *CC, "-isystem", kernel / "include", "-isystem", kernel / "portable/GCC/ARM_CM3", f"-I{FIRMWARE}", f"-I{ROOT / 'sdk'}",
        f"-I{ROOT / 'sdk/include'}", *(f"-I{ROOT / 'ports' / name}" for name in ("nor", "freertos", "conformance")), "-nostartfiles",
        "-Wl,--unresolved-symbols=report-all", ROOT / "ports/freertos/freertos_port.c", tmp_path / "main.c", "-o", tmp_path / "x.elf"]],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "undefined reference to `trib_freertos_random'" in done.stderr


def test_power_cuts_of_the_firmware_lose_nothing_durable(firmware, flash):
    """QEMU is killed at a random moment, again and again; what a line said to be durable is in the flash, once, in order."""
    durable, rng = {}, random.Random(7)
    for _ in range(12):
        process = start(firmware, flash, "r")
        boot = int(process.stdout.readline().split()[1])
        assert boot not in durable
        durable[boot] = 0
        time.sleep(rng.uniform(0.02, 0.5))
        process.kill()
        for line in process.communicate()[0].splitlines():
            if line.startswith("FAIL"):
                raise AssertionError(line)
            if line.startswith("D ") and line[2:].isdigit() and int(line[2:]) // 1000000 == boot:
                durable[boot] = max(durable[boot], int(line[2:]) % 1000000)
    done = subprocess.run([BIN / "ring_dump", flash, str(SECTORS)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    numbers = [int(line[2:]) for line in done.stdout.splitlines() if line.startswith("n ")]
    assert "dropped 0" in done.stdout.splitlines()
    assert sum(durable.values()) > 500
    assert numbers == sorted(set(numbers))
    for boot, last in durable.items():
        mine = [n % 1000000 for n in numbers if n // 1000000 == boot]
        assert mine == list(range(1, len(mine) + 1)) and len(mine) >= last


def test_the_lwip_port_compiles_for_a_cortex_m(tmp_path):
    """With lwIP's own sockets and DNS, as on FreeRTOS; it runs in tests/conformance/lwip_test.c, on the build machine."""
    done = subprocess.run([str(p) for p in [
        *CC, f"-I{ROOT / 'tests/firmware/lwip'}", "-isystem", "/usr/include/lwip", f"-I{ROOT / 'sdk'}", f"-I{ROOT / 'sdk/include'}",
        "-Wshadow", "-Wundef", "-c", ROOT / "ports/lwip/net_lwip.c", "-o", tmp_path / "net_lwip.o"]],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    symbols = subprocess.run(["arm-none-eabi-nm", tmp_path / "net_lwip.o"], capture_output=True, text=True, check=True).stdout
    assert "U dns_gethostbyname" in symbols and "U malloc" not in symbols
