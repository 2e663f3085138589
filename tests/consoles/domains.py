"""Guests for consoles: no system, only a boot sector that repeats on its serial port what is typed or sent to it."""

import contextlib
import secrets
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Waits for a key or for a byte on COM1, shows the key on the screen, and writes either to COM1. The instructions:
#          sti                                        0: fb
# idle:    hlt                                        1: f4
# keys:    mov ah,1; int 16h; jz serial               2: b401 cd16 740e
#          xor ah,ah; int 16h                         8: 30e4 cd16
#          mov dx,3f8h; out dx,al                    12: baf803 ee
#          mov ah,0eh; int 10h; jmp keys             16: b40e cd10 ebec
# serial:  mov dx,3fdh; in al,dx; test al,1; jz idle 22: bafd03 ec a801 74e3
#          mov dx,3f8h; in al,dx; out dx,al          30: baf803 ec ee
#          jmp serial                                35: ebf1
ECHO = bytes.fromhex("fb f4 b401 cd16 740e 30e4 cd16 baf803 ee b40e cd10 ebec bafd03 ec a801 74e3 baf803 ec ee ebf1")
BOOT_SECTOR = ECHO.ljust(510, b"\0") + b"\x55\xaa"
DOMAIN = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file'><driver name='qemu' type='raw'/><source file='{directory}/boot.img'/><target dev='hda'/></disk>
<graphics type='vnc'><listen type='none'/></graphics><video><model type='vga'/></video>
<serial type='pty'><log file='{directory}/serial.log' append='off'/></serial><console type='pty'/></devices></domain>"""


WAIT_S = 30


@dataclass
class Domain:
    """A libvirt guest made by a test."""

    name: str
    uuid: str
    directory: Path

    def heard(self, since: int = 0) -> str:
        """What it wrote to its serial port after the first `since` characters, as virtlogd kept it."""
        log = self.directory / "serial.log"
        return log.read_bytes().decode("latin-1")[since:] if log.exists() else ""

    @property
    def now(self) -> int:
        """How much it wrote so far: for `since`."""
        return len(self.heard())

    def wait_for(self, text: str, *, since: int, within_s: float = WAIT_S) -> None:
        """Until `text` was typed or sent."""
        end = time.monotonic() + within_s
        while text not in self.heard(since):
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} did not arrive within {within_s} s, but {self.heard(since)!r}")
            time.sleep(0.05)

    def boot(self) -> None:
        """Start it and wait until it repeats keys."""
        virsh("start", self.name)
        end = time.monotonic() + 60
        while "." not in self.heard():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} did not boot within 60 s")
            virsh("send-key", self.name, "KEY_DOT")
            time.sleep(0.3)
        before = -1
        while before != self.now:  # a dot that was pressed early may come late
            before = self.now
            time.sleep(0.3)

    def stop(self) -> None:
        virsh("destroy", self.name)


@contextlib.contextmanager
def running_domain(*, started: bool = True) -> Iterator[Domain]:
    """Make a guest, and remove it with all that it left."""
    with tempfile.TemporaryDirectory(prefix="kvmweb-test-console-", dir="/var/tmp") as path:
        directory = Path(path)
        directory.chmod(0o755)
        (directory / "boot.img").write_bytes(BOOT_SECTOR)
        domain = Domain(f"kvt-console-{secrets.token_hex(4)}", str(uuid.uuid4()), directory)
        virsh("define", "/dev/stdin", stdin=DOMAIN.format(name=domain.name, uuid=domain.uuid, directory=directory))
        try:
            if started:
                domain.boot()
            yield domain
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                domain.stop()
            virsh("undefine", domain.name)


def virsh(*words: str, stdin: str | None = None) -> None:
    subprocess.run(["virsh", "-q", *words], input=stdin, text=True, check=True, capture_output=True, timeout=60)
