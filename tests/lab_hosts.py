"""Separate libvirt hosts in namespaces of their own (tests/lab/two-hosts), for what must not be tried on the machine's.

One such lab at a time runs on a machine: whoever comes second waits.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "lab" / "two-hosts"
LOCK = Path("/var/lock/kvmweb-two-hosts")
NEEDED = ("libvirtd", "virtlogd", "certtool", "sshd", "dnsmasq", "nsenter", "unshare")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Lab:
    """`uri(1)` leads to the first host; `run("exec", "1", "virsh", …)` is the script's own command line."""

    environment: dict[str, str]
    net: str

    def uri(self, number: int) -> str:
        return f"qemu+tcp://{self.net}.{13 + number}/system"

    def uri_over(self, transport: str, number: int = 1) -> str:
        """The same by "ssh" or "tls", with the lab's own key or certificates."""
        state, address = self.environment["LAB_STATE"], f"{self.net}.{13 + number}"
        if transport == "tls":
            return f"qemu+tls://{address}/system?pkipath={state}/pki/client"
        return f"qemu+ssh://root@{address}/system?keyfile={state}/ssh/id&no_verify=1&sshauth=privkey"

    def run(self, *words: str, check: bool = True) -> str:
        """What the script said."""
        done = subprocess.run([SCRIPT, *words], env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert not check or done.returncode == 0, f"two-hosts {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def virsh(self, number: int, *words: str) -> str:
        return self.run("exec", str(number), "virsh", "-q", *words)


@contextmanager
def running_lab(*, net: str = "192.168.190", hosts: str = "1") -> Iterator[Lab]:
    """Bring hosts up, and away again with all that is on them. `hosts` are their numbers: "1" or "1 2"."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [program for program in NEEDED if not shutil.which(program, path=path)]
    assert not missing, f"the lab needs {', '.join(missing)} (Debian: gnutls-bin openssh-server dnsmasq-base libvirt)"
    state = f"/var/tmp/kvmweb-test-two-hosts-{os.getpid()}"
    lab = Lab(os.environ | {"LAB_STATE": state, "LAB_NET": net, "LAB_HOSTS": hosts}, net)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            lab.run("up")
            yield lab
        finally:
            lab.run("down")
