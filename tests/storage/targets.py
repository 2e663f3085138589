"""An iSCSI server of the tests' own, on the loopback: tgtd, which needs nothing of the kernel."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TARGET = "iqn.2013-06.com.example:kvt"
START_TIMEOUT_S = 10
LOGIN = ("kvt-user", "kvt-password-12")


class Server:
    """A target with disks of the sizes that were given; `portal` is its address and port."""

    def __init__(self, directory: Path, sizes: tuple[int, ...]) -> None:
        self._directory, self._sizes = directory, sizes
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.portal = f"127.0.0.1:{self._port}"
        self._control = str(self._port // 2)  # names its socket; at most 32767

    def start(self) -> None:
        """Start it, and return when it has its disks."""
        program = shutil.which("tgtd", path="/usr/sbin:/usr/bin")
        assert program
        self._process = subprocess.Popen(
            [program, "-f", "-C", self._control, "--iscsi", f"portal={self.portal}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_TIMEOUT_S
        while self._admin("--op", "show", "--mode", "system", check=False):
            assert self._process.poll() is None, "tgtd ended at once"
            assert time.monotonic() < until, "tgtd does not answer"
            time.sleep(0.05)
        self._admin("--op", "new", "--mode", "target", "--tid", "1", "--targetname", TARGET)
        for number, size in enumerate(self._sizes, 1):
            disk = self.disk(number)
            disk.touch()
            with disk.open("r+b") as file:
                file.truncate(size)
            where = ["--tid", "1", "--lun", str(number), "--backing-store", str(disk)]
            self._admin("--op", "new", "--mode", "logicalunit", *where)
        self._admin("--op", "bind", "--mode", "target", "--tid", "1", "--initiator-address", "ALL")

    def disk(self, number: int) -> Path:
        """The file behind a disk of the target."""
        return self._directory / f"lun-{number}"

    def ask_for_login(self) -> None:
        """From now on only who knows LOGIN gets in."""
        name, password = LOGIN
        self._admin("--op", "new", "--mode", "account", "--user", name, "--password", password)
        self._admin("--op", "bind", "--mode", "account", "--tid", "1", "--user", name)

    def stop(self) -> None:
        """tgtd ends with its last connection only, unless it is killed."""
        self._process.kill()
        self._process.wait()
        for path in Path("/var/run/tgtd").glob(f"socket.{self._control}*"):
            path.unlink()

    def _admin(self, *words: str, check: bool = True) -> int:
        command = ["tgtadm", "-C", self._control, "--lld", "iscsi", *words]
        return subprocess.run(command, check=check, capture_output=True, timeout=START_TIMEOUT_S).returncode


@contextmanager
def iscsi_server(directory: Path, *sizes: int) -> Iterator[Server]:
    server = Server(directory, sizes)
    server.start()
    try:
        yield server
    finally:
        server.stop()
