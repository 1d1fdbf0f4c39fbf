"""libtributary_py by ctypes: where it is, what its functions take. The contract is binding.h."""

import ctypes
import ctypes.util
import os
from ctypes import (CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_void_p)
from pathlib import Path

ABI = 4
STAT_COUNT = 12

LogCallback = CFUNCTYPE(None, c_int, c_char_p)
StateCallback = CFUNCTYPE(None, c_int, c_int)
RejectedCallback = CFUNCTYPE(None, c_uint64, c_uint64, c_uint)
Stats = c_uint64 * STAT_COUNT


class Options(ctypes.Structure):
    """struct trib_py_options."""

    _fields_ = [
        *((name, c_char_p) for name in ("device_id", "host", "path", "token", "folder", "ca", "certificate", "key",
                                        "server_name", "proxy_host", "proxy_user", "proxy_password")),
        *((name, c_uint32) for name in ("port", "proxy_port", "sector_bytes", "vital_sectors", "routine_sectors", "durable_window_ms",
                                        "ping_ms", "linger_ms", "backoff_min_ms", "backoff_max_ms")),
        ("user_salt", c_char_p), ("consent_required", c_uint32), ("user_id_as_given", c_uint32),
        ("log", LogCallback), ("state", StateCallback), ("rejected", RejectedCallback),
    ]


_FUNCTIONS = {
    "abi": (c_int,),
    "version": (c_char_p,),
    "error_text": (c_char_p, c_int),
    "open": (c_int, POINTER(Options), POINTER(c_void_p)),
    "step": (c_int, c_void_p, c_uint32),
    "wake": (None, c_void_p),
    "flush": (c_int, c_void_p, c_uint32),
    "shutdown": (c_int, c_void_p, c_uint32),
    "set_consent": (c_int, c_void_p, c_int),
    "erase": (c_int, c_void_p),
    "free": (None, c_void_p),
    "state": (c_int, c_void_p),
    "stats": (None, c_void_p, POINTER(c_uint64)),
    "session_start": (c_int, c_void_p, c_char_p, c_char_p, c_uint64, c_int, POINTER(c_void_p)),
    "session_report": (c_int, c_void_p, c_int, c_uint64, c_int64, c_int),
    "session_end": (c_int, c_void_p, c_int),
    "favourite": (c_int, c_void_p, c_int, c_char_p, c_char_p, c_char_p),
    "custom_new": (c_void_p, c_char_p),
    "custom_text": (None, c_void_p, c_char_p, c_char_p),
    "custom_int": (None, c_void_p, c_char_p, c_int64),
    "custom_uint": (None, c_void_p, c_char_p, c_uint64),
    "custom_bytes": (None, c_void_p, c_char_p, c_char_p, c_size_t),
    "custom_bool": (None, c_void_p, c_char_p, c_int),
    "custom_record": (c_int, c_void_p, c_void_p),
}


def _path() -> str:
    given = os.environ.get("TRIBUTARY_LIBRARY")
    if given:
        return given
    beside = Path(__file__).with_name("libtributary_py.so")
    if beside.exists():
        return str(beside)
    found = ctypes.util.find_library("tributary_py")
    if not found:
        raise ImportError("libtributary_py is not there: build it with CMake, and set TRIBUTARY_LIBRARY to its path, put it "
                          "next to this package, or install it where the system's loader looks")
    return found


class Library:
    """The functions of binding.h without their prefix, as attributes."""

    def __init__(self) -> None:
        path = _path()
        library = ctypes.CDLL(path)
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(library, f"trib_py_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        if self.abi() != ABI:  # type: ignore[attr-defined]
            raise ImportError(f"{path} has interface {self.abi()}, this package needs {ABI}")  # type: ignore[attr-defined]
