"""
The SDK in the layouts of ESP-IDF, Zephyr, PlatformIO and Arduino: the files' form, and that what they list compiles with
plain gcc and is complete. For the first two, their CMake functions are played by a few lines. Of the tools themselves only
what reads those files is used, where it can be fetched.
"""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
import yaml
from gateway import BIN, ROOT

VERSION = re.search(r'TRIBUTARY_VERSION "(.*)"', (ROOT / "sdk/include/tributary/tributary.h").read_text()).group(1)
FLAGS = ["-std=gnu11", "-O1", "-fPIC", "-Wall", "-Wextra", "-Werror"]
PUBLIC = {"trib_init", "trib_poll", "trib_flush", "trib_shutdown", "trib_session_start", "trib_session_report",
          "trib_session_end", "trib_favourite_add", "trib_custom_record", "trib_get_stats", "trib_error_text"}
pytestmark = pytest.mark.slow

WRAPPER = """
cmake_minimum_required(VERSION 3.25)
project(wrapper LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_STANDARD 11)
{functions}
add_subdirectory({folder} module)
add_library(whole SHARED empty.c)
target_link_options(whole PRIVATE -Wl,-z,defs)
target_link_libraries(whole PRIVATE -Wl,--whole-archive tributary -Wl,--no-whole-archive mbedtls mbedx509 mbedcrypto)
"""

ESP_IDF = """
set(ESP_PLATFORM 1)
function(idf_component_register)
  cmake_parse_arguments(C "" "" "SRCS;INCLUDE_DIRS;REQUIRES" ${ARGN})
  if(C_UNPARSED_ARGUMENTS OR NOT C_REQUIRES STREQUAL mbedtls)
    message(FATAL_ERROR "not an argument of a component: ${C_UNPARSED_ARGUMENTS}")
  endif()
  add_library(tributary STATIC ${C_SRCS})
  target_include_directories(tributary PUBLIC ${C_INCLUDE_DIRS})
endfunction()
"""

ZEPHYR = """
set(CONFIG_TRIBUTARY y)
set(CONFIG_TRIBUTARY_MBEDTLS y)
set(CONFIG_TRIBUTARY_WITHOUT_LOG y)
add_library(mbedTLS INTERFACE)
function(zephyr_library_named name)
  add_library(${name} STATIC)
endfunction()
function(zephyr_library_sources)
  target_sources(tributary PRIVATE ${ARGN})
endfunction()
function(zephyr_include_directories)
  target_include_directories(tributary PUBLIC ${ARGN})
endfunction()
function(zephyr_compile_definitions)
  target_compile_definitions(tributary PUBLIC ${ARGN})
endfunction()
function(zephyr_library_link_libraries)
  target_link_libraries(tributary PRIVATE ${ARGN})
endfunction()
"""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check_complete(library):
    names = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    assert PUBLIC <= names
    assert "trib_fields" not in names, "the tables of names are for gateways"


def compile_all(sources, includes, library):
    """As a build system would that only knows files and folders; undefined symbols are errors."""
    assert len(sources) > 25
    run("gcc", *FLAGS, "-shared", "-Wl,-z,defs", *[f"-I{folder}" for folder in includes], *sources, "-o", library)
    check_complete(library)


def cmake_build(tmp_path, functions, folder):
    (tmp_path / "CMakeLists.txt").write_text(WRAPPER.format(functions=functions, folder=folder))
    (tmp_path / "empty.c").write_text("")
    run("cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build", "-j", "1")
    check_complete(tmp_path / "build/libwhole.so")
    names = run("nm", "-D", "--defined-only", tmp_path / "build/libwhole.so")
    for port in ("trib_nor_open", "trib_spi_nor_driver", "trib_proxy_init", "trib_mbedtls_init"):
        assert f" {port}\n" in names


def test_esp_idf_component(tmp_path):
    manifest = yaml.safe_load((ROOT / "idf_component.yml").read_text())
    assert manifest["version"] == VERSION and manifest["dependencies"]["idf"].startswith(">=")
    assert set(manifest) <= {"version", "description", "license", "dependencies", "files", "url", "repository"}
    for pattern in manifest["files"]["exclude"]:
        assert (ROOT / pattern.split("/")[0]).is_dir()
    cmake_build(tmp_path, ESP_IDF, ROOT)


