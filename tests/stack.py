"""A whole private kvmweb for tests: every process, own database, Redis, port and pools, on the machine's libvirt.

    with running_stack() as stack:
        httpx.get(stack.base_url + "healthz")
        stack.manage("create_token", "--user", "admin", "--name", "t")

Mark tests that use it with `@pytest.mark.stack` (or `browser`).
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack below `home`, a directory of its own in /var/tmp that QEMU may enter."""

    home: Path
    port: int
    environment: dict[str, str]
    network: str  # how the machine's network `default` was before: its watcher starts it

    @property
    def base_url(self) -> str:
        """With a slash at the end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def iso_dir(self) -> Path:
        return Path(self.environment["KVMWEB_ISO_DIR"])

    @property
    def store_dir(self) -> Path:
        return Path(self.environment["KVMWEB_STORE_DIR"])

    @property
    def admin_password(self) -> str:
        """The generated password of the user `admin`."""
        return (self.var / "admin-password").read_text().strip()

    def script(self, name: str, *arguments: str, timeout_s: int = STOP_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        """Run script/NAME for this stack; output and exit code are in the result."""
        # The processes that script/server leaves running would hold a pipe open: output goes to a file.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [ROOT / "script" / name, *arguments],
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())

    def start(self) -> str:
        """Bring it up (script/server) and return what that said."""
        done = self.script("server", "--background", "--no-install", timeout_s=START_TIMEOUT_S)
        assert done.returncode == 0, f"script/server failed:\n{done.stdout}"
        return done.stdout

    def stop(self) -> str:
        done = self.script("stop")
        assert done.returncode == 0, f"script/stop failed:\n{done.stdout}"
        return done.stdout

    def manage(self, *arguments: str) -> str:
        """The output of a management command in this stack."""
        done = self.script("manage", *arguments)
        assert done.returncode == 0, f"manage.py {' '.join(arguments)} failed:\n{done.stdout}"
        return done.stdout.strip()

    def control(self, *arguments: str) -> str:
        """The output of the supervisor's command line, for example `control("restart", "kvmweb:worker")`."""
        command = [str(ROOT / ".venv/bin/supervisorctl"), "-c", str(ROOT / "deploy/supervisord.conf"), *arguments]
        environment = self.environment | {"KVMWEB_PRIVATE_REDIS": "true", "KVMWEB_GATEWAY": "false"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout.strip()

    def pid(self, process: str) -> int:
        """Of web, worker, scheduler, watcher, helper or redis; 0 when it does not run."""
        name = process if process in ("helper", "redis") else f"kvmweb:{process}"
        answer = self.control("pid", name)
        return int(answer) if answer.isdigit() else 0

    def log(self, process: str) -> str:
        """What a process has written so far."""
        return (self.var / "log" / f"{process}.log").read_text()


def new_stack(**settings: str) -> Stack:
    """A stack that is not running yet. `settings` are environment variables. End with `remove_stack`."""
    home = Path(tempfile.mkdtemp(prefix="kvmweb-test-", dir="/var/tmp"))  # QEMU may not enter /tmp
    home.chmod(0o755)
    unique = home.name.rpartition("-")[2].replace("_", "x")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KVMWEB_") and name not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    }
    environment |= {
        "PYTHONPATH": str(ROOT / "tests/as_installed"),  # without what only the tests install
        "KVMWEB_VAR": str(home / "var"),
        "KVMWEB_PORT": str(port),
        "KVMWEB_ISO_DIR": str(home / f"kvt-iso-{unique}"),  # the pools are called as their directories
        "KVMWEB_STORE_DIR": str(home / f"kvt-store-{unique}"),
        **settings,
    }
    network = _virsh("net-info", "default")
    return Stack(home=home, port=int(environment["KVMWEB_PORT"]), environment=environment, network=network)


def remove_stack(stack: Stack) -> None:
    """Stop it and remove what is its: guests and pools with files below its directory, then the directory."""
    try:
        stack.stop()
    finally:
        for name in _virsh("list", "--all", "--name").split():
            if name.startswith("kvt-") and str(stack.home) in _virsh("dumpxml", name):
                _virsh("destroy", name)
                _virsh("undefine", name, "--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata")
        for pool in _virsh("pool-list", "--all", "--name").split():
            if str(stack.home) in _virsh("pool-dumpxml", pool):
                _virsh("pool-destroy", pool)
                _virsh("pool-undefine", pool)
        before = stack.network.split()
        if "Active:" in before and before[before.index("Active:") + 1] == "no":
            _virsh("net-destroy", "default")
            _virsh("net-autostart", "--disable", "default")
        shutil.rmtree(stack.home)


@contextmanager
def running_stack(**settings: str) -> Iterator[Stack]:
    """A stack that answers. It is stopped, and everything that is its removed, at the end."""
    stack = new_stack(**settings)
    try:
        stack.start()
        yield stack
    finally:
        remove_stack(stack)


def _virsh(*words: str) -> str:
    return subprocess.run(["virsh", "-q", *words], capture_output=True, text=True, timeout=60).stdout
