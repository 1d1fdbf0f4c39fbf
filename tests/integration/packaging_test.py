"""The installed SDK: found by CMake and by pkg-config, in C and in C++, from a folder that may have been moved."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "tests/integration/package"
C = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CXX = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-x", "c++"]
pytestmark = pytest.mark.slow


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", folder / "build", "-DTRIBUTARY_GATEWAY=OFF", "-DTRIBUTARY_EXAMPLES=OFF",
        "-DTRIBUTARY_TESTS=OFF", "-DTRIBUTARY_PYTHON=OFF", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", folder / "build", "-j", "2")
    run("cmake", "--install", folder / "build", "--prefix", folder / "first", "--component", "sdk")
    (folder / "first").rename(folder / "moved")
    shutil.rmtree(folder / "build")  # nothing may point back into it
    return folder / "moved"


def pkg_config(prefix, *arguments):
    environment = {**os.environ, "PKG_CONFIG_LIBDIR": str(next(prefix.glob("lib/**/pkgconfig")))}
    return run("pkg-config", *arguments, "tributary-mbedtls", "tributary-posix", "tributary", env=environment).split()


def check(program):
    assert run(program) == "0.1.0 argument not allowed\n"


def test_cmake_finds_the_package(prefix, tmp_path):
    run("cmake", "-G", "Ninja", "-S", APP, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path)
    check(tmp_path / "app_c")
    check(tmp_path / "app_cc")


CONFORMANCE_PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(port LANGUAGES C)
find_package(tributary 0.1 REQUIRED COMPONENTS conformance nor proxy posix)
add_executable(port port.c)
target_link_libraries(port PRIVATE tributary::conformance tributary::nor tributary::proxy tributary::posix)
"""

CONFORMANCE_APP = """
#include <stdio.h>
#include <tributary/conformance/conformance.h>
#include <tributary/nor/spi_nor.h>
#include <tributary/posix/platform.h>
#include <tributary/proxy/net_proxy.h>
static void print(void *context, const char *line)
{
    (void)context;
    puts(line);
}
int main(void)
{
    static uint8_t scratch[TRIB_CONFORMANCE_SCRATCH];
    static struct trib_nor nor;
    static struct trib_proxy proxy;
    static const struct trib_nor_config no_part;
    static const struct trib_proxy_config no_proxy;
    struct trib_storage storage;
    struct trib_entropy entropy = trib_posix_entropy();
    struct trib_conformance suite = {.print = print, .scratch = scratch};
    struct trib_conformance_ports ports = {.entropy = &entropy};
    if (trib_nor_open(&nor, &no_part, &storage) != TRIB_EINVAL || trib_proxy_init(&proxy, &no_proxy) != TRIB_EINVAL)
        return 1;
    return trib_conformance_run(&suite, &ports);
}
"""


def test_a_port_outside_the_tree_runs_the_conformance_suite(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(CONFORMANCE_PROJECT)
    (tmp_path / "port.c").write_text(CONFORMANCE_APP)
    run("cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "build")
    assert run(tmp_path / "build/port").splitlines()[-1] == "4 passed, 0 failed, 0 skipped"
    assert (prefix / "bin/tributary-conformance-peer").exists()


def test_cmake_refuses_a_component_or_version_that_is_not_there(prefix, tmp_path):
    for request in ("0.1 REQUIRED COMPONENTS lwip", "9.9 REQUIRED"):
        (tmp_path / "CMakeLists.txt").write_text(
            f"cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES C)\nfind_package(tributary {request})\n")
        done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}"],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode != 0 and "tributary" in done.stderr


@pytest.mark.parametrize("compiler", [C, CXX], ids=["c", "c++"])
def test_pkg_config_finds_the_package(prefix, tmp_path, compiler):
    run(*compiler, APP / "app.c", *pkg_config(prefix, "--cflags"), "-x", "none", *pkg_config(prefix, "--libs"),
        "-o", tmp_path / "app")
    check(tmp_path / "app")


@pytest.mark.parametrize("compiler", [C, CXX], ids=["c", "c++"])
def test_each_header_stands_alone(prefix, tmp_path, compiler):
    headers = sorted((prefix / "include").rglob("*.h"))
    assert len(headers) >= 17
    for header in headers:
        source = tmp_path / "one.c"
        name = header.relative_to(prefix / "include")
        source.write_text(f"#include <{name}>\n#include <{name}>\nint main(void) {{ return 0; }}\n")
        run(*compiler, "-fsyntax-only", source, *pkg_config(prefix, "--cflags"))


def test_installed_files_do_not_name_the_build_tree(prefix):
    for path in prefix.rglob("*"):
        if path.suffix in (".cmake", ".pc", ".h", ".def"):
            assert str(ROOT) not in path.read_text()
