"""
The SDK in the layouts of ESP-IDF, Zephyr, PlatformIO and Arduino, without those tools: the files' form, and that what
they list compiles with plain gcc and is complete. For the first two, their CMake functions are played by a few lines.
"""

import fnmatch
import json
import re
import subprocess

import pytest
import yaml
from gateway import ROOT

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
    assert again.returncode != 0 and "must not exist" in again.stderr