def test_esp_idf_early_pass_is_a_script(tmp_path):
    (tmp_path / "early.cmake").write_text(
        "function(idf_component_register)\n  message(STATUS \"early: ${ARGN}\")\nendfunction()\n"
        f"set(CMAKE_BUILD_EARLY_EXPANSION 1)\nset(ESP_PLATFORM 1)\ninclude({ROOT}/CMakeLists.txt)\n")
    assert "early: REQUIRES;mbedtls" in run("cmake", "-P", tmp_path / "early.cmake")


def test_zephyr_module(tmp_path):
    module = yaml.safe_load((ROOT / "zephyr/module.yml").read_text())
    assert module["name"] == "tributary" and set(module["build"]) == {"cmake", "kconfig"}
    kconfig = (ROOT / module["build"]["kconfig"]).read_text()
    cmake = ROOT / module["build"]["cmake"] / "CMakeLists.txt"
    defined = set(re.findall(r"^config (\w+)$", kconfig, re.M))
    assert defined == set(re.findall(r"CONFIG_(\w+)", cmake.read_text()))
    for line in kconfig.splitlines():
        assert re.fullmatch(r"|config \w+|\t(bool \".+\"|depends on [\w& ]+|help)|\t  .+", line), line
    cmake_build(tmp_path, ZEPHYR, cmake.parent)


def test_platformio_library(tmp_path):
    manifest = json.loads((ROOT / "library.json").read_text())
    assert manifest["version"] == VERSION and manifest["license"] == "Apache-2.0"
    build = manifest["build"]
    folder, chosen = ROOT / build["srcDir"], set()
    names = {str(path.relative_to(folder)) for path in folder.rglob("*.c")}
    for rule in build["srcFilter"]:
        sign, pattern = re.fullmatch(r"([+-])<(.+)>", rule).groups()
        hits = {name for name in names if fnmatch.fnmatch(name, pattern)}
        assert hits, rule
        chosen = chosen | hits if sign == "+" else chosen - hits
    for header in manifest["headers"]:
        assert (ROOT / build["includeDir"] / header).exists()
    for name in manifest["export"]["include"]:
        assert (ROOT / name).exists()
    includes = [ROOT / build["includeDir"], *(ROOT / flag[3:] for flag in build["flags"] if flag.startswith("-I "))]
    compile_all([folder / name for name in sorted(chosen)], includes, tmp_path / "library.so")


def test_arduino_library(tmp_path):
    folder = tmp_path / "Tributary"
    run(ROOT / "sdk/embed/make-arduino", folder)
    lines = dict(line.split("=", 1) for line in (folder / "library.properties").read_text().splitlines())
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"} <= set(lines)
    assert lines["version"] == VERSION and (folder / "src" / lines["includes"]).exists()
    compile_all(sorted((folder / "src").rglob("*.c")), [folder / "src"], tmp_path / "library.so")
    (tmp_path / "sketch.cpp").write_text(  # one call from C++, as a sketch would
        '#include <Tributary.h>\nstatic trib_client client;\nstatic trib_config config;\n'
        'int main() { return trib_init(&client, &config) == TRIB_EINVAL ? 0 : 1; }\n')
    run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{folder / 'src'}", tmp_path / "sketch.cpp",
        tmp_path / "library.so", f"-Wl,-rpath,{tmp_path}", "-o", tmp_path / "sketch")
    run(tmp_path / "sketch")
    again = subprocess.run([ROOT / "sdk/embed/make-arduino", folder], capture_output=True, text=True, timeout=60)
    assert again.returncode != 0 and "must not" in again.stderr


def test_arduino_library_gets_the_url_of_who_publishes_it(tmp_path):
    run(ROOT / "sdk/embed/make-arduino", tmp_path / "a", "https://lib.example/tributary")
    assert "\nurl=https://lib.example/tributary\n" in (tmp_path / "a/library.properties").read_text()
    bad = subprocess.run([ROOT / "sdk/embed/make-arduino", tmp_path / "b", "lib.example"], capture_output=True, text=True, timeout=60)
    assert bad.returncode != 0 and "must begin with https" in bad.stderr


