"""A libvirtd of the tests' own, which they may stop and kill: a session daemon of an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

USER = "nobody"
START_TIMEOUT_S = 30


class PrivateDaemon:
    def __init__(self, directory: Path, path: str) -> None:
        self._directory, self._path = directory, path
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = directory / "run/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///session?socket={self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it listens."""
        account = pwd.getpwnam(USER)
        owner = [f"-o{account.pw_uid}", f"-g{account.pw_gid}"] if os.geteuid() == 0 else []
        for name in ("run", "home"):
            path = self._directory / name
            path.mkdir(mode=0o700, exist_ok=True)
            if os.geteuid() == 0:
                os.chown(path, account.pw_uid, account.pw_gid)
        config = self._directory / "home/.config/libvirt/libvirtd.conf"
        if not config.exists():  # without a UUID of its own it makes up another one at each start
            subprocess.run(["install", "-d", "-m700", *owner, config.parent.parent, config.parent], check=True)
            config.write_text(f'host_uuid = "{uuid4()}"\nunix_sock_rw_perms = "0777"\nauth_unix_rw = "none"\n')
            config.chmod(0o644)
        self.socket.unlink(missing_ok=True)
        home = str(self._directory / "home")
        self._process = subprocess.Popen(
            [shutil.which("libvirtd", path=f"{os.environ['PATH']}:/usr/sbin") or "libvirtd", "--timeout", "900"],
            env={"PATH": self._path, "HOME": home, "XDG_RUNTIME_DIR": str(self._directory / "run")},
            user=account.pw_uid if os.geteuid() == 0 else None,
            group=account.pw_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        until = time.monotonic() + START_TIMEOUT_S
        while not self.socket.exists():
            assert self._process.poll() is None, "the private libvirtd ended at once"
            assert time.monotonic() < until, "the private libvirtd does not listen"
            time.sleep(0.05)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def private_daemon(directory: Path, *, path: str = "/usr/bin:/bin:/usr/sbin") -> Iterator[PrivateDaemon]:
    """Run one, which finds its programs in `path`."""
    daemon = PrivateDaemon(directory, path)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill()
