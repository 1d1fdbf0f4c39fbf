"""ports/template: it links as it stands, refuses to run, and each function that is left out is named by the linker."""
import re
import subprocess

import pytest
from gateway import BIN, ROOT

TEMPLATE = ROOT / "ports/template"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'sdk'}", f"-I{ROOT / 'sdk/include'}", f"-I{TEMPLATE}"]
FUNCTIONS = re.findall(r"(trib_port_\w+)\(", (TEMPLATE / "port.h").read_text().replace("trib_port_assemble", ""))
APP = """
#include "port.h"
#include <stdio.h>
static void print(void *context, enum trib_log_level level, const char *text)
{
    (void)context, (void)level;
    puts(text);
}
int main(void)
{
    static struct trib_client client;
    static struct trib_config config;
    static struct trib_port port;
    static uint8_t staging[512], transmit[1024], receive[1024];
    trib_port_assemble(&port, &config);
    config.log.write = print;
    config.device_id = "d";
    config.host = "h";
    config.staging = staging, config.staging_bytes = sizeof staging;
    config.transmit = transmit, config.transmit_bytes = sizeof transmit;
    config.receive = receive, config.receive_bytes = sizeof receive;
    return trib_init(&client, &config) < 0 ? 0 : 1;
}
"""


def link(folder, without=None):
    """The app with all of port.c, or with one function by another name."""
    (folder / "app.c").write_text(APP)
    flags = [*FLAGS, *([f"-D{without}={without}_elsewhere"] if without else [])]
    subprocess.run(["gcc", *flags, "-Wno-missing-prototypes", "-c", TEMPLATE / "port.c", "-o", folder / "port.o"], check=True, timeout=60)
    return subprocess.run(["gcc", *FLAGS, folder / "app.c", TEMPLATE / "assemble.c", folder / "port.o", f"-L{BIN.parent / 'lib'}",
                           "-ltributary", "-ltributary_wire", "-o", folder / "app"], capture_output=True, text=True, timeout=60, check=False)


def test_the_template_links_and_is_refused_as_it_stands(tmp_path):
    done = link(tmp_path)
    assert done.returncode == 0, done.stderr
    app = subprocess.run([tmp_path / "app"], capture_output=True, text=True, timeout=10, check=False)
    assert app.returncode == 0, app.stdout


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_missing_port_is_named_by_the_linker(tmp_path, name):
    done = link(tmp_path, without=name)
    assert done.returncode != 0
    assert set(re.findall(r"undefined reference to [`'](\w+)'", done.stderr)) == {name}


def test_without_any_port_all_are_named(tmp_path):
    assert len(FUNCTIONS) == 17
    (tmp_path / "app.c").write_text(APP)
    done = subprocess.run(["gcc", *FLAGS, tmp_path / "app.c", TEMPLATE / "assemble.c", f"-L{BIN.parent / 'lib'}", "-ltributary",
                           "-ltributary_wire", "-o", tmp_path / "app"], capture_output=True, text=True, timeout=60, check=False)
    assert set(re.findall(r"undefined reference to [`'](\w+)'", done.stderr)) == set(FUNCTIONS)
