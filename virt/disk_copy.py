"""Copy a disk while it is in use, or at rest, so that it can be watched and stopped at any moment.

QEMU itself copies, as a block job. A disk of a running guest is copied by that guest's QEMU and stays in step with what
the guest writes until the copy is ready. A disk at rest is copied by a QEMU of our own that never runs anything: it
works for every type of pool that is files or block devices, on remote hosts too, changes formats on the way, reads
untrusted images without root's rights, and ends with the connection if this process is killed.
https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainBlockCopy
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

import libvirt

from virt.connection import Connection
from virt.device_xml import DiskSpec, disk_element, source_element
from virt.domains import COPY_PREFIX, on_guest
from virt.errors import GuestNotFound, PoolFull, VirtError
from virt.host import compat_sheet
from virt.types import Uuid
from virt.volume_xml import luks_element
from virt.xmltree import E, Element, attribute, dump, parse

Finish = Literal["pivot", "stop"]
"""What becomes of a copy that is ready: the guest goes on with it, or it stays as it is and the guest as it was."""

POLL_S = 0.25
START_TIMEOUT_S = 60.0
ABORT_TIMEOUT_S = 60.0
PIVOT_TIMEOUT_S = 60.0  # QEMU writes what is left
AGENT_TIMEOUT_S = 75.0


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is there. `format` is told, never guessed from what is in it."""

    path: str
    format: str
    is_block: bool = False
    luks_secret: str = ""  # the UUID of the secret with its passphrase, where it is encrypted
    is_encrypted: bool = False  # of a copy: with the passphrase that the host has for its path


def copy_open_disk(
    conn: Connection,
    uuid: Uuid,
    target: str,
    to: Image,
    *,
    finish: Finish,
    on_progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Copy the disk `target` of a running guest into the existing image `to`, which is as large, and `finish`.

    "pivot" lets the guest go on with the copy, now and in its definition; "stop" leaves a copy as of that moment, with
    the guest's file systems frozen for it where its agent can do that (then the answer is True).
    `on_progress(bytes done, bytes in all)` may raise, which stops the copy. However it fails, the guest goes on with
    the disk that it had. Raises PoolFull when the copy cannot be written, VirtError.
    """
    what = f"copy disk {target} of guest {{}}"
    source = source_element(to.path, is_block=to.is_block)
    if to.is_encrypted:
        source.append(luks_element(usage=to.path))
    destination = dump(E.disk(E.driver(name="qemu", type=to.format), source, type="block" if to.is_block else "file"))
    flags = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
    try:
        on_guest(conn, uuid, what, lambda d: d.blockCopy(target, destination, None, flags), timeout_s=START_TIMEOUT_S)
        _wait_until_ready(conn, uuid, target, what, on_progress)
        return _finish(conn, uuid, target, what, finish)
    except BaseException:
        with suppress(VirtError):
            stop_copy(conn, uuid, target)
        raise


def stop_copy(conn: Connection, uuid: Uuid, target: str) -> None:
    """End a copy under way without using it. None under way, or no such guest: there is nothing to do."""

    def action(domain: libvirt.virDomain) -> None:
        if domain.isActive() and domain.blockJobInfo(target):
            domain.blockJobAbort(target, 0)

    with suppress(GuestNotFound):
        on_guest(conn, uuid, f"stop the copy of disk {target} of guest {{}}", action, timeout_s=ABORT_TIMEOUT_S)


@contextmanager
def at_rest(conn: Connection, image: Image) -> Iterator[tuple[str, str]]:
    """A QEMU of our own, paused for ever, that has the image open for reading: (uuid, target) for `copy_open_disk`.

    It is gone when the block ends, and when the connection does.
    """
    sheet = compat_sheet(conn, machine=None, domain_type="qemu")
    spec = DiskSpec(
        path=image.path,
        format=image.format,
        is_block=image.is_block,
        readonly=True,
        encryption="luks" if image.luks_secret else "",
        luks_secret=image.luks_secret,
    )
    xml = dump(
        E.domain(
            E.name(f"{COPY_PREFIX}{uuid4()}"),
            E.memory("32", unit="MiB"),
            E.vcpu("1"),
            E.os(E.type("hvm", arch=sheet.arch, machine=sheet.machine)),
            E.devices(disk_element(spec, bus="virtio", target="vda"), E.memballoon(model="none")),
            type="qemu",
        )
    )
    flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
    what = f"open {image.path}"
    domain = conn.call(lambda handle: handle.createXML(xml, flags), what, timeout_s=START_TIMEOUT_S)
    try:
        yield domain.UUIDString(), "vda"
    finally:
        with suppress(VirtError):  # its end is the connection's end, too
            conn.call(lambda _handle: domain.destroy(), f"close {image.path}", timeout_s=ABORT_TIMEOUT_S)


def _wait_until_ready(
    conn: Connection, uuid: Uuid, target: str, what: str, on_progress: Callable[[int, int], None] | None
) -> None:
    def look(domain: libvirt.virDomain) -> tuple[dict[str, int], bool]:
        return domain.blockJobInfo(target) or {}, _is_ready(domain, target)

    while True:
        state, is_ready = on_guest(conn, uuid, what, look)
        if not state:
            raise PoolFull(
                f"The copy of disk {target} broke off: it could not be written. Most likely the storage is full."
            )
        if on_progress:
            on_progress(state["cur"], state["end"])
        if is_ready:
            return
        time.sleep(POLL_S)


def _is_ready(domain: libvirt.virDomain, target: str) -> bool:
    """libvirt says so in the XML; that all bytes are copied comes a moment earlier."""
    for disk in parse(domain.XMLDesc(0)).iterfind("devices/disk"):
        if attribute(disk, "target", "dev") == target:
            return attribute(disk, "mirror", "ready") == "yes"
    return False


def _finish(conn: Connection, uuid: Uuid, target: str, what: str, finish: Finish) -> bool:
    if finish == "pivot":
        flag = libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
        on_guest(conn, uuid, what, lambda domain: domain.blockJobAbort(target, flag), timeout_s=PIVOT_TIMEOUT_S)
        return False
    is_frozen = _freeze(conn, uuid)
    try:
        on_guest(conn, uuid, what, lambda domain: domain.blockJobAbort(target, 0), timeout_s=PIVOT_TIMEOUT_S)
    finally:
        if is_frozen:
            on_guest(conn, uuid, "thaw guest {}", lambda domain: domain.fsThaw(), timeout_s=AGENT_TIMEOUT_S)
    return is_frozen


def _freeze(conn: Connection, uuid: Uuid) -> bool:
    """Have the guest write out its file systems and hold them; False where nobody in it can."""

    def action(domain: libvirt.virDomain) -> bool:
        channels: list[Element] = list(parse(domain.XMLDesc(0)).iterfind("devices/channel/target"))
        if not any(c.get("name") == "org.qemu.guest_agent.0" and c.get("state") == "connected" for c in channels):
            return False
        return int(domain.fsFreeze()) >= 0

    try:
        return on_guest(conn, uuid, "freeze guest {}", action, timeout_s=AGENT_TIMEOUT_S)
    except VirtError:
        return False
