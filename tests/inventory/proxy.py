"""A relay in front of libvirtd's socket that can be cut or hang, as a network would; libvirtd is not touched."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"
CHUNK = 65536


class Proxy:
    """Listens at `path`. `uri` leads through it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._going = threading.Event()
        self._going.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.mend()

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.path}"

    def mend(self) -> None:
        """Let everything through again."""
        self._going.set()
        if self._listener is None:
            self.path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
            self._listener.listen(50)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def hang(self) -> None:
        """Swallow every byte: connections stay open, and nothing is ever answered."""
        self._going.clear()

    def cut(self) -> None:
        """End all connections and refuse new ones, as a libvirtd that was stopped does."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            self.path.unlink(missing_ok=True)
        self._going.set()
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _address = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(LIBVIRT_SOCKET)
                with self._lock:
                    self._open |= {near, far}
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._going.wait()
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(end)
            end.close()
