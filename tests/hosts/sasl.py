"""A password for libvirt's own login, stored where Cyrus SASL looks for it, as saslpasswd2 does."""

import ctypes
from pathlib import Path

SET_CREATE = 1
GETOPT = 1  # SASL_CB_GETOPT


def write_password(database: Path, username: str, password: str) -> None:
    """Make or extend `database` (a sasldb) for service libvirt. https://www.cyrusimap.org/sasl/"""
    sasl = ctypes.CDLL("libsasl2.so.2")
    text, anything = ctypes.c_char_p, ctypes.c_void_p
    get_option = ctypes.CFUNCTYPE(ctypes.c_int, anything, text, text, ctypes.POINTER(text), anything)
    options = {b"sasldb_path": str(database).encode(), b"auxprop_plugin": b"sasldb"}

    @get_option
    def answer(_context, _plugin, option, result, _length):
        if option not in options:
            return 1
        result[0] = options[option]
        return 0

    class Callback(ctypes.Structure):
        _fields_ = (("id", ctypes.c_ulong), ("proc", ctypes.c_void_p), ("context", ctypes.c_void_p))

    callbacks = (Callback * 2)(Callback(GETOPT, ctypes.cast(answer, ctypes.c_void_p), None), Callback(0, None, None))
    assert sasl.sasl_server_init(callbacks, b"saslpasswd") == 0
    conn = ctypes.c_void_p()
    try:
        assert sasl.sasl_server_new(b"libvirt", None, None, None, None, None, 0, ctypes.byref(conn)) == 0
        words = (username.encode(), password.encode(), len(password), None, 0, SET_CREATE)
        assert sasl.sasl_setpass(conn, *words) == 0, "the password was not stored"
    finally:
        sasl.sasl_dispose(ctypes.byref(conn))
        sasl.sasl_server_done()
