"""An SSH server of the tests' own on the loopback, and a machine's worth of trouble that it can make."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_TIMEOUT_S = 10


class SshServer:
    """Lets root in with the keys that `authorize` was given. `new_host_key` makes it another machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.new_host_key()
        self.authorize("")

    @property
    def host_key(self) -> str:
        """Its public key as "ssh-ed25519 AAAA…"."""
        return " ".join((self._directory / "host_key.pub").read_text().split()[:2])

    def authorize(self, public_key: str) -> None:
        (self._directory / "authorized_keys").write_text(f"{public_key}\n")

    def new_host_key(self) -> None:
        for path in self._directory.glob("host_key*"):
            path.unlink()
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._directory / "host_key"]
        subprocess.run(command, check=True, timeout=30)

    def start(self) -> None:
        config = self._directory / "sshd_config"
        config.write_text(
            f"HostKey {self._directory}/host_key\nAuthorizedKeysFile {self._directory}/authorized_keys\n"
            f"ListenAddress 127.0.0.1\nPort {self.port}\nPermitRootLogin prohibit-password\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPidFile none\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)  # where it wants to put those who have not logged in yet
        sshd = shutil.which("sshd", path=PATH)
        assert sshd, "no sshd (Debian: openssh-server)"
        self._process = subprocess.Popen([sshd, "-D", "-f", config], stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < until, "sshd does not listen"
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@contextmanager
def ssh_server(directory: Path) -> Iterator[SshServer]:
    server = SshServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()