def test_python_wheel_names_its_platform(tmp_path):
    """The wheel is one for this platform, and works when it is unpacked somewhere else."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "sdk/bindings/python", source)
    build = [sys.executable, "setup.py", "-q", "bdist_wheel"]
    without = subprocess.run(build, cwd=source, capture_output=True, text=True, timeout=120)
    assert without.returncode != 0 and "libtributary_py.so is missing" in without.stderr
    shutil.copy(BIN.parent / "lib/libtributary_py.so", source / "tributary")
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = (source / "dist").iterdir()
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name == f"tributary_sdk-{VERSION}-py3-none-{platform}.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert "tributary/libtributary_py.so" in names
        info = archive.read(next(name for name in names if name.endswith("/WHEEL"))).decode()
        assert "Root-Is-Purelib: false" in info and f"Tag: py3-none-{platform}" in info
        archive.extractall(tmp_path / "installed")
    environment = {key: value for key, value in os.environ.items() if key != "TRIBUTARY_LIBRARY"}
    code = "import tributary, tributary._library as l; l.Library(); print(tributary.__file__)"
    where = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**environment, "PYTHONPATH": str(tmp_path / "installed")},
                           capture_output=True, text=True, timeout=60)
    assert where.stdout.strip() == str(tmp_path / "installed/tributary/__init__.py"), where.stderr


# --- by the tools' own readers, from the package registry ---

TOOLS = {"idf-component-manager": "3.1.2", "platformio": "6.2.0", "kconfiglib": "14.1.0"}


@pytest.fixture(scope="session")
def tools():
    """A Python with those packages, in our cache."""
    name = "embed-" + "-".join(version for _, version in sorted(TOOLS.items()))
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tributary" / name
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        made = subprocess.run(["python3", "-m", "venv", folder], capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            pytest.skip("no venv can be made here")
        done = subprocess.run([folder / "bin/pip", "-q", "install", *(f"{n}=={v}" for n, v in TOOLS.items())], capture_output=True,
                              text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip("the tools cannot be fetched: " + done.stderr.strip().splitlines()[-1])
        (folder / "complete").write_text("")
    return folder / "bin/python"


IDF_CHECK = """
import sys
from idf_component_tools.manager import ManifestManager
manifest = ManifestManager(sys.argv[1], "tributary").load()
print(manifest.version, manifest.license)
"""

# The names of licences would come from the network; that one is SPDX's own.
PLATFORMIO_CHECK = """
import sys
from platformio.package.manifest.parser import ManifestParserFactory
from platformio.package.manifest.schema import ManifestSchema
ManifestSchema.load_spdx_licenses = staticmethod(lambda *a, **k: {"licenses": [{"licenseId": "Apache-2.0"}]})
manifest = ManifestSchema().load_manifest(ManifestParserFactory.new_from_file(sys.argv[1]).as_dict())
print(manifest["version"], manifest["license"])
"""

KCONFIG_CHECK = """
import os, sys
import kconfiglib
os.environ["srctree"] = sys.argv[1]
kconfig = kconfiglib.Kconfig("Kconfig", warn_to_stderr=False)
kconfig.syms["MBEDTLS"].set_value(2)
print(kconfig.syms["TRIBUTARY_MBEDTLS"].visibility, end=" ")
kconfig.syms["TRIBUTARY"].set_value(2)
print(kconfig.syms["TRIBUTARY_MBEDTLS"].visibility, len(kconfig.warnings))
"""


@pytest.mark.peers
def test_esp_idf_reads_the_component_file(tools, tmp_path):
    assert run(tools, "-c", IDF_CHECK, ROOT).split() == [VERSION, "Apache-2.0"]
    (tmp_path / "idf_component.yml").write_text((ROOT / "idf_component.yml").read_text().replace("version: \"0.1.0\"", "version: new"))
    bad = subprocess.run([tools, "-c", IDF_CHECK, tmp_path], capture_output=True, text=True, timeout=60)
    assert bad.returncode != 0 and "Manifest is not valid" in bad.stderr


@pytest.mark.peers
def test_platformio_reads_the_library_file(tools, tmp_path):
    assert run(tools, "-c", PLATFORMIO_CHECK, ROOT / "library.json").split() == [VERSION, "Apache-2.0"]
    (tmp_path / "library.json").write_text((ROOT / "library.json").read_text().replace('"version": "0.1.0"', '"version": "one"'))
    bad = subprocess.run([tools, "-c", PLATFORMIO_CHECK, tmp_path / "library.json"], capture_output=True, text=True, timeout=60)
    assert bad.returncode != 0 and "version" in bad.stderr


@pytest.mark.peers
def test_zephyr_reads_the_options(tools, tmp_path):
    (tmp_path / "Kconfig").write_text('config MBEDTLS\n\tbool "mbedTLS"\n\nsource "tributary"\n')
    shutil.copy(ROOT / "zephyr/Kconfig", tmp_path / "tributary")
    assert run(tools, "-c", KCONFIG_CHECK, tmp_path).split() == ["0", "2", "0"]  # TLS is offered with the SDK only
