"""
The wheel holds a shared library, so it is for one platform and any Python 3: its name must say so (PEP 425). Before building,
copy libtributary_py.so into tributary/. The rest is in pyproject.toml.
"""
import pathlib

import setuptools

try:
    from setuptools.command.bdist_wheel import bdist_wheel  # setuptools 70.1 and later
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

LIBRARY = pathlib.Path(__file__).resolve().parent / "tributary/libtributary_py.so"


class PlatformWheel(bdist_wheel):
    """py3-none-PLATFORM: ctypes needs no ABI of CPython's."""

    def run(self):
        if not LIBRARY.exists():
            raise SystemExit("tributary/libtributary_py.so is missing: build it with CMake and copy it there")
        super().run()

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class WithLibrary(setuptools.Distribution):
    def has_ext_modules(self):
        return True


setuptools.setup(cmdclass={"bdist_wheel": PlatformWheel}, distclass=WithLibrary)
