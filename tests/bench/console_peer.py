"""What stands at the far end of a console that is measured: it echoes or floods, over a unix socket and over TCP.

A command is a letter and a number of bytes in eight: "e" sends so many of those that follow back, "f" floods so many,
"s" swallows so many and then answers one. When it is done, the next command may follow.
"""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

PATH = "KVMWEB_BENCH_PEER"  # where the processes that are measured read the peer's address
BLOCK = os.urandom(64 * 1024)


def open_peer(ticket: object) -> socket.socket:
    """Connect to the peer, whatever the ticket is for: what the doors are given in place of a guest's display."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(os.environ[PATH])
    return connected


@contextlib.contextmanager
def running_peer(unix_socket: Path) -> Iterator[int]:
    """Serve in a process of its own; gives the TCP port on loopback that does the same as the unix socket."""
    listeners = [socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 0))]
    listeners[0].bind(str(unix_socket))
    listeners[0].listen(16)
    port = int(listeners[1].getsockname()[1])
    pid = os.fork()
    if pid == 0:
        _serve_forever(listeners)
    for listener in listeners:
        listener.close()
    try:
        yield port
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _serve_forever(listeners: list[socket.socket]) -> None:
    threads = [threading.Thread(target=_accept, args=(listener,), daemon=True) for listener in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _address = listener.accept()
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(connection,), daemon=True).start()


def _talk(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while head := connection.recv(9, socket.MSG_WAITALL):
            work, size = struct.unpack(">cQ", head)
            {b"e": _echo, b"f": _flood, b"s": _swallow}[work](connection, size)


def _echo(connection: socket.socket, size: int) -> None:
    while size > 0:
        data = connection.recv(min(size, len(BLOCK)))
        connection.sendall(data)
        size -= len(data)


def _flood(connection: socket.socket, size: int) -> None:
    while size > 0:
        connection.sendall(BLOCK[:size])
        size -= len(BLOCK)


def _swallow(connection: socket.socket, size: int) -> None:
    buffer = bytearray(len(BLOCK))
    while size > 0:
        size -= connection.recv_into(buffer, min(size, len(buffer)))
    connection.sendall(b".")
