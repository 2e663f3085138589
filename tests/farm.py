"""A libvirtd of the tests' own with thousands of guests, defined and off: what size costs, without the memory."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from tests.virt.daemon import PrivateDaemon, private_daemon

# As rich as a guest that kvmweb makes: libvirt adds the controllers, about 5 KB of XML in all.
GUEST = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><metadata>
<libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
<libosinfo:os id="http://debian.org/debian/12"/></libosinfo:libosinfo></metadata>
<memory unit='MiB'>2048</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/var/lib/kvmweb/{name}-vda.qcow2'/>
<target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
<interface type='user'><mac address='{mac}'/><model type='virtio'/></interface><serial type='pty'/>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' port='-1' autoport='yes'/><video><model type='virtio'/></video>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>"""
RUNNER = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>24</memory><os>
<type arch='x86_64' machine='pc'>hvm</type></os><devices/></domain>"""


def name_of(number: int) -> str:
    return f"kvt-farm-{number:05}"


@contextmanager
def farm(count: int) -> Iterator[PrivateDaemon]:
    """A running daemon whose host has `count` guests. It and all that is its go away at the end."""
    home = Path(tempfile.mkdtemp(prefix="kvmweb-test-farm-", dir="/var/tmp"))
    home.chmod(0o755)
    try:
        with private_daemon(home) as daemon:
            virsh(daemon, "define", "/dev/stdin", text=_guest(0))
            daemon.kill()
            _copy_definition(home / "home/.config/libvirt/qemu", count)
            daemon.start()
            for path in (home / "run", daemon.socket.parent):
                path.chmod(0o755)  # for the processes of a stack, which are another user's
            yield daemon
    finally:
        shutil.rmtree(home)


@contextmanager
def runner(daemon: PrivateDaemon, name: str = "kvt-farm-runner") -> Iterator[str]:
    """A guest on it that runs, as a firmware with nothing to boot; its name."""
    virsh(daemon, "create", "/dev/stdin", text=RUNNER.format(name=name))
    try:
        yield name
    finally:
        virsh(daemon, "destroy", name, check=False)


def virsh(daemon: PrivateDaemon, *words: str, text: str | None = None, check: bool = True) -> str:
    done = subprocess.run(
        ["virsh", "-q", "-c", daemon.uri, *words], input=text, capture_output=True, text=True, timeout=60
    )
    assert not check or done.returncode == 0, f"virsh {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


def _words(number: int) -> dict[str, str]:
    uuid = UUID(int=0x4000 << 64 | 0x8 << 60 | number + 1)
    mac = f"52:54:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    return {"name": name_of(number), "uuid": str(uuid), "mac": mac}


def _guest(number: int) -> str:
    return GUEST.format(**_words(number))


def _copy_definition(directory: Path, count: int) -> None:
    """libvirt reads its files when it starts: a hundred times faster than defining each."""
    first = directory / f"{name_of(0)}.xml"
    text, owner = first.read_text(), first.stat()
    for number in range(1, count):
        copy = text
        for key, word in _words(0).items():
            copy = copy.replace(word, _words(number)[key])
        path = directory / f"{name_of(number)}.xml"
        path.write_text(copy)
        os.chown(path, owner.st_uid, owner.st_gid)
